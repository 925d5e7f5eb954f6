"""`layerwise plan`: what a study will take, said before anything runs."""

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from layerwise.cli.options import CONFIG, Config
from layerwise.cli.progress import short
from layerwise.cli.schedule import comparison_lines, rerun_lines, stage_lines, wall_line, ways_lines
from layerwise.cli.tabular import line_width
from layerwise.interfaces import counted

if TYPE_CHECKING:
    from layerwise.config import Study
    from layerwise.study.forecast import Forecast, Row, TrainingRow
    from layerwise.study.rates import Machines

HEAD = ("network", "images of", "number", "layers", "method", "jobs", "passes", "GPU GB", "host GB", "disk GB", "hours")
WORDS = (0, 1, 4)  # columns of text
NAMING = 3  # columns that say what a row is about
TRAINED = ("network", "splits", "jobs", "images/s", "of", "pixels", "GPU GB", "host GB", "hours", "rates")
TRAINED_WORDS = (0, 4, 5, 9)


def plan(
    config: Config = CONFIG,
    model: Annotated[list[str] | None, typer.Option("--model", help="Of these networks only.")] = None,
    gpus_at_once: Annotated[
        int | None, typer.Option("--gpus-at-once", min=1, help="Say when all is done with so many GPUs.")
    ] = None,
    reruns: Annotated[bool, typer.Option("--reruns", help="Ask Snakemake what it would run, and why.")] = False,
    compare: Annotated[
        bool, typer.Option("--compare", help="Hold the plan against what SLURM says that jobs took.")
    ] = False,
    calibrate: Annotated[
        bool, typer.Option("--calibrate", help="Measure this machine first: its GPU, if the study asks for one.")
    ] = False,
    calibration: Annotated[
        Path | None, typer.Option("--calibration", help="File of what was measured; default: in your config folder.")
    ] = None,
) -> None:
    """Print what running the networks will take: jobs, forward passes, memory, disk and hours; and what is done."""
    from layerwise.config import load_study
    from layerwise.study import Budget, Plans, layout_of
    from layerwise.study.forecast import forecast
    from layerwise.study.schedule import compare_with_slurm, make_schedule, other_way

    study = load_study(config)
    measured = calibration or _calibration_file()
    if calibrate:
        _calibrate(int(Budget.of(study).on_gpu), measured)
    elif calibration and not calibration.is_file():
        raise ValueError(f"there is no {calibration}: measure it first, with --calibrate")
    machines = _machines(measured)
    names = [study.model_entry(name).name for name in model] if model else [entry.name for entry in study.models]
    found = forecast(study, names, machines)
    targets = [layout_of(study).model_layers(name) for name in names] if model else None
    plans = Plans(study, machines)
    schedule, other = make_schedule(plans, targets), other_way(plans)
    lines = [
        *_table(found.rows),
        *_trained(found.trained),
        *_sums(study, found, machines),
        *stage_lines(schedule, machines),
    ]
    lines += ways_lines(schedule, make_schedule(other, targets), study.compute.gpus) if other else []
    lines += [wall_line(schedule, gpus_at_once)] if gpus_at_once else []
    lines += comparison_lines(compare_with_slurm(schedule)) if compare else []
    lines += rerun_lines(config) if reruns else []
    for line in (*lines, *found.unknown):
        typer.echo(line)
    if found.failed:
        raise ValueError("\n".join([f"{len(found.failed)} of these cannot run as the config is:", *found.failed]))


def _calibration_file() -> Path:
    return Path(typer.get_app_dir("layerwise")) / "calibration.json"


def _calibrate(gpus: int, path: Path) -> None:
    """Measure this machine, and keep what was measured."""
    from layerwise.files import writable
    from layerwise.steps.calibration import calibrate
    from layerwise.study.calibration import write_calibration

    writable(path)
    typer.echo("measuring this machine, which takes about two minutes", err=True)
    measured, on_gpu = calibrate(gpus)
    write_calibration(measured, on_gpu, path)
    typer.echo(f"measured {measured.machine} on {measured.host}: kept in {path}", err=True)


def _machines(path: Path) -> "Machines":
    from layerwise.study.calibration import calibrated, read_calibrations

    return calibrated(read_calibrations(path), path)


def _table(rows: "Sequence[Row]") -> list[str]:
    """Return a line a row; none where layers of networks of your own are not known before a job has listed them."""
    if not rows:
        return []
    cells = [_cells(row) for row in rows]
    names = [f"{network}, {number} images of {stimuli}" for network, stimuli, number, *_ in cells]
    return _fitting([HEAD, *cells], WORDS, names, NAMING)


def _fitting(cells: "Sequence[Sequence[str]]", words: Sequence[int], names: Sequence[str], naming: int) -> list[str]:
    """Return lines whose columns are as wide as their longest text, or, where these do not fit a line, two a row.

    Parameters
    ----------
    cells : sequence of sequence of str
        The head, and a row each.
    words : sequence of int
        Columns of text.
    names : sequence of str
        Of each row, what stands above its numbers where it has two lines.
    naming : int
        How many of the first columns that says.
    """
    lines = _aligned(cells, words)
    if max(map(len, lines)) <= line_width():
        return lines
    rest = _aligned([line[naming:] for line in cells], [place - naming for place in words])
    head, *numbers = (f"  {line}" for line in rest)
    return [head, *chain.from_iterable(zip(names, numbers, strict=True))]


