"""The commands ``layerwise data ...``: what files of data hold, and what is wrong with them."""

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from layerwise.cli.options import writable_files

if TYPE_CHECKING:
    from layerwise.data.recipes.recipe import Recipe, Recorded, Scored
    from layerwise.data.reports import Report

data = typer.Typer(help="Your recordings, ratings and images.", no_args_is_help=True)


@data.callback()
def describe() -> None:
    """Your recordings, ratings and images."""  # with one command alone, typer would drop its name


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.add_typer(data, name="data", rich_help_panel="Look things up")


@data.command()
def check(
    files: Annotated[
        list[Path], typer.Argument(help="Recordings (.nc), tables of scores (.csv), or folders of LaMem's splits.")
    ],
    images: Annotated[Path | None, typer.Option("--images", help="Folder of the images.")] = None,
    image_column: Annotated[str | None, typer.Option("--image-column", help="Column of the file names.")] = None,
    score_column: Annotated[str | None, typer.Option("--score-column", help="Column of the scores.")] = None,
    rater: Annotated[list[str] | None, typer.Option("--rater", help="Column of one rater; repeat for more.")] = None,
) -> None:
    """Print what files of data hold, and everything that is wrong with them; the exit status is 1 if anything is."""
    reports = [_report(path, images, image_column, score_column, rater) for path in files]
    for report in reports:
        _print(report)
    if any(report.problems for report in reports):
        raise typer.Exit(1)


@data.command(name="import")
def import_recordings(
    description: Annotated[Path, typer.Argument(help="YAML file: responses, dimensions, stimuli, neuroids, images.")],
    output: Annotated[
        Path, typer.Option("--output", callback=writable_files, help="File of recordings to write (.nc).")
    ],
) -> None:
    """Turn your own recordings (.npz, .npy, .h5, .mat or .csv) into the file that a study takes.

    The description names the array and the order of its dimensions, a table of stimuli (stimulus, image, properties)
    and one of neuroids (neuroid, region); examples/own has one for fMRI.
    """
    from layerwise.data.described import read_described
    from layerwise.data.recordings import write_recordings

    found = read_described(description)
    write_recordings(found.recordings, output, found.images, found.source, found.visual_degrees)
    for name, sentence in found.recordings.varying.items():
        typer.echo(f"left out: {name!r}, which does not describe stimuli: {sentence}", err=True)
    typer.echo(f"{output}: look it over with `layerwise data check {output}`")


@data.command(name="import-scores")
def import_scores(
    file: Annotated[Path, typer.Argument(help="File with an array of scores (.mat, .npy, .npz or .h5).")],
    output: Annotated[Path, typer.Option("--output", callback=writable_files, help="Table of scores to write (.csv).")],
    array: Annotated[str | None, typer.Option("--array", help="Name of the array, where there are several.")] = None,
    names: Annotated[
        str | None, typer.Option("--names", help="Name of the cell array of the images' file names, in the same .mat.")
    ] = None,
    names_file: Annotated[
        Path | None, typer.Option("--names-file", help="Text file of these names instead, a line each.")
    ] = None,
) -> None:
    """Turn scores in an array, with the names of their images, into the table that a study takes.

    Of a matrix [image, rater] each rater becomes a column, to be named as `rater_columns` in the study.
    """
    from layerwise.data.scored import read_scored
    from layerwise.files import atomic_path

    table = read_scored(file, array, names, names_file)
    with atomic_path(output) as temporary:
        temporary.write_text(table.to_csv(index=False), encoding="utf-8")  # a user's numbers, with all digits
    typer.echo(f"{output}: look it over with `layerwise data check {output} --images FOLDER`")


