"""From single presentations, in any order, to arrays ordered by stimulus and repetition."""

import numpy as np
from numpy.typing import NDArray


def arrange(
    responses: NDArray[np.floating], stimuli: NDArray[np.str_], repetitions: NDArray[np.generic] | None
) -> tuple[NDArray[np.floating], tuple[str, ...]]:
    """Order presentations by stimulus and repetition.

    Parameters
    ----------
    responses : float array [presentation, neuroid]
        NaN where a neuroid was not recorded.
    stimuli : str array [presentation]
        What was shown.
    repetitions : array [presentation] or None
        Which repetition it was, under any labels; None numbers each stimulus's presentations in order.

    Returns
    -------
    responses : float array [repetition, stimulus, neuroid]
        NaN where a stimulus was not shown.
    stimuli : tuple of str
        Ids, sorted.

    Raises
    ------
    ValueError
        A stimulus has two different responses of one neuroid in one repetition.
    """
    ids, rows = np.unique(stimuli, return_inverse=True)
    if repetitions is None:
        labels, layers = np.arange(np.bincount(rows).max()), _number(rows)
    else:
        labels, layers = np.unique(repetitions, return_inverse=True)
    cells = layers * len(ids) + rows
    filled = np.full((len(labels) * len(ids), responses.shape[1]), np.nan, responses.dtype)
    _, first, cell_of = np.unique(cells, return_index=True, return_inverse=True)
    filled[cells[first]] = responses[first]
    # Sessions that recorded different neuroids may share a repetition: they complete each other.
    for again in np.setdiff1d(np.arange(len(cells)), first, assume_unique=True):
        cell, new = filled[cells[again]], responses[again]
        if np.any(np.isfinite(cell) & np.isfinite(new) & (cell != new)):
            raise ValueError(
                f"stimulus '{stimuli[again]}' was presented twice in repetition {labels[layers[again]]} (presentations "
                f"{first[cell_of[again]] + 1} and {again + 1}), with different responses: give each its own "
                "repetition, or leave both out"
            )
        np.copyto(cell, new, where=np.isnan(cell))
    return filled.reshape(len(labels), len(ids), -1), tuple(ids.tolist())


def property_of(name: str, values: NDArray[np.generic], stimuli: NDArray[np.str_]) -> NDArray[np.generic]:
    """Take a property of the stimuli from the presentations.

    Parameters
    ----------
    name : str
        Name of the property, for the message.
    values : array [presentation]
        The property.
    stimuli : str array [presentation]
        What was shown.

    Returns
    -------
    array [stimulus]
        In the order of the sorted ids.

    Raises
    ------
    ValueError
        Presentations of one stimulus differ in it.
    """
    _, first, rows = np.unique(stimuli, return_index=True, return_inverse=True)
    expected = values[first][rows]
    differs = (values != expected) & ~((values != values) & (expected != expected))  # NaN equals NaN here
    if differs.any():
        where = int(np.flatnonzero(differs)[0])
        raise ValueError(
            f"the property {name!r} of stimulus '{stimuli[where]}' is {expected[where]} in presentation "
            f"{first[rows[where]] + 1} and {values[where]} in presentation {where + 1}: correct it, or drop it if it "
            "does not describe stimuli"
        )
    return values[first]


def _number(rows: NDArray[np.intp]) -> NDArray[np.intp]:
    order = np.argsort(rows, kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(rows))[:-1]])
    numbers = np.empty_like(rows)
    numbers[order] = np.arange(len(rows)) - starts[rows[order]]
    return numbers
