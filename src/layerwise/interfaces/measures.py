"""How layers are held against the brain, and what the columns of tables are called for it."""

from collections.abc import Container
from dataclasses import dataclass
from typing import Literal

Measure = Literal["pls", "ridge", "rsa", "cka", "debiased_cka"]
Distance = Literal["correlation", "euclidean", "cosine"]
Comparison = Literal["spearman", "pearson", "cosine"]
PLS: Measure = "pls"
RSA: Measure = "rsa"
MEASURES: tuple[Measure, ...] = ("pls", "ridge", "rsa", "cka", "debiased_cka")
FITTED: tuple[Measure, ...] = ("pls", "ridge")
"""Measures that predict held-out responses: a value for each split and neuroid. Others are one number a layer."""


@dataclass(frozen=True)
class MeasureSettings:
    """How measures beside PLS are computed.

    Parameters
    ----------
    alpha : float, optional
        Penalty of ridge regression; None: the best of Brain-Score's 99 for each fit.
    distance : {"correlation", "euclidean", "cosine"}
        Between two stimuli, of RSA.
    comparison : {"spearman", "pearson", "cosine"}
        Of the distances in a layer with those in the brain.
    """

    alpha: float | None = None
    distance: Distance = "correlation"
    comparison: Comparison = "spearman"


def column_of(region: str, measure: Measure) -> str:
    """Return the column of layers.parquet for a region and a measure: that of PLS is named as the region."""
    return region if measure == PLS else f"{region}_{measure}"


def measured_as(column: str, regions: Container[str]) -> tuple[str, Measure]:
    """Tell the region and the measure of a column of brain scores.

    Raises
    ------
    ValueError
        It is of none of the regions.
    """
    for measure in MEASURES:
        region = column.removesuffix(column_of("", measure))
        if region in regions and column_of(region, measure) == column:
            return region, measure
    raise ValueError(f"{column} has scores, and its region has no ceiling: delete both, and run again")
