"""What jobs a study consists of, known without a tensor: regions, stimulus sets, geometries and blocks of layers.

Both the workflow's rules and the commands that they call read a study through this room, so they cannot disagree.
"""

from layerwise.study.files import fingerprint, given_weights, imagenet_fingerprint, kept_activations, present
from layerwise.study.forecasts import Forecast, forecast
from layerwise.study.layers import layers_of, preprocessing_of, read_preprocessing, write_preprocessing
from layerwise.study.layout import Layout, layout_of
from layerwise.study.networks import network_settings
from layerwise.study.ratings import (
    demand_of,
    host_of,
    memory_of,
    on_gpu,
    rating_blocks,
    require_room,
    sketch_demand,
    way_of,
)
from layerwise.study.regions import Region, find_region, regions
from layerwise.study.stimuli import geometry_of, pca_geometry, stimulus_files

__all__ = [
    "Forecast",
    "Layout",
    "Region",
    "demand_of",
    "find_region",
    "fingerprint",
    "forecast",
    "geometry_of",
    "given_weights",
    "host_of",
    "imagenet_fingerprint",
    "kept_activations",
    "layers_of",
    "layout_of",
    "memory_of",
    "network_settings",
    "on_gpu",
    "pca_geometry",
    "preprocessing_of",
    "present",
    "rating_blocks",
    "read_preprocessing",
    "regions",
    "require_room",
    "sketch_demand",
    "stimulus_files",
    "way_of",
    "write_preprocessing",
]
