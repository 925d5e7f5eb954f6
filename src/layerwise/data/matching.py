"""Which row of a table of stimuli a row of responses belongs to, told by ids rather than by the order."""

from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from layerwise.interfaces import counted


def match_rows(responses: pd.DataFrame, stimuli: pd.DataFrame, file: Path, table: Path) -> NDArray[np.intp]:
    """Match rows of a CSV of responses with rows of the table of stimuli, by the columns that both have.

    Parameters
    ----------
    responses : DataFrame
        Texts: the columns of the CSV that are no neuroids.
    stimuli : DataFrame
        Texts: a row for each stimulus or presentation.
    file, table : Path
        Their files, for messages.

    Returns
    -------
    int array [row of `stimuli`]
        The row of `responses` that belongs to it.

    Raises
    ------
    ValueError
        The rows are in another order, and the columns do not tell which belongs to which.
    """
    shared = [name for name in stimuli.columns if name in responses.columns]
    if len(responses) != len(stimuli) or not shared:  # their number is checked with that of arrays
        return np.arange(len(responses))
    keys = [_alike(stimuli[name], responses[name]) for name in shared]
    wanted, found = list(zip(*(one for one, _ in keys), strict=True)), list(zip(*(two for _, two in keys), strict=True))
    if wanted == found:
        return np.arange(len(responses))
    rows = {key: row for row, key in enumerate(found)}
    lacking = [row for row, key in enumerate(wanted) if key not in rows]
    if lacking or len(rows) < len(found):
        raise ValueError(_cannot_match(shared, stimuli, file, table, lacking))
    return np.array([rows[key] for key in wanted], dtype=np.intp)


def check_order(labels: Mapping[str, Sequence[str]], ids: Sequence[str], file: Path, table: Path) -> None:
    """Refuse responses beside which the same ids stand in another order than in their table.

    Parameters
    ----------
    labels : mapping of str to sequence of str
        Texts that lie beside the responses in their file, by their names.
    ids : sequence of str
        Those in the table.
    file, table : Path
        The two files, for messages.

    Raises
    ------
    ValueError
        One of `labels` holds the ids in another order.
    """
    for name, found in labels.items():
        if list(found) != list(ids) and sorted(found) == sorted(ids):
            row = next(row for row, pair in enumerate(zip(found, ids, strict=True)) if pair[0] != pair[1])
            raise ValueError(
                f"{name!r} in {file} holds the ids of {table} in another order (row {row + 1}: {found[row]!r} there, "
                f"{ids[row]!r} in the table): bring the rows of the table into the order of the responses"
            )


def _alike(one: pd.Series, two: pd.Series) -> tuple[list[str], list[str]]:
    """The texts of a column in both tables; numbers alike (1 and 1.0) where the texts themselves differ."""
    texts = [column.str.strip().tolist() for column in (one, two)]
    if set(texts[0]) != set(texts[1]):
        texts = [[_number(text) for text in column] for column in texts]
    return texts[0], texts[1]


def _number(text: str) -> str:
    try:
        return str(Decimal(text).normalize())
    except InvalidOperation:
        return text


def _cannot_match(shared: Sequence[str], stimuli: pd.DataFrame, file: Path, table: Path, lacking: Sequence[int]) -> str:
    names = " and ".join(map(repr, shared))
    if lacking:
        key = ", ".join(str(stimuli[name].iloc[lacking[0]]) for name in shared)
        reason = (
            f"{counted(len(lacking), 'row')} of {table} without a row in {file} with the same {names} (first: {key})"
        )
    else:
        reason = f"the rows of {file} are in another order than those of {table}, and several have the same {names}"
    return (
        f"{reason}: rows are matched by the columns that both have, so correct these, add one that tells rows apart "
        "(stimulus, repetition), or leave the columns out of the responses if the order is right"
    )
