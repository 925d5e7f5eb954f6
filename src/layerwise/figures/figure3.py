"""Figure 3: memorability after fine-tuning against brain similarity after fine-tuning, a point a network."""

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from layerwise.figures.parts import BEHIND, GREY, Colour, draw_legend, draw_regression, make_palette, signed
from layerwise.figures.style import set_style

NAMED = 3  # networks in a row of the legend


def plot_figure3(
    networks: pd.DataFrame, region: str, correlation: float = float("nan"), measure: str = "memorability"
) -> Figure:
    """Draw the figure: points are means over folds, bars their standard deviations.

    Parameters
    ----------
    networks : DataFrame
        A row for each network, as `average_folds` gives: model, rho and REGION_after, each with its `_sd`.
    region : str
        The region on the x axis.
    correlation : float
        Spearman's, over the networks; NaN where it is not defined.
    measure : str
        What the networks were trained to predict.

    Raises
    ------
    ValueError
        No network has a value for both.
    """
    set_style()
    similarity = f"{region}_after"
    points = networks.dropna(subset=["rho", similarity])
    if points.empty:
        raise ValueError(
            f"figure 3 has nothing to draw: none of {len(networks)} networks has both rho and a similarity with "
            f"{region} after fine-tuning; its table of scores says why"
        )
    palette = make_palette(list(points["model"]))
    named = 0 if palette is None else -(-len(points) // NAMED)  # rows of the legend, each as high as its text
    figure, axis = plt.subplots(figsize=(3.6, 3.2 + 0.19 * named), layout="constrained")
    for _, row in points.iterrows():
        _draw_network(axis, row, similarity, GREY if palette is None else palette[row["model"]])
    if np.isfinite(correlation):
        draw_regression(axis, points[similarity].to_numpy(float), points["rho"].to_numpy(float))
    axis.text(0.04, 0.97, _told(correlation, len(points)), transform=axis.transAxes, va="top", ha="left", bbox=BEHIND)
    axis.set(
        xlabel=f"{region.replace('_', ' ')} similarity after fine-tuning (Pearson's r)",
        ylabel=f"{measure.replace('_', ' ').capitalize()} accuracy (Spearman's ρ)",
    )
    axis.margins(0.1, 0.18)
    sns.despine(ax=axis)
    if palette is not None:
        draw_legend(figure, palette, columns=NAMED)
    return figure


def _draw_network(axis: Axes, row: pd.Series, similarity: str, colour: Colour) -> None:
    bars = {"xerr": row[f"{similarity}_sd"], "yerr": row["rho_sd"]}
    known = {name: error for name, error in bars.items() if np.isfinite(error)}
    if known:
        axis.errorbar(row[similarity], row["rho"], **known, fmt="none", color=colour, elinewidth=0.8, alpha=0.4)
    axis.plot(row[similarity], row["rho"], marker="o", markersize=4, color=colour, linestyle="")


def _told(correlation: float, count: int) -> str:
    networks = "1 network" if count == 1 else f"{count} networks"
    if np.isfinite(correlation):
        return f"ρ = {signed(correlation)}, {networks}"
    return f"{networks}: too few for a correlation" if count < 3 else f"{networks}: no correlation is defined"
