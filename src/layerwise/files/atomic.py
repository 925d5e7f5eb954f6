"""Whole files or none: write to a temporary name beside the target, then rename."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_path(target: str | Path) -> Iterator[Path]:
    """Give a temporary path beside `target`; rename it to `target` if the block ends well, else remove it.

    Parameters
    ----------
    target : path
        The file to write; its folder is made. It keeps its ending while temporary, since some writers (figures,
        for one) choose the format by it.

    Raises
    ------
    OSError
        The disk is full, or the folder cannot be written; nothing is left behind.
    """
    target = Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.stem}-", suffix=target.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        _apply_umask(temporary)
        _flush(temporary)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def _apply_umask(path: Path) -> None:
    # mkstemp makes files that only their owner can read; results of a study are shared in a group.
    umask = os.umask(0)
    os.umask(umask)
    path.chmod(0o666 & ~umask)


def _flush(path: Path) -> None:
    # On a network file system a rename can overtake the data unless they are on disk first.
    with path.open("rb") as handle:
        os.fsync(handle.fileno())
