"""What a data file contains, as tables for people, and everything that is wrong with it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Table:
    """Rows of text under a title."""

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]


@dataclass
class Report:
    """What was found in a file or a folder.

    Parameters
    ----------
    path : Path
        What was looked at.
    kind : str
        What it was taken for.
    tables : list of Table
        What it holds.
    problems : list of str
        What must be corrected before it can be used.
    notes : list of str
        What is allowed, and worth knowing.
    """

    path: Path
    kind: str
    tables: list[Table] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add_table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Add a table of anything that can be written."""
        cells = [tuple(show(value) for value in row) for row in rows]
        self.tables.append(Table(title, tuple(columns), cells))


def show(value: object) -> str:
    """Write a value briefly: three digits of a fraction, thousands parted, "undefined" for NaN."""
    if isinstance(value, float | np.floating):
        return "undefined" if np.isnan(value) else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int | np.integer) else str(value)


def show_range(values: NDArray[np.number], unit: str = "") -> str:
    """Write the smallest and the largest value, or the one that all have."""
    low, high = show(values.min()), show(values.max())
    return f"{low}{unit}" if low == high else f"{low} to {high}{unit}"
