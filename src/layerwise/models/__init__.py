"""Networks: what is known about each (no torch needed), how each is built, and what it expects of its input.

Names are imported when first used, so that planning a workflow (``layerwise.models.registry``) never waits
for torch.
"""

from typing import TYPE_CHECKING

from layerwise.files.lazy import lazy_exports

if TYPE_CHECKING:
    from layerwise.models.building import build, build_empty, specify
    from layerwise.models.heads import PenultimateTap, find_classifiers, replace_head
    from layerwise.models.normalisation import normalise
    from layerwise.models.preprocessing import geometry_for, resolve_preprocessing
    from layerwise.models.weights import fetch_weights, find_weights, hash_weights

__all__ = [
    "PenultimateTap",
    "build",
    "build_empty",
    "fetch_weights",
    "find_classifiers",
    "find_weights",
    "geometry_for",
    "hash_weights",
    "normalise",
    "replace_head",
    "resolve_preprocessing",
    "specify",
]

__getattr__ = lazy_exports(
    __name__,
    {
        "building": (
            "build",
            "build_empty",
            "specify",
        ),
        "heads": (
            "PenultimateTap",
            "find_classifiers",
            "replace_head",
        ),
        "normalisation": ("normalise",),
        "preprocessing": (
            "geometry_for",
            "resolve_preprocessing",
        ),
        "weights": (
            "fetch_weights",
            "find_weights",
            "hash_weights",
        ),
    },
)
