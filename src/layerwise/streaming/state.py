"""The state of a streamed fit on disk, so that a job that was killed goes on from there."""

import logging
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor

from layerwise.files import atomic_path, check_zip, reraise_memory
from layerwise.regression.pls1.components import LayerVectors

log = logging.getLogger(__name__)

_SAVED = [field.name for field in fields(LayerVectors) if field.name not in {"total", "history", "rounding"}]


def save_state(
    path: Path,
    fingerprint: str,
    component: int,
    vectors: list[LayerVectors],
    predictions: Tensor,
    broken: list[int],
    separate: Sequence[int] = (),
) -> None:
    """Write the state before some component, whole or not at all; a disk that is full is a warning, and no more.

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
    separate : sequence of int
        Layers that are read by themselves, though two images made them look as if they followed from others.
    """
    content = {
        "fingerprint": fingerprint,
        "component": component,
        "broken": broken,
        "separate": list(separate),
        "predictions": predictions,
        "vectors": [_kept(layer, component) for layer in vectors],
    }
    try:
        # A file, not its name: torch takes no name that begins with a dot and has no ending.
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            torch.save(content, file)
    except (OSError, RuntimeError) as error:  # torch raises either if it cannot write
        log.warning(
            "the state before component %d could not be saved to %s (%s): the fit goes on, and were it stopped, it "
            "would start from the last state that is there",
            component + 1,
            path,
            error,
        )


def load_state(path: Path, fingerprint: str, vectors: list[LayerVectors], predictions: Tensor) -> tuple[int, list[int]]:
    """Bring a state back into the tensors of a fit; give the next component, and the layers that are not finite.

    Returns
    -------
    tuple of int and list of int
        0 and no layer where there is no state, or one of another fit, which a log message says.
    """
    content, problem = _read(path, fingerprint)
    if problem:
        log.warning("%s %s: starting from the first component", path, problem)
    if not content:
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


def load_separate(path: Path, fingerprint: str) -> list[int]:
    """Return the layers that a fit reads by themselves; none where `load_state` finds nothing to go on from."""
    content, _ = _read(path, fingerprint)
    return content["separate"] if content else []


def _read(path: Path, fingerprint: str) -> tuple[dict[str, Any], str]:
    """Return what a state holds, or nothing and why."""
    if not path.is_file():
        return {}, ""
    try:
        check_zip(path)
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        if not isinstance(content, dict):
            raise ValueError(f"it holds a {type(content).__name__}")
    except (RuntimeError, OSError, ValueError, EOFError, UnpicklingError) as error:
        reraise_memory(error, f"reading {path}")
        return {}, f"is damaged ({error})"
    if content.get("fingerprint") != fingerprint:
        return {}, "is of other data, code or settings"
    return content, ""


def _kept(layer: LayerVectors, component: int) -> dict[str, Any]:
    return {"history": layer.history.before(component), **{name: getattr(layer, name) for name in _SAVED}}
