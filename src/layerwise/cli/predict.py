"""`layerwise predict`: scores of anybody's photographs, from fine-tuned networks."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from layerwise.cli.options import count_warnings, writable_files
from layerwise.cli.progress import show_progress

if TYPE_CHECKING:
    import pandas as pd


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(rich_help_panel="Photographs")(predict)


def predict(
    images: Annotated[list[Path], typer.Argument(help="Photographs, or folders of them.")],
    weights: Annotated[
        list[Path],
        typer.Option("--weights", help="File of a fold, or a network's folder `finetuned`; repeat for more folds."),
    ],
    output: Annotated[
        Path | None, typer.Option("--output", callback=writable_files, help="CSV file to write; default: printed.")
    ] = None,
    batch_size: Annotated[int, typer.Option("--batch-size", min=1, help="Photographs at once.")] = 32,
    device: Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")] = "auto",
    threads: Annotated[int | None, typer.Option("--threads", min=1, help="Threads; default: all cores.")] = None,
) -> None:
    """Predict how memorable photographs are: mean and spread over folds of a fine-tuned network, a column for each.

    Photographs that cannot be read have empty cells, and the exit status is 1.
    """
    from layerwise.data.problems import list_problems
    from layerwise.steps.prediction import predict_images

    with count_warnings():
        result = predict_images(weights, images, device, batch_size, threads, show_progress)
    _write(result.table, output)
    if result.problems:
        of = f"of {len(result.table)} images"
        raise ValueError(list_problems(result.problems, of, of, "cannot be read"))


def _write(table: "pd.DataFrame", output: Path | None) -> None:
    from layerwise.files import atomic_path
    from layerwise.files.tables import six_digits

    text = table.to_csv(index=False, float_format=six_digits).encode(
        "utf-8", "surrogateescape"
    )  # as the disk names files
    if output is None:
        typer.echo(text, nl=False)
        return
    with atomic_path(output) as temporary:
        temporary.write_bytes(text)
