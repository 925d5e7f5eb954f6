"""Numbers of a network out of those of its folds (figure 3 of the paper)."""

from collections.abc import Sequence

import numpy as np
import pandas as pd


def average_folds(finetuned: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Average columns over the folds of each network.

    Parameters
    ----------
    finetuned : DataFrame
        A row for each (model, split), with the columns.
    columns : sequence of str
        What to average.

    Returns
    -------
    DataFrame
        Rows (model): model, folds, and for each column its mean over the folds that have a value, `_sd`, their
        standard deviation (NaN for one fold), and `_lacking`, how many folds have none. A network with
        a value in fewer than half of its folds has NaN.
    """
    groups = finetuned.groupby("model", sort=False)
    table = pd.DataFrame({"folds": groups.size()})
    for column in columns:
        table[f"{column}_lacking"] = table["folds"] - groups[column].count()
        enough = table[f"{column}_lacking"] <= table["folds"] / 2
        table[column] = groups[column].mean().where(enough)
        table[f"{column}_sd"] = groups[column].std(ddof=1).where(enough, np.nan)
    return table.reset_index()
