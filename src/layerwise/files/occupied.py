"""A folder that one program at a time writes: a file in it that is renewed while that program runs, on any disk.

No lock of the file system is needed, which a cluster's may not have. Who ended on this machine, however, is known to be
gone; who is on another one counts as gone if the file was not renewed for a while.
"""

import atexit
import json
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from filelock import LeaseCompromise, SoftFileLease, Timeout

MARKER, NOTE = ".in-use.lock", ".in-use.json"
LASTS = 120.0  # seconds without renewal; a file is renewed four times as often
AT_ONCE = 3.0  # seconds in which a file is taken over that a process of this machine left

_occupied: dict[Path, SoftFileLease] = {}


def occupy(folder: str | Path, tell: Callable[[str], None], lasts: float = LASTS) -> None:
    """Keep a folder to this process until it ends, however that ends.

    Parameters
    ----------
    folder : path
        It is made. Two hidden files in it say who keeps it, and from where; they are removed at the end.
    tell : callable
        Takes a message: that another machine is waited for, or that another process has taken the folder over.
    lasts : float
        Seconds after which one on another machine that did not renew its file counts as gone; the same for all.

    Raises
    ------
    ValueError
        Another process keeps it; the message says which, where, since when, and what to do.
    """
    folder = Path(folder).resolve()
    if folder in _occupied:
        return
    folder.mkdir(parents=True, exist_ok=True)
    lease = SoftFileLease(
        folder / MARKER,
        lease_duration=lasts,
        heartbeat_interval=lasts / 4,
        on_compromise=lambda lost: tell(_taken_over(folder, lost)),
    )
    _acquire(lease, folder, tell)
    _occupied[folder] = lease
    atexit.register(leave, folder)
    with suppress(OSError):  # it serves a message alone
        (folder / NOTE).write_text(json.dumps(_note()), encoding="utf-8")


def leave(folder: str | Path) -> None:
    """Let others have a folder; nothing happens if it is not kept."""
    folder = Path(folder).resolve()
    lease = _occupied.pop(folder, None)
    if lease is None:
        return
    with suppress(OSError):
        if lease.is_lock_held_by_us:
            (folder / NOTE).unlink(missing_ok=True)
        lease.release()


def _acquire(lease: SoftFileLease, folder: Path, tell: Callable[[str], None]) -> None:
    try:
        with suppress(Timeout):
            lease.acquire(timeout=AT_ONCE)
            return
        if _elsewhere(lease):
            tell(f"{_who(lease, folder)} may be gone: waiting {lease.lease_duration:.0f} s for a sign of it")
            with suppress(Timeout):
                lease.acquire(timeout=lease.lease_duration + AT_ONCE, poll_interval=lease.lease_duration / 60)
                return
    except PermissionError:  # of a file of another user
        if lease.owner is None:
            raise
    raise ValueError(
        f"{folder} is in use by another run, {_who(lease, folder)}: let that end, or stop it there, or have this one "
        f"write elsewhere; if the other runs no more, delete {folder / MARKER}"
    )


def _elsewhere(lease: SoftFileLease) -> bool:
    owner = lease.owner
    return owner is not None and owner.hostname.partition("?")[0] != socket.gethostname()


def _who(lease: SoftFileLease, folder: Path) -> str:
    """Describe who keeps a folder."""
    owner, note = lease.owner, _read(folder / NOTE)
    if owner is None:
        return "of which nothing is known"
    who = f"process {owner.pid} on {owner.hostname.partition('?')[0]}"
    return f"{who} in {note['folder']} since {note['since']}" if note.get("pid") == owner.pid else who


def _note() -> dict[str, object]:
    since = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return {"pid": os.getpid(), "folder": str(Path.cwd()), "since": since}


def _read(path: Path) -> dict[str, object]:
    with suppress(OSError, ValueError):
        note = json.loads(path.read_text(encoding="utf-8"))
        return note if isinstance(note, dict) and {"pid", "folder", "since"} <= set(note) else {}
    return {}


def _taken_over(folder: Path, lost: LeaseCompromise) -> str:
    return (
        f"{folder} is not kept for this run any more ({lost.reason}): it was suspended, or the disk did not answer, "
        "for so long that another may have started; end one of them, since each removes what it is about to make"
    )
