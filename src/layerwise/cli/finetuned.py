"""The steps of the workflow that come after fine-tuning, one command each: they parse, and call a step."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from layerwise.cli.options import CONFIG, Config, Model, Output, Threads, counted_warnings, writable_files
from layerwise.cli.progress import show_progress

if TYPE_CHECKING:
    from layerwise.config import Study

Folder = Annotated[Path, typer.Option("--folder", help="Folder of results to gather from.")]
Finetuned = Annotated[Path, typer.Option("--finetuned", help="Table that gather-finetuned-study made.")]
Figure = Annotated[
    list[Path],
    typer.Option("--output", callback=writable_files, help="File to write (.pdf, .svg or .png); repeat for more."),
]

Families = Annotated[
    Path | None,
    typer.Option("--config", help="The study's config, for the families by which more than ten networks are coloured."),
]


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    commands = (score_penultimate, gather_finetuned, gather_finetuned_study, plot_figure3, plot_change, plot_history)
    for command in commands:
        app.command(name=command.__name__.replace("_", "-"), rich_help_panel="Steps of the workflow")(command)


def score_penultimate(
    model: Model,
    pixels: Annotated[
        list[Path], typer.Option("--pixels", help="File that pack-stimuli made, for each recording in their order.")
    ],
    output_folder: Annotated[
        Path,
        typer.Option("--output-folder", help="Folder in which the pretrained weights and each split get one."),
    ],
    weights: Annotated[
        list[Path] | None,
        typer.Option("--weights", help="File of the fine-tuned network; repeat for more splits."),
    ] = None,
    pca_pixels: Annotated[
        list[Path] | None, typer.Option("--pca-pixels", help="The same of the images for principal components.")
    ] = None,
    config: Config = CONFIG,
    threads: Threads = None,
) -> None:
    """Score what a network's classifier receives against all regions, before fine-tuning and after each split."""
    from layerwise.steps.penultimate import score_penultimate as step

    with counted_warnings():
        step(_study(config), model, pixels, output_folder, weights or [], pca_pixels or [], threads, show_progress)


def gather_finetuned(model: Model, folder: Folder, output: Output, config: Config = CONFIG) -> None:
    """Gather the splits that a network was trained on: a row a split."""
    from layerwise.steps.finetuned import gather_finetuned as step

    with counted_warnings():
        step(_study(config), model, folder, output)


def gather_finetuned_study(
    folder: Folder,
    output: Output,
    csv: Annotated[
        Path | None, typer.Option("--csv", callback=writable_files, help="The same table for people.")
    ] = None,
    config: Config = CONFIG,
) -> None:
    """Gather the networks that were trained on into one table: a row a network and split."""
    from layerwise.steps.finetuned import gather_finetuned_study as step

    with counted_warnings():
        step(_study(config), folder, output, csv)


def plot_figure3(
    finetuned: Finetuned,
    output: Figure,
    region: Annotated[str, typer.Option("--region", help="The region on the x axis.")] = "IT",
    measure: Annotated[str, typer.Option("--measure", help="What networks were trained to predict.")] = "memorability",
    config: Families = None,
) -> None:
    """Draw the accuracy of predicting memorability against brain similarity, both after fine-tuning."""
    from layerwise.steps.finetuned import plot_figure3 as step

    with counted_warnings():
        step(finetuned, region, output, measure, None if config is None else _study(config))


def plot_change(
    finetuned: Finetuned,
    region: Annotated[list[str], typer.Option("--region", help="A region to draw; repeat for more.")],
    output: Figure,
    config: Families = None,
) -> None:
    """Draw brain similarity before and after fine-tuning."""
    from layerwise.steps.finetuned import plot_change as step

    with counted_warnings():
        step(finetuned, region, output, None if config is None else _study(config))


def plot_history(
    history: Annotated[
        list[Path], typer.Option("--history", help="Table of epochs that finetune-network made; one for each split.")
    ],
    output: Figure,
) -> None:
    """Draw the epochs of a network's training: losses, rank correlation and learning rate."""
    from layerwise.steps.finetuned import plot_history as step

    with counted_warnings():
        step(history, output)


def _study(config: Path) -> "Study":
    from layerwise.config import load_study

    return load_study(config)
