"""From single presentations, in any order, to arrays ordered by stimulus and repetition."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from layerwise.interfaces import agreeing

LARGE = 2 * 10**9  # bytes from which empty cells are counted
SPARSE = 4  # cells for each presentation that are many


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
        A stimulus has two different responses of one neuroid in one repetition; or the result would be large and
        mostly empty, as where a number of the trial is given as the repetition.
    """
    ids, rows = np.unique(stimuli, return_inverse=True)
    if repetitions is None:
        labels, layers = np.arange(np.bincount(rows).max()), _number(rows)
    else:
        labels, layers = np.unique(repetitions, return_inverse=True)
    _check_size(responses, ids, rows, len(labels))
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
    differing = _differing(name, values, stimuli)
    if differing:
        raise ValueError(f"{differing}: correct it")
    return values[np.unique(stimuli, return_index=True)[1]]


def properties_of(
    columns: Mapping[str, NDArray[np.generic]], stimuli: NDArray[np.str_]
) -> tuple[dict[str, NDArray[np.generic]], dict[str, str]]:
    """Part the properties of stimuli from those of presentations, in which the presentations of one stimulus differ.

    Parameters
    ----------
    columns : mapping of str to array [presentation]
        Properties by name.
    stimuli : str array [presentation]
        What was shown.

    Returns
    -------
    kept : dict of str to array [stimulus]
        In the order of the sorted ids.
    varying : dict of str to str
        For each other property, a sentence that says where it differs.
    """
    varying = {name: _differing(name, values, stimuli) for name, values in columns.items()}
    kept = {name: property_of(name, values, stimuli) for name, values in columns.items() if not varying[name]}
    return kept, {name: sentence for name, sentence in varying.items() if sentence}


def is_empty(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Find what a property does not say: NaN among numbers, the empty string among words.

    Parameters
    ----------
    values : array [stimulus]
        The property.

    Returns
    -------
    bool array [stimulus]
        Whether it says nothing of the stimulus.
    """
    return np.asarray(np.isnan(values) if values.dtype.kind == "f" else values == "")


def _differing(name: str, values: NDArray[np.generic], stimuli: NDArray[np.str_]) -> str:
    """Return where presentations of one stimulus differ; empty if none do."""
    _, first, rows = np.unique(stimuli, return_index=True, return_inverse=True)
    expected = values[first][rows]
    differs = (values != expected) & ~((values != values) & (expected != expected))  # NaN equals NaN here
    if not differs.any():
        return ""
    where, count = int(np.flatnonzero(differs)[0]), len(np.unique(rows[differs]))
    return (
        f"presentations of {count} of {len(first)} stimuli {agreeing(count, 'differs', 'differ')} in {name!r} "
        f"(stimulus '{stimuli[where]}': {expected[where]} in presentation {first[rows[where]] + 1}, {values[where]} in "
        f"presentation {where + 1})"
    )


def _check_size(
    responses: NDArray[np.floating], ids: NDArray[np.str_], rows: NDArray[np.intp], n_repetitions: int
) -> None:
    """Count the cells of [repetition, stimulus, neuroid] before they take memory."""
    n_cells, n_filled = n_repetitions * len(ids), len(rows)
    size = n_cells * responses.shape[1] * responses.itemsize
    if size < LARGE or n_cells < SPARSE * n_filled:
        return
    shown = np.bincount(rows)
    advice = (
        "a repetition is the first, second, ... presentation of one stimulus, not the number of the trial: number them "
        "so, or leave `repetition` out, and they are numbered in their order"
        if n_repetitions > shown.max()
        else f"leave presentations of '{ids[shown.argmax()]}' out, or give it several ids"
    )
    raise ValueError(
        f"there are {n_repetitions} repetitions of {len(ids)} stimuli, each shown {shown.min()} to {shown.max()} "
        f"times: [repetition, stimulus, neuroid] would take {size / 1e9:.1f} GB, of which {n_filled / n_cells:.2%} are "
        f"responses; {advice}"
    )


def _number(rows: NDArray[np.intp]) -> NDArray[np.intp]:
    order = np.argsort(rows, kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(rows))[:-1]])
    numbers = np.empty_like(rows)
    numbers[order] = np.arange(len(rows)) - starts[rows[order]]
    return numbers
