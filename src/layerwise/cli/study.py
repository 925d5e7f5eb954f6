"""Commands around a study: simulating one, and holding its results against what was planted."""

import re
from pathlib import Path
from typing import Annotated, Any

import typer

from layerwise.cli.options import Config, counted_warnings
from layerwise.cli.progress import show_progress

simulated = typer.Typer(help="Make a study with planted truth, or its tables alone.")

TEACHER = "tf_efficientnet_lite0"
PLANTED = {
    "V1": "bn1.act",
    "V2": "blocks.2.0.bn1.act",
    "V4": "blocks.3.2.bn2.act",
    "IT": "blocks.5.3.bn2.act",
}
SCORED = "blocks.6.0.bn2.act"
CONFIG = """\
# A study with planted truth, made by `layerwise simulate`: V1, V2, V4 and IT read early to late layers of a trained
# EfficientNet-Lite0, and memorability reads a late one. truth.json holds which.
study: '{name}'
models:
  - {teacher}
  - {{name: {teacher}-untrained, model: {teacher}, weights: random, seed: 1}}
  - {{name: resnet18-untrained, model: resnet18, weights: random, seed: 1}}
recordings:
  - {{name: recorded, file: recordings.nc, splits: {{by: object_name}}}}
ratings:
  - {{name: rated, images: rated, scores: scores.csv}}
# The trained network is trained on to predict memorability, on two of the five splits. Each has few images to train on:
# so batches are small, a quarter of them is watched instead of a tenth, and the rate is three times the paper's, which
# the new head needs to learn anything in three epochs. These take half a minute on one core.
finetuning:
  models: [{teacher}]
  splits: [1, 2]
  batch_size: 8
  hold_out: 0.25
  learning_rate: 0.003
  max_epochs: 3
compute: {{layers_per_job: 1000, batch_size: 8, threads: {threads}}}
"""


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.add_typer(simulated, name="simulate", rich_help_panel="Simulated studies")
    app.command(name="show-recovery", rich_help_panel="Simulated studies")(show_recovery)


@simulated.callback(invoke_without_command=True)
def simulate(
    context: typer.Context,
    output: Annotated[Path | None, typer.Option("--output", help="Folder to write the study to.")] = None,
    recorded: Annotated[int, typer.Option("--recorded", help="Images shown to the simulated neuroids.")] = 100,
    rated: Annotated[int, typer.Option("--rated", help="Images with simulated scores.")] = 120,
    seed: Annotated[int, typer.Option("--seed", help="Decides everything.")] = 1,
    threads: Annotated[int, typer.Option("--threads", help="Threads of each job of the study.")] = 1,
) -> None:
    """Make a study with planted truth: images, recordings and scores in the formats of real data, and a config."""
    if context.invoked_subcommand:
        return
    if output is None:
        raise ValueError("simulate needs --output: the folder to write the study to")
    from layerwise.analyses.simulation import Teacher
    from layerwise.config.models import ModelEntry
    from layerwise.data.simulate import simulate_study
    from layerwise.files import atomic_path
    from layerwise.models import build, resolve_preprocessing
    from layerwise.steps.devices import limit_threads

    limit_threads(threads)
    spec = ModelEntry(name=TEACHER).spec()
    kinds: Any = {"recorded": "square", "rated": "crop"}
    teacher = Teacher(build(spec), resolve_preprocessing(spec), kinds, show_progress)
    counts = {"n_recorded": recorded, "n_rated": rated}
    simulate_study(output, teacher, PLANTED, SCORED, **counts, seed=seed, progress=show_progress)
    # The config comes last: a study with a config is whole.
    with atomic_path(output / "config.yaml") as temporary:
        temporary.write_text(_config(output, threads), encoding="utf-8")
    typer.echo(f"run it with: snakemake --profile profiles/local --configfile {output}/config.yaml")


@simulated.command()
def tables(
    output: Annotated[Path, typer.Option("--output", help="Folder of results to write; its name is the study's.")],
    seed: Annotated[int, typer.Option("--seed", min=0, help="Decides everything.")] = 1,
    undefined: Annotated[int, typer.Option("--undefined", min=0, help="Layers without scores.")] = 0,
) -> None:
    """Make the tables of a study of the paper's 64 networks from a stated model: no network runs."""
    from layerwise.steps.simulated import simulate_tables

    with counted_warnings():
        simulate_tables(output, seed, undefined)
    typer.echo(f"{output}: tables of a simulated study, and its config.yaml")


def _config(folder: Path, threads: int) -> str:
    return CONFIG.format(name=_study_name(folder), teacher=TEACHER, threads=threads)


def _study_name(folder: Path) -> str:
    """Name a study after its folder, so that two studies do not share their results."""
    name = folder.resolve().name
    if name == "demo-data":
        return "demo"
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("._-")[:80] or "simulated"


def show_recovery(
    config: Config, truth: Annotated[Path, typer.Option("--truth", help="The truth.json of a simulated study.")]
) -> None:
    """Print what a simulated study recovered beside what was planted, and where its results lie."""
    from layerwise.analyses.recovery import compare
    from layerwise.cli.tabular import fitting_tables, make_console
    from layerwise.config import load_study
    from layerwise.data.simulate import read_truth
    from layerwise.files.tables import read_table
    from layerwise.study import layout_of

    study = load_study(config)
    layout = layout_of(study)
    planted = read_truth(truth)
    rows = compare(read_table(layout.layers, ["model", "layer", "depth", *planted]), planted, TEACHER)
    console = make_console()
    cells = [
        [f"{value:.2f}" if isinstance(value, float) else str(value) for value in row]
        for row in rows.itertuples(index=False)
    ]
    names = [str(name).replace("_", " ") for name in rows.columns]
    for table in fitting_tables("Planted in the trained network, and recovered by the pipeline", names, cells):
        console.print(table)
    columns = ["region", "measure", "rho", "low", "high", "n_layers", "n_networks"]
    console.print(read_table(layout.table("correlations"), columns)[columns].round(2).to_string(index=False))
    figures, tables = layout.figure("*")[0], layout.table("*", "csv")
    console.print(f"\nfigures: {figures}\ntables:  {tables}\nto explore: {layout.report}")
