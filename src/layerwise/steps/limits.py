"""How much memory a job may take."""

import os
from collections.abc import Iterator
from pathlib import Path

SLURM = "SLURM_MEM_PER_NODE"  # MiB
CGROUPS = Path("/sys/fs/cgroup")
OWN_GROUPS = Path("/proc/self/cgroup")  # lines such as 0::/user.slice, or of the older kind 4:memory:/user.slice


def memory_limit() -> tuple[int, str]:
    """Return the bytes of memory that this process may take, and what sets the limit."""
    return min(_limits())


def _limits() -> Iterator[tuple[int, str]]:
    yield os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), "the machine has"
    asked = os.environ.get(SLURM, "")
    if asked.isdigit() and int(asked):  # 0 asks for all that the node has
        yield int(asked) * 2**20, "SLURM gave the job"
    for file in _limit_files():
        limit = file.read_text().strip() if file.is_file() else "max"
        if limit.isdigit():
            yield int(limit), "its control group leaves the process"


def _limit_files() -> Iterator[Path]:
    """Find the files of limits of this process's control groups and those around them; in a container some lack."""
    lines = OWN_GROUPS.read_text().splitlines() if OWN_GROUPS.is_file() else []
    for _, controllers, folder in (line.split(":", 2) for line in lines):
        older = "memory" in controllers.split(",")
        if older or not controllers:
            top, name = ("memory", "memory.limit_in_bytes") if older else ("", "memory.max")
            inner = Path(folder.lstrip("/"))
            yield from (CGROUPS / top / outer / name for outer in [inner, *inner.parents])
