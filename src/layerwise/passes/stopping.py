"""Requests to stop: a signal, or a time limit that comes near."""

import signal
import time
from collections.abc import Callable
from threading import current_thread, main_thread
from types import FrameType, TracebackType
from typing import Any, Self

SIGNALS = (signal.SIGTERM, signal.SIGUSR2)  # SLURM sends them before a time limit or a preemption


class StopRequests:
    """Notes signals, for as long as the block of a ``with`` lasts, and watches the clock.

    Parameters
    ----------
    deadline : float, optional
        When the job will be killed, in seconds as `time.time` counts them.
    margin : float
        Seconds before it at which to stop: enough to write a state. Of a job that has less than ten times as much left,
        a tenth of what it has.
    clock : callable
        Gives the time.
    """

    def __init__(
        self, deadline: float | None = None, margin: float = 120, clock: Callable[[], float] = time.time
    ) -> None:
        self._deadline, self._clock = deadline, clock
        self._margin = margin if deadline is None else min(margin, max(0.0, deadline - clock()) / 10)
        self._received = ""
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if current_thread() is main_thread():  # no other may ask for signals
            self._before = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def __call__(self) -> str:
        """Return why to stop now; nothing to continue."""
        if self._received:
            return f"{self._received} was received"
        if self._deadline is not None and self._clock() > self._deadline - self._margin:
            return f"the job's time limit is less than {self._margin:g} s away"
        return ""

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self._received = signal.Signals(number).name
