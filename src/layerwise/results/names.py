"""Names that people type, and sentences for those that are not there."""

from collections.abc import Iterable
from difflib import get_close_matches

MOST = 12  # names that a sentence lists


def require(name: str, known: Iterable[str], what: str) -> None:
    """See that a name is known.

    Raises
    ------
    ValueError
        It is not; the message suggests the nearest ones, or lists what there is.
    """
    names = list(known)
    if name not in names:
        raise ValueError(f"no {what} {name!r}{suggest(name, names)}")


def suggest(name: str, names: list[str]) -> str:
    """Continue a sentence with the nearest names, or with those that there are."""
    folded = {one.casefold(): one for one in names}
    given = str(name).casefold()
    near = get_close_matches(given, folded, n=3) or [one for one in folded if given and given in one][:3]
    if near:
        return f": did you mean {' or '.join(repr(folded[one]) for one in near)}?"
    listed = [*names[:MOST], *(["..."] if len(names) > MOST else [])]
    return f"; there are: {', '.join(listed) or 'none'}"
