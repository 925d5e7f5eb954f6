"""Which stimuli a regression is fitted to, and which it is tested on."""

import warnings
from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.model_selection import GroupKFold, GroupShuffleSplit, KFold, ShuffleSplit, StratifiedShuffleSplit

from layerwise.interfaces import DegenerateWarning, Split

Pairs = Iterable[tuple[NDArray[np.int64], NDArray[np.int64]]]


def make_splits(strata: int | ArrayLike, n_splits: int = 10, train_size: float = 0.9, seed: int = 1) -> list[Split]:
    """Draw random hold-out splits as Brain-Score does: independent draws, not disjoint folds.

    Parameters
    ----------
    strata : int or array [stimulus]
        A number of stimuli; or the stratum of each, and every stratum is then divided in the same
        proportion. The only member of a stratum cannot be divided and always goes to training, with a
        counted warning.
    n_splits : int
        Number of splits.
    train_size : float
        Share of the stimuli to train on.
    seed : int
        Of the draws; 1 is Brain-Score's.

    Returns
    -------
    list of Split

    Raises
    ------
    ValueError
        There are too few stimuli, or no such share.
    """
    _check(n_splits, train_size)
    if isinstance(strata, int | np.integer):
        shuffle = ShuffleSplit(n_splits=n_splits, train_size=train_size, random_state=seed)
        return _collect(lambda: shuffle.split(np.zeros(int(strata))), f"{strata} stimuli")
    labels = np.asarray(strata)
    names, members, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    divisible = np.flatnonzero(sizes[members] > 1)
    alone = np.flatnonzero(sizes[members] == 1)
    stratified = StratifiedShuffleSplit(n_splits=n_splits, train_size=train_size, random_state=seed)
    given = f"{len(labels)} stimuli in {len(names)} strata, {len(alone)} of them with a single stimulus"
    splits = _collect(lambda: stratified.split(np.zeros(len(divisible)), labels[divisible]), given)
    if not len(alone):
        return splits
    message = f"{len(alone)} of {len(names)} strata have a single stimulus: it is always trained on, never tested"
    warnings.warn(message, DegenerateWarning, stacklevel=2)
    return [Split(np.sort(np.append(divisible[split.train], alone)), divisible[split.test]) for split in splits]


def make_grouped_splits(groups: ArrayLike, n_splits: int = 10, train_size: float = 0.9, seed: int = 1) -> list[Split]:
    """Draw random hold-out splits that leave whole groups out, such as the frames of one movie.

    Parameters
    ----------
    groups : array [stimulus]
        Group of each stimulus; no group is ever both trained on and tested.
    n_splits : int
        Number of splits.
    train_size : float
        Share of the groups to train on.
    seed : int
        Of the draws.

    Returns
    -------
    list of Split

    Raises
    ------
    ValueError
        There are too few groups, or no such share.
    """
    _check(n_splits, train_size)
    labels = np.asarray(groups)
    shuffle = GroupShuffleSplit(n_splits=n_splits, train_size=train_size, random_state=seed)
    given = f"{len(labels)} stimuli in {len(np.unique(labels))} groups"
    return _collect(lambda: shuffle.split(np.zeros(len(labels)), groups=labels), given)


def make_kfold_splits(n_stimuli: int, n_splits: int = 5, seed: int = 1, groups: ArrayLike | None = None) -> list[Split]:
    """Divide the stimuli into folds, each tested once.

    Parameters
    ----------
    n_stimuli : int
        Number of stimuli.
    n_splits : int
        Number of folds.
    seed : int
        Of the order in which stimuli, or groups, are dealt out.
    groups : array [stimulus], optional
        Keep each group in one fold.

    Returns
    -------
    list of Split

    Raises
    ------
    ValueError
        There are fewer stimuli, or groups, than folds.
    """
    rows = np.zeros(n_stimuli)
    if groups is None:
        folds = KFold(n_splits=n_splits, shuffle=True, random_state=seed)
        return _collect(lambda: folds.split(rows), f"{n_stimuli} stimuli for {n_splits} folds")
    labels = np.asarray(groups)
    grouped = GroupKFold(n_splits=n_splits, shuffle=True, random_state=seed)
    given = f"{len(labels)} stimuli in {len(np.unique(labels))} groups for {n_splits} folds"
    return _collect(lambda: grouped.split(rows, groups=labels), given)


def _check(n_splits: int, train_size: float) -> None:
    if n_splits < 1:
        raise ValueError(f"{n_splits} splits were asked for: at least 1 is needed")
    if not 0 < train_size < 1:
        raise ValueError(f"train_size is {train_size}: give the share to train on, between 0 and 1, such as 0.9")


def _collect(draw: Callable[[], Pairs], given: str) -> list[Split]:
    """Draw, sort each part (Brain-Score fits sorted rows) and explain what scikit-learn refuses."""
    try:
        return [Split(np.sort(train).astype(np.int64), np.sort(test).astype(np.int64)) for train, test in draw()]
    except ValueError as error:
        raise ValueError(
            f"{given}: too few to divide ({error}). Use more stimuli, fewer strata or folds, or another train_size"
        ) from error
