"""How much of a measure's variance over layers each region explains beyond the others, and what they share."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from layerwise.statistics.choosing import choose_layers, why_no_interval, without_empty
from layerwise.statistics.clusters import Clusters
from layerwise.statistics.intervals import DEFAULT, Sampling, jackknife
from layerwise.statistics.moments import explained_variance, rank_moments, value_moments
from layerwise.statistics.rows import table_of

MOST = 8  # regions of which all 2^n - 1 parts are given; of more, what each explains alone
JOIN = "+"

Scale = Literal["values", "ranks"]
Subset = tuple[int, ...]


@dataclass(frozen=True)
class Share:
    """A part of the variance of a measure over layers.

    Parameters
    ----------
    measure : str
        Column of the table of layers.
    scale : {"values", "ranks"}
        Whether variance is that of scores or of their ranks.
    part : {"unique", "common", "total"}
        What one region explains beyond all others; what several explain alike and no other does, which may be negative
        (one hides what another explains); what all explain together, the sum of all parts.
    regions : str
        The regions, with "+" between.
    r2, low, high, level : float
        Share of the measure's variance, and its interval by the jackknife over networks.
    share : float
        Of the total.
    n_layers, n_networks, n_undefined : int
        Layers that have all regions and the measure; and those that have not.
    reason : str
        Why something is NaN.
    """

    measure: str
    scale: str
    part: str
    regions: str
    r2: float
    low: float
    high: float
    level: float
    share: float
    n_layers: int
    n_networks: int
    n_undefined: int
    reason: str


def divide_variance(
    layers: pd.DataFrame,
    regions: Sequence[str],
    measures: Sequence[str],
    sampling: Sampling = DEFAULT,
    scales: Sequence[Scale] = ("values", "ranks"),
) -> pd.DataFrame:
    """Divide the variance of each measure that regions explain into unique and common parts.

    Parameters
    ----------
    layers : DataFrame
        A row for each layer: model, the regions and the measures.
    regions, measures : sequence of str
        Names of the columns.
    sampling : Sampling
        Its level and cluster count.
    scales : sequence of {"values", "ranks"}
        Of which variance.

    Returns
    -------
    DataFrame
        A row for each measure, scale and part, with the fields of `Share`.
    """
    rows = [
        row for measure in measures for scale in scales for row in _parts(layers, regions, measure, scale, sampling)
    ]
    return table_of(rows, Share)


def commonalities(moments: NDArray[np.float64], n_regions: int) -> dict[Subset, NDArray[np.float64]]:
    """Divide what the first variables explain of the last into what each set of them explains alone.

    Parameters
    ----------
    moments : float array [..., variable, variable]
        Products of centred variables: regions, then the measure.
    n_regions : int
        How many regions.

    Returns
    -------
    dict of tuple of int to float array [...]
        Each set of regions with its share of the variance; all shares add up to R squared (key: empty).
    """
    every = range(n_regions)
    r2 = {some: explained_variance(moments, n_regions, list(some)) for some in _needed(n_regions)}
    parts = {}
    for some in _reported(n_regions):
        rest = set(every) - set(some)
        # Inclusion and exclusion: what is lost with all of the set, that is not lost with fewer of it.
        parts[some] = sum(
            (-1) ** (len(kept) + 1) * r2[tuple(sorted(rest | set(kept)))]
            for kept in _subsets(some, range(len(some) + 1))
        )
    return {**parts, (): r2[tuple(every)]}


def _reported(n: int) -> Iterator[Subset]:
    yield from _subsets(tuple(range(n)), range(1, n + 1) if n <= MOST else (1,))


def _needed(n: int) -> Iterator[Subset]:
    yield from _subsets(tuple(range(n)), range(n + 1) if n <= MOST else (n - 1, n))


def _subsets(some: Subset, sizes: Sequence[int]) -> Iterator[Subset]:
    for size in sizes:
        yield from combinations(some, size)


def _parts(
    layers: pd.DataFrame, regions: Sequence[str], measure: str, scale: Scale, sampling: Sampling
) -> Iterator[Share]:
    regions, remark = without_empty(layers, regions)
    chosen = choose_layers(layers, [*regions, measure], warn=False)
    clusters, reason = chosen.clusters(sampling.cluster), chosen.undefined_because()
    parts: dict[Subset, NDArray[np.float64]] = {(): np.array([np.nan])}
    if not reason:
        make = rank_moments if scale == "ranks" else value_moments
        parts = commonalities(make(chosen.values, clusters), len(regions))
    for some, r2 in parts.items():
        bounds = jackknife(float(r2[0]), r2[1:], clusters.sizes, sampling.level)
        yield Share(
            measure=measure,
            scale=scale,
            part={0: "total", 1: "unique"}.get(len(some), "common"),
            regions=JOIN.join(regions[one] for one in some or range(len(regions))),
            r2=float(r2[0]),
            low=bounds.low,
            high=bounds.high,
            level=sampling.level,
            share=float(r2[0] / parts[()][0]) if parts[()][0] else float("nan"),
            n_layers=chosen.n_layers,
            n_networks=chosen.n_networks,
            n_undefined=chosen.undefined,
            reason="; ".join(filter(None, [reason or _unbounded(r2, clusters, sampling), remark])),
        )


def _unbounded(r2: NDArray[np.float64], clusters: Clusters, sampling: Sampling) -> str:
    bounded = len(r2) > 2 and np.isfinite(r2).all()
    return "" if bounded else why_no_interval(len(clusters), sampling.cluster)
