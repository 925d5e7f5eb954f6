"""One function for each number of the paper: tables in, tables out."""

from layerwise.statistics.correlation import correlate_layers
from layerwise.statistics.summary import summarise_models

__all__ = ["correlate_layers", "summarise_models"]
