"""The best layer of each network for each region and measure."""

from collections.abc import Sequence

import numpy as np
import pandas as pd


def summarise_models(layers: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Find the layer with the highest value of each column in each network.

    Parameters
    ----------
    layers : DataFrame
        A row for each layer, with model, layer, depth and the columns.
    columns : sequence of str
        Regions and measures.

    Returns
    -------
    DataFrame
        Rows (model, column) with the best layer, its relative depth in (0, 1] and its value. A network whose column
        is NaN throughout has no best layer and no row.
    """
    rows = []
    for model, group in layers.groupby("model", sort=False):
        for column in columns:
            if group[column].notna().any():
                best = group.iloc[int(np.nanargmax(group[column].to_numpy(float)))]
                relative = best["depth"] / group["depth"].max()
                rows.append((model, column, best["layer"], relative, best[column]))
    return pd.DataFrame(rows, columns=["model", "target", "best_layer", "relative_depth", "value"])
