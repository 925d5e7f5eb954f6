"""The SLURM job in which a step runs: when it ends, and how it is started again where the step stopped in time."""

import logging
import os
import re
from dataclasses import dataclass

from layerwise.interfaces.environment import REQUEUE

NUMBER = "SLURM_JOB_ID"
END = "SLURM_JOB_END_TIME"  # seconds since 1970, where this version of SLURM sets it and nothing removes it
MOST = 50  # times that a job is started again: it may be preempted in between without having come further

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ClusterJob:
    """What SLURM says of a job.

    Parameters
    ----------
    state : str
        Such as "RUNNING"; a job that is cancelled, preempted or out of time has another, while it still runs.
    ends : float or None
        When it will be killed, as `time.time` counts; None without a time limit.
    requeues : bool
        Whether it may be started again.
    restarts : int
        How often it was, for whatever reason.
    memory : int or None
        Bytes that it was given; None where SLURM does not count memory.
    """

    state: str
    ends: float | None
    requeues: bool
    restarts: int
    memory: int | None = None


def job_deadline() -> float | None:
    """Return when the cluster will end this job, as `time.time` counts; None if nothing says so."""
    told = os.environ.get(END, "")
    if told.isdigit() and int(told):
        return float(told)
    job = this_job()
    if job is None and os.environ.get(NUMBER, "").isdigit():
        log.warning(
            "SLURM says nothing of its job %s: this step stops in time only if a signal tells it to", os.environ[NUMBER]
        )
    return None if job is None else job.ends


def this_job() -> ClusterJob | None:
    """Ask SLURM for the job of this process; None without SLURM, or if it does not answer."""
    number = os.environ.get(NUMBER, "")
    if not number.isdigit():
        return None
    told = _ask("show", "job", "--oneliner", number) or ""
    fields = dict(re.findall(r"(?:^|\s)(\w+)=(\S*)", told))
    if "JobState" not in fields:
        return None
    ends = fields.get("EndTime", "")
    return ClusterJob(
        fields["JobState"],
        float(ends) if ends.isdigit() else None,
        fields.get("Requeue") == "1",
        int(fields.get("Restarts", "0")),
        _memory(fields.get("AllocTRES") or fields.get("TRES", "")),
    )


def _memory(given: str) -> int | None:
    """Return the bytes in what a job was given, such as ``cpu=2,mem=4000M,node=1``; older versions call it TRES."""
    found = re.search(r"\bmem=([\d.]+)([KMGT])", given)
    return int(float(found[1]) * 1024 ** (1 + "KMGT".index(found[2]))) if found else None


def start_again() -> bool:
    """Have SLURM start this job again, where the workflow asked for it; return whether it will.

    A retry of Snakemake would count among those that are meant for failures, and asks for more of everything. A job
    that SLURM has ended by itself is left to it: it was cancelled, or is started again anyway.
    """
    if not os.environ.get(REQUEUE):
        return False
    job = this_job()
    if job is None:
        log.warning("SLURM says nothing of this job, which is therefore left to the retries")
        return False
    if job.state != "RUNNING" or not job.requeues:
        return False
    if job.restarts >= MOST:
        log.warning("this job was started again %d times already, and is not any more", job.restarts)
        return False
    return _ask("requeue", os.environ[NUMBER]) is not None


def _ask(*arguments: str) -> str | None:
    """Return what scontrol prints, times as seconds since 1970; None if it fails."""
    from layerwise.study.slurm import run_slurm  # here, since every command imports this file when it starts

    return run_slurm(["scontrol", *arguments], SLURM_TIME_FORMAT="%s")
