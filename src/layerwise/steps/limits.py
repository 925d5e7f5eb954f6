"""How much memory a job may take, and whether that is what it is planned with."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

from layerwise.config import Study
from layerwise.steps.cluster import this_job
from layerwise.study import Plans, RuleResources

log = logging.getLogger(__name__)

SLURM = "SLURM_MEM_PER_NODE"  # MiB
CGROUPS = Path("/sys/fs/cgroup")
OWN_GROUPS = Path("/proc/self/cgroup")  # lines such as 0::/user.slice, or of the older kind 4:memory:/user.slice


def warn_of_job(study: Study, step: str, **names: str) -> None:
    """Warn if a job has less memory than it is planned with, before memory runs out halfway.

    Parameters
    ----------
    study : Study
        The study.
    step : str
        Name of the step.
    **names : str
        What the job is about: model, stimuli, region, ratings, block, geometry.
    """
    needs = RuleResources(Plans(study)).of(step, names)
    planned, (limit, source) = needs.memory + needs.process, memory_limit()
    if limit < planned:
        log.warning(
            f"this job is planned with {planned / 1e9:.1f} GB, and {source} {limit / 1e9:.1f} GB: memory may run out; "
            "ask for more, or set compute.memory lower"
        )


def memory_limit() -> tuple[int, str]:
    """Return the bytes of memory that this process may take, and what sets the limit."""
    return min(_limits())


def _limits() -> Iterator[tuple[int, str]]:
    yield os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), "the machine has"
    if given := _given_by_slurm():
        yield given, "SLURM gave the job"
    for file in _limit_files():
        limit = file.read_text().strip() if file.is_file() else "max"
        if limit.isdigit():
            yield int(limit), "its control group leaves the process"


def _given_by_slurm() -> int | None:
    """Return bytes: of SLURM's variable, or, since the job step of Snakemake removes it, of what SLURM is asked."""
    told = os.environ.get(SLURM, "")
    if told.isdigit():
        return int(told) * 2**20  # 0 asks for all that the node has
    job = this_job()
    return None if job is None else job.memory


def _limit_files() -> Iterator[Path]:
    """Find the files of limits of this process's control groups and those around them; in a container some lack."""
    lines = OWN_GROUPS.read_text().splitlines() if OWN_GROUPS.is_file() else []
    for _, controllers, folder in (line.split(":", 2) for line in lines):
        older = "memory" in controllers.split(",")
        if older or not controllers:
            top, name = ("memory", "memory.limit_in_bytes") if older else ("", "memory.max")
            inner = Path(folder.lstrip("/"))
            yield from (CGROUPS / top / outer / name for outer in [inner, *inner.parents])
