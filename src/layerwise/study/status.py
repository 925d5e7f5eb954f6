"""How far a study has come: from its files, its logs and SLURM, whether or not Snakemake runs."""

import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from getpass import getuser
from pathlib import Path
from statistics import median
from typing import Literal

from layerwise.files.made import read_run
from layerwise.study.plan import Plans
from layerwise.study.rates import START
from layerwise.study.resources import RuleResources
from layerwise.study.slurm import Ask, ask_slurm
from layerwise.study.tasks import Task, Tasks, list_tasks

State = Literal["done", "running", "failed", "waiting"]
STATES: tuple[State, ...] = ("done", "running", "failed", "waiting")
SLURM_LOGS = ".snakemake/slurm_logs"
LOCKS = ".snakemake/locks"
PENDING = {"PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "SPECIAL_EXIT", "SUSPENDED"}
SAMPLE = 30  # finished jobs of a stage whose time is read
TAIL = 64 * 2**10  # bytes of a log that are read from its end
SILENT = "it ended without a message: it was cancelled or killed (memory, time), or its machine went down"
TOLD = re.compile(r"^(?:internal )?error: .*(?:\n  .*)*", re.MULTILINE)  # with what it lists, a line each
STOPPED = re.compile(r"start it again to resume|started again")  # of a job that ended in time, with status 75
ENDED_BY_SLURM = re.compile(
    r"(slurmstepd(-\S+)?|srun): error: .*(CANCELLED|oom|OOM|memory|TIME LIMIT|PREEMPT|NODE FAIL)"
)


@dataclass(frozen=True)
class Failure:
    """A job that failed.

    Parameters
    ----------
    task : Task
        The job.
    message : str
        Its own, or that of SLURM, or that there is none.
    logs : tuple of str
        Paths of its logs.
    """

    task: Task
    message: str
    logs: tuple[str, ...]


@dataclass
class StageStatus:
    """The jobs of one step.

    Parameters
    ----------
    step : str
        The step.
    counts : Counter
        How many jobs are in each state.
    seconds_left : float
        Of the jobs that are not done, one after another.
    measured : bool
        Whether these come from finished jobs of the same step here; else from the plan alone.
    """

    step: str
    counts: Counter[State] = field(default_factory=Counter)
    seconds_left: float = 0.0
    measured: bool = False

    @property
    def jobs(self) -> int:
        """Their number."""
        return self.counts.total()


@dataclass(frozen=True)
class Status:
    """How far a study has come.

    Parameters
    ----------
    stages : list of StageStatus
        In the order of the data.
    failures : list of Failure
        Jobs that failed.
    unknown : list of str
        A sentence for each network of which more jobs are not known yet.
    locked : bool
        Whether a Snakemake runs in this folder, or was killed there.
    """

    stages: list[StageStatus]
    failures: list[Failure]
    unknown: list[str]
    locked: bool

    def count(self, state: State) -> int:
        """Count the jobs of all stages that are in a state."""
        return sum(stage.counts[state] for stage in self.stages)

    @property
    def seconds_left(self) -> float:
        """Of all jobs that are not done, one after another."""
        return sum(stage.seconds_left for stage in self.stages)


def find_status(plans: Plans, ask: Ask = ask_slurm, written: Callable[[], set[str]] | None = None) -> Status:
    """Find how far a study has come.

    Parameters
    ----------
    plans : Plans
        Of the study.
    ask : callable
        Runs a command of SLURM.
    written : callable, optional
        Lists the files that a process of this machine writes its output to.
    """
    listed = list_tasks(plans)
    states, failures = _find_states(listed, queued(ask), (written or open_outputs)())
    stages: dict[str, StageStatus] = {}
    for task in listed.tasks:
        stages.setdefault(task.step, StageStatus(task.step)).counts[states[task.log]] += 1
    for stage in stages.values():
        _add_time(stage, [task for task in listed.tasks if task.step == stage.step], states, RuleResources(plans))
    locked = any(Path(LOCKS).glob("*.lock"))
    return Status(list(stages.values()), failures, listed.unknown, locked)


def find_done(listed: Tasks) -> dict[str, bool]:
    """Say of each job, by its log, whether its results are there, or are no longer needed: all behind them was made.

    Parameters
    ----------
    listed : Tasks
        All jobs of a study, in the order of the data.
    """
    tasks = listed.tasks
    there = _Files(tasks)
    done = {task.log: all(map(there.__contains__, task.outputs)) for task in tasks}
    readers: dict[str, list[Task]] = {}
    for task in tasks:
        for path in task.inputs:
            readers.setdefault(path, []).append(task)
    for task in reversed(tasks):  # readers come after what they read
        reading = [reader for path in task.outputs for reader in readers.get(path, ())]
        used = bool(reading) and all(done[reader.log] for reader in reading)
        done[task.log] = done[task.log] or (used and listed.targets.isdisjoint(task.outputs))
    return done


class _Files:
    """The files that are there: folders are listed once, since each question costs much on a network's disk."""

    def __init__(self, tasks: Iterable[Task]) -> None:
        folders = {os.path.dirname(path) for task in tasks for path in task.outputs}  # noqa: PTH120
        self._there = {path for folder in folders for path in _files_in(folder)}

    def __contains__(self, path: str) -> bool:
        return path in self._there


def _files_in(folder: str) -> Iterator[str]:
    try:
        with os.scandir(folder or ".") as entries:
            yield from (os.path.join(folder, entry.name) for entry in entries)  # noqa: PTH118
    except OSError:
        return


# --- states -----------------------------------------------------------------------------------------------------------


def queued(ask: Ask = ask_slurm) -> dict[str, str]:
    """Return the jobs of this folder that are with SLURM: the state of each by its comment."""
    lines = ask(["squeue", "--noheader", f"--user={getuser()}", "--format=%T|%Z|%k"]).splitlines()
    jobs = [line.strip().split("|", 2) for line in lines if line.count("|") >= 2]
    return {comment: state for state, folder, comment in jobs if folder == str(Path.cwd())}


def open_outputs() -> set[str]:
    """List the files that the output of a process of this machine goes to; none where the system does not tell."""
    found = set()
    for link in Path("/proc").glob("[0-9]*/fd/1"):
        try:
            found.add(str(link.readlink()))
        except OSError:  # another user's, or ended meanwhile
            continue
    return found


def _find_states(
    listed: Tasks, with_slurm: Mapping[str, str], written: set[str]
) -> tuple[dict[str, State], list[Failure]]:
    done, logs = find_done(listed), {path for path in written if path.endswith(".log")}
    states: dict[str, State] = {}
    failures = []
    for task in listed.tasks:
        asked = with_slurm.get(task.comment)
        if asked is not None:
            states[task.log] = "waiting" if asked in PENDING else "running"
        elif logs and os.path.realpath(task.log) in logs:
            states[task.log] = "running"
        elif done[task.log]:
            states[task.log] = "done"
        else:
            message = _failed(task)
            states[task.log] = "failed" if message else "waiting"
            failures += [Failure(task, message, _logs(task))] if message else []
    return states, failures


def _failed(task: Task) -> str:
    """Return what a job said that ended without results; empty if it never began, or is to be started again."""
    by_slurm = _last(_slurm_log(task), ENDED_BY_SLURM)
    text = _read_end(Path(task.log))
    if text is None:
        return by_slurm
    if told := TOLD.findall(text):
        return str(told[-1])
    if STOPPED.search(text) or _ended_well(task) or read_run(text.splitlines()):
        return ""
    return by_slurm or SILENT


def _ended_well(task: Task) -> bool:
    """Return whether a job's benchmark is there: Snakemake writes it of jobs that succeed, and removes it before."""
    return bool(task.benchmark) and Path(task.benchmark).is_file()


def _logs(task: Task) -> tuple[str, ...]:
    paths = [Path(task.log), _slurm_log(task)]
    return tuple(str(path) for path in paths if path is not None and path.is_file())


def _slurm_log(task: Task) -> Path | None:
    """Find the newest log of SLURM of a job; the plugin removes those of jobs that succeed."""
    values = "_".join(task.names.values()).replace("/", "_")
    folder = Path(SLURM_LOGS) / f"rule_{task.rule}" / values
    logs = [path for path in folder.glob("*.log") if path.stem.isdigit()] if folder.is_dir() else []
    return max(logs, key=lambda path: int(path.stem), default=None)


def _last(path: Path | None, pattern: re.Pattern[str]) -> str:
    lines = (_read_end(path) or "").splitlines() if path else []
    return next((line.strip() for line in reversed(lines) if pattern.search(line)), "")


def _read_end(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL))
            return file.read().decode(errors="replace").replace("\r", "\n")
    except OSError:
        return None


# --- time -------------------------------------------------------------------------------------------------------------


def _add_time(stage: StageStatus, tasks: Sequence[Task], states: Mapping[str, State], resources: RuleResources) -> None:
    """Add what the plan expects of the jobs that are left, times what finished ones took of it."""

    def planned(task: Task) -> float:
        return START + resources.of(task.step, task.names).seconds

    finished = [task for task in tasks if states[task.log] == "done" and task.benchmark]
    sample = finished[:: max(1, len(finished) // SAMPLE)]
    ratios = [took / planned(task) for task in sample if (took := read_seconds(task.benchmark)) is not None]
    stage.measured = bool(ratios)
    scale = median(ratios) if ratios else 1
    stage.seconds_left = scale * sum(planned(task) for task in tasks if states[task.log] != "done")


def read_seconds(benchmark: str) -> float | None:
    """Read the time of a job from its benchmark; None where there is none."""
    try:
        head, values = Path(benchmark).read_text(encoding="utf-8").splitlines()[:2]
        return float(values.split("\t")[head.split("\t").index("s")])
    except (OSError, ValueError):
        return None
