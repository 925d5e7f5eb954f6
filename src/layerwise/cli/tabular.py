"""Tables for people that fit the terminal, or 80 columns where there is none."""

import shutil
import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_BORDER, _GAP = 1, 3  # what rich draws on the left, and behind each column


def line_width() -> int:
    """Columns of the terminal; without one, what COLUMNS says, or 80."""
    return shutil.get_terminal_size((80, 24)).columns


def make_console() -> "Console":
    """Make what prints to standard output within the width of a line."""
    from rich.console import Console

    return Console(width=line_width(), highlight=False)


def fitting_tables(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], width: int | None = None
) -> "Iterator[Table]":
    """Draw a table as it is if it fits a line; else turned round, a column for each row, as many as fit side by side.

    Parameters
    ----------
    title : str
        Stands above the first.
    columns : sequence of str
        Names of the columns; all empty for a table without a head.
    rows : sequence of sequence of str
        Cells.
    width : int, optional
        Columns of a line; default: those of the terminal.
    """
    width = width or line_width()
    head = any(columns)
    if _natural_width([columns, *rows]) <= width or not head or not rows:
        yield _draw(title, columns, rows, head)
        return
    side_by_side = _most_that_fit(columns, rows, width)
    for some in _in_parts(rows, side_by_side):
        names, *others = zip(columns, *some, strict=True)
        yield _draw(title if some[0] is rows[0] else "", names, others, True)


def wrapped(key: str, text: str, indent: int, width: int | None = None) -> str:
    """Write a name and what it is, over as many lines as it takes; words longer than a line stay whole."""
    given = textwrap.fill(
        text,
        max(width or line_width(), 2 * indent),
        initial_indent=f"{key:{indent}}",
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return given or key


def _natural_width(lines: Sequence[Sequence[str]]) -> int:
    widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
    return _BORDER + sum(widths) + _GAP * len(widths)


def _most_that_fit(columns: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> int:
    return max((n for n in range(2, len(rows) + 1) if _all_fit(columns, rows, n, width)), default=1)


def _all_fit(columns: Sequence[str], rows: Sequence[Sequence[str]], side_by_side: int, width: int) -> bool:
    turned = (list(zip(columns, *part, strict=True)) for part in _in_parts(rows, side_by_side))
    return all(_natural_width(lines) <= width for lines in turned)


def _in_parts(rows: Sequence[Sequence[str]], size: int) -> Iterator[Sequence[Sequence[str]]]:
    return (rows[start : start + size] for start in range(0, len(rows), size))


def _draw(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], head: bool) -> "Table":
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=title or None, title_justify="left", show_header=head)
    for name in columns:
        table.add_column(escape(name), overflow="fold")
    for row in rows:
        table.add_row(*map(escape, row))
    return table
