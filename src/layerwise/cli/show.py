"""Commands that show what layerwise knows."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from layerwise.cli.elsewhere import tell_elsewhere
from layerwise.cli.options import CONFIG, Config, count_warnings
from layerwise.cli.plan import plan
from layerwise.interfaces import counted

if TYPE_CHECKING:
    from layerwise.config import Study
    from layerwise.layers import Survey
    from layerwise.study.foreseen import Problem

RESULTS = ("correlations", "network_correlations", "network_scores", "reproduction")  # tables that `show` reads
ALONE = ["models"]  # of a study without recordings, or without ratings, which makes none of them


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    for command in (layers, schema, plan, show, cite, tables):
        app.command(rich_help_panel="Look things up")(command)
    app.command(name="check-config", rich_help_panel="Look things up")(check_config)


def layers(
    name: Annotated[str, typer.Argument(help="A network that layerwise or timm knows.")],
    skipped: Annotated[bool, typer.Option("--skipped", help="What else runs and is no layer, and why.")] = False,
) -> None:
    """List the layers of a network: name, class, shape, units, depth, and which layer it repeats."""
    path = None if skipped else _shipped(name)
    if path is not None:
        typer.echo(path.read_text(encoding="utf-8"), nl=False)
    else:
        typer.echo(_skipped(name) if skipped else _listed(name), nl=False)


def _shipped(name: str) -> Path | None:
    from layerwise.layers.manifest import shipped_manifest
    from layerwise.models import registry

    try:
        return shipped_manifest(registry.find(name).name)
    except ValueError:
        return None


def _skipped(name: str) -> str:
    from layerwise.layers.manifest import format_skipped

    survey = _survey(name)
    return format_skipped([*survey.skipped, *survey.others])


def _survey(name: str) -> "Survey":
    from layerwise.layers.listing import survey_layers
    from layerwise.models import build_empty, resolve_preprocessing, specify

    spec = specify(name)
    return survey_layers(build_empty(spec), resolve_preprocessing(spec).size)


def _listed(name: str) -> str:
    from layerwise.layers.manifest import format_manifest
    from layerwise.models import specify

    specify(name)
    typer.echo(f"no list of layers ships for timm's {name!r}: it is built, without weights, to list them", err=True)
    survey = _survey(name)
    for module in survey.skipped:
        typer.echo(f"left out: {module.layer} ({module.kind}) {module.reason}", err=True)
    return format_manifest(survey.layers)


def check_config(
    config: Config = CONFIG,
    quick: Annotated[
        bool, typer.Option("--quick", help="Import no network, and read no table of responses whole.")
    ] = False,
) -> None:
    """Validate a config, find what would fail in it before anything runs, and say what it holds.

    All problems are printed at once. Without --quick, timm's names and your factories are imported, networks of which
    layers were chosen are built without weights, recordings and scores are read whole, and their splits are drawn.
    """
    from layerwise.config import load_study
    from layerwise.study.foreseen import find_absences, find_notes, find_problems, refuse

    study = load_study(config)
    problems, absent = find_problems(study), find_absences(study)
    if not quick:
        problems += _deeper(study, problems)
    problems += [one for one in absent if one.kind == "model"]
    told = {(one.kind, one.name) for one in problems}
    others = (one for one in absent if (one.kind, one.name) not in told)
    notes = [f"note: {note}" for note in (*find_notes(study), *others)]
    try:
        refuse(problems, str(config))
    except ValueError as error:
        raise ValueError("\n".join([str(error), *notes])) from None
    for line in (*_contents(study, config), *notes):
        typer.echo(line)


def _deeper(study: "Study", known: "list[Problem]") -> "list[Problem]":
    from layerwise.steps.foreseen import find_deeper_problems

    with count_warnings():
        return find_deeper_problems(study, known)


def _contents(study: "Study", config: Path) -> Iterator[str]:
    from layerwise.study import finetuned_models, finetuned_splits, finetuning_groups, regions

    yield (
        f"{config} is valid: study {study.study!r}, {counted(len(study.models), 'network')}, "
        f"{counted(len(regions(study)), 'region')}, {counted(len(study.ratings), 'set')} of ratings"
    )
    trained = finetuned_models(study)
    if trained:
        yield (
            f"fine-tuning: {counted(len(trained), 'network')} on {counted(len(finetuned_splits(study)), 'split')} in "
            f"{counted(len(trained) * len(finetuning_groups(study)), 'job')}"
        )
    ungated = [entry.name for entry in study.models if entry.published is None]
    if study.accuracy_gate and ungated:
        yield f"not checked by the accuracy gate, since no accuracy is published: {', '.join(ungated)}"


def schema(
    markdown: Annotated[bool, typer.Option("--markdown", help="Every key as a page (docs/configuration.md).")] = False,
) -> None:
    """Print the JSON schema of a config, for editors that complete and check YAML."""
    from layerwise.config import Study
    from layerwise.config.page import write_keys

    typer.echo(write_keys() if markdown else json.dumps(Study.model_json_schema(), indent=2))


def show(config: Config = CONFIG) -> None:
    """Print the main results of a study: correlations, the best networks, and where tables and figures lie.

    Run it in the folder in which Snakemake ran: results count from there.
    """
    from layerwise.analyses.overview import summarise_results
    from layerwise.config import load_study
    from layerwise.study import described_tables, finetuned_models, layout_of

    study = load_study(config)
    layout = layout_of(study)
    elsewhere = tell_elsewhere(config, layout.folder)
    if elsewhere:
        raise ValueError(elsewhere)
    made = described_tables(study, layout)
    names = [name for name in RESULTS if layout.table(name) in made]
    paths = {name: Path(layout.table(name)) for name in names or ALONE}
    if not names and finetuned_models(study):
        paths["finetuned"] = Path(layout.finetuned_table)
    sections = summarise_results({name: path for name, path in paths.items() if path.is_file()})
    for section in sections:
        _print_section(*section)
    lacking = [name for name, path in paths.items() if not path.is_file()]
    if lacking:
        typer.echo(f"\nnot there yet: {', '.join(lacking)}; run snakemake to make them")
    typer.echo(f"\ntables:  {layout.table('*', 'csv')}\nfigures: {Path(layout.figure('x')[0]).parent}")


def cite(config: Config = CONFIG) -> None:
    """Print the BibTeX of what a study used: data sets, networks, method."""
    from layerwise.config import load_study
    from layerwise.study.citations import cite as find

    entries, unknown = find(load_study(config))
    typer.echo(entries, nl=False)
    for one in unknown:
        typer.echo(f"no entry is known for {one}: cite its source yourself", err=True)


def tables() -> None:
    """Print what each column of each table means, as Markdown (docs/tables.md)."""
    from layerwise.analyses.dictionary import write_dictionary

    typer.echo(write_dictionary(), nl=False)


def _print_section(title: str, columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    from layerwise.cli.tabular import fitting_tables, make_console

    console = make_console()
    for table in fitting_tables(title, columns, rows):
        console.print(table)
