"""Results of a study, read from Python: tables, scores, and what is kept of layers."""

from layerwise.results.kept import Kept
from layerwise.results.opening import open_study
from layerwise.results.study import Results

__all__ = ["Kept", "Results", "open_study"]
