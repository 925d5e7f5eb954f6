"""The state of a streamed fit on disk, so that another job resumes one that was killed."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import Any, BinaryIO, cast

import torch
from torch import Tensor

from layerwise.files import DamagedError, Resumable, atomic_path, check_zip, written
from layerwise.regression.pls1.components import LayerVectors

log = logging.getLogger(__name__)

_SAVED = [field.name for field in fields(LayerVectors) if field.name not in {"total", "history", "rounding"}]


def save_state(
    kept: Resumable,
    component: int,
    vectors: list[LayerVectors],
    predictions: Tensor,
    broken: list[int],
    separate: Sequence[int] = (),
    begun: bool = False,
) -> bool:
    """Write the state before some component, whole or not at all; a disk that is full is a warning, and no more.

    Parameters
    ----------
    kept : Resumable
        Where to.
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
    begun : bool
        The directions of the component are found already, and only its pass over the images is not done.

    Returns
    -------
    bool
        Whether it could be written.
    """
    content = {
        "fingerprint": kept.fingerprint,
        "component": component,
        "begun": begun,
        "broken": broken,
        "separate": list(separate),
        "predictions": predictions,
        "vectors": [_kept(layer, component + begun) for layer in vectors],
    }
    try:
        # A file, not its name: torch takes no name that begins with a dot and has no ending, and hides a full disk.
        with atomic_path(kept.path) as temporary, written(temporary) as file:
            torch.save(content, cast(BinaryIO, file))
        return True
    except (OSError, RuntimeError) as error:  # torch raises either if it cannot write
        log.warning(
            "the state before component %d could not be saved to %s (%s): the fit continues; if it is stopped, it "
            "resumes from the last state that was saved",
            component + 1,
            kept.path,
            error,
        )
        return False


def read_state(kept: Resumable) -> dict[str, Any]:
    """Return what a state holds, on the CPU; nothing where there is none, or one of another fit, which a log says."""

    def read() -> tuple[str, Callable[[], dict[str, Any]]]:
        check_zip(kept.path)
        content: dict[str, Any] = torch.load(kept.path, map_location="cpu", weights_only=True, mmap=True)
        if not isinstance(content, dict):
            raise DamagedError(f"is damaged (it holds a {type(content).__name__})")
        return content.get("fingerprint", ""), lambda: content

    return kept.take_up(read) or {}


def restore(content: Mapping[str, Any], vectors: list[LayerVectors], predictions: Tensor) -> tuple[int, list[int]]:
    """Copy a state back into the tensors of a fit.

    Returns
    -------
    component : int
        The next one; 0 for an empty state.
    broken : list of int
        Layers whose activations are not finite.
    """
    if not content:
        return 0, []
    component: int = content["component"]
    predictions.copy_(content["predictions"])
    for layer, kept in zip(vectors, content["vectors"], strict=True):
        for name in _SAVED:
            getattr(layer, name).copy_(kept[name])
        for rows, earlier in zip(layer.history.values, kept["history"], strict=True):
            rows[: len(earlier)].copy_(earlier)
    return component, content["broken"]


def _kept(layer: LayerVectors, component: int) -> dict[str, Any]:
    return {"history": layer.history.before(component), **{name: getattr(layer, name) for name in _SAVED}}
