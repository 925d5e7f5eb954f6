"""How uncertain the score of a layer is itself: neuroids are a sample, and the best of many layers is luck in part."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from layerwise.statistics.clusters import draw_clusters
from layerwise.statistics.intervals import Interval, fisher, student

AT_ONCE = 2**23  # numbers in an array of a chunk of draws: 67 MB


@dataclass(frozen=True)
class DrawnScores:
    """Scores of layers, in samples of neuroids drawn with replacement; all layers share the samples.

    Parameters
    ----------
    raw, ceiled_2020, ceiled_2026 : float array [draw, layer]
        The median r over neuroids, mean over splits that have one; (r/c)^2 and r^2/c, the ceiling c being of the same
        neuroids.
    ceiling : float array [draw]
        Median over neuroids, mean over halves.
    """

    raw: NDArray[np.float64]
    ceiled_2020: NDArray[np.float64]
    ceiled_2026: NDArray[np.float64]
    ceiling: NDArray[np.float64]

    def interval(self, formula: str = "raw", level: float = 0.95) -> NDArray[np.float64]:
        """Return the ends of the middle share of draws for each layer: [2, layer]."""
        drawn = self.raw if formula == "raw" else getattr(self, f"ceiled_{formula}")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # a layer without a score has no interval
            return np.nanquantile(drawn, [(1 - level) / 2, (1 + level) / 2], axis=0)


def draw_scores(
    scores: NDArray[np.float64], ceilings: NDArray[np.float64], draws: int = 200, seed: int = 0
) -> DrawnScores:
    """Score layers on samples of neuroids, drawn with replacement.

    Parameters
    ----------
    scores : float array [layer, split, neuroid]
        Pearson's r of each neuroid; NaN where it is undefined.
    ceilings : float array [half, neuroid]
        Of the same neuroids.
    draws : int
        Number of samples.
    seed : int
        Of the samples. With the same seed and neuroids, those of other networks are the same.
    """
    weights = draw_clusters(scores.shape[-1], draws, seed)
    raw = _mean_defined(weighted_medians(scores, weights))
    ceiling = weighted_medians(ceilings, weights).mean(axis=-1)
    # A ceiling that is not above 0 ceils nothing.
    usable = np.where(ceiling > 0, ceiling, np.nan)[:, None]
    return DrawnScores(raw, (raw / usable) ** 2, raw**2 / usable, ceiling)


def _mean_defined(medians: NDArray[np.float64]) -> NDArray[np.float64]:
    """Average over splits [..., split] that have a value, as scores are averaged; NaN where none has."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.asarray(np.nanmean(medians, axis=-1))


def weighted_medians(values: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Take medians over the last axis of samples in which each value comes some number of times.

    Parameters
    ----------
    values : float array [..., value]
        NaN is left out, as it comes.
    weights : float array [draw, value]
        Whole numbers.

    Returns
    -------
    float array [draw, ...]
        As numpy.nanmedian of the repeated values; NaN where a sample has none.
    """
    flat = values.reshape(-1, values.shape[-1])
    order = np.argsort(flat, axis=1)  # NaN come last
    ordered, defined = np.take_along_axis(flat, order, 1), np.isfinite(np.take_along_axis(flat, order, 1))
    medians = [
        _medians(ordered, np.cumsum(np.where(defined, chunk[:, order], 0), axis=-1))
        for chunk in _chunks(weights, flat.size)
    ]
    return np.concatenate(medians).reshape(len(weights), *values.shape[:-1])


def _chunks(weights: NDArray[np.float64], size: int) -> Iterator[NDArray[np.float64]]:
    step = max(1, AT_ONCE // max(1, size))
    for start in range(0, len(weights), step):
        yield weights[start : start + step]


def _medians(ordered: NDArray[np.float64], counted: NDArray[np.float64]) -> NDArray[np.float64]:
    """Take the middle of ordered values [row, value], of which `counted` [draw, row, value] come up to each."""
    total = counted[..., -1:]
    # The values at both middle places, counted from 1: equal where their number is odd.
    middle = [(counted < place).sum(axis=-1) for place in (np.ceil(total / 2), np.floor(total / 2) + 1)]
    rows, last = np.arange(len(ordered)), ordered.shape[1] - 1
    found = [ordered[rows, np.minimum(places, last)] for places in middle]
    return np.where(total[..., 0] > 0, (found[0] + found[1]) / 2, np.nan)


@dataclass(frozen=True)
class Widened:
    """The interval of a correlation, networks and neuroids both being samples.

    Parameters
    ----------
    low, high : float
        Its ends.
    error : float
        What neuroids add: the standard deviation of Fisher's z over their samples.
    """

    low: float
    high: float
    error: float


def widen(rho: float, bounds: Interval, drawn: NDArray[np.float64], level: float) -> Widened:
    """Widen the interval of a correlation by what the draw of neuroids adds to its error.

    Parameters
    ----------
    rho : float
        The correlation.
    bounds : Interval
        Its interval over networks; `error` on the scale of Fisher's z.
    drawn : float array [draw]
        The correlation of scores in samples of neuroids.
    level : float
        Of the interval.

    Returns
    -------
    Widened
        Networks and neuroids are sampled independently, so that their squared errors add up.
    """
    error = float(np.std(fisher(drawn), ddof=1))
    both = np.hypot(bounds.error, error)
    low, high = np.tanh(fisher(np.array([rho])) + np.array([-1, 1]) * student(level, bounds.freedom) * both)
    return Widened(float(low), float(high), error)


@dataclass(frozen=True)
class Best:
    """The best layer of a network, and what it is worth.

    Parameters
    ----------
    layer : int
        Place of the layer with the highest mean over splits.
    value : float
        That mean. Chosen and scored on the same splits, it is too high.
    nested : float
        The mean over splits of the score, on that split, of the layer that is best on the others; NaN with one split.
        Splits that share test images, as random ones do, still flatter it a little.
    same : float
        Share of the splits of which the others choose the very layer that all choose.
    """

    layer: int
    value: float
    nested: float
    same: float


def choose_best(scores: NDArray[np.float64]) -> Best | None:
    """Choose the best layer of a network, and score the choice on splits that had no part in it.

    Parameters
    ----------
    scores : float array [layer, split]
        NaN where undefined: a layer counts where all splits have a value.

    Returns
    -------
    Best or None
        None where no layer has a value in each split.
    """
    whole = np.flatnonzero(np.isfinite(scores).all(axis=1))
    if not len(whole) or not scores.shape[1]:
        return None
    kept, n_splits = scores[whole], scores.shape[1]
    layer = int(kept.mean(axis=1).argmax())
    if n_splits < 2:
        return Best(int(whole[layer]), float(kept[layer, 0]), float("nan"), float("nan"))
    others = (kept.sum(axis=1, keepdims=True) - kept).argmax(axis=0)  # of each split, the best on the rest
    nested = kept[others, np.arange(n_splits)].mean()
    return Best(int(whole[layer]), float(kept[layer].mean()), float(nested), float((others == layer).mean()))