@data.command()
def recipe(
    name: Annotated[str | None, typer.Argument(help="Name of a recipe; `--list` shows them.")] = None,
    source: Annotated[
        Path | None, typer.Option("--from", help="Folder of the files, as the authors name them.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", callback=writable_files, help="File to write: .nc, or .csv of scores.")
    ] = None,
    images: Annotated[Path | None, typer.Option("--images", help="Folder of the images, if it lies elsewhere.")] = None,
    listed: Annotated[
        bool, typer.Option("--list", help="Print what each recipe needs, its licence and paper.")
    ] = False,
) -> None:
    """Turn a public data set, whose files you have, into the file that a study takes; nothing is downloaded.

    What it counted stands beside what was published; docs/data-sets.md says more of each.
    """
    from layerwise.data.recipes import RECIPES, find_recipe
    from layerwise.data.recipes.recipe import check_output, write_made

    if listed or name is None:
        for known in RECIPES if name is None else [find_recipe(name)]:
            _print_recipe(known)
        return
    chosen = find_recipe(name)
    if source is None or output is None:
        raise ValueError(f"the recipe {name} needs --from, the folder of its files, and --output, the file to write")
    check_output(chosen, output)
    made = chosen.make(source, images)
    folder = write_made(chosen, made, output)
    _print_made(made)
    named = f" --images {folder}" if folder else ""
    typer.echo(f"{output}: look it over with `layerwise data check {output}{named}`")


def _print_recipe(recipe: "Recipe") -> None:
    from layerwise.cli.tabular import line_width, wrapped

    typer.echo(textwrap.fill(f"{recipe.name}: {recipe.about}", line_width(), subsequent_indent="  "))
    rows = [("needs", need) for need in recipe.needs]
    rows += [("from", recipe.host), ("licence", recipe.licence), ("size", recipe.size), ("paper", recipe.paper)]
    for what, text in rows:
        typer.echo(wrapped(f"  {what}", text, 10))


def _print_made(made: "Recorded | Scored") -> None:
    """Print what was counted beside what was published."""
    width = max(len(fact.what) for fact in made.facts)
    for fact in made.facts:
        published = f"  published: {fact.published:>10}" if fact.published else ""
        typer.echo(f"{fact.what:<{width}}  here: {fact.found:>10}{published}{'  DIFFERS' if fact.differs else ''}")
    for note in made.notes:
        typer.echo(f"note: {note}")
    if any(fact.differs for fact in made.facts):
        typer.echo("note: where it differs, these are not the published files, or not all of them")


def _report(
    path: Path, images: Path | None, image_column: str | None, score_column: str | None, raters: list[str] | None
) -> "Report":
    from layerwise.analyses.ceiling import rating_consistency
    from layerwise.config import Study
    from layerwise.data.kinds import kind_of
    from layerwise.data.report_ratings import report_lamem, report_ratings
    from layerwise.data.report_rdms import report_rdm
    from layerwise.data.report_recordings import report_recordings
    from layerwise.data.reports import Report
    from layerwise.regression import internal_consistency

    try:
        kind = kind_of(path)
    except ValueError as error:
        return Report(path, "unknown", problems=[str(error)])
    if kind == "distances":
        return report_rdm(path, images)
    if kind == "lamem":
        return report_lamem(path, images)
    if kind == "ratings":
        return report_ratings(path, rating_consistency, images, image_column, score_column, raters or None)
    return report_recordings(path, internal_consistency, images, Study.model_fields["screen_degrees"].default)


def _print(report: "Report") -> None:
    from rich.markup import escape

    from layerwise.cli.tabular import fitting_tables, make_console

    console = make_console()
    console.print(f"\n[bold]{escape(str(report.path))}[/bold]: {report.kind}", soft_wrap=True)
    for found in report.tables:
        for table in fitting_tables(found.title, found.columns, found.rows):
            console.print(table)
    for note in report.notes:
        console.print(f"note: {escape(note)}", soft_wrap=True)
    for problem in report.problems:
        console.print(f"[red]problem:[/red] {escape(problem)}", soft_wrap=True)
    if not report.problems:
        console.print("[green]no problems found[/green]")
