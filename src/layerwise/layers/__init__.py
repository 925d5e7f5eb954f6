"""Layers: what counts as one, how their outputs are taken, and the manifest that lists them.

Names are imported when first used: the manifest and the names of blocks are needed where torch is not.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from layerwise.layers.blocks import in_block
    from layerwise.layers.listing import MIN_UNITS, Survey, leave_out, list_layers, survey_layers
    from layerwise.layers.manifest import Skipped, read_manifest, shipped_manifest, write_manifest, write_skipped
    from layerwise.layers.tap import LayerTap

__all__ = [
    "MIN_UNITS",
    "LayerTap",
    "Skipped",
    "Survey",
    "in_block",
    "leave_out",
    "list_layers",
    "read_manifest",
    "shipped_manifest",
    "survey_layers",
    "write_manifest",
    "write_skipped",
]

_HOMES = {
    "MIN_UNITS": "listing",
    "LayerTap": "tap",
    "Skipped": "manifest",
    "Survey": "listing",
    "in_block": "blocks",
    "leave_out": "listing",
    "list_layers": "listing",
    "read_manifest": "manifest",
    "shipped_manifest": "manifest",
    "survey_layers": "listing",
    "write_manifest": "manifest",
    "write_skipped": "manifest",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
