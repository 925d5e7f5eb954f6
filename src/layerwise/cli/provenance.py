"""`layerwise provenance`: the chain from a result to its inputs."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from layerwise.interfaces import agreeing, counted

if TYPE_CHECKING:
    from layerwise.steps.provenance import Chain, Origins
    from layerwise.study.tasks import Task

SHOWN = 3  # of files that are alike


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(rich_help_panel="Look things up")(provenance)


def provenance(
    file: Annotated[Path, typer.Argument(help="A file of a study's results.")],
    verify: Annotated[bool, typer.Option("--verify", help="Compute the hashes of the inputs again.")] = False,
    every: Annotated[bool, typer.Option("--all", help="List all files, not the first of each kind.")] = False,
) -> None:
    """Print how a result came about: the jobs behind it, with what they ran and when, and hashes of the inputs.

    Run it in the folder where Snakemake ran. With --verify, status 1 tells that something differs.
    """
    from layerwise.steps.provenance import find_chain
    from layerwise.steps.provenance import verify as compare

    chain = find_chain(file)
    for line in _chain(chain, None if every else SHOWN):
        typer.echo(line)
    if not verify:
        return
    count, differences = compare(chain)
    if differences:
        told = [f"{one.what}: {one.then} then, now {one.now}" for one in differences]
        verb = agreeing(len(differences), "is", "are")
        raise ValueError("\n  ".join([f"{len(differences)} of {count} inputs {verb} not as then:", *told]))
    typer.echo(f"verified: {counted(count, 'hash of an input is', 'hashes of inputs are')} as then")


def _chain(chain: "Chain", shown: int | None) -> Iterator[str]:
    yield f"{chain.path}"
    yield f"study {chain.study.study!r}, whose config as it was run lies beside it"
    yield ""
    yield "made by, the last step first:"
    by_step: dict[str, list[Task]] = defaultdict(list)
    for task in reversed(chain.tasks):
        by_step[task.step].append(task)
    for step, tasks in by_step.items():
        yield f"  {step}: {counted(len(tasks), 'job')}"
        yield from (f"    {path}" for path in _first([task.outputs[0] for task in tasks], shown))
        yield from _runs(tasks)
    yield ""
    yield "made from, as the result says:" if chain.carried else "no result of the chain says what it was made from"
    yield from _origins(chain.carried, shown)
    yield ""
    yield "inputs of the study:"
    yield from _inputs(chain)


def _runs(tasks: "list[Task]") -> Iterator[str]:
    """Tell what jobs ran with: once for those that ran with the same."""
    from layerwise.steps.provenance import run_of

    runs = [run_of(task) for task in tasks]
    times = sorted(run["time"] for run in runs if "time" in run)
    alike = dict.fromkeys(_software(run) for run in runs if run)
    yield from (f"    with {text}" for text in alike)
    if times:
        yield f"    at   {times[0]}{f' to {times[-1]}' if times[-1] != times[0] else ''}"
    silent = sum(not run for run in runs)
    if silent:
        yield f"    the logs of {silent} do not say with what"


def _software(run: Mapping[str, Any]) -> str:
    versions = [f"{key} {value}" for key, value in run.items() if key not in ("commit", "host", "gpus", "time")]
    commit = f" (commit {run['commit']})" if run.get("commit") else ""
    where = f"on {run.get('host')}, {', '.join(run.get('gpus') or ['no GPU'])}"
    return f"{versions[0]}{commit}, {', '.join(versions[1:])}; {where}"


def _origins(carried: "list[Origins]", shown: int | None) -> Iterator[str]:
    known: dict[tuple[str, str], list[str]] = defaultdict(list)
    for origins in carried:
        for what, value in origins.hashes.items():
            if what != "model":
                known[what, value].append(" ".join(filter(None, [origins.model, origins.about])) or origins.path)
    kinds: dict[str, list[str]] = defaultdict(list)
    for (what, value), names in sorted(known.items()):
        kinds[what].append(f"    {value}  of {', '.join(_first(list(dict.fromkeys(names)), shown))}")
    for what, lines in kinds.items():
        yield f"  {what}"
        yield from _first(lines, shown, "    ")


def _inputs(chain: "Chain") -> Iterator[str]:
    study = chain.study
    for recording in study.recordings:
        yield f"  recording {recording.name}: {recording.file}"
    for rating in study.ratings:
        yield f"  ratings {rating.name}: {rating.scores or rating.splits}, images {rating.images}"
    models = {task.names["model"] for task in chain.tasks if "model" in task.names}
    for entry in study.models:
        if entry.name in models:
            yield f"  weights of {entry.name}: {entry.weights_file() or entry.weights or 'official'}"


def _first(items: list[str], shown: int | None, indent: str = "") -> list[str]:
    """Return the first of many, and how many more there are."""
    if shown is None or len(items) <= shown:
        return items
    return [*items[:shown], f"{indent}and {len(items) - shown:,} more"]
