"""Mistakes that another attempt at the same job would only repeat: it ends at once, with the same sentence.

Snakemake cannot tell failures apart, and a profile's `retries` start a job again after each. In jobs of a cluster the
workflow says which attempt this is, and names a folder in which a failed attempt leaves what it said. The workflow
empties the folder when a run starts, since its user may have mended the mistake.
"""

import hashlib
import os
import re
import sys
from contextlib import suppress
from io import FileIO
from pathlib import Path

from layerwise.interfaces.environment import ATTEMPT, MISTAKES
from layerwise.steps.cluster import NUMBER

ROOM = 4096  # bytes that are written beforehand, and over which a mistake is: when the disk is full it is too late
SENTENCE = re.compile(r"[.;!?](?= )|\n")  # where one ends


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
    """Leave what a mistake said for the next attempt: whole, or what fits the room that was made for it."""
    file = _file()
    if file is None:
        return
    with suppress(OSError), file.open("r+b", buffering=0) as handle:
        if not _written(handle, sentence.encode()):
            handle.seek(0)
            handle.write(_cut(sentence).encode().ljust(ROOM))
            handle.truncate(ROOM)


def forget() -> None:
    """Remove the room where nothing was noted."""
    file = _file()
    if file is not None and not _read(file):
        with suppress(OSError):
            file.unlink(missing_ok=True)


def _written(handle: FileIO, text: bytes) -> bool:
    """Write a text, beyond the room that was made for it too; return whether all of it is on the disk."""
    try:
        whole = handle.write(text) == len(text)
        os.fsync(handle.fileno())
    except OSError:
        return False
    return whole


def _cut(text: str) -> str:
    """Return the first sentences and the last lines of a text that is too long for the room."""
    where = f"in SLURM's log of job {number}" if (number := os.environ.get(NUMBER)) else "in the log of that attempt"
    notice = f"\n[cut, as the disk had no room for more; the whole is {where}, below .snakemake/slurm_logs]\n"
    left = ROOM - len(notice.encode())
    first = text.encode()[: left * 2 // 3].decode(errors="ignore")
    last = text.encode()[-(left - left * 2 // 3) :].decode(errors="ignore")
    ends = [match.end() for match in SENTENCE.finditer(first)]
    begins = [match.end() for match in re.finditer(r"\n", last)]
    return f"{first[: ends[-1]] if ends else first}".rstrip() + notice + (last[begins[0] :] if begins else "")


def _file() -> Path | None:
    """Return where attempts at this command note their mistakes; None if nobody will attempt it again."""
    folder = os.environ.get(MISTAKES)
    return Path(folder) / hashlib.sha256("\0".join(sys.argv[1:]).encode()).hexdigest()[:32] if folder else None


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
