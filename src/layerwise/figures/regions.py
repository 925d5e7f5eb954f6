"""Agreement of regions: are layers that are similar to one region similar to the others, and predict the score?"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from layerwise.figures.parts import signed
from layerwise.figures.style import COLUMN, SMALL, mark_simulated, set_style
from layerwise.figures.words import label


def plot_regions(agreement: pd.DataFrame) -> Figure:
    """Draw a matrix of correlations: over all layers below the diagonal, within networks above it.

    Parameters
    ----------
    agreement : DataFrame
        Rows (one, two) with total, Spearman's rho over all layers, and within, the median of networks; each pair once.

    Raises
    ------
    ValueError
        There is no pair.
    """
    if agreement.empty:
        raise ValueError(
            "there is nothing to draw: a region or measure agrees with another one, and there is one alone"
        )
    set_style()
    names = list(dict.fromkeys([*agreement["one"], *agreement["two"]]))
    values = _matrix(agreement, names)
    figure, axis = plt.subplots(figsize=(COLUMN, 0.82 * COLUMN), layout="constrained")
    image = axis.imshow(values, cmap="PuOr_r", vmin=-1, vmax=1)
    for (row, column), value in np.ndenumerate(values):
        if row != column:
            text = signed(value) if np.isfinite(value) else "n/a"
            dark = abs(value) > 0.65
            axis.text(column, row, text, ha="center", va="center", fontsize=SMALL, color="white" if dark else "0.1")
    axis.set_facecolor("0.92")
    ticks = range(len(names))
    axis.set_xticks(ticks, [label(name) for name in names], rotation=30, ha="right", rotation_mode="anchor")
    axis.set_yticks(ticks, [label(name) for name in names])
    axis.tick_params(length=0)
    axis.set_title("Above the diagonal: within networks (median)", fontsize=SMALL)
    axis.set_xlabel("Below the diagonal: over all layers", fontsize=SMALL)
    sns.despine(ax=axis, left=True, bottom=True)
    bar = figure.colorbar(image, ax=axis, shrink=0.7, pad=0.02)
    bar.set_label("Spearman's ρ")
    bar.outline.set_visible(False)
    mark_simulated(figure, agreement.attrs)
    return figure


def _matrix(agreement: pd.DataFrame, names: list[str]) -> np.ndarray:
    values = np.full((len(names), len(names)), np.nan)
    for row in agreement.itertuples():
        first, second = sorted((names.index(str(row.one)), names.index(str(row.two))))
        values[second, first], values[first, second] = row.total, row.within
    return values
