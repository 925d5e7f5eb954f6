"""What figures say in words: names, correlations, what is missing."""

import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from layerwise.figures.parts import signed
from layerwise.figures.style import SMALL
from layerwise.files.tables import MEASURED
from layerwise.interfaces import counted

LINE = 0.1  # of a small panel's height, which a line of words takes
STEP = 1.15 * SMALL  # points, from a line of words above a panel to the next
PLS = "Pearson's r"
NAMES = {"ridge": "Pearson's r, ridge", "rsa": "RSA", "debiased_cka": "debiased CKA", "cka": "CKA"}
"""Of measures of the brain beside PLS: what the scores are."""


def label(name: str) -> str:
    """Write the name of a column for people."""
    return name.replace("_", " ")


def in_lines(text: str, longest: int = 40) -> str:
    """Divide what stands at an axis into lines, so that a long name of the user's is not cut off."""
    return "\n".join(textwrap.wrap(text, longest))


def tell_measure(columns: Sequence[str], table: pd.DataFrame) -> str:
    """Say what the brain scores in columns of a table are, as it tells; nothing where columns differ."""
    measured = table.attrs.get(MEASURED, {})
    found = {NAMES[measured[name]] if name in measured else PLS for name in columns}
    return found.pop() if len(found) == 1 else ""


def name_similarity(columns: Sequence[str], table: pd.DataFrame) -> str:
    """Name the axis of brain scores."""
    measure = tell_measure(columns, table)
    return f"Brain similarity ({measure})" if measure else "Brain similarity"


def name_scores(regions: Sequence[str], measures: Sequence[str], table: pd.DataFrame) -> str:
    """Name the axis of scores that are of the brain, of people, or both."""
    if not regions:
        return "Prediction accuracy (Spearman's ρ)"
    if not measures:
        return name_similarity(regions, table)
    return "Similarity (r), accuracy (ρ)" if tell_measure(regions, table) == PLS else "Similarity, accuracy (ρ)"


def require_scores(names: Sequence[str]) -> None:
    """Raise ValueError where there is nothing to draw over depth."""
    if not names:
        raise ValueError("there is nothing to draw: name a region or a measure, a column of the table of layers")


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


def state_within(row: "pd.Series | Mapping[str, float] | None") -> str:
    """Write a correlation within networks with its interval; nothing where there is one network, or none is known."""
    if row is None or not row["n_networks"] > 1:
        return ""
    return f"in networks: {state_rho(row).removeprefix('ρ = ')}"


def state_ceiling(ceiling: float) -> str:
    """Write the ceiling of scores, where there is one."""
    return f"ceiling {signed(ceiling)}" if np.isfinite(ceiling) else ""


def state_lost(number: int, what: str = "") -> str:
    """Write how many have no value, where there are such."""
    named = counted(number, what) if what else f"{number:,}"
    return f"{named} without a value" if number else ""


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


def tell(axis: Axes, text: str) -> None:
    """Write words into the upper left corner of a panel, above its points."""
    low, high = axis.get_ylim()
    axis.set_ylim(low, low + (high - low) / (1 - LINE * (1 + text.count("\n"))))
    axis.text(0.03, 0.98, text, transform=axis.transAxes, va="top", ha="left", fontsize=SMALL)


def tell_above(axis: Axes, title: str, lines: Sequence[str], room: int) -> None:
    """Write a title and lines of words above a panel, where they hide no point; all panels have room for as many."""
    height = 2 + room * STEP
    axis.annotate(
        "\n".join(lines),
        *((0, 1), (0, height)),
        xycoords="axes fraction",
        textcoords="offset points",
        va="top",
        ha="left",
        fontsize=SMALL,
        linespacing=1.1,
    )
    axis.set_title(title, loc="left", pad=height + 2)
