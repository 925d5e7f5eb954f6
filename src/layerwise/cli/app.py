"""Assembles the commands, and turns what goes wrong into a sentence and an exit status."""

import errno
import os
import sys

import typer

from layerwise.cli import data, models, show, steps, study

app = typer.Typer(
    name="layerwise",
    help="How well does every layer of an image network predict the brain, and how memorable an image is?",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
for module in (show, models, data, study, steps):
    module.register(app)


def main() -> None:
    """Run a command; a user's mistake ends with a message and status 1, not with a traceback."""
    try:
        app()
    except (ValueError, OSError) as error:
        if os.environ.get("LAYERWISE_DEBUG"):
            raise
        print(f"error: {_sentence(error)}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("stopped; no result is half-written: run the same command again", file=sys.stderr)
        sys.exit(130)


def _sentence(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return f"the disk is full ({error.filename or 'while writing'}): free some space and run the command again"
    return str(error)
