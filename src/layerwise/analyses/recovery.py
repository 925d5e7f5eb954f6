"""Compare the results of a simulated study with what was planted."""

from collections.abc import Mapping

import pandas as pd

from layerwise.data.simulate import Planted


def compare(layers: pd.DataFrame, truth: Mapping[str, Planted], teacher: str) -> pd.DataFrame:
    """Compare what each region recovered with what was planted.

    Parameters
    ----------
    layers : DataFrame
        A row for each layer, a column for each region and measure.
    truth : mapping of str to Planted
        By region and measure.
    teacher : str
        The network that the simulated data read.

    Returns
    -------
    DataFrame
        For each region and measure: the planted and the best layer of the teacher, their relative depths, the score
        of each, how a perfect prediction would score, and the best score of any other network (the controls).
    """
    own, controls = layers[layers["model"] == teacher], layers[layers["model"] != teacher]
    return pd.DataFrame([_row(target, planted, own, controls) for target, planted in truth.items()])


def _row(target: str, planted: Planted, own: pd.DataFrame, controls: pd.DataFrame) -> dict[str, object]:
    scores = pd.Series(own[target].to_numpy(float), index=own["layer"])
    depths = pd.Series((own["depth"] / own["depth"].max()).to_numpy(float), index=own["layer"])
    best = str(scores.idxmax())
    return {
        "target": target,
        "planted_layer": planted.layer,
        "best_layer": best,
        "planted_depth": depths[planted.layer],
        "best_depth": depths[best],
        "score_planted": scores[planted.layer],
        "score_best": scores[best],
        "perfect_score": planted.best,
        "best_control": controls[target].max(),
    }
