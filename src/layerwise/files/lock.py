"""A lock on a file that is being made: other processes that would make it wait."""

import errno
import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
_log = logging.getLogger(__name__)


@contextmanager
def locked(target: str | Path) -> Iterator[None]:
    """Wait until no other process is at work on a file, and keep others waiting for as long as the block lasts.

    Parameters
    ----------
    target : path
        The file; its folder is made. The lock is a hidden file beside it, and ends with the process that holds it,
        however that ends. On a file system without locks nobody waits, and a warning is logged.
    """
    target = Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    path = target.with_name(f".{target.name}.lock")
    handle = _take(path)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)  # before it is released: see _take
        os.close(handle)


def _take(path: Path) -> int:
    while True:
        handle = _open(path)
        try:
            _lock(handle, path)
            # The process that held the lock removes its file: then others lock a new file of that name.
            if _is_at(handle, path):
                return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


def _open(path: Path) -> int:
    """Open the file of a lock; whoever may write in its folder may wait for it, also for one of another user."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
    except FileExistsError:
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    os.fchmod(handle, path.parent.stat().st_mode & 0o666)
    return handle


def _is_at(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


def _lock(handle: int, path: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        _log.warning("waiting for another process, which makes the same file (%s)", path)
        fcntl.flock(handle, fcntl.LOCK_EX)
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        _log.warning("the file system of %s has no locks: make the same file in one job at a time", path.parent)
