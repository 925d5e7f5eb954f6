"""A file that another user keeps to themselves, told in a sentence."""

import os
import stat
from collections.abc import Callable
from getpass import getuser
from pathlib import Path


def explain_denial(error: Exception) -> str:
    """Return what a PermissionError says, whose file it is, and what to do; of any other error what it says itself."""
    if not isinstance(error, PermissionError) or not error.filename:
        return str(error)
    return f"{error.strerror}: {error.filename}; {_whose(_nearest(Path(os.fsdecode(error.filename))))}"


def require_writable(folder: str | Path) -> None:
    """See that files can be made in a folder, or in the nearest one above it that is there.

    Raises
    ------
    ValueError
        They cannot; the message says whose it is.
    """
    there = _nearest(Path(folder))
    if not os.access(there, os.W_OK | os.X_OK):
        raise ValueError(f"nothing can be written in {folder}; {_whose(there)}")


def _nearest(path: Path) -> Path:
    """Return a path, or the nearest above it of which anything is known."""
    return next((place for place in (path, *path.absolute().parents) if os.access(place, os.F_OK)), Path("/"))


def _whose(place: Path) -> str:
    found = place.stat()
    mode, owner, group = (
        stat.filemode(found.st_mode),
        _named(place.owner, found.st_uid),
        _named(place.group, found.st_gid),
    )
    return (
        f"{place} is {mode} of {owner}, group {group}, and you are {getuser()}: have it opened for you "
        "(`chmod -R g+rwX`, and `umask 002` where it is written), or use a place of your own"
    )


def _named(find: Callable[[], str], number: int) -> str:
    """Return the name of a user or group, or its number where this machine knows no name."""
    try:
        return find()
    except KeyError:
        return str(number)
