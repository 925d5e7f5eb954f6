"""Splits of stimuli: whether there are enough of them, as far as it is known without drawing."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from numpy.typing import NDArray

from layerwise.config.data import SplitsEntry
from layerwise.data.problems import did_you_mean
from layerwise.interfaces import FITTED, Measure, counted

LEAST_COMPARED = 4  # stimuli, of measures that are one number a layer


def too_few(splits: SplitsEntry, n_stimuli: int, column: NDArray[Any] | None, n_components: int) -> Iterator[str]:
    """Find that splits cannot be drawn, or leave fewer training stimuli than there are components."""
    groups = None if column is None else Counter(column.tolist())
    if splits.method == "given" and groups is not None:
        words = {str(value) for value in groups}
        lacking = [name for name in (splits.train, splits.test) if name not in words]
        if lacking:
            yield (
                f"no stimulus has {lacking[0]!r} as its {splits.by!r}, which tells training from test stimuli: "
                f"{did_you_mean(lacking[0], words)}; name two values with `train` and `test`"
            )
            return
    parted, unit = (n_stimuli, "stimuli") if groups is None else (len(groups), f"values of {splits.by!r}")
    if splits.method == "kfold" and parted < splits.n_splits:
        yield f"{splits.n_splits} folds need as many {unit}, and there are {parted}: lower `n_splits`"
        return
    if splits.method == "shuffle" and groups is not None:
        yield from _few_strata(splits, groups)
    most = most_trained(splits, n_stimuli, column)
    if most < n_components:
        yield (
            f"{counted(n_stimuli, 'stimulus leaves', 'stimuli leave')} at most {most} for training in the smallest "
            f"split, and {n_components} components need as many: use more stimuli, a larger `train_size`, or fewer "
            "`regression.components`"
        )


def too_few_compared(
    splits: SplitsEntry, n_stimuli: int, column: NDArray[Any] | None, measures: Sequence[Measure]
) -> Iterator[str]:
    """Find what leaves a correlation over test stimuli, or over pairs of stimuli, without enough of them."""
    single = [one for one in measures if one not in FITTED]
    tested = n_stimuli
    if splits.method == "given" and column is not None:
        tested = sum(str(value) == splits.test for value in column.tolist())
        if tested == 1:
            yield f"one stimulus has {splits.test!r} as its {splits.by!r}: nothing correlates over fewer than two"
    if single and 1 < tested < LEAST_COMPARED:
        yield f"{tested} stimuli are compared, and {single[0]} needs {LEAST_COMPARED} or more: use more"


def _few_strata(splits: SplitsEntry, groups: Counter[Any]) -> Iterator[str]:
    """Find what scikit-learn refuses: each value must be in both parts, as far as there are two stimuli of it."""
    several = [count for count in groups.values() if count > 1]
    n_trained = math.floor(splits.train_size * sum(several))
    n_tested = sum(several) - n_trained
    if not several:
        yield f"all stimuli differ in {splits.by!r}, so that no split can keep its shares: name another property"
    elif min(n_trained, n_tested) < len(several):
        yield (
            f"splits by {splits.by!r} train on {n_trained} and test on {n_tested} of the {sum(several)} stimuli that "
            f"share a value, and each part is to hold all {len(several)} values: set another `train_size`, or split "
            "by another property, or by none"
        )


def most_trained(splits: SplitsEntry, n_stimuli: int, column: NDArray[Any] | None = None) -> int:
    """Count how many stimuli the smallest training part holds, or, where whole groups are held out, at most can.

    Parameters
    ----------
    splits : SplitsEntry
        How stimuli are divided.
    n_stimuli : int
        How many there are.
    column : array [stimulus], optional
        The property `by`.
    """
    if splits.method == "given" and column is not None:
        return sum(str(value) == splits.train for value in column.tolist())
    if splits.method == "kfold":
        return n_stimuli - math.ceil(n_stimuli / splits.n_splits)
    if column is None:
        return math.floor(splits.train_size * n_stimuli)
    sizes = sorted(Counter(column.tolist()).values(), reverse=True)
    if splits.method == "grouped":
        return sum(sizes[: math.floor(splits.train_size * len(sizes))])
    alone = sum(size == 1 for size in sizes)
    return math.floor(splits.train_size * (n_stimuli - alone)) + alone
