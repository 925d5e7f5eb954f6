"""A line for each stage that ends while a study runs, from what the workflow's engine says of its jobs."""

import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping

from layerwise.interfaces import agreeing, counted

Tell = Callable[[str], None]
_TARGET = "all"  # the rule that asks for everything, and is no stage


class Stages:
    """Counts the jobs of each stage, and tells when the last one of a stage is done.

    Parameters
    ----------
    count : callable
        Gives the number of jobs of each stage in this run, whether or not they are done. Stages that follow the
        listing of a network's layers grow when it is listed.
    tell : callable
        Takes the line.
    now : callable
        Gives the time, seconds.
    """

    def __init__(self, count: Callable[[], Mapping[str, int]], tell: Tell, now: Callable[[], float] = time.monotonic):
        self._count, self._tell, self._now = count, tell, now
        self._size, self._counted, self._totals = -1, False, Counter[str]()
        self._done, self._begun = Counter[str](), dict[str, float]()

    def start(self, stage: str) -> None:
        """Note that a job of a stage has started."""
        self._begun.setdefault(stage, self._now())
        self._counted = self._counted and stage in self._totals  # of a network whose layers were listed meanwhile

    def resize(self, size: int) -> None:
        """Note how many jobs the run is known to have; where that changed, those of each stage are counted again."""
        if size != self._size:
            self._size, self._counted = size, False

    def finish(self, stage: str) -> None:
        """Note that a job of a stage is done."""
        if not self._counted:
            found = {name: jobs for name, jobs in self._count().items() if name != _TARGET}
            self._totals, self._counted = Counter(found), True
        self._done[stage] += 1
        if self._done[stage] == self._totals[stage]:
            self._tell(self._line(stage))

    def _line(self, stage: str) -> str:
        ended = sum(self._done[one] >= count for one, count in self._totals.items())
        now = self._now()
        seconds = now - self._begun.get(stage, now)
        jobs = counted(self._totals[stage], "job")
        through = f"{ended} of {len(self._totals)} stages {agreeing(ended, 'is', 'are')} through"
        return f"stage {stage}: {jobs} done in {_duration(seconds)}; {through}"


class StageLines(logging.Handler):
    """Hears of jobs from what Snakemake logs, whatever of that it shows.

    Parameters
    ----------
    stages : Stages
        Is told of them.
    """

    def __init__(self, stages: Stages) -> None:
        super().__init__()
        self._stages, self._rules = stages, dict[int, str]()

    def emit(self, record: logging.LogRecord) -> None:
        """Pass a message on, if it is of a job that starts or is done, or of the number of jobs."""
        given = vars(record)
        event = given.get("event")
        if event == "job_info":
            self._rules[given["jobid"]] = given["rule_name"]
            self._stages.start(given["rule_name"])
        elif event == "job_finished" and given["job_id"] in self._rules:
            self._stages.finish(self._rules[given["job_id"]])
        elif event == "progress":
            self._stages.resize(given["total"])


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
