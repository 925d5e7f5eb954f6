"""Which of a user's files are there, and whether they changed."""

from collections.abc import Iterable
from functools import cache
from pathlib import Path

from layerwise.data.folders import ENDINGS
from layerwise.files import hash_object


def present(paths: Iterable[Path]) -> list[str]:
    """Give the files that exist.

    A file that is not there yet is left out rather than asked for, so that a study can be planned on a clone without
    data; the step that needs it says what is missing.
    """
    return [str(path) for path in paths if path.is_file()]


@cache
def fingerprint(folder: Path) -> str:
    """Hash names, sizes and times of the images in a folder and below, so that a changed one makes its pixels stale.

    Taken once in a process: networks of many geometries ask for the same folder. One that is not there has the
    fingerprint of an empty one, and links that lead nowhere count as little.
    """
    images = (path for path in folder.rglob("*") if path.suffix.lower() in ENDINGS)
    return hash_object(sorted((str(path.relative_to(folder)), *_size_and_time(path)) for path in images))


def _size_and_time(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError:
        return 0, 0
    return status.st_size, status.st_mtime_ns
