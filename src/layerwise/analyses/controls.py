"""Correlations over networks: figures 3, 4A, 4B and S1."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from layerwise.analyses.networks import CONTROLS
from layerwise.statistics.choosing import FEWEST
from layerwise.statistics.correlation import correlate_points
from layerwise.statistics.rows import table_of


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
        Its interval of 95 %: Fisher's z, the error from leaving out each network. NaN where rho is the same
        whichever is left out, as of networks in perfect order.
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
            for name in measures if (x, y) == ("top1", "finetuned") and not tuned else [y]:
                if {x, name} <= set(networks):
                    yield figure, region, x, name


def _control(networks: pd.DataFrame, figure: str, region: str, x: str, y: str) -> Control:
    count = int(networks[[x, y]].notna().all(axis=1).sum())
    rho, own = correlate_points(networks, x, y)
    family = correlate_points(networks, x, y, "family")[1]
    reason = "fewer than three networks have both" if count < FEWEST else "one of the two does not vary"
    ends = own.low, own.high, family.low, family.high
    return Control(figure, region, x, y, rho, *ends, count, len(networks) - count, reason if np.isnan(rho) else "")
