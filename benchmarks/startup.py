"""What starting costs: `layerwise --help`, and planning one network and the whole study.

python benchmarks/startup.py
"""

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from machine import processor

ROOT = Path(__file__).resolve().parents[1]
RUNS = 5
COMMANDS = {
    "layerwise --help": ["-c", "from layerwise.cli import main; main()", "--help"],
    "layerwise layers resnet50": ["-c", "from layerwise.cli import main; main()", "layers", "resnet50"],
    "snakemake -n, one network": ["-m", "snakemake", "-n", "results/harada-sakai/models/resnet50/layers.parquet"],
    "snakemake -n, the paper's 64 networks": ["-m", "snakemake", "-n"],
}


def measure(arguments: list[str]) -> tuple[float, float]:
    """Wall and processor time of a process, seconds."""
    before, start = os.times(), time.perf_counter()
    subprocess.run([sys.executable, *arguments], cwd=ROOT, check=True, capture_output=True)
    wall, after = time.perf_counter() - start, os.times()
    return wall, after.children_user + after.children_system - before.children_user - before.children_system


def table() -> str:
    lines = [
        "# What starting costs",
        "",
        (
            f"`python benchmarks/startup.py` on {processor()}, {os.cpu_count()} cores, "
            f"load {os.getloadavg()[0]:.1f} at the start; medians of {RUNS} runs after one more, in seconds."
        ),
        "",
        "| command | wall | processor |",
        "|---|---|---|",
    ]
    for name, arguments in COMMANDS.items():
        measure(arguments)
        walls, processors = zip(*(measure(arguments) for _ in range(RUNS)), strict=True)
        lines.append(f"| `{name}` | {statistics.median(walls):.2f} | {statistics.median(processors):.2f} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    text = table()
    print(text)
    Path(__file__).with_suffix(".md").write_text(text)
