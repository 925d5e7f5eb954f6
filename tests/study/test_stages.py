"""Lines on stages that end, from messages like Snakemake's."""

import logging
from collections import Counter
from itertools import count

from layerwise.study import StageLines, Stages


def message(event, **given):
    return logging.makeLogRecord({"event": event} | given)


def run(counts, events):
    told, seconds = [], count(step=60)
    lines = StageLines(Stages(lambda: counts, told.append, lambda: next(seconds)))
    for event in events:
        lines.emit(event)
    return told


def test_a_stage_is_told_of_when_its_last_job_is_done():
    starts = [message("job_info", jobid=place, rule_name="pack" if place < 2 else "score") for place in range(3)]
    ends = [message("job_finished", job_id=place) for place in (0, 2, 1)]
    told = run(Counter(pack=2, score=1, all=1), [*starts, *ends, message(None), message("job_finished", job_id=9)])
    assert told == [
        "stage score: 1 job done in 60 s; 1 of 2 stages is through",
        "stage pack: 2 jobs done in 4 min; 2 of 2 stages are through",
    ]


def test_stages_that_grow_while_they_run_are_counted_again():
    counts = Counter(list=1)
    told, lines = [], None
    lines = StageLines(Stages(lambda: counts, told.append, lambda: 0))
    lines.emit(message("job_info", jobid=0, rule_name="list"))
    lines.emit(message("job_finished", job_id=0))
    lines.emit(message("progress", done=1, total=1))
    counts["score"] = 2
    for job in (1, 2):
        lines.emit(message("job_info", jobid=job, rule_name="score"))
        lines.emit(message("job_finished", job_id=job))
        lines.emit(message("progress", done=1 + job, total=3))
    assert [line.partition(":")[0] for line in told] == ["stage list", "stage score"]
