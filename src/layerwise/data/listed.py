"""Which images a table of scores or LaMem's split files name; quick, for planning. Without pandas."""

import csv
import re
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from layerwise.data.problems import did_you_mean
from layerwise.files.mistaken import check_is_table

IMAGE_COLUMNS = ("image", "file", "filename", "file_name", "name", "stimulus")
SCORE_COLUMNS = ("score", "memorability", "hit_rate", "rating")
PARTS = ("train", "val", "test")
SPLIT_FILE = re.compile(rf"({'|'.join(PARTS)})_(\d+)\.txt")


def named_in_scores(scores: Path, image_column: str | None = None) -> set[str]:
    """List the images that a table of scores names, as `read_ratings` reads it.

    Raises
    ------
    ValueError
        The table cannot be read so, or its column of images is not clear.
    """
    header, *rows = read_rows(scores)
    found = with_usual_name(header, IMAGE_COLUMNS) if image_column is None else [image_column]
    if len(found) != 1 or header.count(found[0]) != 1:
        raise ValueError(f"it is not clear which column of {scores} names images")
    place = header.index(found[0])
    names = {row[place].strip() for row in rows if len(row) > place}
    return {str(PurePosixPath(name)) for name in names if name}


def read_rows(scores: Path) -> list[list[str]]:
    """Read the cells of a table of scores, the header first.

    Raises
    ------
    ValueError
        The table is empty, of another format, or cannot be read.
    """
    if scores.is_file():
        check_is_table(scores)
    try:
        with scores.open(encoding="utf-8-sig", newline="") as handle:
            header, *rows = csv.reader(handle)
    except (OSError, csv.Error, ValueError) as error:
        raise ValueError(f"the table of scores {scores} cannot be read ({error})") from error
    return [header, *rows]


def named_in_splits(files: Iterable[Path]) -> set[str]:
    """List the images that LaMem's split files name; lines that name none are left out."""
    lines = (line for file in files for line in file.read_text("utf-8-sig", "replace").splitlines())
    return {line.split(maxsplit=1)[0] for line in lines if line.strip()}


def with_usual_name(columns: Sequence[str], usual: Sequence[str]) -> list[str]:
    """List the columns that have a usual name, whatever their capitals, blanks and dashes."""
    return [column for column in columns if re.sub(r"[\s-]+", "_", column.strip().lower()) in usual]


def choose_column(columns: Sequence[str], given: str | None, usual: Sequence[str], what: str, path: Path) -> str:
    """Choose the column that is given, or the only one that has a usual name.

    Raises
    ------
    ValueError
        The given one is not there; none or several have a usual name.
    """
    if given is not None:
        if given not in columns:
            raise ValueError(f"{path} has no column {given!r}: {did_you_mean(given, columns)}")
        return given
    found = with_usual_name(columns, usual)
    if len(found) != 1:
        problem = f"the columns {', '.join(found)} all" if found else f"none of the columns {', '.join(columns)}"
        raise ValueError(
            f"in {path} {problem} could be the {what}s: name one with `{what}_column`, of a command with "
            f"--{what}-column (usual names: {', '.join(usual)}; columns are parted by commas)"
        )
    return found[0]
