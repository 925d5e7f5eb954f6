"""Distances between stimuli (RDMs), as a CSV: names of image files in its first row and column."""

import csv
from functools import cache
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from layerwise.data.problems import list_problems
from layerwise.interfaces import Distances, counted

LEAST = 4  # stimuli
ALIKE = 1e-6  # of the largest distance: what the two halves of a matrix may differ by, written with few digits


def is_rdm(path: str | Path) -> bool:
    """Whether a file is such a CSV, by its name."""
    return Path(path).suffix.lower() == ".csv"


def names_itself(path: str | Path) -> bool:
    """Whether a table looks like distances: its second row begins with a name that is in its first, too."""
    with Path(path).open(encoding="utf-8-sig", errors="replace", newline="") as file:
        try:
            rows = [[cell.strip() for cell in row] for row in islice(csv.reader(file), 2)]
        except csv.Error:
            return False
    return len(rows) == 2 and bool(rows[1]) and rows[1][0] in rows[0][1:]


def list_rdm(path: str | Path) -> tuple[str, ...]:
    """List the names of the images, in the order of the file.

    Raises
    ------
    ValueError
        As `read_rdm`, of the names.
    """
    return _read(Path(path), *_sign(Path(path)))[0]


def read_rdm(path: str | Path) -> Distances:
    """Read distances between stimuli.

    Raises
    ------
    ValueError
        The file is missing or no such CSV; rows and columns are named otherwise, or one twice; there are fewer than
        four stimuli; a distance is missing, infinite or no number; the matrix is not symmetric, not zero on its
        diagonal, or all distances are the same.
    """
    names, matrix = _read(Path(path), *_sign(Path(path)))
    _check(names, matrix, Path(path))
    order = np.argsort(names)
    symmetric = (matrix + matrix.T)[np.ix_(order, order)] / 2
    return Distances(tuple(sorted(names)), symmetric)


@cache
def _read(path: Path, *sign: int) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    """Read names and numbers; once, since planning asks for each network."""
    from layerwise.data.tables import read_text_table  # here: it needs pandas, and few studies have such a file

    table = read_text_table(path, "table of distances", "stimulus")
    columns = [str(name) for name in table.columns[1:]]
    rows = [name.strip() for name in table.iloc[:, 0]]
    if len(set(rows)) < len(rows):
        twice = sorted({name for name in rows if rows.count(name) > 1})
        raise ValueError(f"{path}: {list_problems(twice, 'stimulus has', 'stimuli have', 'more than one row')}")
    if sorted(rows) != sorted(columns):
        strange = sorted({*rows} ^ {*columns})
        raise ValueError(
            f"{path} is no table of distances: its first column must name the same stimuli as its first row, and "
            f"{strange[0]!r} is in one of them alone"
        )
    numbers = table[rows].map(_number).to_numpy(float)
    return tuple(rows), numbers


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return np.nan


def _check(names: tuple[str, ...], matrix: NDArray[np.float64], path: Path) -> None:
    if len(names) < LEAST:
        raise ValueError(f"{path} has distances between {len(names)} stimuli: RSA needs {LEAST} or more")
    broken = ~np.isfinite(matrix)
    if broken.any():
        raise ValueError(
            f"{path}: {broken.sum()} of {matrix.size} distances are missing, infinite or no numbers (first: "
            f"{_pair(names, broken)}): fill them in, or leave these stimuli out"
        )
    largest = np.abs(matrix).max()
    uneven = np.abs(matrix - matrix.T) > ALIKE * largest
    if uneven.any():
        raise ValueError(
            f"{path} is not symmetric: {counted(uneven.sum() // 2, 'pair of stimuli has', 'pairs of stimuli have')} "
            f"two distances (first: {_pair(names, uneven)}); give the same in both directions"
        )
    if np.abs(np.diag(matrix)).max() > ALIKE * largest:
        raise ValueError(
            f"{path} has distances of stimuli from themselves that are not 0: if it holds similarities, such as "
            "correlations r, give 1 - r"
        )
    pairs = matrix[np.triu_indices(len(names), 1)]
    if np.ptp(pairs) <= 1e-12 * largest:
        raise ValueError(f"{path}: all distances are the same ({pairs[0]:g}), so that nothing can correlate with them")


def _pair(names: tuple[str, ...], where: NDArray[np.bool_]) -> str:
    row, column = np.argwhere(where)[0]
    return f"{names[row]!r} and {names[column]!r}"


def _sign(path: Path) -> tuple[int, ...]:
    if not path.is_file():
        raise ValueError(f"no table of distances {path}: check the path in the config")
    status = path.stat()
    return status.st_mtime_ns, status.st_size, status.st_ino
