"""Progress and warnings of a computation."""

from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar

T = TypeVar("T")


class DegenerateWarning(UserWarning):
    """Data that leave a result undefined: the result is NaN, and the message counts how many."""


class Progress(Protocol):
    """Wraps an iterable and shows how far a loop has come."""

    def __call__(self, items: Iterable[T], description: str, total: int | None = None) -> Iterator[T]:
        """Yield the items one by one."""
        ...


def no_progress(items: Iterable[T], description: str, total: int | None = None) -> Iterator[T]:
    """Yield the items and show nothing."""
    del description, total
    return iter(items)
