"""Assembles the commands, and turns what goes wrong into a sentence and an exit status."""

import errno
import logging
import os
import re
import signal
import sys
from importlib.metadata import version
from pathlib import Path
from types import FrameType
from typing import Annotated, NoReturn

import typer

from layerwise.cli import (
    data,
    finetuned,
    first,
    models,
    predict,
    profile,
    provenance,
    reference,
    sensitivity,
    show,
    status,
    steps,
    study,
)
from layerwise.files import explain_denial
from layerwise.files.atomic import NO_ROOM
from layerwise.files.memory import MemoryRanOutError, ran_out, reason
from layerwise.interfaces import StoppedError
from layerwise.steps import attempts
from layerwise.steps.cluster import start_again

_LASTING = (*NO_ROOM, errno.EACCES, errno.EPERM, errno.EROFS)  # of a disk, until somebody mends it

app = typer.Typer(
    name="layerwise",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},  # of all commands
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"layerwise {version('layerwise')}")
        raise typer.Exit


@app.callback()
def describe(
    _: Annotated[bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print it.")] = False,
) -> None:
    """How well does every layer of an image network predict the brain, and how memorable an image is?"""


for module in (
    first,
    show,
    sensitivity,
    profile,
    status,
    provenance,
    predict,
    models,
    data,
    study,
    steps,
    finetuned,
    reference,
):
    module.register(app)


def main() -> None:
    """Run a command; what goes wrong ends with a message and a status, not with a traceback.

    The status is 1 for a user's mistake, 70 for what nobody foresaw, 75 where a job stopped in time and is to be
    started again, 130 for Ctrl-C and 143 for a termination.
    """
    signal.signal(signal.SIGTERM, _terminate)
    signal.signal(signal.SIGUSR2, _stop)
    sys.unraisablehook = _raise_again
    sys.path.append(str(Path.cwd()))  # a factory may lie in the working folder
    _show_plans()
    try:
        attempts.refuse_to_repeat()
        app()
    except KeyboardInterrupt:
        print("stopped; no result is half-written: run the same command again", file=sys.stderr)
        sys.exit(130)
    except StoppedError as stopped:
        print(stopped, file=sys.stderr, flush=True)  # at once: SLURM ends a job that it starts again
        if stopped.advanced and start_again():
            print("SLURM starts this job again", file=sys.stderr)
        sys.exit(os.EX_TEMPFAIL)
    except Exception as error:
        if os.environ.get("LAYERWISE_DEBUG"):
            raise
        known = isinstance(error, ValueError | OSError) or ran_out(error) or _disk_is_full(error)
        print(f"error: {_sentence(error)}" if known else _internal(error), file=sys.stderr)
        if known and not _may_heal(error):
            attempts.note_mistake(_sentence(error))
        if ran_out(error):
            _leave_at_once()
        sys.exit(1 if known else os.EX_SOFTWARE)
    finally:
        attempts.forget()


def _show_plans() -> None:
    """Print what a step says beforehand of its passes and bytes, too; of other packages only warnings."""
    ours = logging.getLogger("layerwise")
    ours.setLevel(logging.INFO)
    ours.handlers = [logging.StreamHandler()]


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    """End as an exception does, so that temporary files are removed; a cluster terminates a job before it kills it."""
    del frame
    signal.signal(number, signal.SIG_IGN)  # a second one must not stop the removal
    raise SystemExit(128 + number)


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    """End likewise where there is nothing to save, or not yet; steps that are resumed note the signal themselves."""
    del frame
    signal.signal(number, signal.SIG_IGN)
    print(f"{signal.Signals(number).name} was received: nothing is kept; start it again", file=sys.stderr)
    raise SystemExit(os.EX_TEMPFAIL)


def _leave_at_once() -> NoReturn:
    """End with status 1, without what libraries do at the end: it crashes if memory ran out while they were loaded."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1)


def _raise_again(lost: "sys.UnraisableHookArgs") -> None:
    """Raise a stop again that came in a callback, such as that of a weak reference, from which nothing is raised."""
    error = lost.exc_value
    if not isinstance(error, SystemExit | KeyboardInterrupt):
        sys.__unraisablehook__(lost)
        return

    def stop(_number: int, _frame: FrameType | None) -> NoReturn:
        raise error

    signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, 0.01)  # not now: here, too, it would be swallowed


def _internal(error: Exception) -> str:
    return (
        f"internal error: {type(error).__name__}: {error}; run again with LAYERWISE_DEBUG=1 for the traceback, and "
        "please report it"
    )


def _sentence(error: Exception) -> str:
    if ran_out(error) and not isinstance(error, MemoryRanOutError):
        return (
            f"memory ran out ({reason(error)}): run the command where more is free and as many threads may be started, "
            "or ask the cluster for more"
        )
    if _disk_is_full(error):
        place = getattr(error, "filename", None) or "while writing"
        what = "your quota of the disk is used up" if _number(error) == errno.EDQUOT else "the disk is full"
        return f"{what} ({place}): free some space and run the command again"
    return explain_denial(error)


def _may_heal(error: Exception) -> bool:
    """Return whether another attempt may do better: with more memory, or where a network or a disk answers again."""
    if ran_out(error) or isinstance(error, attempts.RepeatedError):  # of which the first sentence is kept
        return True
    number = _number(error)
    return getattr(error, "may_heal", False) if number is None else number not in _LASTING


def _disk_is_full(error: Exception) -> bool:
    return _number(error) in NO_ROOM


def _number(error: Exception) -> int | None:
    """Return the number of an error of the system: its own, or in the text of HDF5, some lines into it."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    told = re.search(r"errno = (\d+),", str(error)) if isinstance(error, OSError | RuntimeError) else None
    return int(told[1]) if told else None
