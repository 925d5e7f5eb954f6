"""Regression of neural responses, or of people's scores, on activations: arrays in, arrays out."""

from layerwise.regression.cka import Kernel, align, linear_cka
from layerwise.regression.consistency import internal_consistency
from layerwise.regression.pls import PLS
from layerwise.regression.principal import reduce_gram, reduce_units
from layerwise.regression.ridge import ALPHAS
from layerwise.regression.rsa import PatternProducts, Reference, distances
from layerwise.regression.scoring import (
    pearson,
    predict_gram,
    predict_neuroids,
    score_gram,
    score_neuroids,
    score_ridge,
)
from layerwise.regression.splits import make_grouped_splits, make_kfold_splits, make_splits

__all__ = [
    "ALPHAS",
    "PLS",
    "Kernel",
    "PatternProducts",
    "Reference",
    "align",
    "distances",
    "internal_consistency",
    "linear_cka",
    "make_grouped_splits",
    "make_kfold_splits",
    "make_splits",
    "pearson",
    "predict_gram",
    "predict_neuroids",
    "reduce_gram",
    "reduce_units",
    "score_gram",
    "score_neuroids",
    "score_ridge",
]
