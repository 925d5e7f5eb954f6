"""Networks: what is known of each (no torch needed), how each is built, and what it expects of its input.

Names are imported when first used, so that planning a workflow (``layerwise.models.registry``) never waits
for torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from layerwise.models.building import build, sketch, specify
    from layerwise.models.heads import PenultimateTap, find_classifiers, replace_head
    from layerwise.models.inputs import normalise
    from layerwise.models.preprocessing import geometry_for, resolve_preprocessing
    from layerwise.models.weights import fetch_weights, find_weights, hash_weights

__all__ = [
    "PenultimateTap",
    "build",
    "fetch_weights",
    "find_classifiers",
    "find_weights",
    "geometry_for",
    "hash_weights",
    "normalise",
    "replace_head",
    "resolve_preprocessing",
    "sketch",
    "specify",
]

_HOMES = {
    "PenultimateTap": "heads",
    "build": "building",
    "fetch_weights": "weights",
    "find_classifiers": "heads",
    "find_weights": "weights",
    "geometry_for": "preprocessing",
    "hash_weights": "weights",
    "normalise": "inputs",
    "replace_head": "heads",
    "resolve_preprocessing": "preprocessing",
    "sketch": "building",
    "specify": "building",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
