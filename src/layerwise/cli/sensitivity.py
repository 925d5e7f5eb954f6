"""`layerwise sensitivity`: what other settings would make of a study's correlations."""

from pathlib import Path
from typing import Annotated

import typer

from layerwise.cli.options import CONFIG, Config, Threads, counted_warnings
from layerwise.cli.progress import show_progress
from layerwise.cli.tabular import line_width


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(rich_help_panel="Look things up")(sensitivity)


def sensitivity(
    output: Annotated[Path, typer.Option("--output", help="Folder to write a table, its scores and a figure to.")],
    config: Config = CONFIG,
    model: Annotated[list[str] | None, typer.Option("--model", help="Of these networks only.")] = None,
    layers: Annotated[
        int, typer.Option("--layers", min=3, help="Layers of each network with which the slow solver is compared.")
    ] = 16,
    cut_otherwise: Annotated[
        Path | None,
        typer.Option("--cut-otherwise", help="Config of the same study with another geometry of images, run before."),
    ] = None,
    threads: Threads = None,
) -> None:
    """Try other numbers of latent variables, the other solver, and principal components, on kept activations.

    What another geometry of images does is read from the results of a second study.
    """
    from layerwise.config import load_study
    from layerwise.steps.sensitivity import try_settings

    other = None if cut_otherwise is None else load_study(cut_otherwise)
    with counted_warnings():
        table = try_settings(load_study(config), output, model or [], layers, threads, show_progress, other)
    for setting, reason in dict(table.loc[table["n_layers"] == 0, ["setting", "reason"]].to_numpy()).items():
        typer.echo(f"not tried: {setting}: {reason}")
    columns = ["setting", "value", "region", "measure", "rho", "low", "high", "n_layers", "layers", "accuracy"]
    typer.echo(table.loc[table["n_layers"] > 0, columns].round(3).to_string(index=False, line_width=line_width()))
