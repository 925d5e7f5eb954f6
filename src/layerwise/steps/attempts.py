"""Mistakes that another attempt at the same job would only repeat: it ends at once, with the same sentence.

Snakemake cannot tell failures apart, and a profile's `retries` start a job again after each. In jobs of a cluster the
workflow says which attempt this is, and names a folder in which a failed attempt leaves what it said. The workflow
empties the folder when a run starts, since its user may have mended the mistake.
"""

import hashlib
import os
import sys
from contextlib import suppress
from pathlib import Path

from layerwise.interfaces.environment import ATTEMPT, MISTAKES

ROOM = 4096  # bytes that are written beforehand, and over which a mistake is: when the disk is full it is too late


class RepeatedError(ValueError):
    """An earlier attempt ended with a mistake; the message is what it said."""


def refuse_to_repeat() -> None:
    """End an attempt whose forerunner ended with a mistake; make room for the sentence of this one.

    Raises
    ------
    RepeatedError
        It did.
    """
    file = _file()
    if file is None:
        return
    told = _read(file) if os.environ.get(ATTEMPT, "1") != "1" else ""
    if told:
        raise RepeatedError(f"{told} (so said an earlier attempt of this run: not tried again)")
    with suppress(OSError):  # the job does not fail for this
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b" " * ROOM)


def note_mistake(sentence: str) -> None:
    """Leave a sentence for the next attempt, in the room that was made for it."""
    file = _file()
    if file is not None:
        with suppress(OSError), file.open("r+b") as handle:
            handle.write(sentence.encode()[:ROOM])


def forget() -> None:
    """Remove the room where nothing was noted."""
    file = _file()
    if file is not None and not _read(file):
        with suppress(OSError):
            file.unlink(missing_ok=True)


def _file() -> Path | None:
    """Return where attempts at this command note their mistakes; None if nobody will attempt it again."""
    folder = os.environ.get(MISTAKES)
    return Path(folder) / hashlib.sha256("\0".join(sys.argv[1:]).encode()).hexdigest()[:32] if folder else None


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
