"""Parts of `layerwise plan`: the jobs that are left by stage, their hours, and what SLURM says that they took."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import layerwise
from layerwise.interfaces import counted

if TYPE_CHECKING:
    from layerwise.study.rates import Machines
    from layerwise.study.schedule import Comparison, Schedule, StagePlan

HEAD = f"{'stage':24}{'jobs':>7}{'done':>7}{'GPU h':>10}{'core h':>11}{'GB':>8}{'minutes':>10}"
COMPARED = f"{'stage':22}{'jobs':>6}{'GB plan':>9}{'used':>7}{'of asked':>10}{'s plan':>8}{'took':>8}{'of asked':>10}"
UNMEASURED = "A100, V100 and other GPUs: not measured; --calibrate measures the one of this machine"


def stage_lines(schedule: "Schedule", machines: "Machines") -> Iterator[str]:
    """Show jobs by stage; hours of those that are left, memory and time of the one that asks for most."""
    from layerwise.study.rates import SHIPPED
    from layerwise.study.schedule import total

    yield ""
    yield HEAD
    everything = total(schedule.stages)
    yield from map(_stage, [*schedule.stages, everything])
    yield "h: of the jobs that are left, their start left out; GB and minutes: asked for at most by a job"
    if everything.gpu_hours:
        yield f"GPU h: on {machines.gpu.machine}; of fine-tuning on the GPU that its rates name"
    if everything.gpu_hours and machines.gpu == SHIPPED.gpu:
        yield UNMEASURED
    yield f"core h: on {machines.cpu.machine}"


def ways_lines(schedule: "Schedule", other: "Schedule", gpus: int) -> Iterator[str]:
    """Say what the study takes with a GPU a job and without, whichever the config asks for.

    Parameters
    ----------
    schedule, other : Schedule
        As the config is, and the other way.
    gpus : int
        What the config asks for.
    """
    yield f"as the config is, compute.gpus: {gpus}: {_hours(schedule)}"
    yield f"the other way, compute.gpus: {0 if gpus else 1}: {_hours(other)}"


def _hours(schedule: "Schedule") -> str:
    from layerwise.study.schedule import total

    everything = total(schedule.stages)
    gpu = f"{everything.gpu_hours:,.1f} GPU h and " if everything.gpu_hours else ""
    return f"{counted(everything.jobs, 'job')}, {gpu}{everything.core_hours:,.1f} core h"


def wall_line(schedule: "Schedule", gpus: int) -> str:
    """Say when all is done with so many GPUs.

    Raises
    ------
    ValueError
        The study asks for none, or its jobs for more.
    """
    from layerwise.study.schedule import AT_ONCE, wall_time

    if not any(needs.gpus for needs in schedule.needs.values()):
        raise ValueError("--gpus-at-once: the jobs of the study ask for no GPU: set compute.gpus to 1")
    hours = wall_time(schedule, gpus) / 3600
    return (
        f"{hours:,.1f} hours until all is done with {counted(gpus, 'such GPU')} and {AT_ONCE} jobs at once, if jobs "
        "wait for nothing else"
    )


def comparison_lines(compared: "list[Comparison]") -> Iterator[str]:
    """Show what was planned beside what SLURM saw."""
    yield ""
    yield COMPARED
    for one in compared:
        memory = f"{one.planned_memory / 1e9:>9.1f}{one.used_memory / 1e9:>7.1f}{one.asked_share:>10.0%}"
        times = f"{one.planned_seconds:>8.0f}{one.seconds:>8.0f}{one.time_share:>10.0%}"
        yield f"{one.step:22}{len(one.jobs):>6}{memory}{times}"
    yield "GB: of the job that needs most; s: of the median job; of asked: of the job that came nearest to it"
    over = [one.step for one in compared if one.used_memory > one.planned_memory]
    if over:
        yield f"more memory than was planned, if not than was asked for: {', '.join(over)}; please report it"


def rerun_lines(config: Path) -> Iterator[str]:
    """Ask Snakemake which jobs it would run, and why.

    Raises
    ------
    ValueError
        Snakemake cannot plan them.
    """
    snakefile = Path(layerwise.__file__).parents[2] / "Snakefile"
    if not snakefile.is_file():
        raise ValueError("--reruns needs the checkout of layerwise, whose Snakefile is not here")
    options = ["--dry-run", "--quiet", "rules", "--cores", "1", "--snakefile", str(snakefile)]
    command = [sys.executable, "-m", "snakemake", *options, "--configfile", str(config)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise ValueError(f"Snakemake cannot plan it: {done.stdout.strip()}")
    yield ""
    yield "Snakemake would run:"
    if "Nothing to be done" in done.stdout:
        yield "  nothing"
    for rule, count in re.findall(r"^(\w\S*) +(\d+)$", done.stdout, re.MULTILINE):
        if rule not in ("all", "total"):
            yield f"  {rule}: {count}"
    for reason, rules in re.findall(r"^ {4}(\S.*):\n {8}(.*)$", done.stdout, re.MULTILINE):
        named = [name for name in rules.split(", ") if name != "all"]
        yield from [f"  {reason}: {', '.join(named)}"] if named else []


def _stage(stage: "StagePlan") -> str:
    gpu = f"{stage.gpu_hours:,.1f}" if stage.gpu_hours else "-"
    core = f"{stage.core_hours:,.1f}" if stage.core_hours else "-"
    asked = f"{stage.memory / 1e3:>8.1f}{stage.minutes:>10,}"
    return f"{stage.step:24}{stage.jobs:>7,}{stage.done or '-':>7}{gpu:>10}{core:>11}{asked}"
