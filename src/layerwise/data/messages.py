"""Sentences about bad input that several readers need."""

from collections.abc import Collection, Sequence
from difflib import get_close_matches

SHOWN = 10


def list_problems(problems: Sequence[str], what: str) -> str:
    """Count the problems and name the first ten, a line each."""
    lines = [f"{len(problems)} {what}:", *(f"  {problem}" for problem in problems[:SHOWN])]
    if len(problems) > SHOWN:
        lines.append(f"  ... and {len(problems) - SHOWN} more")
    return "\n".join(lines)


def did_you_mean(name: str, known: Collection[str]) -> str:
    """Say which known name is near, or else which there are."""
    near = get_close_matches(name, list(known), n=1)
    if near:
        return f"did you mean {near[0]!r}?"
    names = sorted(known)
    more = f", ... ({len(names)} in all)" if len(names) > SHOWN else ""
    return f"there are: {', '.join(names[:SHOWN])}{more}" if names else "there are none"
