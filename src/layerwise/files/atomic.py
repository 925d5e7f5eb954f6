"""Whole files or none: write to a temporary name beside the target, then rename."""

import errno
import os
import re
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex

NO_ROOM = (errno.ENOSPC, errno.EDQUOT)  # the disk is full, or one's quota of it


@contextmanager
def atomic_path(target: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `target`; rename it to `target` if the block ends well, else remove it.

    Parameters
    ----------
    target : path
        The file to write; its folder is made. It keeps its ending while temporary, since some writers (figures,
        for one) choose the format by it. What killed processes of this machine left of it is removed. A link stays,
        and the file that it leads to is written.

    Raises
    ------
    OSError
        The disk is full, or the folder cannot be written; nothing is left behind.
    ValueError
        As `writable`.
    """
    target = writable(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(target)
    owner = f"{socket.gethostname()}-{os.getpid()}"
    temporary = target.with_name(f".{target.stem}-{owner}-{token_hex(4)}{target.suffix}")
    try:  # before there is a file: a signal may come at any moment
        temporary.touch(exist_ok=False)
        yield temporary
        move_whole(temporary, target)
    except OSError as error:
        if error.errno in NO_ROOM and error.filename is None:  # a write that fails names no file
            error.filename = str(target)
        raise
    finally:
        temporary.unlink(missing_ok=True)


def move_whole(temporary: Path, target: Path) -> None:
    """Rename a complete file to its name, or over what has it; both are on one disk."""
    _flush(temporary)
    temporary.replace(target)


def writable(target: str | Path) -> Path:
    """Return the path to which a file is renamed when it is complete: the end of any links.

    Raises
    ------
    ValueError
        There is something else than a file at it (a folder, a device, a pipe), which renaming would replace, or not be
        able to; or one of its folders is none.
    """
    target = Path(target)
    try:
        mode = target.stat().st_mode
    except FileNotFoundError:
        pass
    except NotADirectoryError:
        raise ValueError(f"{target} cannot be written: one of its folders is a file") from None
    else:
        if not stat.S_ISREG(mode):
            kind = _KINDS.get(stat.S_IFMT(mode), "no regular file")
            raise ValueError(f"{target} is {kind}: name a file, which is written whole, by renaming")
    return Path(os.path.realpath(target)) if target.is_symlink() else target


_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
}


def _remove_leftovers(target: Path) -> None:
    # A process that is killed cannot tidy up. Its number is in the name, and means something on this machine alone.
    known = re.escape(f".{target.stem}-{socket.gethostname()}-")
    pattern = re.compile(rf"{known}(\d+)-\w+{re.escape(target.suffix)}")
    for path in target.parent.iterdir():
        match = pattern.fullmatch(path.name)
        if match and not runs(int(match[1])):
            path.unlink(missing_ok=True)


def runs(process: int) -> bool:
    """Return whether a process of this machine is there, whosever it is."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it is there, and another user's
        return True
    return True


def _flush(path: Path) -> None:
    # On a network file system a rename can overtake the data unless they are on disk first.
    with path.open("rb") as handle:
        os.fsync(handle.fileno())
