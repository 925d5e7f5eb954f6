"""Reads the CSV tables that people write, as text, and says what is wrong with them."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from layerwise.files import reraise_memory


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
        The file is missing, no CSV, parted by semicolons or tabs, without rows, or has nameless columns or two of one
        name.
    """
    if not path.is_file():
        raise ValueError(f"no {what} {path}: check its path")
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
    """Give a column as whole numbers or as numbers if all its texts are such, else as text."""
    numbers = pd.to_numeric(texts, errors="coerce")
    if numbers.isna().any():
        return texts.to_numpy(dtype=np.str_)
    whole = texts.str.fullmatch(r"[+-]?\d+").all()
    return numbers.to_numpy(dtype=np.int64 if whole else np.float64)


def _check_commas(columns: Sequence[str], path: Path) -> None:
    for name, sign in (("semicolons", ";"), ("tabs", "\t")):
        if len(columns) == 1 and sign in columns[0]:
            raise ValueError(
                f"the fields of {path} are parted by {name}: export it with commas between fields and points in numbers"
            )
