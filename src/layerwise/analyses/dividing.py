"""How the stimuli of a recording are divided into training and test."""

from dataclasses import dataclass, replace

import numpy as np

from layerwise.data.presentations import is_empty
from layerwise.interfaces import Recordings, Split
from layerwise.regression import make_grouped_splits, make_kfold_splits, make_splits

LISTED = 4  # values of a property in a message


@dataclass(frozen=True)
class SplitPlan:
    """How the stimuli of a recording are divided; see `layerwise.config.data.SplitsEntry`."""

    method: str = "shuffle"
    by: str | None = None
    n_splits: int = 10
    train_size: float = 0.9
    seed: int = 1
    order: str | None = None
    train: str = "train"
    test: str = "test"

    @property
    def is_given(self) -> bool:
        """Whether the recordings themselves say which stimuli are tested."""
        return self.method == "given"

    def make(self, recordings: Recordings) -> list[Split]:
        """Draw the splits on the sorted order of the stimuli, or on that of the property `order`.

        Raises
        ------
        ValueError
            The recordings do not have the property `by` or `order`, or not for every stimulus; or too few stimuli.
        """
        stimuli = np.arange(len(recordings.stimuli))
        if self.is_given:
            return [self._given(_property(recordings, str(self.by)))]
        order = stimuli if self.order is None else np.argsort(_property(recordings, self.order), kind="stable")
        column = None if self.by is None else _property(recordings, self.by)[order]
        drawn = self._draw(len(order), column)
        return [Split(np.sort(order[split.train]), np.sort(order[split.test])) for split in drawn]

    def _given(self, values: np.ndarray) -> Split:
        words = np.array([str(value) for value in values.tolist()])
        parts = {name: np.flatnonzero(words == name) for name in (self.train, self.test)}
        empty = [name for name, part in parts.items() if not len(part)]
        if empty:
            known = ", ".join(map(repr, sorted(set(words.tolist()))[:LISTED]))
            raise ValueError(
                f"no stimulus has {empty[0]!r} as its {self.by!r}, by which training and test stimuli are told apart; "
                f"values are, for one: {known}; name two of them: `splits: {{method: given, by: {self.by}, train: ..., "
                "test: ...}`"
            )
        return Split(parts[self.train], parts[self.test])

    def tested(self, recordings: Recordings) -> Recordings:
        """Keep the stimuli that are tested, where the recordings name them; all others of other methods are."""
        return keep_stimuli(recordings, self.make(recordings)[0].test) if self.is_given else recordings

    def _draw(self, n_stimuli: int, column: np.ndarray | None) -> list[Split]:
        if self.method == "kfold":
            return make_kfold_splits(n_stimuli, n_splits=self.n_splits, seed=self.seed, groups=column)
        if self.method == "grouped" and column is not None:
            return make_grouped_splits(column, self.n_splits, self.train_size, self.seed)
        return make_splits(n_stimuli if column is None else column, self.n_splits, self.train_size, self.seed)


SHUFFLED = SplitPlan()
"""As Brain-Score draws them."""


def _property(recordings: Recordings, name: str) -> np.ndarray:
    if name in recordings.varying:
        raise ValueError(
            f"nothing can be split by {name!r}: {recordings.varying[name]}. The responses to a stimulus are averaged "
            "over its presentations, so part of what is held out would be trained on as well; keep, of each stimulus, "
            "the presentations that agree, or split by another property"
        )
    if name not in recordings.columns:
        known = ", ".join(recordings.columns) or "none"
        raise ValueError(f"the stimuli have no property {name!r} to split by; the file has: {known}")
    values = np.asarray(recordings.columns[name])
    empty = is_empty(values)
    if empty.any():
        raise ValueError(
            f"nothing can be split by {name!r}: it is empty for {empty.sum()} of {len(values)} stimuli (first: "
            f"{recordings.stimuli[int(np.argmax(empty))]!r}); fill it in, or split by another property"
        )
    return values


def keep_stimuli(recordings: Recordings, rows: np.ndarray) -> Recordings:
    """Keep some of the stimuli."""
    return replace(
        recordings,
        responses=recordings.responses[:, rows],
        stimuli=tuple(recordings.stimuli[row] for row in rows),
        columns={name: np.asarray(values)[rows] for name, values in recordings.columns.items()},
    )
