"""Commands that show what layerwise knows."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from layerwise.cli.options import CONFIG, Config

if TYPE_CHECKING:
    from layerwise.study import Forecast


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    for command in (layers, schema, plan):
        app.command(rich_help_panel="Look things up")(command)
    app.command(name="check-config", rich_help_panel="Look things up")(check_config)


def layers(name: Annotated[str, typer.Argument(help="A network that layerwise or timm knows.")]) -> None:
    """List the layers of a network: name, class, shape, units, depth."""
    path = _shipped(name)
    typer.echo(path.read_text(encoding="utf-8") if path else _listed(name), nl=False)


def _shipped(name: str) -> Path | None:
    from layerwise.layers.manifest import shipped_manifest
    from layerwise.models import registry

    try:
        return shipped_manifest(registry.find(name).name)
    except ValueError:
        return None


def _listed(name: str) -> str:
    from layerwise.layers.listing import survey_layers
    from layerwise.layers.manifest import format_manifest
    from layerwise.models import build_empty, resolve_preprocessing, specify

    spec = specify(name)
    typer.echo(f"no list of layers ships for timm's {name!r}: it is built, without weights, to list them", err=True)
    survey = survey_layers(build_empty(spec), resolve_preprocessing(spec).size)
    for module in survey.skipped:
        typer.echo(f"left out: {module.layer} ({module.kind}) {module.reason}", err=True)
    return format_manifest(survey.layers)


def check_config(config: Config = CONFIG) -> None:
    """Validate a config and say what it holds."""
    from layerwise.config import load_study
    from layerwise.study import regions

    study = load_study(config)
    typer.echo(
        f"{config} is valid: study {study.study!r}, {len(study.models)} networks, "
        f"{len(regions(study))} regions, {len(study.ratings)} sets of ratings"
    )
    ungated = [entry.name for entry in study.models if entry.published is None]
    if study.accuracy_gate and ungated:
        typer.echo(f"the accuracy gate lets pass, since nothing is published of them: {', '.join(ungated)}")


def plan(
    config: Config = CONFIG,
    model: Annotated[list[str] | None, typer.Option("--model", help="Of these networks only.")] = None,
) -> None:
    """Say beforehand what running the networks will take: jobs, forward passes, memory and disk."""
    from layerwise.config import load_study
    from layerwise.study import forecast, memory_of, on_gpu

    study = load_study(config)
    entries = [study.model_entry(name) for name in model] if model else study.models
    known: list[Forecast] = []
    unknown: list[str] = []
    for entry in entries:
        found, lacking = forecast(study, entry)
        known, unknown = known + found, unknown + lacking
    for line in _table(known):
        typer.echo(line)
    setting = "compute.gpu_memory" if on_gpu(study) else "compute.memory"
    disk = sum(one.disk for one in known if one.way == "stored") / 1e9
    typer.echo(
        f"{sum(one.jobs for one in known):,} jobs with {sum(one.passes for one in known):,} forward passes, and "
        f"{disk:,.1f} GB on disk; layers share as many passes as {setting}, {memory_of(study) / 1e9:g} GB, allows"
    )
    for sentence in dict.fromkeys(unknown):
        typer.echo(sentence)


def _table(rows: "list[Forecast]") -> list[str]:
    """Give lines whose columns are as wide as the longest names."""
    model = max((len(one.model) for one in rows), default=0)
    stimuli = max(len("images of"), *(len(one.stimuli) for one in rows)) if rows else 0
    lines = [
        f"{one.model:{model}}  {one.stimuli:{stimuli}} {one.n_images:8,} {one.n_layers:6} {one.way:8} {one.jobs:5} "
        f"{one.passes:6} {one.memory / 1e9:6.2f} GB {one.disk / 1e9:6.2f} GB"
        for one in rows
    ]
    head = f"{'images of':{stimuli}}   number layers {'way':8}  jobs passes    memory      disk"
    return [f"{'network':{model}}  {head}", *lines]


def schema() -> None:
    """Print the JSON schema of a config, for editors that complete and check YAML."""
    from layerwise.config import Study

    typer.echo(json.dumps(Study.model_json_schema(), indent=2))
