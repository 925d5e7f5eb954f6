"""The state of a streamed fit on disk, so that a job that was killed goes on from there."""

import logging
from dataclasses import fields
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor

from layerwise.files import atomic_path, reraise_memory
from layerwise.streaming.vectors import LayerVectors

log = logging.getLogger(__name__)

_SAVED = [field.name for field in fields(LayerVectors) if field.name not in {"total", "history", "rounding"}]


def save_state(
    path: Path, fingerprint: str, component: int, vectors: list[LayerVectors], predictions: Tensor, broken: list[int]
) -> None:
    """Write the state before some component, whole or not at all.

    Parameters
    ----------
    path : path
        File.
    fingerprint : str
        Of everything that the result depends on.
    component : int
        The next component, from 0.
    vectors : list of LayerVectors
        Of each layer.
    predictions : Tensor [layer, image, split]
        So far.
    broken : list of int
        Layers whose activations are not finite.
    """
    content = {
        "fingerprint": fingerprint,
        "component": component,
        "broken": broken,
        "predictions": predictions,
        "vectors": [_kept(layer, component) for layer in vectors],
    }
    with atomic_path(path) as temporary:
        torch.save(content, temporary)


def load_state(path: Path, fingerprint: str, vectors: list[LayerVectors], predictions: Tensor) -> tuple[int, list[int]]:
    """Bring a state back into the tensors of a fit; give the next component, and the layers that are not finite.

    Returns
    -------
    tuple of int and list of int
        0 and no layer where there is no state, or one of another fit, which a log message says.
    """
    if not path.is_file():
        return 0, []
    try:
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except (RuntimeError, OSError, ValueError, EOFError, UnpicklingError) as error:
        reraise_memory(error, f"reading {path}")
        log.warning("%s is damaged (%s): starting from the first component", path, error)
        return 0, []
    if content.get("fingerprint") != fingerprint:
        log.warning("%s is of other data, code or settings: starting from the first component", path)
        return 0, []
    component: int = content["component"]
    predictions.copy_(content["predictions"])
    for layer, kept in zip(vectors, content["vectors"], strict=True):
        for name in _SAVED:
            getattr(layer, name).copy_(kept[name])
        for rows, earlier in zip(layer.history.values, kept["history"], strict=True):
            rows[:component].copy_(earlier)
    log.info("going on from component %d of %s", component + 1, path)
    return component, content["broken"]


def _kept(layer: LayerVectors, component: int) -> dict[str, Any]:
    return {"history": layer.history.before(component), **{name: getattr(layer, name) for name in _SAVED}}
