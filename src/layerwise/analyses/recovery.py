"""Holds the results of a simulated study against what was planted."""

from collections.abc import Mapping

import pandas as pd

from layerwise.data.simulate import Planted


def compare(layers: pd.DataFrame, truth: Mapping[str, Planted], teacher: str) -> pd.DataFrame:
    """Put what each region recovered beside what was planted.

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
    own, controls = layers[layers["model"] == teacher].set_index("layer"), layers[layers["model"] != teacher]
    relative = own["depth"] / own["depth"].max()
    return pd.DataFrame(
        [
            {
                "target": target,
                "planted_layer": planted.layer,
                "best_layer": best,
                "planted_depth": float(relative[planted.layer]),
                "best_depth": float(relative[best]),
                "score_planted": float(own.loc[planted.layer, target]),
                "score_best": float(own.loc[best, target]),
                "perfect_score": planted.best,
                "best_control": float(controls[target].max()),
            }
            for target, planted, best in ((name, entry, str(own[name].idxmax())) for name, entry in truth.items())
        ]
    )
