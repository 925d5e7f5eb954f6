"""What is told of a study before anything runs: problems, and what is not there yet."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from layerwise.files import explain_denial
from layerwise.interfaces import counted

_WORDS = {"model": "model", "recording": "recording", "rating": "ratings"}


@dataclass(frozen=True)
class Problem:
    """What would make jobs fail.

    Parameters
    ----------
    kind : {"model", "recording", "rating", "study"}
        What it is about.
    name : str
        Name of that in the study.
    told : str
        A sentence: what is wrong, and what to do.
    """

    kind: str
    name: str
    told: str

    def __str__(self) -> str:
        return self.told if self.kind == "study" else f"{_WORDS[self.kind]} {self.name!r}: {self.told}"


class Absence(Problem):
    """A file or folder that is not there yet."""


def refuse(problems: Sequence[Problem], source: str) -> None:
    """Raise one error that names all problems, if there are any."""
    if problems:
        count = counted(len(problems), "problem")
        raise ValueError("\n".join([f"{source} has {count}:", *(_indented(problem) for problem in problems)]))


def _indented(problem: Problem) -> str:
    return "\n".join(f"  {line}" for line in str(problem).splitlines())


def tell(kind: str, name: str, sentences: Iterable[str]) -> Iterator[Problem]:
    """Make problems of what is found of something in the study."""
    return (Problem(kind, name, told) for told in tried(lambda: sentences))


def tried(find: Callable[[], Iterable[str]]) -> Iterator[str]:
    """Yield what is found; that a file cannot be read is told likewise, and ends the search in it."""
    try:
        yield from find()
    except (ValueError, OSError) as error:
        yield explain_denial(error)
