"""Activations: what a network answers to every stimulus, layer by layer, kept as regression needs it.

Names are imported when first used: planning passes and reading a store do not need torch.
"""

from typing import TYPE_CHECKING

from layerwise.files.lazy import lazy_exports

if TYPE_CHECKING:
    from layerwise.activations.extract import extract_activations
    from layerwise.activations.parts import Part, plan_passes
    from layerwise.activations.store import ActivationStore, Stored

__all__ = ["ActivationStore", "Part", "Stored", "extract_activations", "plan_passes"]

__getattr__ = lazy_exports(
    __name__,
    {
        "extract": ("extract_activations",),
        "parts": (
            "Part",
            "plan_passes",
        ),
        "store": (
            "ActivationStore",
            "Stored",
        ),
    },
)
