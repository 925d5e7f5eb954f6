"""Describe in one sentence what another author's code raised, and where."""

import sysconfig
from pathlib import Path
from traceback import FrameSummary, extract_tb

PACKAGE = Path(__file__).parents[1]
_INSTALLED = tuple({sysconfig.get_path(kind) for kind in ("stdlib", "platstdlib", "purelib", "platlib")})
_RUNS_OTHERS = ("torch", "importlib")  # packages whose code calls that of users
LONGEST = 300  # characters of a message


def describe_failure(error: BaseException) -> str:
    """Return what was raised, and where in the code of its author.

    Parameters
    ----------
    error : BaseException
        Caught where it was raised, so that its traceback is there.

    Returns
    -------
    str
        Such as ``KeyError: 'path' (/home/me/networks.py, line 12)``. Of several files the user's own comes first, then
        one of a package; what this package and PyTorch did in between is not shown.
    """
    place = _place(error)
    message = " ".join(str(error).split())[:LONGEST]
    if not message and place is not None:
        message = place.line or ""  # of an assertion, which often says no more than its line does
    where = f" ({place.filename}, line {place.lineno})" if place is not None else ""
    return f"{type(error).__name__}{': ' if message else ''}{message}{where}"


def raised_inside(error: BaseException, *rooms: str) -> bool:
    """Return whether an error went through code of these rooms of the package, below the function that caught it."""
    folders = tuple(f"{PACKAGE / room}/" for room in rooms)
    return any(frame.filename.startswith(folders) for frame in extract_tb(error.__traceback__)[1:])


def _place(error: BaseException) -> FrameSummary | None:
    frames = [frame for frame in extract_tb(error.__traceback__) if not frame.filename.startswith((f"{PACKAGE}/", "<"))]
    own = [frame for frame in frames if not frame.filename.startswith(_INSTALLED)]
    packaged = [frame for frame in frames if not any(f"/{name}/" in frame.filename for name in _RUNS_OTHERS)]
    chosen = own or packaged or frames
    return chosen[-1] if chosen else None
