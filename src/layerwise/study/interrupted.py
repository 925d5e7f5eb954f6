"""SIGINT to Snakemake alone: Ctrl-C reaches its jobs too, a signal to it does not, and it would wait for them."""

import signal
import threading
from collections.abc import Sequence
from contextlib import suppress
from types import FrameType
from typing import NoReturn

import psutil

PATIENCE = 10.0  # seconds in which jobs end that got the signal themselves


def pass_on_interrupts(patience: float = PATIENCE) -> None:
    """Have SIGINT end what this process has started, too, if it does not end by itself; then it does what it does.

    Parameters
    ----------
    patience : float
        Seconds after which SIGTERM is sent to what is left of the processes that ran when the signal came.
    """
    before = signal.getsignal(signal.SIGINT)
    if before == signal.SIG_IGN or threading.current_thread() is not threading.main_thread():
        return  # it is to be ignored, as in the background of a script; or no signal may be handled here

    def interrupt(number: int, frame: FrameType | None) -> NoReturn:
        signal.signal(signal.SIGINT, before)
        later = threading.Timer(patience, _end, [psutil.Process().children(recursive=True)])
        later.daemon = True
        later.start()
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, interrupt)


def _end(processes: Sequence[psutil.Process]) -> None:
    for process in processes:
        with suppress(psutil.Error):
            process.terminate()
