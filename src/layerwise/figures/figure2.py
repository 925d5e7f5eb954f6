"""Figure 2: brain similarity against the accuracy of predicting memorability, a panel a region, a point a layer."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from layerwise.figures.style import set_style

BEHIND = {"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "pad": 1}  # keeps text readable over points
MAX_COLOURS = 10  # more networks than that cannot be told apart by colour


def plot_figure2(layers: pd.DataFrame, correlations: pd.DataFrame, measure: str = "memorability") -> Figure:
    """Draw the figure.

    Parameters
    ----------
    layers : DataFrame
        A row for each layer, with model, a column for each region and one for the measure.
    correlations : DataFrame
        Rows (region, measure) with rho and the number of layers.
    measure : str
        The measure on the x axis.

    Raises
    ------
    ValueError
        No region was correlated with that measure.
    """
    set_style()
    chosen = correlations[correlations["measure"] == measure]
    if chosen.empty:
        known = ", ".join(correlations["measure"].unique()) or "none"
        raise ValueError(f"no region was correlated with a measure {measure!r}; measures that were: {known}")
    regions = list(chosen["region"])
    figure, axes = _panels(len(regions))
    palette = _palette(list(layers["model"].unique()))
    for axis, region, rho in zip(axes, regions, chosen["rho"].to_numpy(float), strict=True):
        _draw_panel(axis, layers, region, measure, rho, palette)
    figure.supxlabel(f"{measure.replace('_', ' ').capitalize()} prediction accuracy (Spearman's ρ)", fontsize="medium")
    figure.supylabel("Brain similarity (Pearson's r)", fontsize="medium")
    if palette is not None:
        _legend(figure, palette)
    return figure


def _panels(n_regions: int) -> tuple[Figure, Sequence[Axes]]:
    columns = min(n_regions, 2) if n_regions <= 4 else 3
    rows = -(-n_regions // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(2.9 * columns, 2.6 * rows), squeeze=False, layout="constrained", sharex=True
    )
    for axis in axes.flat[n_regions:]:
        axis.remove()
    return figure, list(axes.flat[:n_regions])


def _palette(models: list[str]) -> dict[str, tuple[float, float, float]] | None:
    if len(models) > MAX_COLOURS:
        return None
    return dict(zip(models, sns.color_palette("colorblind", len(models)), strict=True))


def _draw_panel(
    axis: Axes,
    layers: pd.DataFrame,
    region: str,
    measure: str,
    rho: float,
    palette: dict[str, tuple[float, float, float]] | None,
) -> None:
    points = layers.dropna(subset=[region, measure])
    sns.scatterplot(
        points,
        x=measure,
        y=region,
        hue=None if palette is None else "model",
        palette=palette,
        s=14 if len(points) < 2000 else 4,
        alpha=0.7 if len(points) < 2000 else 0.3,
        linewidth=0,
        legend=False,
        rasterized=len(points) > 5000,  # a vector file of 17,000 points opens slowly
        ax=axis,
    )
    _draw_regression(axis, points[measure].to_numpy(float), points[region].to_numpy(float))
    axis.set(title=region.replace("_", " "), xlabel="", ylabel="")
    axis.text(
        0.04, 0.96, f"ρ = {rho:.2f}".replace("-", "−"), transform=axis.transAxes, va="top", ha="left", bbox=BEHIND
    )
    axis.margins(0.06, 0.14)
    sns.despine(ax=axis)


def _draw_regression(axis: Axes, x: np.ndarray, y: np.ndarray) -> None:
    if len(x) < 3 or np.ptp(x) == 0:
        return
    slope, intercept = np.polyfit(x, y, 1)
    ends = np.array([x.min(), x.max()])
    axis.plot(ends, slope * ends + intercept, linestyle="--", color="0.15", linewidth=1.2)


def _legend(figure: Figure, palette: dict[str, tuple[float, float, float]]) -> None:
    handles = [
        Line2D([], [], marker="o", linestyle="", markersize=4, color=colour, label=model)
        for model, colour in palette.items()
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=min(len(handles), 4), frameon=False)
