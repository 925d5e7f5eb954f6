"""Quick mode: one forward pass that sums the units of every layer into few numbers, and PLS from these.

Names are imported when first used: planning the groups of layers does not need torch.
"""

from typing import TYPE_CHECKING

from layerwise.files.lazy import lazy_exports

if TYPE_CHECKING:
    from layerwise.sketching.fit import Sketched, sketch_pls
    from layerwise.sketching.groups import SketchDemand, plan_sketches
    from layerwise.sketching.measured import measured_error

__all__ = ["SketchDemand", "Sketched", "measured_error", "plan_sketches", "sketch_pls"]

__getattr__ = lazy_exports(
    __name__,
    {
        "fit": (
            "Sketched",
            "sketch_pls",
        ),
        "measured": ("measured_error",),
        "groups": (
            "SketchDemand",
            "plan_sketches",
        ),
    },
)
