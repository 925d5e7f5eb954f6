"""The best layer of each network for each region and measure."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

CEILED = ("ceiled_2020", "ceiled_2026")  # columns of a region, that follow its name
Nested = Mapping[str, Mapping[str, Mapping[str, float | None]]]  # of a network and column: nested, same


def summarise_models(layers: pd.DataFrame, columns: Sequence[str], nested: Nested | None = None) -> pd.DataFrame:
    """Find the layer with the highest value of each column in each network.

    Parameters
    ----------
    layers : DataFrame
        A row for each layer, with model, layer, depth and the columns.
    columns : sequence of str
        Regions and measures.
    nested : mapping, optional
        Of networks and columns, what the best layer is worth on splits that did not choose it.

    Returns
    -------
    DataFrame
        Rows (model, target) with the best layer, its relative depth in (0, 1] and its value, which is too high, since
        the splits that choose the layer score it; beside it `nested`, the mean over splits of the score, on that split,
        of the layer that is best on the others, and `same`, the share of splits of which the others choose the same
        layer (NaN where they are not known); of regions, `ceiled_2020` and `ceiled_2026` of that layer. A network whose
        column is NaN throughout has no best layer and no row.
    """
    rows = []
    for model, group in layers.groupby("model", sort=False):
        for column in columns:
            if group[column].notna().any():
                best = group.iloc[int(np.nanargmax(group[column].to_numpy(float)))]
                relative = best["depth"] / group["depth"].max()
                worth = (nested or {}).get(str(model), {}).get(column, {})
                beside = [np.nan if (one := worth.get(key)) is None else one for key in ("nested", "same")]
                ceiled = [best.get(f"{column}_{formula}", np.nan) for formula in CEILED]
                rows.append((model, column, best["layer"], relative, best[column], *beside, *ceiled))
    names = ["model", "target", "best_layer", "relative_depth", "value", "nested", "same", *CEILED]
    return pd.DataFrame(rows, columns=names)
