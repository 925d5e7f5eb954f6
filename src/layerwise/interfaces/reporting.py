"""Progress and warnings of a computation, and its end before the time."""

from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar

T = TypeVar("T")


class DegenerateWarning(UserWarning):
    """Data that leave a result undefined: the result is NaN, and the message counts how many."""


class StoppedError(Exception):
    """A computation stopped as it was asked to; the message says why, where it stands and where its state is."""


class Progress(Protocol):
    """Wraps an iterable and shows how far a loop has come."""

    def __call__(self, items: Iterable[T], description: str, total: int | None = None) -> Iterator[T]:
        """Yield the items one by one."""
        ...


def no_progress(items: Iterable[T], description: str, total: int | None = None) -> Iterator[T]:
    """Yield the items and show nothing."""
    del description, total
    return iter(items)
