"""PLS with one target on every layer of a network at once, streamed: as many forward passes as components, no cache.

Names are imported when first used: planning the groups of layers does not need torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from layerwise.streaming.fit import Streamed, stream_pls
    from layerwise.streaming.planner import Demand, plan_groups
    from layerwise.streaming.several import stream_pls_on

__all__ = ["Demand", "Streamed", "plan_groups", "stream_pls", "stream_pls_on"]

_HOMES = {
    "Demand": "planner",
    "Streamed": "fit",
    "plan_groups": "planner",
    "stream_pls": "fit",
    "stream_pls_on": "several",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
