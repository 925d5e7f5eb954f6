"""Networks of pretrainedmodels 0.7.4."""

import copy
from types import ModuleType

import torch
from torch import nn

from layerwise.interfaces import ModelSpec
from layerwise.models.adapters.base import Adapter, Transform, call_constructor, nothing_official, unknown
from layerwise.models.states import State

CLASSIFIER = "last_linear"
WITH_BACKGROUND = 1001
USUAL_SCALE = 0.875  # side of the crop over that of the resized photograph, where a network's settings state none


def _build(spec: ModelSpec) -> nn.Module:
    library = _library()
    if spec.constructor not in library.model_names:
        raise unknown("pretrainedmodels", spec.constructor, library.model_names)
    classes = {} if "num_classes" in spec.options else {"num_classes": 1000}
    network = call_constructor(getattr(library, spec.constructor), spec, pretrained=None, **classes)
    # The library keeps one instance of some parts (ResNeXt's features, DPN's ReLUs) and puts it into every
    # network it builds: a copy has its own.
    # The device of a tensor, since before PyTorch 2.8 torch.get_default_device knows nothing of `with torch.device`.
    network = copy.deepcopy(network).to(torch.empty(0).device)
    if spec.constructor.startswith("resnext"):
        _draw_anew(network)
    return network


def _library() -> ModuleType:
    # At its import the library draws the weights of its two ResNeXt, which must not shift the seed of ours,
    # nor stay without values if a network without values is built first.
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        import pretrainedmodels
    library: ModuleType = pretrainedmodels
    return library


def _draw_anew(network: nn.Module) -> None:
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear | nn.BatchNorm2d):
            module.reset_parameters()


def _adapt(constructor: str, state: State) -> State:
    if constructor == "xception":  # the library renames the classifier after it has loaded the file
        state = {name.replace("fc.", f"{CLASSIFIER}."): value for name, value in state.items()}
    return {name: _without_background(name, value) for name, value in state.items()}


def _without_background(name: str, value: torch.Tensor) -> torch.Tensor:
    if name.startswith(f"{CLASSIFIER}.") and value.shape[0] == WITH_BACKGROUND:
        return value[1:]
    return value


def _transform(constructor: str) -> Transform:
    from pretrainedmodels.utils import TransformImage

    (stated,) = (
        setting
        for name, setting in _library().pretrained_settings[constructor].items()
        if name in ("imagenet", "imagenet+5k")
    )
    # As its example of an evaluation does, which gives the function the scale that a network's settings state. The
    # library's README evaluates PolyNet alone without keeping the aspect.
    scale = stated.get("scale", USUAL_SCALE)
    transform: Transform = TransformImage(stated, scale, preserve_aspect_ratio=constructor != "polynet")
    return transform


ADAPTER = Adapter(_build, nothing_official("pretrainedmodels"), _adapt, _transform)
