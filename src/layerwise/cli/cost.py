"""What a command took: time and memory."""

import resource
import sys
import time
from dataclasses import dataclass, field

_BYTES = 1 if sys.platform == "darwin" else 1024  # of the unit in which the system counts a process's memory


@dataclass
class Cost:
    """Starts to count when it is made."""

    started: float = field(default_factory=time.monotonic)

    def __str__(self) -> str:
        minutes, seconds = divmod(round(time.monotonic() - self.started), 60)
        return f"{minutes} min {seconds} s, peak memory {_peak_memory() / 1e9:.2f} GB"


def _peak_memory() -> int:
    """Return the most bytes that this process, or any that it started and waited for, had in memory at once."""
    whose = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return max(resource.getrusage(who).ru_maxrss for who in whose) * _BYTES
