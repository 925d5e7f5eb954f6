"""What figures say in words: names, correlations, what is missing."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from layerwise.figures.parts import signed
from layerwise.figures.style import SMALL

LINE = 0.1  # of a small panel's height, which a line of words takes


def label(name: str) -> str:
    """Write the name of a column for people."""
    return name.replace("_", " ")


def pick(correlations: pd.DataFrame, measure: str) -> pd.DataFrame:
    """Choose the correlations with a measure.

    Raises
    ------
    ValueError
        No region was correlated with it.
    """
    chosen = correlations[correlations["measure"] == measure]
    if chosen.empty:
        known = ", ".join(correlations["measure"].unique()) or "none"
        raise ValueError(f"no region was correlated with a measure {measure!r}; measures that were: {known}")
    return chosen


def state_rho(row: "pd.Series | Mapping[str, float]") -> str:
    """Write a correlation with its interval, where the table has one."""
    if not np.isfinite(row["rho"]):
        return "ρ is not defined"
    return f"ρ = {signed(row['rho'])}{_state_interval(row)}"


def state_wide(row: "pd.Series | Mapping[str, float]") -> str:
    """Write the interval that holds the draw of neuroids too, where the table has one."""
    ends = row.get("wide_low", np.nan), row.get("wide_high", np.nan)
    return f"neuroids too: [{signed(ends[0])}, {signed(ends[1])}]" if np.isfinite(ends).all() else ""


def state_change(row: "pd.Series | Mapping[str, float]") -> str:
    """Write a mean change with its interval."""
    if not np.isfinite(row["change"]):
        return "no network has both"
    sign = "+" if row["change"] > 0 else ""
    return f"mean change\n{sign}{signed(row['change'])}{_state_interval(row)}"


def _state_interval(row: "pd.Series | Mapping[str, float]") -> str:
    if "low" not in row:
        return ""
    ends = row["low"], row["high"]
    return f" [{signed(ends[0])}, {signed(ends[1])}]" if np.isfinite(ends).all() else ", no interval"


def count(number: int, what: str) -> str:
    """Write a number of things: "1 network", "64 networks"."""
    return f"{number:,} {what}" + ("" if number == 1 else "s")


def tell(axis: Axes, text: str) -> None:
    """Write words into the upper left corner of a panel, above its points."""
    low, high = axis.get_ylim()
    axis.set_ylim(low, low + (high - low) / (1 - LINE * (1 + text.count("\n"))))
    axis.text(0.03, 0.98, text, transform=axis.transAxes, va="top", ha="left", fontsize=SMALL)
