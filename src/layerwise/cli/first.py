"""`layerwise init`: a first study file."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from layerwise.cli.options import count_warnings


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(name="init", rich_help_panel="Look things up")(init)


def init(
    images: Annotated[Path, typer.Option("--images", help="Folder of the images.")],
    scores: Annotated[Path | None, typer.Option("--scores", help="CSV: a row an image, a column of scores.")] = None,
    responses: Annotated[
        Path | None,
        typer.Option("--responses", help="Recordings (.nc), or a CSV: a row an image, a column a neuroid."),
    ] = None,
    output: Annotated[Path, typer.Option("--output", help="Study file to write.")] = Path("study.yaml"),
    name: Annotated[str | None, typer.Option("--name", help="Name of the study; default: the file's.")] = None,
    model: Annotated[
        list[str] | None, typer.Option("--model", help="Network that layerwise knows; repeat. Default: resnet18.")
    ] = None,
    timm: Annotated[list[str] | None, typer.Option("--timm", help="Network of timm; repeat for more.")] = None,
    factory: Annotated[
        list[str] | None, typer.Option("--factory", help="Your function, package.module:build; repeat for more.")
    ] = None,
    image_column: Annotated[str | None, typer.Option("--image-column", help="Column of the file names.")] = None,
    score_column: Annotated[str | None, typer.Option("--score-column", help="Column of the scores.")] = None,
    visual_degrees: Annotated[
        float | None, typer.Option("--visual-degrees", help="Side of the images as they were seen, degrees.")
    ] = None,
) -> None:
    """Write a first study file from a folder of images and a table of scores, of responses, or both.

    Nothing is asked, and nothing is overwritten. Columns are found by their names and by what they hold.
    """
    from layerwise.steps.first_study import Given, write_first_study

    given = Given(
        images,
        scores,
        responses,
        image_column,
        score_column,
        visual_degrees,
        models=model or (),
        timm=timm or (),
        factories=factory or (),
    )
    with count_warnings():
        for path in write_first_study(given, output, name):
            typer.echo(f"{path} is written")
    typer.echo(f"look it over, then: layerwise check-config --config {shlex.quote(str(output))}")
