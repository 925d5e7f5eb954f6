"""Options that several commands share."""

import sys
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from layerwise.files import writable
from layerwise.files.made import describe_run
from layerwise.interfaces import DegenerateWarning


def writable_files(paths: Any) -> Any:
    """Refuse at once what no file can be written to, and not only when hours of work are to go there."""
    if isinstance(paths, list):
        return [writable(path) for path in paths]
    return None if paths is None else writable(paths)


Config = Annotated[Path, typer.Option("--config", help="Config file of the study.")]
Model = Annotated[str, typer.Option("--model", help="Name of a network of the study.")]
RegionName = Annotated[str, typer.Option("--region", help="Name of a region of the study.")]
Block = Annotated[str, typer.Option("--block", help="Block of layers, such as 001-064, counted by depth.")]
Activations = Annotated[Path, typer.Option("--activations", help="File that extract-activations made.")]
Output = Annotated[Path, typer.Option("--output", callback=writable_files, help="File to write.")]
Threads = Annotated[int | None, typer.Option("--threads", min=1, help="Threads; default: compute.threads.")]

CONFIG = Path("config.yaml")


@contextmanager
def counted_warnings() -> Iterator[None]:
    """Print each different warning about degenerate data once, with how often it came; into a log also what ran."""
    with count_warnings():
        yield
    if not sys.stderr.isatty():
        typer.echo(describe_run(), err=True)


@contextmanager
def count_warnings() -> Iterator[None]:
    """Print each different warning about degenerate data once, with how often it came."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        warnings.simplefilter("always", DegenerateWarning)
        try:
            yield
        finally:
            _print_counted(caught)


def _print_counted(caught: list[warnings.WarningMessage]) -> None:
    for message, count in Counter(str(warning.message) for warning in caught).items():
        times = f" ({count} times)" if count > 1 else ""
        typer.echo(f"warning: {message}{times}", err=True)
