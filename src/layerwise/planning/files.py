"""Which of a user's files are there, and whether they changed."""

from collections.abc import Iterable
from pathlib import Path

from layerwise.files import hash_object


def present(paths: Iterable[Path]) -> list[str]:
    """Give the files that exist.

    A file that is not there yet is left out rather than asked for, so that a study can be planned on a clone without
    data; the step that needs it says what is missing.
    """
    return [str(path) for path in paths if path.is_file()]


def fingerprint(folder: Path) -> str:
    """Hash names, sizes and times of a folder's files, so that a changed image makes its pixels stale.

    A folder that is not there has the fingerprint of an empty one.
    """
    if not folder.is_dir():
        return hash_object([])
    entries = ((path.name, path.stat()) for path in folder.iterdir() if path.is_file())
    return hash_object(sorted((name, status.st_size, status.st_mtime_ns) for name, status in entries))
