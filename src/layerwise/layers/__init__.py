"""Layers: what counts as one, how their outputs are taken, and the manifest that lists them.

Names are imported when first used: the manifest and the names of blocks are needed where torch is not.
"""

from typing import TYPE_CHECKING

from layerwise.files.lazy import lazy_exports

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

__getattr__ = lazy_exports(
    __name__,
    {
        "blocks": ("in_block",),
        "listing": (
            "MIN_UNITS",
            "Survey",
            "leave_out",
            "list_layers",
            "survey_layers",
        ),
        "manifest": (
            "Skipped",
            "read_manifest",
            "shipped_manifest",
            "write_manifest",
            "write_skipped",
        ),
        "tap": ("LayerTap",),
    },
)
