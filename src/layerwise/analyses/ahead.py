"""Reading the next input while the current one is computed."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Result = TypeVar("Result")


def read_ahead(calls: Iterable[Callable[[], Result]]) -> Iterator[Result]:
    """Yield the results of calls in their order; each call runs while the result before it is in use.

    Raises
    ------
    Exception
        What a call raised, when its turn comes.
    """
    with ThreadPoolExecutor(1) as pool:
        current: Future[Result] | None = None
        for call in calls:
            following = pool.submit(call)
            if current is not None:
                yield current.result()
            current = following
        if current is not None:
            yield current.result()
