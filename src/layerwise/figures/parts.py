"""What figures have in common: panels, colours of networks, regression lines, legends."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

BEHIND = {"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "pad": 1}  # keeps text readable over points
MAX_COLOURS = 10  # more networks than that cannot be told apart by colour
GREY = "0.35"  # of networks that are too many for colours

Colour = str | tuple[float, float, float]
Palette = dict[str, tuple[float, float, float]]


def make_panels(count: int, width: float = 2.9, height: float = 2.6) -> tuple[Figure, Sequence[Axes]]:
    """Lay out panels of a size in inches, two or three in a row."""
    columns = min(count, 2) if count <= 4 else 3
    rows = -(-count // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(width * columns, height * rows), squeeze=False, layout="constrained", sharex=True
    )
    for axis in axes.flat[count:]:
        axis.remove()
    return figure, list(axes.flat[:count])


def make_palette(models: Sequence[str]) -> Palette | None:
    """Give each network a colour; None if they are too many to be told apart."""
    if len(models) > MAX_COLOURS:
        return None
    return dict(zip(models, sns.color_palette("colorblind", len(models)), strict=True))


def draw_regression(axis: Axes, x: np.ndarray, y: np.ndarray) -> None:
    """Draw the line of least squares through three points or more."""
    if len(x) < 3 or np.ptp(x) == 0:
        return
    slope, intercept = np.polyfit(x, y, 1)
    ends = np.array([x.min(), x.max()])
    axis.plot(ends, slope * ends + intercept, linestyle="--", color="0.15", linewidth=1.2)


def draw_legend(figure: Figure, palette: Palette, columns: int = 4) -> None:
    """Name the networks above the panels."""
    handles = [
        Line2D([], [], marker="o", linestyle="", markersize=4, color=colour, label=model)
        for model, colour in palette.items()
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=min(len(handles), columns), frameon=False)


def signed(value: float) -> str:
    """Write a number with two decimals and a true minus."""
    return f"{value:.2f}".replace("-", "−")
