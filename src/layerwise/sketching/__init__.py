"""Quick mode: one forward pass that sums the units of every layer into few numbers, and PLS from these.

Names are imported when first used: planning the groups of layers does not need torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from layerwise.sketching.fit import Sketched, sketch_pls
    from layerwise.sketching.groups import SketchDemand, plan_sketches
    from layerwise.sketching.measured import measured_error

__all__ = ["SketchDemand", "Sketched", "measured_error", "plan_sketches", "sketch_pls"]

_HOMES = {
    "SketchDemand": "groups",
    "Sketched": "fit",
    "measured_error": "measured",
    "plan_sketches": "groups",
    "sketch_pls": "fit",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
