"""`layerwise status`: how far a study has come."""

from collections.abc import Iterator
from textwrap import indent
from typing import TYPE_CHECKING, Annotated

import typer

from layerwise.cli.elsewhere import tell_elsewhere
from layerwise.cli.options import CONFIG, Config
from layerwise.interfaces import agreeing

if TYPE_CHECKING:
    from layerwise.study.status import Failure, StageStatus, Status

HEAD = f"{'stage':24}{'jobs':>8}{'done':>8}{'running':>8}{'failed':>8}{'waiting':>8}{'left':>9}"


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(rich_help_panel="On a cluster")(status)


def status(
    config: Config = CONFIG,
    failures: Annotated[int, typer.Option("--failures", min=0, help="Failed jobs to show.")] = 10,
) -> None:
    """Print how far a study has come, stage by stage, and what failed jobs said; whether or not Snakemake runs.

    Run it in the folder in which Snakemake runs. Results count that are there; `snakemake -n` says which are stale.
    """
    from layerwise.config import load_study
    from layerwise.study.layout import layout_of
    from layerwise.study.plan import Plans
    from layerwise.study.status import find_status

    study = load_study(config)
    found, elsewhere = find_status(Plans(study)), tell_elsewhere(config, layout_of(study).folder)
    for line in (
        *filter(None, [elsewhere]),
        HEAD,
        *map(_line, found.stages),
        *_sums(found),
        *_failed(found.failures, failures),
        *found.unknown,
    ):
        typer.echo(line)


def _line(stage: "StageStatus") -> str:
    counts = "".join(f"{stage.counts[state] or '-':>8}" for state in ("done", "running", "failed", "waiting"))
    left = _duration(stage.seconds_left) if stage.counts["done"] < stage.jobs else "-"
    return f"{stage.step:24}{stage.jobs:>8}{counts}{left:>8}{' ' if stage.measured or left == '-' else '~'}".rstrip()


def _sums(found: "Status") -> Iterator[str]:
    jobs = sum(stage.jobs for stage in found.stages)
    if found.count("done") == jobs:
        yield "the job is done" if jobs == 1 else f"all {jobs:,} jobs are done"
        return
    running = found.count("running")
    done = found.count("done")
    verb = agreeing(done, "is", "are")
    yield f"{done:,} of {jobs:,} jobs {verb} done; left: {_duration(found.seconds_left)}, one after another"
    if running:
        yield f"with the {running:,} at once that run now: {_duration(found.seconds_left / running)}"
    if any(not stage.measured and stage.counts["done"] < stage.jobs for stage in found.stages):
        yield "~ from the plan alone, as no job of the stage has been timed here yet"
    if not found.locked:
        yield "no Snakemake runs in this folder: nothing more will start"


def _failed(failures: "list[Failure]", most: int) -> Iterator[str]:
    for failure in failures[:most]:
        yield ""
        yield " ".join([failure.task.step, *failure.task.names.values()])
        yield indent(failure.message, "  ")
        yield from (f"  {path}" for path in failure.logs)
    if len(failures) > most:
        yield f"\nand {len(failures) - most:,} more failed (--failures)"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 3 * 86400 else f"{seconds / 86400:,.0f} d"
