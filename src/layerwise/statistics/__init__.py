"""One function for each number of the paper: tables in, tables out.

Layers of a network are not independent, and networks are: samples take, leave out or move whole networks (`ranks`,
`intervals`, `permutation`).
"""

from layerwise.statistics.commonality import divide_variance
from layerwise.statistics.comparison import compare_correlations
from layerwise.statistics.correlation import correlate_layers
from layerwise.statistics.finetuning import compare_finetuned
from layerwise.statistics.groups import correlate_groups, correlate_networks
from layerwise.statistics.intervals import Sampling
from layerwise.statistics.mixed import fit_mixed
from layerwise.statistics.nested import divide_correlations
from layerwise.statistics.partial import correlate_partially
from layerwise.statistics.scores import choose_best, draw_scores
from layerwise.statistics.summary import summarise_models

__all__ = [
    "Sampling",
    "choose_best",
    "compare_correlations",
    "compare_finetuned",
    "correlate_groups",
    "correlate_layers",
    "correlate_networks",
    "correlate_partially",
    "divide_correlations",
    "divide_variance",
    "draw_scores",
    "fit_mixed",
    "summarise_models",
]
