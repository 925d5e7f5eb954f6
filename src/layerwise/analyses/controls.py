"""Correlations over networks: figures 3, 4A, 4B and S1."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from layerwise.analyses.networks import CONTROLS
from layerwise.statistics.clusters import Clusters
from layerwise.statistics.correlation import bound_rho
from layerwise.statistics.intervals import Sampling
from layerwise.statistics.rows import table_of

FEWEST = 3  # networks of a correlation


@dataclass(frozen=True)
class Control:
    """Spearman correlation of two columns over networks.

    Parameters
    ----------
    figure, region : str
        What it is drawn in; the region, empty where it is about none.
    x, y : str
        Columns of the table of networks.
    rho : float
        NaN with fewer than three networks, or where a column does not vary.
    low, high : float
        Its interval of 95 %: Fisher's z, the error from leaving out each network.
    family_low, family_high : float
        The same from leaving out each family.
    networks, left_out : int
        With both values, and without.
    reason : str
        Why rho is NaN.
    """

    figure: str
    region: str
    x: str
    y: str
    rho: float
    low: float
    high: float
    family_low: float
    family_high: float
    networks: int
    left_out: int
    reason: str


def correlate_controls(networks: pd.DataFrame, regions: Sequence[str], measures: Sequence[str]) -> pd.DataFrame:
    """Correlate the two axes of each figure that has a point a network.

    Parameters
    ----------
    networks : DataFrame
        A row for each network: model, family, top1, each region and measure, and of fine-tuned ones finetuned,
        `{region}_before` and `{region}_after`.
    regions, measures : sequence of str
        Of the study.

    Returns
    -------
    DataFrame
        Rows with the fields of `Control`. A figure whose columns are not there has none; without fine-tuning, figure
        S1 has each measure of the best layer.
    """
    return table_of([_control(networks, *one) for one in _drawn(networks, regions, measures)], Control)


def _drawn(
    networks: pd.DataFrame, regions: Sequence[str], measures: Sequence[str]
) -> Iterator[tuple[str, str, str, str]]:
    """Find figure, region, x and y of all correlations."""
    tuned = "finetuned" in networks and networks["finetuned"].notna().any()
    for figure, axes in CONTROLS.items():
        about = regions if any("{region}" in axis for axis in axes) else [""]
        for region in about:
            x, y = (axis.format(region=region) for axis in axes)
            for name in measures if y == "finetuned" and not tuned else [y]:
                if {x, name} <= set(networks):
                    yield figure, region, x, name


def _control(networks: pd.DataFrame, figure: str, region: str, x: str, y: str) -> Control:
    pairs = networks.dropna(subset=[x, y])
    values = pairs[[x, y]].to_numpy(float)
    lost, nan = len(networks) - len(pairs), float("nan")
    if len(pairs) < FEWEST or (np.ptp(values, axis=0) == 0).any():
        reason = "fewer than three networks have both" if len(pairs) < FEWEST else "one of the two does not vary"
        return Control(figure, region, x, y, nan, nan, nan, nan, nan, len(pairs), lost, reason)
    first, second = values.T
    each = bound_rho(first, second, Clusters.of(pairs["model"]), Sampling(draws=0))
    family = bound_rho(first, second, Clusters.of(pairs["family"]), Sampling(draws=0)).jackknife
    interval = each.jackknife
    return Control(
        figure, region, x, y, each.rho, interval.low, interval.high, family.low, family.high, len(pairs), lost, ""
    )
