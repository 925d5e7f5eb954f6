"""Progress and warnings of a computation, and its end before the time."""

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, TypeVar

T = TypeVar("T")
Stop = Callable[[], str]  # why to stop now; nothing to continue


class DegenerateWarning(UserWarning):
    """Data that leave a result undefined: the result is NaN, and the message counts how many."""


class StoppedError(Exception):
    """A computation stopped as it was asked to; the message says why, where it stands and where its state is.

    Parameters
    ----------
    message : str
        The sentence for the user.
    advanced : bool
        Whether the next run will stand further on than this one began: else it needs more time, not another start.
    """

    def __init__(self, message: str, advanced: bool = True) -> None:
        super().__init__(message)
        self.advanced = advanced


class Progress(Protocol):
    """Wraps an iterable and shows how far a loop has come."""

    def __call__(self, items: Iterable[T], description: str, total: int | None = None) -> Iterator[T]:
        """Yield the items one by one."""
        ...


def no_progress(items: Iterable[T], description: str, total: int | None = None) -> Iterator[T]:
    """Yield the items and show nothing."""
    del description, total
    return iter(items)


def never() -> str:
    """Return nothing: the computation continues to its end."""
    return ""


def until_asked(progress: Progress, stop: Stop) -> Progress:
    """Return what shows the same progress, but ends a loop where it is asked to stop.

    Parameters
    ----------
    progress : Progress
        Shows how far a loop has come.
    stop : callable
        Asked before each item; if it says why to stop, the loop ends by a `StoppedError` with these words.
    """

    def watched(items: Iterable[T], description: str, total: int | None = None) -> Iterator[T]:
        for item in progress(items, description, total):
            if reason := stop():
                raise StoppedError(reason)
            yield item

    return watched
