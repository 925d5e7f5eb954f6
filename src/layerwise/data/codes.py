"""Numbers that probably stand for missing values, since they are far from all others."""

import numpy as np
from numpy.typing import NDArray

from layerwise.data.reports import show

CODES = (255, 65535, 99, 999, 9999, 32767, -1, -9, -99, -999, -9999, -32768)
"""Numbers that people write for a missing value."""
TIMES = 10


def find_codes(values: NDArray[np.floating], what: str) -> list[tuple[int, str]]:
    """Find such numbers among the extremes of values.

    One is suspected where it lies farther from the others than these from each other, or ten times as far as any two
    neighbours of these, or alone below zero.

    Parameters
    ----------
    values : float array
        Of any shape; NaN does not count.
    what : str
        What they are, for the sentence: "responses".

    Returns
    -------
    list of (int, str)
        Each number, and a sentence that says how often it occurs and where the others lie.
    """
    distinct, counts = np.unique(values[~np.isnan(values)], return_counts=True)
    if len(distinct) < 3:
        return []
    found = []
    for code, count, rest in ((distinct[-1], counts[-1], distinct[:-1]), (distinct[0], counts[0], distinct[1:])):
        gap = min(abs(code - rest[0]), abs(code - rest[-1]))
        far = gap > min(rest[-1] - rest[0], TIMES * np.diff(rest).max())
        if code in CODES and (far or code < 0 <= rest[0]):
            times = "once" if count == 1 else f"{count} times"
            others = f"all other {what} are from {show(rest[0])} to {show(rest[-1])}"
            found.append((int(code), f"{show(int(code))} occurs {times}, and {others}"))
    return found
