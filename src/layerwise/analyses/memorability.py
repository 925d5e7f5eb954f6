"""Memorability: how well the outputs of a layer predict a behavioural score of held-out images."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from layerwise.activations.store import ActivationStore, Stored
from layerwise.analyses.units import too_few_units
from layerwise.data.content import content_hash
from layerwise.interfaces import DegenerateWarning, LayerSpec, Progress, Ratings, no_progress
from layerwise.regression import predict_gram, predict_neuroids
from layerwise.statistics.correlation import spearman


@dataclass(frozen=True)
class BehaviouralAccuracy:
    """Scores layers against one set of ratings.

    Parameters
    ----------
    ratings : Ratings
        Scores [split, stimulus] and the splits they belong to.
    measure : str
        What the scores measure.
    n_components : int
        Number of latent variables.
    solver : {"exact", "scikit-learn"}
        One target needs no iterations, so both give the same.
    device : str
        "cpu" or "cuda".
    """

    ratings: Ratings
    measure: str
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
            The network's activations to the rated images, in the same order.
        layers : sequence of LayerSpec
            The layers to score.
        progress : Progress
            Shows how far the loop has come.

        Returns
        -------
        DataFrame
            Rows (layer, split): model, layer, measure, split, rho (Spearman, predictions against scores of the test
            images). Its `attrs["data"]` hold the hashes of the ratings and of all that the activations were computed
            from.

        Warns
        -----
        DegenerateWarning
            Layers have fewer units than components, or activations that are not finite: their rho is NaN.
        """
        store.check_stimuli(self.ratings.stimuli)
        few, nothing = too_few_units(layers, self.n_components), [float("nan")] * len(self.ratings.splits)
        scored = (
            (layer, nothing if layer.name in few else self._score_layer(store.read(layer.name))) for layer in layers
        )
        tables = [
            pd.DataFrame(
                {
                    "model": store.model,
                    "layer": layer.name,
                    "measure": self.measure,
                    "split": np.arange(len(rho)),
                    "rho": rho,
                }
            )
            for layer, rho in progress(scored, f"{store.model} {self.measure}", len(layers))
        ]
        table = pd.concat(tables, ignore_index=True)
        table.attrs["data"] = {self.measure: {"ratings": content_hash(self.ratings), **store.attributes}}
        return table

    def _score_layer(self, stored: Stored) -> list[float]:
        if stored.nonfinite:
            warnings.warn("layers whose activations are not finite have no score", DegenerateWarning, stacklevel=2)
            return [float("nan")] * len(self.ratings.splits)
        predict = predict_gram if stored.kind == "gram" else predict_neuroids
        targets = self.ratings.scores[:, :, None]
        predictions = predict(stored.array, targets, self.ratings.splits, self.n_components, self.solver, self.device)
        return [
            _rank_correlation(predicted[:, 0], scores[split.test])
            for predicted, scores, split in zip(predictions, self.ratings.scores, self.ratings.splits, strict=True)
        ]


def _rank_correlation(predicted: np.ndarray, scores: np.ndarray) -> float:
    if not np.isfinite(predicted).all():
        return float("nan")
    return spearman(predicted, scores)[0]
