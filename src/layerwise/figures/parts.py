"""What figures have in common: numbers, colours, regression lines."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

MAX_COLOURS = 10  # more networks than that cannot be told apart by colour
GREY = "0.35"  # of networks that are too many for colours

Colour = str | tuple[float, float, float]
Palette = dict[str, tuple[float, float, float]]


REGRESSION: dict[str, Any] = {"linestyle": "--", "color": "0.15", "linewidth": 1.2}
CEILING: dict[str, Any] = {"linestyle": ":", "color": "0.15", "linewidth": 0.9}


def draw_regression(axis: Axes, x: np.ndarray, y: np.ndarray) -> None:
    """Draw the line of least squares through three points or more."""
    if len(x) < 3 or np.ptp(x) == 0:
        return
    slope, intercept = np.polyfit(x, y, 1)
    ends = np.array([x.min(), x.max()])
    axis.plot(ends, slope * ends + intercept, **REGRESSION)


def explain(name: str, look: Mapping[str, Any]) -> Line2D:
    """Return what a legend says of a line."""
    return Line2D([], [], label=name, **look)


def ceiling_of(layers: pd.DataFrame, column: str) -> float:
    """Return the ceiling of scores, which all layers share, since it is the data's; NaN where there is none."""
    name = f"{column}_ceiling"
    return float(layers[name].median()) if name in layers else float("nan")


def signed(value: float) -> str:
    """Write a number with two decimals and a true minus, of which zero has none."""
    return f"{value:z.2f}".replace("-", "−")
