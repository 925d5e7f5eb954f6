"""Build the network of a name, or of a study, with its weights."""

import logging
from copy import deepcopy
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path

import torch
from torch import nn

from layerwise.files import hash_file
from layerwise.interfaces import ModelSpec
from layerwise.models.construction import adapter_of, construct
from layerwise.models.heads import find_classifiers, replace_head
from layerwise.models.mirrors import rename_from_timm
from layerwise.models.preprocessing import resolve_preprocessing
from layerwise.models.registry import RegistryRow, find, row_of
from layerwise.models.seeds import seeded
from layerwise.models.states import State, find_state, fits, load_state, rename_in_order
from layerwise.models.weights import UNTRAINED, fetch_weights, find_weights

log = logging.getLogger(__name__)


def build(
    model: str | ModelSpec,
    weights: str | Path | None = None,
    seed: int | None = None,
    weights_folder: str | Path | None = None,
) -> nn.Module:
    """Build a network, with its weights, in eval mode.

    Parameters
    ----------
    model : str or ModelSpec
        A name of the registry or of timm, or a network of a study. Where the latter asks for a head, that replaces the
        classifier and is drawn under the seed, unless the file of weights is of a network with such a head already.
    weights : {"random", "imagenet"} or path, optional
        Untrained, the official ones, or a file (.pth, .pt, .safetensors). Default: what the study says, or
        "random" for a name.
    seed : int, optional
        Of random weights: equal seeds give equal weights, and the global random state is left alone. A
        factory is called under the seed, so its untrained weights are drawn from it too; with "random" it must
        not load any. Default: what the study says, or 0.
    weights_folder : path, optional
        Looked into first for official weights; downloads go there.

    Returns
    -------
    nn.Module

    Raises
    ------
    ValueError
        The name is unknown, the network cannot be built, or its weights cannot be obtained or do not fit.
    """
    spec = _specify(model, weights, seed)
    folder = Path(weights_folder) if weights_folder is not None else None
    if spec.weights == "imagenet" and row_of(spec) is None and find_weights(spec, folder) is None:
        network = adapter_of(spec).pretrained(spec, folder).eval()
        return network if spec.head is None else _replace_head(network, spec, spec.head)
    path = None if spec.weights in UNTRAINED else fetch_weights(spec, folder)
    network = construct(spec).eval()
    return _load(network, spec, path) if spec.head is None else _load_with_head(network, spec, path, spec.head)


def build_empty(model: str | ModelSpec) -> nn.Module:
    """Build a network without values, on torch's meta device: shapes alone, so any size costs nothing.

    It runs, as far as shapes go, on a tensor of the meta device: enough to list layers or to count
    parameters.

    Parameters
    ----------
    model : str or ModelSpec
        A name of the registry or of timm, or a network of a study, whose weights are not looked at.

    Returns
    -------
    nn.Module
    """
    with torch.device("meta"):
        return build(model, "built")


def specify(name: str) -> ModelSpec:
    """Return the network of a name: that of the registry, else that of timm, with official weights.

    Raises
    ------
    ValueError
        Neither has the name; the message names the nearest.
    """
    try:
        row = find(name)
    except ValueError as error:
        import timm

        if timm.is_model(name):
            return ModelSpec(name, "timm", name)
        near = get_close_matches(name, timm.list_models(), n=3)
        raise ValueError(f"{error}{'; timm has ' if near else ''}{' or '.join(near)}") from error
    return ModelSpec(row.name, row.library, row.constructor)


def _specify(model: str | ModelSpec, weights: str | Path | None, seed: int | None) -> ModelSpec:
    if isinstance(model, str):
        model = replace(specify(model), weights="random")
    if weights is not None:
        model = replace(model, weights=str(weights))
    return model if seed is None else replace(model, seed=seed)


def _load_with_head(network: nn.Module, spec: ModelSpec, path: Path | None, units: int) -> nn.Module:
    if path is not None:
        # A file of a network with such a head, as fine-tuning writes it, brings the head with it.
        headed = _replace_head(deepcopy(network), spec, units)
        state = find_state(headed, path)
        if fits(headed, state):
            load_state(headed, state, path)
            return headed
    return _replace_head(_load(network, spec, path), spec, units)


def _replace_head(network: nn.Module, spec: ModelSpec, units: int) -> nn.Module:
    classifiers = find_classifiers(network, spec, resolve_preprocessing(spec).size)
    with seeded(spec.seed):
        return replace_head(network, classifiers, units)


def _load(network: nn.Module, spec: ModelSpec, path: Path | None) -> nn.Module:
    if path is None:
        return network
    state = find_state(network, path)
    row = row_of(spec)
    if row is not None and not fits(network, state):
        state = adapter_of(spec).adapt(spec.constructor, _rename(network, row, state, path))
    load_state(network, state, path)
    return network


def _what_tells(row: RegistryRow) -> str:
    if row.top1 is None:
        return "no accuracy is published that would tell"
    return f"`layerwise models accuracy` tells whether they reach the published {row.top1:g} per cent"


def _rename(network: nn.Module, row: RegistryRow, state: State, path: Path) -> State:
    if row.mirror is not None and path.name == row.mirror.file != row.file:
        log.warning(
            "the weights of %s come from timm's %s: the same architecture, proven; that the values are those "
            "of %s nobody has verified, and %s",
            row.name,
            row.mirror.network,
            row.file,
            _what_tells(row),
        )
        return rename_from_timm(network, state, row.mirror, path)
    if row.mapping != "order":
        return state
    # Order does not prove meaning, so it is trusted only for the one published file that was checked.
    if not hash_file(path).startswith(row.sha256):
        raise ValueError(
            f"{path} does not name its tensors as {row.constructor!r} does, and is not the "
            f"published {row.file}, whose tensors are known to come in the same order"
        )
    return rename_in_order(network, state, path)
