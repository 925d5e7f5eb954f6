"""Figure 2: brain similarity against the accuracy of predicting memorability, a panel a region, a point a layer."""

from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.ndimage import gaussian_filter

from layerwise.figures.groups import Groups, draw_group_legend, group_networks, known_families, make_panels
from layerwise.figures.parts import CEILING, GREY, REGRESSION, ceiling_of, draw_regression, explain
from layerwise.figures.style import mark_simulated, set_style
from layerwise.figures.words import (
    label,
    name_similarity,
    pick,
    state_ceiling,
    state_lost,
    state_rho,
    state_wide,
    state_within,
    tell_above,
    tell_measure,
)
from layerwise.interfaces import counted

MANY = 2000  # layers of a panel that colours cannot tell apart: they are grey, under the medians of groups
SHARES = (0.9, 0.6, 0.3)  # of the layers, within the contours of density
CONTOUR: dict[str, Any] = {"color": GREY, "linewidth": 0.5}
BINS, SMOOTHING = 60, 2.0  # of the histogram under the contours, and its blur in bins


def plot_figure2(
    layers: pd.DataFrame,
    correlations: pd.DataFrame,
    measure: str = "memorability",
    parts: pd.DataFrame | None = None,
) -> Figure:
    """Draw the figure.

    Up to 2,000 layers a panel, a point has the colour of its network, or of its family where there are more than ten.
    Of more, points are grey, contours hold 30, 60 and 90 % of them, and a marker stands at the median of each family.
    All panels have the same axes, unless regions were measured in different ways. Words stand above the panels. A
    ceiling is told, and drawn where it lies among the points, since axes that reach a far one would squeeze these.

    Parameters
    ----------
    layers : DataFrame
        A row for each layer, with model, maybe family, a column for each region and one for the measure; maybe their
        ceilings, COLUMN_ceiling.
    correlations : DataFrame
        Rows (region, measure) with rho; maybe its interval, low and high.
    measure : str
        The measure on the x axis.
    parts : DataFrame, optional
        Rows (region, measure, part) with rho, n_networks and maybe its interval, of which those "within" are told.

    Raises
    ------
    ValueError
        No region was correlated with that measure.
    """
    set_style()
    chosen = pick(correlations, measure)
    regions = list(chosen["region"])
    groups = group_networks(*_networks(layers))
    words = [_told(layers, measure, row, _within(parts, row)) for _, row in chosen.iterrows()]
    room = max(map(len, words))
    lines, ceiling = _explained(layers, regions, measure), explain("ceiling", CEILING)
    figure, axes = make_panels(
        len(regions), groups, [*lines, ceiling], room, sharey=bool(tell_measure(regions, layers))
    )
    for axis, region, told in zip(axes, regions, words, strict=True):
        _draw_panel(axis, layers, measure, region, groups)
        tell_above(axis, label(region), told, room)
    x, y = ceiling_of(layers, measure), [ceiling_of(layers, region) for region in regions]
    drawn = [_draw_ceilings(axis, x, one) for axis, one in zip(axes, y, strict=True)]  # all limits are known by now
    figure.supxlabel(_name_accuracy(layers, measure), fontsize="medium")
    figure.supylabel(name_similarity(regions, layers), fontsize="medium")
    draw_group_legend(figure, groups, [*lines, *([ceiling] if any(drawn) else [])])
    mark_simulated(figure, layers.attrs)
    return figure


def _within(parts: pd.DataFrame | None, row: pd.Series) -> pd.Series | None:
    """Find the correlation within networks of what a row correlates."""
    if parts is None:
        return None
    same = (parts["region"] == row["region"]) & (parts["measure"] == row["measure"]) & (parts["part"] == "within")
    return parts[same].iloc[0] if same.any() else None


def _points(layers: pd.DataFrame, measure: str, region: str) -> pd.DataFrame:
    finite = np.isfinite(layers[[region, measure]].to_numpy(float)).all(axis=1)
    return layers.iloc[np.flatnonzero(finite)]


