"""Memorability of many images: predictions of streamed fits, as the same table as `analyses.memorability`."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from layerwise.analyses.units import too_few_units
from layerwise.data.content import content_hash
from layerwise.interfaces import LayerSpec, Ratings
from layerwise.statistics.correlation import spearman


def score_predictions(
    predictions: NDArray[np.float64],
    layers: Sequence[LayerSpec],
    ratings: Ratings,
    measure: str,
    n_components: int,
    attributes: Mapping[str, str],
) -> pd.DataFrame:
    """Correlate predictions with the scores of each split's test images.

    Parameters
    ----------
    predictions : float64 array [layer, image, split]
        From `layerwise.streaming.stream_pls`; NaN for layers without a result.
    layers : sequence of LayerSpec
        The layers.
    ratings : Ratings
        What was predicted.
    measure : str
        What the scores measure.
    n_components : int
        Number of latent variables; a layer with fewer units has no score.
    attributes : mapping of str to str
        "model", and the hashes of all that the predictions were computed from.

    Returns
    -------
    DataFrame
        Rows (layer, split): model, layer, measure, split, rho. Its `attrs["data"]` hold the hashes.
    """
    few = too_few_units(layers, n_components)
    rows = [
        (
            attributes["model"],
            layer.name,
            measure,
            index,
            float("nan") if layer.name in few else _rho(values[split.test, index], scores[split.test]),
        )
        for layer, values in zip(layers, predictions, strict=True)
        for index, (split, scores) in enumerate(zip(ratings.splits, ratings.scores, strict=True))
    ]
    table = pd.DataFrame(rows, columns=["model", "layer", "measure", "split", "rho"])
    table.attrs["data"] = {measure: {"ratings": content_hash(ratings), **attributes}}
    return table


def _rho(predicted: NDArray[np.float64], scores: NDArray[np.float64]) -> float:
    return spearman(predicted, scores)[0] if np.isfinite(predicted).all() else float("nan")
