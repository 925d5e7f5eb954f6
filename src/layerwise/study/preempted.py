"""Jobs that SLURM took away for others and does not start again by itself.

Snakemake's SLURM plugin (2.8.0) leaves a job that was preempted to SLURM, and waits for it without end where SLURM
cancels such jobs (`PreemptMode=CANCEL`), or may not requeue this one (`--no-requeue`). So what the plugin is told of
them is changed here: SLURM is asked to start the job again, or else the plugin is told that it was cancelled, which
Snakemake's retries answer.
"""

import logging
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from types import ModuleType

from layerwise.study.slurm import Ask, ask_slurm

States = dict[str, str]  # of each job, by its number
Queried = tuple[States | None, float | None]
Query = Callable[[str, logging.Logger], Awaitable[Queried]]

MOST = 50  # times that SLURM started a job again, for whatever reason, after which it is left to the retries
PREEMPTED, CANCELLED, PENDING = "PREEMPTED", "CANCELLED", "PENDING"
OTHER_ENDS = frozenset(  # of a job; those that `squeue` and `scontrol` may print beside PREEMPTED
    ["BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "TIMEOUT"]
)
QUERY = "query_job_status"  # of the plugin's module

log = logging.getLogger(__name__)


def end_waiting(plugin: ModuleType, ask: Ask = ask_slurm, warn: Callable[[str], None] = log.warning) -> None:
    """Have Snakemake's SLURM plugin wait for no job that SLURM took away and will not start again.

    Parameters
    ----------
    plugin : module
        ``snakemake_executor_plugin_slurm``, whose function that asks for the states of jobs is replaced.
    ask, warn : callable
        Runs a command of SLURM; tells the user.
    """
    query: Query | None = getattr(plugin, QUERY, None)
    if query is None:
        warn("this version of Snakemake's SLURM plugin is not known: a job that is preempted for good is waited for")
        return

    async def query_and_settle(command: str, logger: logging.Logger) -> Queried:
        states, seconds = await query(command, logger)
        return (None if states is None else settle(states, ask, warn)), seconds

    setattr(plugin, QUERY, query_and_settle)


def settle(states: Mapping[str, str], ask: Ask = ask_slurm, warn: Callable[[str], None] = log.warning) -> States:
    """Return the states of jobs as the plugin knows them; jobs that were taken away are started again if that may be.

    Parameters
    ----------
    states : mapping of str to str
        Of each job, as `squeue` or `sacct` prints it; ``CANCELLED by 1000`` loses its end, of which the plugin knows
        nothing.
    ask, warn : callable
        Runs a command of SLURM; tells the user.
    """
    known = {job: state.partition(" by ")[0] for job, state in states.items()}
    return {job: _start_again(job, ask, warn) if state == PREEMPTED else state for job, state in known.items()}


def _start_again(job: str, ask: Ask, warn: Callable[[str], None]) -> str:
    """Have SLURM start a job again that it took away; return the state that the plugin is to see."""
    told = _job(job, ask)
    if not told and not ask(["sinfo", "--noheader"]):
        return PREEMPTED  # SLURM does not answer; it is asked again
    state = told.get("JobState", PREEMPTED)
    if state != PREEMPTED:  # what the controller says now; its accounting may be late
        return state if state in OTHER_ENDS else PENDING
    if told.get("Requeue") == "1" and int(told.get("Restarts", MOST)) < MOST:
        ask(["scontrol", "requeue", job])
        state = _job(job, ask).get("JobState", PREEMPTED)
        if state in OTHER_ENDS:  # somebody was quicker, such as scancel
            return state
        if state != PREEMPTED:
            warn(f"SLURM's job {job} was taken away for others: SLURM was asked to start it again, and will")
            return PENDING
    warn(f"SLURM's job {job} was taken away for others, and SLURM will not start it again: it counts as cancelled")
    return CANCELLED


def _job(job: str, ask: Ask) -> dict[str, str]:
    """Return what SLURM says of a job; nothing if it does not know it, or does not answer."""
    told = dict(re.findall(r"(?:^|\s)(\w+)=(\S*)", ask(["scontrol", "show", "job", "--oneliner", job])))
    return told if "JobState" in told else {}


# --- what is told of it when a run starts -----------------------------------------------------------------------------


def preemption(partitions: Iterable[str], requeue: bool | None, ask: Ask = ask_slurm) -> str:
    """Return a warning of jobs that SLURM may take away and does not start again by itself; else nothing.

    Parameters
    ----------
    partitions : iterable of str
        In which jobs of this run are.
    requeue : bool or None
        Whether jobs are submitted with ``--requeue`` or ``--no-requeue``; None with neither.
    ask : callable
        Runs a command of SLURM.
    """
    config = _settings(ask(["scontrol", "show", "config"]))
    if config.get("PreemptType", "preempt/none") in ("preempt/none", "(null)"):
        return ""
    if requeue is False or (requeue is None and config.get("JobRequeue") == "0"):
        return (
            "SLURM may take jobs away for others here, and does not start these again, as they are not submitted with "
            "--requeue: each costs one of the retries; `slurm-requeue: true` in the profile mends that"
        )
    modes = {name: _mode(name, ask) for name in sorted(set(partitions))}
    cancelled = [name for name, mode in modes.items() if mode == "CANCEL"]
    if not cancelled:
        return ""
    return (
        f"SLURM cancels jobs of {', '.join(cancelled)} that it takes away for others (PreemptMode=CANCEL): while "
        "Snakemake runs, it has SLURM start them again, which takes some minutes"
    )


def _mode(partition: str, ask: Ask) -> str:
    found = re.search(r"\bPreemptMode=(\S+)", ask(["scontrol", "show", "partition", "--oneliner", partition]))
    return found[1] if found else ""


def _settings(told: str) -> dict[str, str]:
    """Return the settings that `scontrol show config` prints, a line each."""
    return dict(re.findall(r"^(\w+) *= (.*?) *$", told, re.MULTILINE))
