"""Networks of torchvision."""

import re
from functools import partial
from typing import Any

from torch import nn

from layerwise.interfaces import ModelSpec
from layerwise.models.adapters.base import Adapter, Transform, call_constructor, nothing_official, unknown
from layerwise.models.states import State

# What torchvision sets when it loads the official weights of these networks; it belongs to the network that
# was trained, so it holds whatever the weights are. Without `init_weights` torchvision warns.
AS_TRAINED: dict[str, dict[str, Any]] = {
    "googlenet": {"transform_input": True, "aux_logits": False, "init_weights": True},
    "inception_v3": {"transform_input": True, "init_weights": True},
}
OLD_DENSE_NAME = re.compile(r"(.*denselayer\d+\.(?:norm|relu|conv))\.([12]\..*)")


def _build(spec: ModelSpec) -> nn.Module:
    from torchvision import models

    known = models.list_models(module=models)
    if spec.constructor not in known:
        raise unknown("torchvision", spec.constructor, known)
    trained = AS_TRAINED.get(spec.constructor, {})
    options = {name: value for name, value in trained.items() if name not in spec.options}
    return call_constructor(partial(models.get_model, spec.constructor), spec, weights=None, **options)


def _adapt(constructor: str, state: State) -> State:
    if constructor.startswith("densenet"):  # dots within a layer's name, from before torch 0.4 forbade them
        return {OLD_DENSE_NAME.sub(r"\1\2", name): value for name, value in state.items()}
    if constructor == "googlenet":
        return {name: value for name, value in state.items() if not name.startswith(("aux1.", "aux2."))}
    return state


def _transform(constructor: str) -> Transform:
    from torchvision.models import get_model_weights

    stated: Transform = get_model_weights(constructor)["IMAGENET1K_V1"].transforms()
    return stated


ADAPTER = Adapter(_build, nothing_official("torchvision"), _adapt, _transform)
