"""The commands ``layerwise models ...``: what is known about each network, its weights, and whether all of it holds."""

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer

from layerwise.cli.options import writable_files
from layerwise.cli.tabular import line_width, wrapped
from layerwise.interfaces import counted

Names = Annotated[list[str] | None, typer.Argument(help="Networks that layerwise knows.")]
Every = Annotated[bool, typer.Option("--all", help="All networks of table S1 of the paper.")]
Format = Annotated[str, typer.Option("--format", help="text or json.")]
Weights = Annotated[Path | None, typer.Option("--weights", help="Folder of weights.")]
Labels = Annotated[Path | None, typer.Option("--labels", help="Lines `file class`, for a flat folder of --imagenet.")]

models = typer.Typer(help="The networks that layerwise knows.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.add_typer(models, name="models", rich_help_panel="Look things up")


@models.command(name="list")
def list_models(form: Format = "text") -> None:
    """List the networks: library, layers, parameters, size of the input, top-1."""
    from layerwise.models import registry

    rows = [_facts(registry.find(name)) for name in registry.names()]
    _print(rows, form, ("name", "library", "layers", "parameters", "penultimate", "input_size", "top1"))


@models.command()
def show(
    names: Annotated[list[str], typer.Argument(help="Networks that layerwise or timm knows.")], form: Format = "text"
) -> None:
    """Show all that is known about networks, and what is not; a network of timm's is built to find out."""
    rows = [_details(name) for name in names]
    if form == "json":
        return _print(rows, form, ())
    _check_form(form)
    for row in rows:
        for key, value in row.items():
            typer.echo(wrapped(key, _cell(value), 17))
        typer.echo("")
    return None


@models.command()
def fetch(
    names: Names = None,
    every: Every = False,
    to: Annotated[Path, typer.Option("--to", help="Folder of weights.")] = Path("weights"),
    form: Format = "text",
) -> None:
    """Download official weights into a folder, so that compute nodes need no network."""
    _check_form(form)
    failures = []
    for row in _chosen(names, every):
        found = {"name": row.name} | _fetched(row, to)
        failures += [found["error"]] if "error" in found else []
        if form == "json":
            typer.echo(json.dumps(found))
        else:
            typer.echo(f"{row.name}\t{found.get('path', 'not fetched')}", err="error" in found)
    if failures:
        raise ValueError("\n".join([*failures, f"{counted(len(failures), 'network has', 'networks have')} no weights"]))


@models.command()
def manifest(
    names: Names = None,
    every: Every = False,
    to: Annotated[Path, typer.Option("--to", help="Folder to write NAME.tsv into.")] = Path("manifests"),
) -> None:
    """List the layers of networks anew; the lists that ship with layerwise were made so."""
    from layerwise.analyses.proof import count_layers
    from layerwise.layers import write_manifest

    for row in _chosen(names, every):
        path = to / f"{row.name}.tsv"
        layers = count_layers(row)
        write_manifest(layers, path)
        typer.echo(f"{path}\t{counted(len(layers), 'layer')}")


@models.command()
def modules(
    names: Names = None,
    every: Every = False,
    to: Annotated[Path, typer.Option("--to", help="File to write.")] = Path("modules.tsv"),
) -> None:
    """List which modules give a layer if they are chosen, or give none, as far as lists of layers do not tell."""
    from layerwise.analyses.proof import find_untold
    from layerwise.layers.patterns import write_modules

    found = [module for row in _chosen(names, every) for module in find_untold(row)]
    write_modules(found, to)
    typer.echo(f"{to}\t{counted(len(found), 'module')}")


@models.command()
def check(
    names: Names = None,
    every: Every = False,
    weights: Weights = None,
    imagenet: Annotated[Path | None, typer.Option("--imagenet", help="Validation images, for the accuracy.")] = None,
    labels: Labels = None,
    output: Annotated[
        Path | None, typer.Option("--output", callback=writable_files, help="Markdown file for the table.")
    ] = None,
    form: Format = "text",
) -> None:
    """Build networks and compare all that is known about them with what they do: a line a network, a column a fact."""
    from layerwise.analyses.proof import COLUMNS, LEGEND, failed, prove
    from layerwise.cli.cost import Cost
    from layerwise.models.labelled import read_labelled

    _check_form(form)
    _check_folder(weights)
    chosen, rows, cost = _chosen(names, every), [], Cost()
    images = read_labelled(imagenet, labels) if imagenet is not None else None
    wide = sum(_WIDTHS) + 2 * len(_WIDTHS) <= line_width()
    if form == "text" and wide:
        typer.echo(_line(COLUMNS, _WIDTHS))
    for row in chosen:
        rows.append(prove(row, weights, images))
        found = json.dumps(_facts(row) | _numbers(rows[-1])) if form == "json" else _proof(rows[-1], wide)
        typer.echo(found)
    total = sum(int(row["layers"]) for row in rows if row["layers"].isdecimal())
    summary = f"{counted(len(rows), 'network')}, {counted(total, 'layer')}; {cost}"
    if form == "text":
        typer.echo("\n".join(["", *(wrapped(*line, 15) for line in LEGEND.items()), "", summary]))
    if output is not None:
        _write_report(rows, LEGEND, summary, output)
    wrong = [f"{row['name']}: {column} {row[column]}" for row in rows for column in COLUMNS if failed(row[column])]
    if wrong:
        raise ValueError("not as known:\n  " + "\n  ".join(wrong))


@models.command()
def accuracy(
    name: Annotated[str, typer.Argument(help="A network that layerwise or timm knows.")],
    imagenet: Annotated[Path, typer.Option("--imagenet", help="Validation images: folders of synsets, or flat.")],
    labels: Labels = None,
    weights: Weights = None,
    file: Annotated[str, typer.Option("--file", help="imagenet (official weights), or a file.")] = "imagenet",
    batch_size: Annotated[int, typer.Option("--batch-size", min=1)] = 32,
    device: Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")] = "auto",
    output: Annotated[
        Path | None, typer.Option("--output", callback=writable_files, help="JSON file for the result.")
    ] = None,
) -> None:
    """Measure top-1 and top-5 on ImageNet with the network's own preprocessing, and compare with what is published."""
    from layerwise.analyses.proof import measure, require_published
    from layerwise.cli.progress import show_progress
    from layerwise.models import registry, specify
    from layerwise.models.labelled import read_labelled
    from layerwise.steps.devices import choose_device

    _check_folder(weights)
    spec = replace(specify(name), weights=file)
    row = registry.row_of(spec)
    published = row.top1 if row is not None and file == "imagenet" else None
    where, images = choose_device(device, setting="--device"), read_labelled(imagenet, labels)
    result = measure(spec, published, images, weights, batch_size, where, show_progress)
    typer.echo(json.dumps(result))
    if output is not None:
        from layerwise.files import atomic_path

        with atomic_path(output) as temporary:
            temporary.write_text(json.dumps(result) + "\n", encoding="utf-8")
    require_published(result, name)


_WIDTHS = (21, 10, 6, 7, 21, 11, 17, 14, 17, 14, 30, 0)


def _proof(row: Mapping[str, str], wide: bool) -> str:
    """Write what was found of a network: a line, or a line for each fact where the terminal is narrow."""
    if wide:
        return _line(row.values(), _WIDTHS)
    return "\n".join(wrapped(name, cell, 15) for name, cell in row.items()) + "\n"


def _chosen(names: list[str] | None, every: bool) -> list[Any]:
    from layerwise.models import registry

    if bool(names) == every:
        raise ValueError("name some networks, or give --all, not both")
    if not every:
        return [registry.find(name) for name in names or []]
    rows = (registry.find(name) for name in registry.names())
    return [row for row in rows if row.in_paper]


def _fetched(row: Any, folder: Path) -> dict[str, str]:
    from layerwise.interfaces import ModelSpec
    from layerwise.models import fetch_weights

    try:
        return {"path": str(fetch_weights(ModelSpec(row.name, row.library, row.constructor), folder))}
    except ValueError as error:
        return {"error": str(error)}


def _numbers(cells: Mapping[str, str]) -> dict[str, Any]:
    return {column: int(cell) if cell.isdecimal() else cell for column, cell in cells.items()}


def _facts(row: Any) -> dict[str, Any]:
    return {
        "name": row.name,
        "library": row.library,
        "layers": row.layers,
        "parameters": row.parameters,
        "penultimate": row.penultimate_dim,
        "input_size": row.preprocessing.size if row.preprocessing else None,
        "top1": row.top1,
    }


def _details(name: str) -> dict[str, Any]:
    from layerwise.models import registry

    try:
        row = registry.find(name)
    except ValueError:
        from layerwise.analyses.proof import describe
        from layerwise.models import specify

        return describe(specify(name))
    return _facts(row) | asdict(row) | {"unverified": row.unverified}


def _write_report(rows: list[dict[str, str]], legend: Mapping[str, str], summary: str, path: Path) -> None:
    from layerwise.files import atomic_path

    meanings = [f"- **{column}**: {meaning}" for column, meaning in legend.items()]
    table = [_markdown(rows[0]), _markdown("---" for _ in rows[0]), *(_markdown(row.values()) for row in rows)]
    with atomic_path(path) as temporary:
        temporary.write_text("\n".join([_TITLE, *meanings, "", _where(summary), "", *table, ""]), encoding="utf-8")


def _where(summary: str) -> str:
    versions = ", ".join(f"{package} {version(package)}" for package in ("torch", "torchvision", "timm"))
    return f"{summary}; {os.cpu_count()} cores; {versions}."


_TITLE = """# The networks, fact by fact

Written by `layerwise models check --output`. A network is built with random weights and run; what it does is held
against `models.tsv`. A cell that begins with FAILED contradicts it; one that says "not" says why nothing is proven.
"""


def _markdown(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def _check_folder(weights: Path | None) -> None:
    if weights is not None and not weights.is_dir():
        raise ValueError(
            f"no folder of weights {weights}: give the one that `layerwise models fetch --to` filled, or none"
        )


def _print(rows: list[dict[str, Any]], form: str, columns: Iterable[str]) -> None:
    _check_form(form)
    if form == "json":
        for row in rows:
            typer.echo(json.dumps(row))
        return
    columns = list(columns)
    heads = [_SHORT.get(column, column) for column in columns]
    cells = [heads, *([_cell(row[column]) for column in columns] for row in rows)]
    widths = [max(len(line[index]) for line in cells) for index in range(len(columns))]
    for line in cells:
        typer.echo(_line(line, widths, " "))


_SHORT = {"penultimate": "last", "input_size": "input"}  # so that a line fits 80 columns


def _line(cells: Iterable[str], widths: Iterable[int], gap: str = "  ") -> str:
    return gap.join(f"{cell:{width}}" for cell, width in zip(cells, widths, strict=True)).rstrip()


def _check_form(form: str) -> None:
    if form not in ("text", "json"):
        raise ValueError(f"no format {form!r}: text or json")


def _cell(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {part}" for key, part in value.items() if part not in (None, ""))
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "-"
    return "-" if value in (None, "") else str(value)
