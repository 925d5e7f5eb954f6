"""Messages about bad input that several readers share."""

from collections.abc import Collection, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path

from layerwise.interfaces import counted

SHOWN = 10


def list_problems(problems: Sequence[str], one: str, many: str, what: str) -> str:
    """Count the problems and name the first ten, a line each.

    Parameters
    ----------
    problems : sequence of str
        What is wrong, or what it is wrong with.
    one, many : str
        What is said of one of them, and of several: "stimulus has", "stimuli have".
    what : str
        Goes on: "no image".
    """
    lines = [f"{counted(len(problems), one, many)} {what}:", *(f"  {problem}" for problem in problems[:SHOWN])]
    if len(problems) > SHOWN:
        lines.append(f"  ... and {len(problems) - SHOWN} more")
    return "\n".join(lines)


def did_you_mean(name: str, known: Collection[str]) -> str:
    """Return which known name is near, or else which there are."""
    near = get_close_matches(name, list(known), n=1)
    if near:
        return f"did you mean {near[0]!r}?"
    names = sorted(known)
    more = f", ... ({len(names)} in all)" if len(names) > SHOWN else ""
    return f"there are: {', '.join(names[:SHOWN])}{more}" if names else "there are none"


def check_format(attributes: Mapping[str, object], path: Path, expected: str, version: int, advice: str) -> None:
    """Check what a file says of itself.

    Parameters
    ----------
    attributes : mapping
        The file's attributes; `format` and `version` are looked at.
    path : Path
        The file, for the message.
    expected : str
        The format it must have.
    version : int
        The newest version that this code reads.
    advice : str
        What to do otherwise.

    Raises
    ------
    ValueError
        The file has another format, no version or a newer one.
    """
    if attributes.get("format") != expected:
        found = attributes.get("format", "none")
        raise ValueError(f"{path} does not have the format {expected!r} (its attribute format: {found}): {advice}")
    written = str(attributes.get("version", "none"))
    if not written.isdecimal() or int(written) < 1:
        raise ValueError(f"{path} has no usable attribute version ({written}, must be 1 to {version}): {advice}")
    if int(written) > version:
        raise ValueError(
            f"{path} was written by a newer layerwise (version {written} of the format; this one reads up to "
            f"{version}): update layerwise, or {advice}"
        )
