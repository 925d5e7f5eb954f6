"""Progress: a bar on a terminal, plain lines in a log."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

T = TypeVar("T")
SECONDS = 30  # between two plain lines


def show_progress(items: Iterable[T], description: str, total: int | None = None) -> Iterator[T]:
    """Yield the items, and show on standard error how far the loop has come, its rate and the time left."""
    return (_bar if sys.stderr.isatty() else _lines)(items, description, total)


def _bar(items: Iterable[T], description: str, total: int | None) -> Iterator[T]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TextColumn,
        TimeRemainingColumn,
    )

    class Rate(ProgressColumn):
        def render(self, task: Task) -> str:
            speed = task.finished_speed or task.speed
            return f"{short(speed)}/s" if speed else ""

    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), Rate(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True)) as bar:
        yield from bar.track(items, total, description=description)


def _lines(items: Iterable[T], description: str, total: int | None) -> Iterator[T]:
    start = last = time.monotonic()
    done = 0
    for done, item in enumerate(items, 1):
        yield item
        now = time.monotonic()
        if now - last >= SECONDS:
            last = now
            print(_line(description, done, total, now - start), file=sys.stderr, flush=True)
    print(f"{description}: {done} done in {time.monotonic() - start:.1f} s", file=sys.stderr, flush=True)


def _line(description: str, done: int, total: int | None, seconds: float) -> str:
    rate = done / seconds
    left = f", {(total - done) / rate:.0f} s left" if total else ""
    return f"{description}: {done}{f'/{total}' if total else ''}, {short(rate)}/s{left}"


def short(rate: float) -> str:
    """Write a rate without needless digits, and a small one not as 0."""
    return f"{rate:,.0f}" if rate >= 10 else f"{rate:.2g}"


# --- epochs ----------------------------------------------------------------------------------------------------------

EpochReport = Callable[[str, Any, Any], None]  # a split, an epoch and its pace, of `layerwise.finetuning`


@contextmanager
def show_epochs(model: str, epochs: int) -> Iterator[EpochReport]:
    """Give what shows each epoch of each split: a bar for each on a terminal, plain lines in a log.

    Parameters
    ----------
    model : str
        Name of the network.
    epochs : int
        The most that there may be; training may end before.
    """
    if not sys.stderr.isatty():
        yield lambda split, epoch, pace: print(
            _epoch_line(model, split, epoch, pace, epochs), file=sys.stderr, flush=True
        )
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    # What an epoch came to stands above the bars, in which it has no room on most terminals.
    columns = TextColumn("{task.description}"), BarColumn(20), MofNCompleteColumn(), TextColumn("{task.fields[left]}")
    with Progress(*columns, console=Console(stderr=True)) as bars:
        known: dict[str, Any] = {}

        def show(split: str, epoch: Any, pace: Any) -> None:
            if split not in known:
                known[split] = bars.add_task(f"{model}, split {split}", total=epochs, left="")
            bars.print(_epoch_line(model, split, epoch, pace, epochs), markup=False, highlight=False)
            bars.update(known[split], completed=epoch.number, left=f"{_left(epoch, pace, epochs)} at most")

        yield show


def _epoch_line(model: str, split: str, epoch: Any, pace: Any, epochs: int) -> str:
    memory = f", {pace.memory / 1e9:.1f} GB of the GPU" if pace.memory else ""
    return (
        f"{model}, split {split}: epoch {epoch.number} of at most {epochs}: loss {epoch.training_loss:.5f}, "
        f"validation loss {epoch.validation_loss:.5f}, rho {epoch.rho:.4f}, {short(pace.images_per_second)} images/s, "
        f"{_left(epoch, pace, epochs)} left at most{memory}"
    )


def _left(epoch: Any, pace: Any, epochs: int) -> timedelta:
    return timedelta(seconds=round((epochs - epoch.number) * pace.seconds))
