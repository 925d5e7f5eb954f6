"""What figures have in common: numbers, colours, regression lines."""

import numpy as np
from matplotlib.axes import Axes

MAX_COLOURS = 10  # more networks than that cannot be told apart by colour
GREY = "0.35"  # of networks that are too many for colours

Colour = str | tuple[float, float, float]
Palette = dict[str, tuple[float, float, float]]


def draw_regression(axis: Axes, x: np.ndarray, y: np.ndarray) -> None:
    """Draw the line of least squares through three points or more."""
    if len(x) < 3 or np.ptp(x) == 0:
        return
    slope, intercept = np.polyfit(x, y, 1)
    ends = np.array([x.min(), x.max()])
    axis.plot(ends, slope * ends + intercept, linestyle="--", color="0.15", linewidth=1.2)


def signed(value: float) -> str:
    """Write a number with two decimals and a true minus, of which zero has none."""
    return f"{value:z.2f}".replace("-", "−")
