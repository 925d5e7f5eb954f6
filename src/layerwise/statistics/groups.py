"""The correlation in parts of a study: each network, family and class of layers, and without each family."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from layerwise.statistics.choosing import Chosen, choose_layers, why_no_interval
from layerwise.statistics.correlation import Bounds, bound_rho
from layerwise.statistics.intervals import DEFAULT, UNDEFINED, Sampling, fisher
from layerwise.statistics.rows import table_of

LAGS = 5  # autocorrelations are summed up to a fifth of the layers: beyond, they are noise


@dataclass(frozen=True)
class OfNetwork:
    """The correlation over the layers of one network.

    Parameters
    ----------
    model, family, region, measure : str
        What it is of.
    rho, low, high, level : float
        Spearman's rho, and its interval by Fisher's z with as many independent layers as `n_effective`.
    n_effective : float
        Layers that are worth as much as the network's, which resemble their neighbours.
    n_layers, n_undefined : int
        Layers that have both values, and those left out.
    reason : str
        Why something is NaN.
    """

    model: str
    family: str
    region: str
    measure: str
    rho: float
    low: float
    high: float
    level: float
    n_effective: float
    n_layers: int
    n_undefined: int
    reason: str


@dataclass(frozen=True)
class OfGroup:
    """The correlation over the layers of a group: a family of networks, or a class of layers.

    Parameters
    ----------
    group, region, measure : str
        What it is of.
    rho, low, high, level : float
        Spearman's rho, and its interval by the jackknife over the networks in it.
    rho_without, low_without, high_without : float
        The same of all other layers, that is without the group.
    n_layers, n_networks, n_undefined : int
        Of the group.
    reason : str
        Why something is NaN.
    """

    group: str
    region: str
    measure: str
    rho: float
    low: float
    high: float
    level: float
    rho_without: float
    low_without: float
    high_without: float
    n_layers: int
    n_networks: int
    n_undefined: int
    reason: str


def correlate_networks(
    layers: pd.DataFrame, regions: Sequence[str], measures: Sequence[str], sampling: Sampling = DEFAULT
) -> pd.DataFrame:
    """Correlate every region with every measure within each network.

    Parameters
    ----------
    layers : DataFrame
        A row for each layer, in the order of depth within a network: model, maybe family, regions and measures.
    regions, measures : sequence of str
        Names of the columns.
    sampling : Sampling
        Its level counts.

    Returns
    -------
    DataFrame
        A row for each network and pair, with the fields of `OfNetwork`.
    """
    rows = [
        _of_network(str(model), own, region, measure, sampling.level)
        for measure in measures
        for region in regions
        for model, own in layers.groupby("model", sort=False)
    ]
    return table_of(rows, OfNetwork)


def correlate_groups(
    layers: pd.DataFrame,
    column: str,
    regions: Sequence[str],
    measures: Sequence[str],
    sampling: Sampling = DEFAULT,
) -> pd.DataFrame:
    """Correlate every region with every measure within each group of layers, and without it.

    Parameters
    ----------
    layers : DataFrame
        A row for each layer: model, the column, regions and measures.
    column : str
        What groups layers: "family" or "class".
    regions, measures : sequence of str
        Names of the columns.
    sampling : Sampling
        Its level counts.

    Returns
    -------
    DataFrame
        A row for each group and pair, with the fields of `OfGroup`; the first is named as the column.
    """
    rows = [
        _of_group(layers, layers[column] == group, str(group), region, measure, sampling.level)
        for measure in measures
        for region in regions
        for group in layers[column].unique()
    ]
    return table_of(rows, OfGroup).rename(columns={"group": column})


def effective_layers(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """Estimate how many independent layers a network's are worth for the correlation of two variables.

    Parameters
    ----------
    x, y : float array [layer]
        In the order of depth; both vary.

    Returns
    -------
    float
        n / (1 + 2 sum_k (1 - k/n) r_x(k) r_y(k)), k up to a fifth of the layers (Bartlett 1935; Pyper & Peterman 1998),
        from 3 to n. It takes profiles as stationary, which they are not quite.
    """
    n = len(x)
    shares = 1 - np.arange(1, max(2, n // LAGS + 1)) / n
    product = _autocorrelations(x, len(shares)) * _autocorrelations(y, len(shares))
    return float(np.clip(n / max(1 / n, 1 + 2 * (shares * product).sum()), 3, n))


def _autocorrelations(values: NDArray[np.float64], lags: int) -> NDArray[np.float64]:
    centred = values - values.mean()
    sums = np.correlate(centred, centred, "full")[len(values) - 1 :]
    return np.asarray(sums[1 : lags + 1] / sums[0])


def _of_network(model: str, layers: pd.DataFrame, region: str, measure: str, level: float) -> OfNetwork:
    chosen = choose_layers(layers, [region, measure], warn=False)
    rho, low, high, effective, reason = _bounded(chosen, level)
    return OfNetwork(
        model=model,
        family=str(layers["family"].iloc[0]) if "family" in layers else model,
        region=region,
        measure=measure,
        rho=rho,
        low=low,
        high=high,
        level=level,
        n_effective=effective,
        n_layers=chosen.n_layers,
        n_undefined=chosen.undefined,
        reason=reason,
    )


def _bounded(chosen: Chosen, level: float) -> tuple[float, float, float, float, str]:
    """Return rho of one network, the ends of its interval, its effective layers, and why something is NaN."""
    nan, reason = float("nan"), chosen.undefined_because()
    if reason:
        return nan, nan, nan, nan, reason
    x, y = (stats.rankdata(column) for column in chosen.values.T)
    rho, effective = float(np.corrcoef(x, y)[0, 1]), effective_layers(x, y)
    if effective <= 3:
        return rho, nan, nan, effective, "its layers are worth no more than three independent ones: no interval"
    half = stats.norm.ppf((1 + level) / 2) / np.sqrt(effective - 3)
    z = fisher(np.array([rho]))[0]
    return rho, float(np.tanh(z - half)), float(np.tanh(z + half)), effective, ""


def _of_group(
    layers: pd.DataFrame, inside: "pd.Series[bool]", group: str, region: str, measure: str, level: float
) -> OfGroup:
    chosen = choose_layers(layers[inside], [region, measure], warn=False)
    own, others = _bound(chosen, level), _bound(choose_layers(layers[~inside], [region, measure], warn=False), level)
    alone = why_no_interval(chosen.n_networks, "network") if np.isnan(own.jackknife.low) else ""
    return OfGroup(
        group=group,
        region=region,
        measure=measure,
        rho=own.rho,
        low=own.jackknife.low,
        high=own.jackknife.high,
        level=level,
        rho_without=others.rho,
        low_without=others.jackknife.low,
        high_without=others.jackknife.high,
        n_layers=chosen.n_layers,
        n_networks=chosen.n_networks,
        n_undefined=chosen.undefined,
        reason=chosen.undefined_because() or alone,
    )


def _bound(chosen: Chosen, level: float) -> Bounds:
    if chosen.undefined_because():
        return Bounds(float("nan"), UNDEFINED, UNDEFINED)
    x, y = chosen.values.T
    return bound_rho(x, y, chosen.clusters(), Sampling(level, draws=0))
