"""PLS with one target on every layer of a network at once, streamed: as many forward passes as components, no cache.

Names are imported when first used: planning the groups of layers does not need torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from layerwise.streaming.devices import stream_pls_on
    from layerwise.streaming.fit import Streamed, stream_pls
    from layerwise.streaming.groups import Demand, plan_groups

__all__ = ["Demand", "Streamed", "plan_groups", "stream_pls", "stream_pls_on"]

_HOMES = {
    "Demand": "groups",
    "Streamed": "fit",
    "plan_groups": "groups",
    "stream_pls": "fit",
    "stream_pls_on": "devices",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
