"""PLS with one target on every layer of a network at once, streamed: as many forward passes as components, no cache.

Names are imported when first used: planning the groups of layers does not need torch.
"""

from typing import TYPE_CHECKING

from layerwise.files.lazy import lazy_exports

if TYPE_CHECKING:
    from layerwise.streaming.devices import stream_pls_on
    from layerwise.streaming.fit import Streamed, stream_pls
    from layerwise.streaming.groups import Demand, plan_groups

__all__ = ["Demand", "Streamed", "plan_groups", "stream_pls", "stream_pls_on"]

__getattr__ = lazy_exports(
    __name__,
    {
        "fit": (
            "Streamed",
            "stream_pls",
        ),
        "groups": (
            "Demand",
            "plan_groups",
        ),
        "devices": ("stream_pls_on",),
    },
)
