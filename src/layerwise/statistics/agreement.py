"""How far regions and measures agree on which layers are good."""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from layerwise.statistics.correlation import spearman


def correlate_regions(layers: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Correlate each pair of columns over layers: of all networks together, and within each.

    Parameters
    ----------
    layers : DataFrame
        A row for each layer, with model and the columns.
    columns : sequence of str
        Regions and measures.

    Returns
    -------
    DataFrame
        Rows (one, two): total, Spearman's rho over all layers; within, the median of networks; both NaN where
        undefined; layers, which have both values; networks, in which rho is defined.
    """
    rows = [(one, two, *_correlate(layers[["model", one, two]].dropna())) for one, two in combinations(columns, 2)]
    return pd.DataFrame(rows, columns=["one", "two", "total", "within", "layers", "networks"])


def _correlate(pairs: pd.DataFrame) -> tuple[float, float, int, int]:
    values = pairs.iloc[:, 1:].to_numpy(float)
    total = spearman(*values.T)[0]
    each = [spearman(*rows.iloc[:, 1:].to_numpy(float).T)[0] for _, rows in pairs.groupby("model", sort=False)]
    defined = [rho for rho in each if np.isfinite(rho)]
    return total, float(np.median(defined)) if defined else float("nan"), len(pairs), len(defined)
