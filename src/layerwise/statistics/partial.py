"""Rank correlations with other properties of layers held fixed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from layerwise.statistics.choosing import Chosen, choose_layers, why_no_interval, without_empty
from layerwise.statistics.intervals import DEFAULT, UNDEFINED, Sampling, Unit, jackknife_rho
from layerwise.statistics.moments import partial_correlations, rank_moments
from layerwise.statistics.rows import table_of

DEPTH, UNITS, KIND, ACCURACY, OTHERS = "depth", "units", "class", "accuracy", "other regions"
HELD_FIXED: tuple[tuple[str, ...], ...] = (
    (),
    (DEPTH,),
    (UNITS,),
    (KIND,),
    (ACCURACY,),
    (OTHERS,),
    (DEPTH, UNITS, KIND),
    (DEPTH, UNITS, KIND, OTHERS),
    (DEPTH, UNITS, KIND, ACCURACY, OTHERS),
)
"""What is held fixed, one after another: relative depth, units (their rank is that of their logarithm), class of the
layer, ImageNet accuracy of the network, and the other regions."""


@dataclass(frozen=True)
class Partial:
    """A partial rank correlation: of what is left of ranks once the ranks of others are regressed out.

    Parameters
    ----------
    region, measure : str
        Columns of the table of layers.
    held_fixed : str
        What is held fixed, with commas between; empty: nothing.
    rho, low, high, level, p : float
        The correlation, its interval by the jackknife over networks (ranks are made anew without each), and the p
        value of the hypothesis that it is 0.
    n_layers, n_networks, n_undefined : int
        Layers that have all regions, the measure and what is held fixed; and those that have not.
    reason : str
        Why something is NaN.
    """

    region: str
    measure: str
    held_fixed: str
    rho: float
    low: float
    high: float
    level: float
    p: float
    n_layers: int
    n_networks: int
    n_undefined: int
    reason: str


def correlate_partially(
    layers: pd.DataFrame,
    regions: Sequence[str],
    measures: Sequence[str],
    accuracy: Mapping[str, float] | None = None,
    sampling: Sampling = DEFAULT,
) -> pd.DataFrame:
    """Correlate every region with every measure, holding fixed each of `HELD_FIXED`.

    Parameters
    ----------
    layers : DataFrame
        A row for each layer: model, class, units, depth, the regions and the measures.
    regions, measures : sequence of str
        Names of the columns.
    accuracy : mapping of str to float, optional
        ImageNet accuracy of networks; those without one are left out where it is held fixed.
    sampling : Sampling
        Its level and cluster count.

    Returns
    -------
    DataFrame
        A row for each pair and what is held fixed, with the fields of `Partial`.
    """
    table = layers.assign(
        **{
            DEPTH: layers["depth"] / layers.groupby("model")["depth"].transform("max"),
            ACCURACY: layers["model"].map(dict(accuracy or {})).astype(float),
        }
    )
    known, _ = without_empty(table, regions)
    rows = []
    for measure in measures:
        for with_accuracy in (False, True):
            names = [*known, measure, DEPTH, UNITS, *([ACCURACY] if with_accuracy else [])]
            sets = [fixed for fixed in HELD_FIXED if (ACCURACY in fixed) == with_accuracy]
            rows += _correlate(choose_layers(table, names, warn=False), regions, measure, sets, sampling)
    return table_of(rows, Partial)


def _correlate(
    chosen: Chosen, regions: Sequence[str], measure: str, sets: Sequence[tuple[str, ...]], sampling: Sampling
) -> list[Partial]:
    few = "" if len(chosen.table) > 2 else "fewer than three layers have all regions, the measure and what is fixed"
    clusters = chosen.clusters(sampling.cluster)
    moments = {} if few else _moments(chosen, sampling)
    known = [region for region in regions if region in chosen.columns]
    rows = []
    for fixed in sets:
        for region in regions:
            empty = few or ("" if region in known else f"no layer has a value of {region}")
            others = [chosen.columns.index(name) for name in _names(fixed, region, known)]
            rho = np.array([np.nan])
            if not empty:
                pair = chosen.columns.index(region), chosen.columns.index(measure)
                rho = partial_correlations(moments[KIND in fixed], *pair, others)
            interval = UNDEFINED
            if len(rho) > 2:
                interval = jackknife_rho(float(rho[0]), rho[1:], clusters.sizes, sampling.level)
            rows.append(
                Partial(
                    region=region,
                    measure=measure,
                    held_fixed=", ".join(fixed),
                    rho=float(rho[0]),
                    low=interval.low,
                    high=interval.high,
                    level=sampling.level,
                    p=interval.p,
                    n_layers=chosen.n_layers,
                    n_networks=chosen.n_networks,
                    n_undefined=chosen.undefined,
                    reason=empty or _reason(rho, interval.low, len(clusters), sampling.cluster),
                )
            )
    return rows


def _moments(chosen: Chosen, sampling: Sampling) -> dict[bool, NDArray[np.float64]]:
    """Correlate ranks, with the class of layers free and held fixed."""
    clusters, kinds = chosen.clusters(sampling.cluster), pd.factorize(chosen.table[KIND], use_na_sentinel=False)[0]
    return {held: rank_moments(chosen.values, clusters, kinds if held else None) for held in (False, True)}


def _names(fixed: tuple[str, ...], region: str, regions: Sequence[str]) -> list[str]:
    others = [other for other in regions if other != region] if OTHERS in fixed else []
    return [name for name in fixed if name not in (OTHERS, KIND)] + others


def _reason(rho: NDArray[np.float64], low: float, clusters: int, unit: Unit) -> str:
    if np.isnan(rho[0]):
        return "what is held fixed leaves nothing of one of the two, or one does not vary"
    return why_no_interval(clusters, unit) if np.isnan(low) else ""
