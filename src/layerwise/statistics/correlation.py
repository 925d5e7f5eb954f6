"""Do layers that predict the brain well predict memorability well? (figure 2 of the paper)."""

import warnings
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from layerwise.interfaces import DegenerateWarning


@dataclass(frozen=True)
class Correlation:
    """Spearman correlation over layers of brain similarity and a behavioural measure.

    Parameters
    ----------
    region, measure : str
        Columns of the table of layers.
    rho : float
        NaN if fewer than three layers have both values, or if one of the two does not vary.
    p : float
        Two-sided p value of the hypothesis that rho is 0, layers taken as independent.
    layers : int
        Layers that have both values.
    undefined : int
        Layers left out because one value is NaN.
    """

    region: str
    measure: str
    rho: float
    p: float
    layers: int
    undefined: int


def correlate_layers(layers: pd.DataFrame, regions: Sequence[str], measures: Sequence[str]) -> pd.DataFrame:
    """Correlate every region with every measure over all layers of all networks.

    Parameters
    ----------
    layers : DataFrame
        A row for each layer, a column for each region and each measure.
    regions, measures : sequence of str
        Names of the columns.

    Returns
    -------
    DataFrame
        A row for each pair, with the fields of `Correlation`.
    """
    rows = [_correlate(layers, region, measure) for measure in measures for region in regions]
    names = [field.name for field in fields(Correlation)]
    return pd.DataFrame([astuple(row) for row in rows], columns=names)


def _correlate(layers: pd.DataFrame, region: str, measure: str) -> Correlation:
    pair = layers[[region, measure]].dropna()
    undefined = len(layers) - len(pair)
    if undefined:
        warnings.warn(
            f"{region} and {measure}: {undefined} of {len(layers)} layers lack a value and are left out",
            DegenerateWarning,
            stacklevel=3,
        )
    rho, p = spearman(pair[region], pair[measure])
    return Correlation(region, measure, rho, p, len(pair), undefined)


def spearman(x: ArrayLike, y: ArrayLike) -> tuple[float, float]:
    """Spearman correlation and its p value; both NaN where undefined (fewer than three pairs, or no variation).

    Parameters
    ----------
    x, y : array [item]
        Without NaN.
    """
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if len(x) < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return float("nan"), float("nan")
    result = stats.spearmanr(x, y)
    return float(result.statistic), float(result.pvalue)
