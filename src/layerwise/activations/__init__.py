"""Activations: what a network answers to every stimulus, layer by layer, kept as regression needs it.

Names are imported when first used: planning passes and reading a store do not need torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from layerwise.activations.extract import extract_activations
    from layerwise.activations.parts import Part, plan_passes
    from layerwise.activations.store import ActivationStore, Stored

__all__ = ["ActivationStore", "Part", "Stored", "extract_activations", "plan_passes"]

_HOMES = {
    "ActivationStore": "store",
    "Part": "parts",
    "Stored": "store",
    "extract_activations": "extract",
    "plan_passes": "parts",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
