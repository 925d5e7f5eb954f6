"""Brain similarity: how well the outputs of a layer predict the responses of a region's neuroids to held-out images."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from layerwise.activations.store import ActivationStore, Stored
from layerwise.analyses.units import too_few_units
from layerwise.data.content import content_hash
from layerwise.data.recordings import average_repetitions
from layerwise.interfaces import DegenerateWarning, LayerSpec, Progress, Recordings, Split, no_progress
from layerwise.regression import (
    make_grouped_splits,
    make_kfold_splits,
    make_splits,
    score_gram,
    score_neuroids,
)


@dataclass(frozen=True)
class SplitPlan:
    """How the stimuli of a recording are divided; see `layerwise.config.data.SplitsEntry`."""

    method: str = "shuffle"
    by: str | None = None
    n_splits: int = 10
    train_size: float = 0.9
    seed: int = 1
    order: str | None = None

    def make(self, recordings: Recordings) -> list[Split]:
        """Draw the splits on the sorted order of the stimuli, or on that of the property `order`.

        Raises
        ------
        ValueError
            The recordings do not have the property `by` or `order`, or too few stimuli.
        """
        stimuli = np.arange(len(recordings.stimuli))
        order = stimuli if self.order is None else np.argsort(_property(recordings, self.order), kind="stable")
        column = None if self.by is None else _property(recordings, self.by)[order]
        return [Split(np.sort(order[train]), np.sort(order[test])) for train, test in self._draw(len(order), column)]

    def _draw(self, n_stimuli: int, column: np.ndarray | None) -> list[Split]:
        if self.method == "kfold":
            return make_kfold_splits(n_stimuli, n_splits=self.n_splits, seed=self.seed, groups=column)
        if self.method == "grouped" and column is not None:
            return make_grouped_splits(column, self.n_splits, self.train_size, self.seed)
        return make_splits(n_stimuli if column is None else column, self.n_splits, self.train_size, self.seed)


def _property(recordings: Recordings, name: str) -> np.ndarray:
    if name not in recordings.columns:
        known = ", ".join(recordings.columns) or "none"
        raise ValueError(f"the stimuli have no property {name!r} to split by; the file has: {known}")
    return np.asarray(recordings.columns[name])


@dataclass(frozen=True)
class BrainSimilarity:
    """Scores layers against one region.

    Parameters
    ----------
    recordings : Recordings
        Responses of the region's neuroids alone.
    region : str
        Name of the region in the study.
    splits : SplitPlan
        How stimuli are divided.
    n_components : int
        Number of latent variables.
    solver : {"exact", "scikit-learn"}
        How components are found.
    device : str
        "cpu" or "cuda".
    """

    recordings: Recordings
    region: str
    splits: SplitPlan = SplitPlan()
    n_components: int = 25
    solver: str = "exact"
    device: str = "cpu"

    def score(
        self, store: ActivationStore, layers: Sequence[LayerSpec], progress: Progress = no_progress
    ) -> pd.DataFrame:
        """Score the layers.

        Parameters
        ----------
        store : ActivationStore
            The network's activations to the recordings' stimuli, in the same order.
        layers : sequence of LayerSpec
            The layers to score.
        progress : Progress
            Shows how far the loop has come.

        Returns
        -------
        DataFrame
            Rows (layer, split): model, layer, region, split, r (median over neuroids), neuroids (how many have a
            defined r) and r_neuroids (list: r of each neuroid, in the order of the file). Its `attrs["data"]` hold the
            hashes of the recordings and of all that the activations were computed from.

        Warns
        -----
        DegenerateWarning
            Layers have fewer units than components, or activations that are not finite: their r is NaN.
        """
        store.check_stimuli(self.recordings.stimuli)
        rows, recordings = _shown(self.recordings)
        responses = average_repetitions(recordings.responses)
        splits = self.splits.make(recordings)
        few, nothing = too_few_units(layers, self.n_components), np.full((len(splits), responses.shape[1]), np.nan)

        def score(layer: LayerSpec) -> np.ndarray:
            if layer.name in few:
                return nothing
            return self._score_layer(_take(store.read(layer.name), rows), responses, splits)

        scored = ((layer, score(layer)) for layer in layers)
        tables = [
            _rows(r, store.model, layer.name, self.region)
            for layer, r in progress(scored, f"{store.model} {self.region}", len(layers))
        ]
        table = pd.concat(tables, ignore_index=True)
        table.attrs["data"] = {self.region: {"recordings": content_hash(self.recordings), **store.attributes}}
        return table

    def _score_layer(self, stored: Stored, responses: np.ndarray, splits: list[Split]) -> np.ndarray:
        if stored.nonfinite:
            warnings.warn("layers whose activations are not finite have no score", DegenerateWarning, stacklevel=2)
            return np.full((len(splits), responses.shape[1]), np.nan)
        score = score_gram if stored.kind == "gram" else score_neuroids
        return score(stored.array, responses, splits, self.n_components, self.solver, self.device)


def _shown(recordings: Recordings) -> tuple[np.ndarray, Recordings]:
    """Leave out stimuli to which no neuroid of the region has a response; also give the rows of those that stay."""
    rows = np.flatnonzero(~np.isnan(recordings.responses).all(axis=(0, 2)))
    left_out = len(recordings.stimuli) - len(rows)
    if not left_out:
        return rows, recordings
    warnings.warn(
        f"{left_out} of {len(recordings.stimuli)} stimuli have no response of any neuroid, and are left out",
        DegenerateWarning,
        stacklevel=3,
    )
    kept = replace(
        recordings,
        responses=recordings.responses[:, rows],
        stimuli=tuple(recordings.stimuli[row] for row in rows),
        columns={name: np.asarray(values)[rows] for name, values in recordings.columns.items()},
    )
    return rows, kept


def _take(stored: Stored, rows: np.ndarray) -> Stored:
    if len(rows) == len(stored.array):
        return stored
    square = stored.kind == "gram"
    return replace(stored, array=stored.array[np.ix_(rows, rows)] if square else stored.array[rows])


def _rows(r: np.ndarray, model: str, layer: str, region: str) -> pd.DataFrame:
    defined = np.isfinite(r)
    medians = [float(np.median(row[keep])) if keep.any() else np.nan for row, keep in zip(r, defined, strict=True)]
    return pd.DataFrame(
        {
            "model": model,
            "layer": layer,
            "region": region,
            "split": np.arange(len(r)),
            "r": medians,
            "neuroids": defined.sum(axis=1),
            "r_neuroids": list(r),
        }
    )
