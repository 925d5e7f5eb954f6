"""When the jobs that are left will end, on so many GPUs; and what SLURM says that jobs took, beside their plan."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from getpass import getuser
from heapq import heappop, heappush
from pathlib import Path
from statistics import median

from layerwise.study.plan import Plans
from layerwise.study.rates import SHIPPED, START
from layerwise.study.resources import Needs, RuleResources
from layerwise.study.slurm import Ask, ask_slurm
from layerwise.study.status import find_done
from layerwise.study.tasks import Task, Tasks, list_tasks

AT_ONCE = 200  # jobs that the profile of a cluster submits
SINCE = "now-60days"
UNITS = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
FIELDS = "JobID,Comment,State,ElapsedRaw,MaxRSS,ReqMem,TimelimitRaw,WorkDir"


@dataclass
class StagePlan:
    """The jobs of one step.

    Parameters
    ----------
    step : str
        The step.
    jobs, done : int
        All, and those whose results are there.
    gpu_hours, core_hours : float
        Expected of those that are left, of all GPUs and processor cores together, without the start of jobs.
    memory, minutes : int
        Megabytes and minutes that the job asks for that asks for most.
    """

    step: str
    jobs: int = 0
    done: int = 0
    gpu_hours: float = 0
    core_hours: float = 0
    memory: int = 0
    minutes: int = 0

    def add(self, needs: Needs, asked: Needs, threads: int, done: bool) -> None:
        """Count a job that needs something, on the machine that it is planned on, and asks for something else."""
        self.jobs += 1
        self.done += done
        self.memory = max(self.memory, asked.ask("mem_mb"))
        self.minutes = max(self.minutes, asked.ask("runtime"))
        if not done and needs.rates.on_gpu:
            self.gpu_hours += max(1, needs.gpus) * needs.seconds / 3600
        elif not done:
            self.core_hours += threads * needs.seconds / 3600


@dataclass(frozen=True)
class Schedule:
    """The jobs of a study, by step, and those that are left.

    Parameters
    ----------
    stages : list of StagePlan
        In the order of the data.
    listed : Tasks
        All jobs.
    left : list of Task
        Those whose results are not there.
    needs : mapping of str to Needs
        Of each job, by its log.
    """

    stages: list[StagePlan]
    listed: Tasks
    left: list[Task]
    needs: Mapping[str, Needs]


def make_schedule(plans: Plans, targets: Sequence[str] | None = None) -> Schedule:
    """Find the jobs of a study that are left, or of some results, and what they take."""
    listed, resources = list_tasks(plans, targets), RuleResources(plans)
    asking = resources if plans.machines == SHIPPED else RuleResources(Plans(plans.study))
    done = find_done(listed)
    needs = {task.log: resources.of(task.step, task.names) for task in listed.tasks}
    stages: dict[str, StagePlan] = {}
    for task in listed.tasks:
        stage = stages.setdefault(task.step, StagePlan(task.step))
        asked = asking.of(task.step, task.names)
        stage.add(needs[task.log], asked, plans.budget.threads, done[task.log])
    left = [task for task in listed.tasks if not done[task.log]]
    return Schedule(list(stages.values()), listed, left, needs)


def other_way(plans: Plans) -> Plans | None:
    """Plan a study with a GPU a job if it asks for none, and else without; None where its device is fixed."""
    study, compute = plans.study, plans.study.compute
    if compute.device != "auto":
        return None
    changed = compute.model_copy(update={"gpus": 0 if compute.gpus else 1})
    return Plans(study.model_copy(update={"compute": changed}), plans.machines)


def wall_time(schedule: Schedule, gpus: int, at_once: int = AT_ONCE) -> float:
    """Return the seconds until all jobs that are left have ended, if none waits but for its inputs and for GPUs.

    Parameters
    ----------
    schedule : Schedule
        The jobs.
    gpus : int
        GPUs that run jobs at once.
    at_once : int
        Jobs that run at once.

    Raises
    ------
    ValueError
        A job asks for more GPUs than that.
    """
    largest = max((schedule.needs[task.log].gpus for task in schedule.left), default=0)
    if largest > gpus:
        raise ValueError(f"a job asks for {largest} GPUs (compute.gpus), which {gpus} at once are too few for")
    queue, running = _Queue(schedule), list[tuple[float, int, Task]]()
    now, free = 0.0, gpus
    while True:
        while len(running) < at_once and (found := queue.take(free)) is not None:
            place, task = found
            needs = schedule.needs[task.log]
            free -= needs.gpus
            heappush(running, (now + START + needs.seconds, place, task))
        if not running:
            return now
        now, _, ended = heappop(running)
        free += schedule.needs[ended.log].gpus
        queue.end(ended)


class _Queue:
    """The jobs that wait for nothing but a place, in the order of the data; those with a GPU by themselves."""

    def __init__(self, schedule: Schedule) -> None:
        self._needs = schedule.needs
        self._waiting, self._readers = _dependencies(schedule.left)
        self._places = {task.log: place for place, task in enumerate(schedule.left)}
        self._ready: tuple[list[tuple[int, Task]], ...] = [], []
        for task in schedule.left:
            self._add(task)

    def take(self, free: int) -> tuple[int, Task] | None:
        """Take the next job out that so many GPUs are enough for."""
        for heap in self._ready:
            if heap and self._needs[heap[0][1].log].gpus <= free:
                return heappop(heap)
        return None

    def end(self, task: Task) -> None:
        """Make ready what waited for a job alone."""
        for reader in self._readers[task.log]:
            self._waiting[reader.log] -= 1
            self._add(reader)

    def _add(self, task: Task) -> None:
        if not self._waiting[task.log]:
            heappush(self._ready[self._needs[task.log].gpus == 0], (self._places[task.log], task))


def _dependencies(tasks: Sequence[Task]) -> tuple[dict[str, int], dict[str, list[Task]]]:
    """Count the jobs that each one waits for, and list those that wait for it."""
    making = {path: task for task in tasks for path in task.outputs}
    readers: dict[str, list[Task]] = defaultdict(list)
    waiting = {}
    for task in tasks:
        before = {making[path].log for path in task.inputs if path in making}
        waiting[task.log] = len(before)
        for log in before:
            readers[log].append(task)
    return waiting, readers


# --- what jobs took ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Used:
    """What SLURM says of a job that has ended well.

    Parameters
    ----------
    memory : int
        Bytes at most (MaxRSS); 0 where it was too short to be looked at.
    asked : int
        Bytes that it asked for.
    seconds : int
        That it took, its start among them.
    limit : int
        Seconds that it asked for.
    """

    memory: int
    asked: int
    seconds: int
    limit: int


@dataclass(frozen=True)
class Comparison:
    """Jobs of one step, as planned and as SLURM saw them.

    Parameters
    ----------
    step : str
        The step.
    jobs : list of tuple
        Of each job what was planned, and what it used.
    """

    step: str
    jobs: list[tuple[Needs, Used]]

    @property
    def planned_memory(self) -> float:
        """Bytes of the job that is to need most: its plan, and Python."""
        return max(needs.memory + needs.process for needs, _ in self.jobs)

    @property
    def used_memory(self) -> int:
        """Bytes of the job that used most."""
        return max(used.memory for _, used in self.jobs)

    @property
    def asked_share(self) -> float:
        """What the job that came nearest to it used of the memory that it asked for."""
        return max(used.memory / used.asked for _, used in self.jobs if used.asked)

    @property
    def planned_seconds(self) -> float:
        """Of the median job, with its start."""
        return median(START + needs.seconds for needs, _ in self.jobs)

    @property
    def seconds(self) -> float:
        """That the median job took."""
        return median(used.seconds for _, used in self.jobs)

    @property
    def time_share(self) -> float:
        """What the job that came nearest to it took of the time that it asked for."""
        return max(used.seconds / used.limit for _, used in self.jobs if used.limit)


def compare_with_slurm(schedule: Schedule, ask: Ask = ask_slurm) -> list[Comparison]:
    """Hold the plan of jobs against what SLURM saw of the last that ended well, of those that ran from this folder.

    Raises
    ------
    ValueError
        SLURM tells of none.
    """
    used = read_used(ask)
    if not used:
        raise ValueError(
            "sacct tells of no job from this folder that ended well in 60 days: run this where Snakemake ran; on SLURM "
            "21.08 and later the accounting keeps the names of jobs with AccountingStoreFlags=job_comment alone"
        )
    found: dict[str, list[tuple[Needs, Used]]] = defaultdict(list)
    for task in schedule.listed.tasks:
        if task.comment in used:
            found[task.step].append((schedule.needs[task.log], used[task.comment]))
    return [Comparison(step, jobs) for step, jobs in found.items()]


def read_used(ask: Ask = ask_slurm) -> dict[str, Used]:
    """Return what the jobs of this folder used that ended well, by their comments; of several the last."""
    command = [
        "sacct",
        "--noheader",
        "--parsable2",
        f"--user={getuser()}",
        f"--starttime={SINCE}",
        f"--format={FIELDS}",
    ]
    rows = [line.split("|") for line in ask(command).splitlines()]
    steps: dict[str, list[list[str]]] = defaultdict(list)
    for row in rows:
        if len(row) == len(FIELDS.split(",")):
            steps[row[0].partition(".")[0]].append(row)
    found = {}
    for (_, comment, state, seconds, _, asked, limit, folder), *parts in steps.values():
        if state == "COMPLETED" and folder == str(Path.cwd()) and comment:
            memory = max((_bytes(part[4]) for part in parts), default=0)
            found[comment] = Used(memory, _bytes(asked), int(seconds or 0), 60 * _number(limit))
    return found


def _bytes(text: str) -> int:
    """Return the bytes in what `sacct` prints, such as ``775816K``, ``191M`` or ``1501Mn``."""
    text = text.rstrip("nc")
    unit = UNITS.get(text[-1:], 1)
    number = text.rstrip("".join(UNITS))
    return int(float(number) * unit) if number else 0


def _number(text: str) -> int:
    return int(text) if text.isdigit() else 0


def total(stages: Iterable[StagePlan]) -> StagePlan:
    """Add the stages up; memory and minutes are those of the job that asks for most."""
    everything = StagePlan("all")
    for stage in stages:
        everything.jobs += stage.jobs
        everything.done += stage.done
        everything.gpu_hours += stage.gpu_hours
        everything.core_hours += stage.core_hours
        everything.memory = max(everything.memory, stage.memory)
        everything.minutes = max(everything.minutes, stage.minutes)
    return everything
