"""Figure 2: brain similarity against the accuracy of predicting memorability, a panel a region, a point a layer."""

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.ndimage import gaussian_filter

from layerwise.figures.groups import Groups, draw_group_legend, group_networks, known_families, make_panels
from layerwise.figures.parts import GREY, draw_regression
from layerwise.figures.style import mark_simulated, set_style
from layerwise.figures.words import label, pick, state_rho, state_wide, tell

MANY = 2000  # layers of a panel that colours cannot tell apart: they are grey, under the medians of groups
SHARES = (0.9, 0.6, 0.3)  # of the layers, within the contours of density
BINS, SMOOTHING = 60, 2.0  # of the histogram under the contours, and its blur in bins


def plot_figure2(
    layers: pd.DataFrame,
    correlations: pd.DataFrame,
    measure: str = "memorability",
) -> Figure:
    """Draw the figure.

    Up to 2,000 layers a panel, a point has the colour of its network, or of its family where there are more than ten.
    Of more, points are grey, contours hold 30, 60 and 90 % of them, and a marker stands at the median of each family.

    Parameters
    ----------
    layers : DataFrame
        A row for each layer, with model, maybe family, a column for each region and one for the measure.
    correlations : DataFrame
        Rows (region, measure) with rho and the number of layers; maybe its interval, low and high.
    measure : str
        The measure on the x axis.

    Raises
    ------
    ValueError
        No region was correlated with that measure.
    """
    set_style()
    chosen = pick(correlations, measure)
    regions = list(chosen["region"])
    groups = group_networks(*_networks(layers))
    figure, axes = make_panels(len(regions), groups)
    for axis, (_, row) in zip(axes, chosen.iterrows(), strict=True):
        _draw_panel(axis, layers, measure, row, groups)
    figure.supxlabel(f"{label(measure).capitalize()} prediction accuracy (Spearman's ρ)", fontsize="medium")
    figure.supylabel("Brain similarity (Pearson's r)", fontsize="medium")
    draw_group_legend(figure, groups)
    mark_simulated(figure, layers.attrs)
    return figure


def _networks(layers: pd.DataFrame) -> tuple[list[str], dict[str, str] | None]:
    once = layers.drop_duplicates("model")
    return list(once["model"]), known_families(once)


def _draw_panel(axis: Axes, layers: pd.DataFrame, measure: str, row: pd.Series, groups: Groups) -> None:
    region = str(row["region"])
    points = layers[np.isfinite(layers[[region, measure]]).all(axis=1)]
    x, y = points[measure].to_numpy(float), points[region].to_numpy(float)
    draw = _draw_many if len(points) > MANY else _draw_few
    draw(axis, x, y, points["model"].to_numpy(), groups)
    draw_regression(axis, x, y)
    axis.set(title=label(region))
    lost = len(layers) - len(points)
    told = "\n".join(filter(None, [state_rho(row), state_wide(row), f"{lost:,} without a value" if lost else ""]))
    axis.margins(0.05, 0.05)
    tell(axis, told)
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
        axis.contour(*centres, counts.T, levels=levels, colors=GREY, linewidths=0.5)


def _padded(edges: np.ndarray) -> np.ndarray:
    step = edges[1] - edges[0]
    padded: np.ndarray = edges[0] + step * (np.arange(-4, len(edges) + 3) + 0.5)
    return padded
