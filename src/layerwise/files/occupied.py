"""A folder that one program at a time writes: a file in it that is renewed while that program runs, on any disk.

No lock of the file system is needed, which a cluster's may not have. Who ended on this machine is known to be gone; who
is on another one, or left an empty file, counts as gone if the file was not renewed for a while.
"""

import atexit
import json
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex

from filelock import LeaseCompromise, SoftFileLease, Timeout

from layerwise.files.atomic import runs
from layerwise.files.lock import locked

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
        Takes a message: that a sign of another one is waited for, or that another process has taken the folder over.
    lasts : float
        Seconds after which one that did not renew its file counts as gone, if nothing says whether it runs: it is on
        another machine, or its file is empty, as of one that was killed when it made it. The same for all.

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
        if _may_be_gone(lease):
            before = _sign(folder / MARKER)
            tell(f"{_who(lease, folder)} may be gone: waiting {lease.lease_duration:.0f} s for a sign of it")
            with suppress(Timeout):
                lease.acquire(timeout=lease.lease_duration + AT_ONCE, poll_interval=lease.lease_duration / 60)
                return
            _take_away(folder / MARKER, before)
            with suppress(Timeout):
                lease.acquire(timeout=AT_ONCE)
                return
    except PermissionError:  # of a file of another user
        if not (folder / MARKER).exists():
            raise
    raise ValueError(
        f"{folder} is in use by another run, {_who(lease, folder)}: let that end, or stop it there, or have this one "
        f"write elsewhere; if the other runs no more, delete {folder / MARKER}"
    )


def _may_be_gone(lease: SoftFileLease) -> bool:
    """Return whether nothing says that the other runs: its file is empty, or it is on another machine or has ended."""
    owner = lease.owner
    if owner is None:
        return True
    elsewhere = owner.hostname.partition("?")[0] != socket.gethostname()
    return owner.mode == "lease" and (elsewhere or not runs(owner.pid))


def _sign(path: Path) -> tuple[int, int] | None:
    """Return what changes when a file is renewed, or another one takes its name; nothing if there is none."""
    with suppress(FileNotFoundError):
        found = path.lstat()
        return found.st_ino, found.st_mtime_ns
    return None


def _take_away(marker: Path, judged: tuple[int, int] | None) -> None:
    """Remove the file of one who gave no sign, where filelock leaves it.

    So it does of an empty file, whose process was killed before it wrote its name, and where a disk cannot swap two
    names in one step (NFS). One process at a time does it. Who starts in that moment may make a file of its own, which
    is put back if it was taken.
    """
    aside = marker.with_name(f"{marker.name}.gone-{token_hex(4)}")
    with suppress(OSError), locked(marker):
        if judged is None or _sign(marker) != judged:
            return
        marker.rename(aside)
        try:
            if _sign(aside) != judged:
                os.link(aside, marker)  # never over a third one; who loses its file so says that it did
        finally:
            aside.unlink()


def _who(lease: SoftFileLease, folder: Path) -> str:
    """Describe who keeps a folder."""
    owner, note = lease.owner, _read(folder / NOTE)
    if owner is None:
        return "one of which nothing is known"
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
