"""What starting costs: `layerwise --help`, and planning one network and the whole study.

The whole study is held against a bare Snakefile: the same rules, jobs and files, without settings, resources, logs or
anything else that decides what is stale.

python benchmarks/startup.py
"""

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from machine import processor

from layerwise.config import load_study
from layerwise.study.plan import Plans
from layerwise.study.tasks import Task, list_tasks

ROOT = Path(__file__).resolve().parents[1]
RUNS = 5
COMMANDS = {
    "layerwise --help": ["-c", "from layerwise.cli import main; main()", "--help"],
    "layerwise layers resnet50": ["-c", "from layerwise.cli import main; main()", "layers", "resnet50"],
    "snakemake -n, one network": ["-m", "snakemake", "-n", "results/harada-sakai/models/resnet50/layers.parquet"],
}
PLAN = ["-m", "snakemake", "-n"]
WHOLE, BARE = "snakemake -n, the paper's 64 networks", "snakemake -n, a bare Snakefile of the same jobs"


def write_bare(folder: Path) -> int:
    """Write a bare Snakefile of the study's jobs; their number."""
    tasks = list_tasks(Plans(load_study(ROOT / "config.yaml")))
    rules, values = defaultdict[str, list[Task]](list), defaultdict[str, set[str]](set)
    for task in tasks.tasks:
        rules[task.rule].append(task)
        for name, value in task.names.items():
            values[name].add(re.escape(value))
    read = {rule: {"|".join(task.names.values()): task.inputs for task in jobs} for rule, jobs in rules.items()}
    (folder / "read.json").write_text(json.dumps(read))
    allowed = "".join(f"    {name}={'|'.join(sorted(every))!r},\n" for name, every in values.items())
    text = [
        "import json\nREAD = json.load(open('read.json'))\n",
        f"rule all:\n    input: {sorted(tasks.targets)!r}\n",
        f"wildcard_constraints:\n{allowed}",
        *(bare_rule(rule, jobs[0]) for rule, jobs in rules.items()),
    ]
    (folder / "Snakefile").write_text("\n".join(text))
    return len(tasks.tasks)


def bare_rule(rule: str, task: Task) -> str:
    outputs = [with_wildcards(path, task.names) for path in task.outputs]
    inputs = f"lambda wildcards: READ[{rule!r}]['|'.join(wildcards)]"
    return f"rule {rule}:\n    input: {inputs}\n    output: {outputs!r}\n    shell: 'touch {{output}}'\n"


def with_wildcards(path: str, names: Mapping[str, str]) -> str:
    """Put wildcards for the folders and the file that are called by names of a job."""
    parts = path.split("/")
    for name, value in names.items():
        parts = [re.sub(rf"^{re.escape(value)}(?=\.|$)", f"{{{name}}}", part) for part in parts]
    return "/".join(parts)


def measure(arguments: list[str], folder: Path = ROOT) -> tuple[float, float]:
    """Wall and processor time of a process, seconds."""
    before, start = os.times(), time.perf_counter()
    subprocess.run([sys.executable, *arguments], cwd=folder, check=True, capture_output=True)
    wall, after = time.perf_counter() - start, os.times()
    return wall, after.children_user + after.children_system - before.children_user - before.children_system


def row(name: str, runs: list[tuple[float, float]]) -> str:
    wall, processors = map(statistics.median, zip(*runs, strict=True))
    return f"| `{name}` | {wall:.2f} | {processors:.2f} |"


def compare(folder: Path) -> tuple[list[str], float]:
    """Measure the study and its bare Snakefile in turn; rows, and the ratio of their processor times."""
    whole, bare = [], []
    measure(PLAN), measure(PLAN, folder)
    for _ in range(RUNS):
        whole.append(measure(PLAN))
        bare.append(measure(PLAN, folder))
    ratio = statistics.median(run[1] for run in whole) / statistics.median(run[1] for run in bare)
    return [row(WHOLE, whole), row(BARE, bare)], ratio


def table() -> str:
    load = os.getloadavg()[0]
    rows = []
    for name, arguments in COMMANDS.items():
        measure(arguments)
        rows.append(row(name, [measure(arguments) for _ in range(RUNS)]))
    with tempfile.TemporaryDirectory() as folder:
        count = write_bare(Path(folder))
        compared, ratio = compare(Path(folder))
    lines = [
        "# What starting costs",
        "",
        (
            f"`python benchmarks/startup.py` on {processor()}, {os.cpu_count()} cores, "
            f"load {load:.1f} at the start; medians of {RUNS} runs after one more, in seconds."
        ),
        "",
        "| command | wall | processor |",
        "|---|---|---|",
        *rows,
        *compared,
        "",
        (
            f"The study has {count:,} jobs. Its dry run takes {ratio:.1f} times the processor time of a Snakefile with "
            "the same jobs and files and nothing else: no settings, code or content of files that make results stale, "
            "no memory and time to ask for, no logs."
        ),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    text = table()
    print(text)
    Path(__file__).with_suffix(".md").write_text(text)
