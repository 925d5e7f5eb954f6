"""Figure 2: brain similarity against the accuracy of predicting memorability, a panel a region, a point a layer."""

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from layerwise.figures.parts import BEHIND, Palette, draw_legend, draw_regression, make_palette, make_panels, signed
from layerwise.figures.style import set_style


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
    figure, axes = make_panels(len(regions))
    palette = make_palette(list(layers["model"].unique()))
    for axis, region, rho in zip(axes, regions, chosen["rho"].to_numpy(float), strict=True):
        _draw_panel(axis, layers, region, measure, rho, palette)
    figure.supxlabel(f"{measure.replace('_', ' ').capitalize()} prediction accuracy (Spearman's ρ)", fontsize="medium")
    figure.supylabel("Brain similarity (Pearson's r)", fontsize="medium")
    if palette is not None:
        draw_legend(figure, palette)
    return figure


def _draw_panel(
    axis: Axes,
    layers: pd.DataFrame,
    region: str,
    measure: str,
    rho: float,
    palette: Palette | None,
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
    draw_regression(axis, points[measure].to_numpy(float), points[region].to_numpy(float))
    axis.set(title=region.replace("_", " "), xlabel="", ylabel="")
    axis.text(0.04, 0.96, f"ρ = {signed(rho)}", transform=axis.transAxes, va="top", ha="left", bbox=BEHIND)
    axis.margins(0.06, 0.14)
    sns.despine(ax=axis)