def _trained(rows: "Sequence[TrainingRow]") -> list[str]:
    """Return the same of the networks that are trained on."""
    cells = [_cells_trained(row) for row in rows]
    fitting = _fitting([TRAINED, *cells], TRAINED_WORDS, [network for network, *_ in cells], 1)
    return ["", "fine-tuning:", *fitting, ""] if rows else []


def _aligned(texts: "Sequence[Sequence[str]]", words: Sequence[int]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    place = partial(_place, words=words)
    return ["  ".join(map(place, line, widths, range(len(widths)))).rstrip() for line in texts]


def _place(cell: str, width: int, column: int, words: Sequence[int]) -> str:
    return cell.ljust(width) if column in words else cell.rjust(width)


def _cells_trained(row: "TrainingRow") -> tuple[str, ...]:
    plan = row.plan
    counted = f"{len(plan.splits)}", f"{plan.jobs}", short(1 / plan.rate.seconds)
    device = "a GPU" if plan.budget.on_gpu else "a core"
    held = "held" if plan.holds_pixels(plan.budget.device) else "streamed"
    sizes = f"{plan.device / 1e9:.1f}", f"{row.memory / 1e3:.1f}", f"{plan.jobs * plan.seconds / 3600:.1f}"
    return plan.model, *counted, device, held, *sizes, "measured" if plan.rate.measured else "estimated"


def _cells(row: "Row") -> tuple[str, ...]:
    plan = row.plan
    named = plan.model, plan.stimuli, f"{plan.n_images:,}", f"{len(plan.layers):,}", plan.method
    counted = f"{len(plan.running):,}", f"{plan.passes:,}"
    sizes = f"{row.device / 1e9:.2f}", f"{row.memory / 1e3:.2f}", f"{row.disk / 1e9:.2f}"
    return *named, *counted, *sizes, f"{plan.seconds / 3600:.2f}"


def _sums(study: "Study", found: "Forecast", machines: "Machines") -> Iterator[str]:
    from layerwise.study import Budget
    from layerwise.study.rates import PACKING, SHIPPED

    budget = Budget.of(study)
    setting, rates = "compute.gpu_memory" if budget.on_gpu else "compute.memory", machines.of(budget.on_gpu)
    jobs, passes = sum(len(row.plan.running) for row in found.rows), sum(row.plan.passes for row in found.rows)
    yield (
        f"{counted(jobs, 'job runs', 'jobs run')} a network, with "
        f"{counted(passes, 'forward pass', 'forward passes')}; layers share as many as {setting}, "
        f"{budget.device / 1e9:g} GB, allows"
    )
    removed = " (removed once a network is scored)" if study.storage.activations == "temporary" else ""
    yield (
        f"{(found.pixels + found.activations + found.scratch) / 1e9:,.1f} GB of disk: {found.pixels / 1e9:,.1f} GB of "
        f"pixels, {found.activations / 1e9:,.1f} GB of activations{removed}, and {found.scratch / 1e9:,.1f} GB of the "
        "sketches or saved state of the largest job until it ends, as often as jobs run at once"
    )
    if found.weights:
        yield f"{found.weights / 1e9:,.1f} GB of disk more for the weights of fine-tuned networks"
    for step, stage in found.stages.items():
        hours = [f"{stage.gpu_hours:,.2f} GPU-hours"] if stage.gpu_hours else []
        hours += [f"{stage.cpu_hours:,.2f} CPU-hours"] if stage.cpu_hours else []
        yield f"{step}: {counted(stage.jobs, 'job')}, {' and '.join(hours)}"
    yield (
        f"Hours are expected from what was measured of {rates.machine} ({rates.source}; pixels: {PACKING}); the start "
        f"of a job is not among them. Jobs ask for {rates.slower:g} times as long as on "
        f"{SHIPPED.of(budget.on_gpu).machine}, since other machines are slower."
    )
    yield from _notes(found)
    if study.finetuning is not None and study.finetuning.profile:
        yield (
            "Not planned: the layers of fine-tuned networks (finetuning.profile). For each split they cost about as "
            "much as those of the network before, of one split of the ratings; of other ratings nothing."
        )


def _notes(found: "Forecast") -> Iterator[str]:
    if found.trained:
        yield from _notes_of_training(found)
    methods = {row.plan.method for row in found.rows}
    if "streamed" in methods:
        yield (
            "Not planned: layers for which float32 is too coarse are fitted again in float64, with as many passes "
            "more; which these are shows only as they are fitted."
        )


def _notes_of_training(found: "Forecast") -> Iterator[str]:
    epochs = {row.plan.epochs for row in found.trained}
    measured = sorted({row.plan.rate.source for row in found.trained if row.plan.rate.measured})
    guessed = sorted({row.plan.rate.source for row in found.trained if not row.plan.rate.measured})
    yield (
        f"Fine-tuning is planned with {counted(max(epochs), 'epoch')} until early stopping, which is a guess, and the "
        f"splits of a job one after another. Rates: {'; '.join([*measured, *guessed])}."
    )
    large = [row.plan.model for row in found.trained if row.plan.divides]
    if large:
        yield (
            f"More than a GPU's memory (compute.gpu_memory) is planned for {', '.join(large)}: a job divides batches "
            "into parts where it has to, of which batch normalisations see one at a time, and trains fewer splits at "
            "once."
        )
