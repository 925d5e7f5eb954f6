"""Commands that show what layerwise knows."""

import json
from pathlib import Path
from typing import Annotated

import typer

from layerwise.cli.options import CONFIG, Config
from layerwise.cli.plan import plan


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
    from layerwise.models import resolve_preprocessing
    from layerwise.study import finetuned_models, finetuned_splits, finetuning_groups, regions

    study = load_study(config)
    for entry in study.models:
        if entry.timm:  # loading a config does not ask timm, which takes seconds to import
            resolve_preprocessing(entry.spec())
    typer.echo(
        f"{config} is valid: study {study.study!r}, {len(study.models)} networks, "
        f"{len(regions(study))} regions, {len(study.ratings)} sets of ratings"
    )
    trained = finetuned_models(study)
    if trained:
        typer.echo(
            f"fine-tuning: {len(trained)} networks on {len(finetuned_splits(study))} splits in "
            f"{len(trained) * len(finetuning_groups(study))} jobs"
        )
    ungated = [entry.name for entry in study.models if entry.published is None]
    if study.accuracy_gate and ungated:
        typer.echo(f"not checked by the accuracy gate, since no accuracy is published: {', '.join(ungated)}")


def schema() -> None:
    """Print the JSON schema of a config, for editors that complete and check YAML."""
    from layerwise.config import Study

    typer.echo(json.dumps(Study.model_json_schema(), indent=2))
