"""Read CSV tables that people write, as text, and say what is wrong with them."""

import math
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from layerwise.files import reraise_memory
from layerwise.files.mistaken import check_is_table

# Leading zeros mark a label.
_WHOLE = re.compile(r"[+-]?(?:0|[1-9][0-9]*)")
_NUMBER = re.compile(r"[+-]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")


def read_text_table(path: Path, what: str, row: str) -> pd.DataFrame:
    """Read a CSV of UTF-8 text; nothing is taken for a number yet.

    Parameters
    ----------
    path : Path
        The file.
    what : str
        What it is, for messages: "table of scores".
    row : str
        What a row is: "image".

    Returns
    -------
    DataFrame
        Strings, with empty lines left out; the line in the file is the index plus 2.

    Raises
    ------
    ValueError
        The file is missing, of another format, no CSV, parted by semicolons or tabs, without rows, or has nameless
        columns or two of one name.
    """
    if not path.is_file():
        raise ValueError(f"no {what} {path}: check its path")
    check_is_table(path)
    as_text: dict[str, Any] = {"dtype": str, "keep_default_na": False, "encoding": "utf-8-sig"}
    try:
        names = pd.read_csv(path, header=None, nrows=1, skip_blank_lines=False, **as_text).iloc[0].tolist()
        table: pd.DataFrame = pd.read_csv(path, skip_blank_lines=False, **as_text).fillna("")
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        reraise_memory(error, f"reading {path}")
        raise ValueError(
            f"{path} is not a CSV with a row for each {row}, in UTF-8 ({error}): export it again"
        ) from error
    _check_commas([str(column) for column in table.columns], path)
    twice = [name for name, count in Counter(names).items() if name and count > 1]
    if twice:
        raise ValueError(f"{path} has several columns {twice[0]!r}: which one counts? Rename the others")
    if not isinstance(table.index, pd.RangeIndex):
        raise ValueError(f"the rows of {path} have more fields than its first line has names: name each column")
    table = table[(table != "").any(axis=1)]
    if table.empty:
        raise ValueError(f"{path} has no rows: it needs one for each {row}, below a line with the names of the columns")
    return table


def as_values(texts: pd.Series) -> NDArray[np.generic]:
    """Return a column as integers or numbers if these keep all information of its texts, else as text.

    Labels are often digits: `01` beside `1`, or 20 digits that no number of 64 bits holds, would become one.
    """
    kinds = set(texts)
    whole = all(_WHOLE.fullmatch(text) for text in kinds)
    if not whole and not all(_NUMBER.fullmatch(text) for text in kinds):
        return texts.to_numpy(dtype=np.str_)
    numbers = {text: int(text) if whole else float(text) for text in kinds}
    if len(set(numbers.values())) < len(kinds) or not all(_is_kept(text, numbers[text]) for text in kinds):
        return texts.to_numpy(dtype=np.str_)
    return np.array([numbers[text] for text in texts], dtype=np.int64 if whole else np.float64)


def _is_kept(text: str, number: float) -> bool:
    """Return whether a number of 64 bits holds a whole number to its last digit; others are measured, and rounded."""
    if isinstance(number, int):
        return -(2**63) <= number < 2**63
    return math.isfinite(number) and (not _WHOLE.fullmatch(text) or int(text) == number)


def _check_commas(columns: Sequence[str], path: Path) -> None:
    for name, sign in (("semicolons", ";"), ("tabs", "\t")):
        if len(columns) == 1 and sign in columns[0]:
            raise ValueError(
                f"the fields of {path} are parted by {name}: export it with commas between fields and points in numbers"
            )
