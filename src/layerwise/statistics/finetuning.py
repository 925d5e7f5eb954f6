"""What training for memorability changes in a network's likeness to the brain, network by network."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from layerwise.statistics.choosing import choose_layers, why_no_interval
from layerwise.statistics.intervals import DEFAULT, Sampling, jackknife
from layerwise.statistics.rows import table_of

BEFORE, AFTER = "_before", "_after"


@dataclass(frozen=True)
class Change:
    """The change of a region's similarity over networks, paired.

    Parameters
    ----------
    region : str
        Region of the brain.
    before, after : float
        Mean over networks (each the mean over its splits).
    change, low, high, level, p : float
        Mean change, its interval and the p value of the hypothesis that there is none, t with one degree of freedom
        fewer than networks; with families, as `cluster` says, fewer, where these have not as many networks each.
    p_wilcoxon : float
        The same by the signs and ranks of networks' changes.
    n_networks, n_larger, n_undefined : int
        Networks with both values; those whose similarity grew; rows (network, split) without a value.
    cluster : str
        "network", or "family": families are then what is independent.
    reason : str
        Why something is NaN.
    """

    region: str
    before: float
    after: float
    change: float
    low: float
    high: float
    level: float
    p: float
    p_wilcoxon: float
    n_networks: int
    n_larger: int
    n_undefined: int
    cluster: str
    reason: str


@dataclass(frozen=True)
class OfNetwork:
    """The change of one network.

    Parameters
    ----------
    model, region : str
        What it is of.
    before, after, change, low, high, level : float
        Means over splits, and the interval of the change by t over splits. Splits share most of their training images,
        so that it says how far the draw of a split matters, and not how far networks of the kind differ.
    n_splits : int
        Splits with both values.
    """

    model: str
    region: str
    before: float
    after: float
    change: float
    low: float
    high: float
    level: float
    n_splits: int


def compare_finetuned(
    finetuned: pd.DataFrame, regions: Sequence[str], sampling: Sampling = DEFAULT
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Compare the similarity of networks to regions before and after fine-tuning.

    Parameters
    ----------
    finetuned : DataFrame
        Rows (model, split) with `{region}_before` and `{region}_after`; maybe family.
    regions : sequence of str
        Names of regions.
    sampling : Sampling
        Its level and cluster count.

    Returns
    -------
    DataFrame, DataFrame
        A row for each region, with the fields of `Change`; one for each network and region, with those of `OfNetwork`.
    """
    changes, own = [], []
    for region in regions:
        change, networks = _compare(finetuned, region, sampling)
        changes.append(change)
        own += networks
    return table_of(changes, Change), table_of(own, OfNetwork)


def _compare(finetuned: pd.DataFrame, region: str, sampling: Sampling) -> tuple[Change, list[OfNetwork]]:
    chosen = choose_layers(finetuned, [region + BEFORE, region + AFTER], warn=False)
    networks = [
        _of_network(str(model), region, rows, sampling.level)
        for model, rows in chosen.table.groupby("model", sort=False)
    ]
    changes = np.array([one.change for one in networks])
    families = chosen.table.groupby("model", sort=False)["family"].first().to_numpy()
    unit = np.arange(len(changes)) if sampling.cluster == "network" else pd.factorize(families)[0]
    sums, sizes = np.bincount(unit, changes), np.bincount(unit)
    change = float(changes.mean()) if len(changes) else float("nan")
    # A mean of networks; without one of them, or without a family, it is the mean of the rest.
    rest = np.where(sizes.sum() > sizes, (sums.sum() - sums) / np.maximum(1, sizes.sum() - sizes), np.nan)
    bounds = jackknife(change, rest, sizes, sampling.level)
    return (
        Change(
            *(region, _mean(networks, "before"), _mean(networks, "after"), change, bounds.low, bounds.high),
            *(sampling.level, bounds.p, _wilcoxon(changes), len(changes), int((changes > 0).sum()), chosen.undefined),
            cluster=sampling.cluster,
            reason="" if len(sums) > 1 else why_no_interval(len(sums), sampling.cluster),
        ),
        networks,
    )


def _of_network(model: str, region: str, rows: pd.DataFrame, level: float) -> OfNetwork:
    before, after = (rows[region + part].to_numpy(float) for part in (BEFORE, AFTER))
    difference, half = after - before, float("nan")
    if len(rows) > 1:
        half = float(stats.sem(difference) * stats.t.ppf((1 + level) / 2, len(rows) - 1))
    change = float(difference.mean())
    means = float(before.mean()), float(after.mean())
    return OfNetwork(model, region, *means, change, change - half, change + half, level, len(rows))


def _mean(networks: Sequence[OfNetwork], name: str) -> float:
    return float(np.mean([getattr(one, name) for one in networks])) if networks else float("nan")


def _wilcoxon(changes: np.ndarray) -> float:
    return float(stats.wilcoxon(changes).pvalue) if len(changes) > 1 and changes.any() else float("nan")