def _told(layers: pd.DataFrame, measure: str, row: pd.Series, within: pd.Series | None) -> list[str]:
    """Return the lines above a panel."""
    drawn = len(_points(layers, measure, row["region"]))
    facts = [counted(drawn, "layer"), state_lost(len(layers) - drawn), state_ceiling(ceiling_of(layers, row["region"]))]
    return list(filter(None, [state_rho(row), state_wide(row), state_within(within), ", ".join(filter(None, facts))]))


def _name_accuracy(layers: pd.DataFrame, measure: str) -> str:
    units = filter(None, ["Spearman's ρ", state_ceiling(ceiling_of(layers, measure))])
    return f"{label(measure).capitalize()} prediction accuracy ({', '.join(units)})"


def _explained(layers: pd.DataFrame, regions: list[str], measure: str) -> list[Artist]:
    """Return what the legend says of lines."""
    lines: list[Artist] = [explain("least squares", REGRESSION)]
    if any(len(_points(layers, measure, region)) > MANY for region in regions):
        shares = ", ".join(f"{100 * share:.0f}" for share in SHARES[::-1])
        lines.append(explain(f"{shares} % of layers", CONTOUR))
    return lines


def _draw_ceilings(axis: Axes, x: float, y: float) -> bool:
    """Draw the ceilings that lie within the limits of a panel, which stay as they are; return whether one does."""
    (left, right), (low, high) = axis.get_xlim(), axis.get_ylim()
    if left <= x <= right:
        axis.axvline(x, zorder=0, **CEILING)
    if low <= y <= high:
        axis.axhline(y, zorder=0, **CEILING)
    axis.set(xlim=(left, right), ylim=(low, high))
    return left <= x <= right or low <= y <= high


def _networks(layers: pd.DataFrame) -> tuple[list[str], dict[str, str] | None]:
    once = layers.drop_duplicates("model")
    return list(once["model"]), known_families(once)


def _draw_panel(axis: Axes, layers: pd.DataFrame, measure: str, region: str, groups: Groups) -> None:
    points = _points(layers, measure, region)
    x, y = points[measure].to_numpy(float), points[region].to_numpy(float)
    draw = _draw_many if len(points) > MANY else _draw_few
    draw(axis, x, y, points["model"].to_numpy(), groups)
    draw_regression(axis, x, y)
    axis.margins(0.05, 0.05)
    sns.despine(ax=axis)


def _draw_few(axis: Axes, x: np.ndarray, y: np.ndarray, models: np.ndarray, groups: Groups) -> None:
    colours = [groups.look(model).colour for model in models]
    axis.scatter(x, y, s=5, c=colours, alpha=0.7, linewidth=0)


def _draw_many(axis: Axes, x: np.ndarray, y: np.ndarray, models: np.ndarray, groups: Groups) -> None:
    axis.scatter(x, y, s=1.2, c="0.65", alpha=0.3, linewidth=0, rasterized=True)  # a vector file would open slowly
    _draw_density(axis, x, y)
    names = np.array([groups.of[model] for model in models])
    for name, look in groups.looks.items():
        chosen = names == name
        if name and chosen.any():
            middle = np.median(x[chosen]), np.median(y[chosen])
            axis.plot(*middle, look.marker, color=look.colour, ms=3.5, mec="white", mew=0.4, zorder=4)


def _draw_density(axis: Axes, x: np.ndarray, y: np.ndarray) -> None:
    """Draw contours that hold shares of the points, as a blurred histogram has them."""
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return
    counts, x_edges, y_edges = np.histogram2d(x, y, BINS)
    counts = gaussian_filter(np.pad(counts, 4), SMOOTHING)
    falling = np.sort(counts, axis=None)[::-1]
    levels = [falling[np.searchsorted(falling.cumsum(), share * falling.sum())] for share in SHARES]
    if np.all(np.diff(levels) > 0):
        centres = [_padded(edges) for edges in (x_edges, y_edges)]
        axis.contour(*centres, counts.T, levels=levels, colors=CONTOUR["color"], linewidths=CONTOUR["linewidth"])


def _padded(edges: np.ndarray) -> np.ndarray:
    step = edges[1] - edges[0]
    padded: np.ndarray = edges[0] + step * (np.arange(-4, len(edges) + 3) + 0.5)
    return padded
