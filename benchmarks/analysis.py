"""What the numbers, figures and report of a whole study cost: `make report`, step by step, at the paper's size.

    python benchmarks/analysis.py

Tables of 64 networks and 16,862 layers are simulated in a folder that is thrown away; then Snakemake makes all that
`make report` makes of them, with 2,000 draws. Each `layerwise` that it starts is timed by a stand-in before it in the
PATH: by the clock, in processor time, and at its peak of memory. Samples of neuroids, which are an option, are timed on
a network of the mean number of layers. It writes analysis.md beside this file.
"""

import json
import os
import re
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from machine import processor

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
LIMITS = "Asked are 60 s on two cores and 2 GB."
STAND_IN = """#!{python} -S
import json, os, sys, time
start = time.perf_counter()
child = os.posix_spawn({real!r}, [{real!r}, *sys.argv[1:]], os.environ)
_, status, used = os.wait4(child, 0)
cost = [sys.argv[1], time.perf_counter() - start, used.ru_utime + used.ru_stime, used.ru_maxrss / 1e3]
with open({log!r}, "a") as log:
    log.write(json.dumps(cost) + "\\n")
sys.exit(os.waitstatus_to_exitcode(status))
"""
NEUROIDS = {"V1": 102, "V2": 103, "V4": 88, "IT": 168}  # of the paper's recordings
LAYERS, NETWORKS, SPLITS, DRAWS = 16_862, 64, 10, 200


@dataclass(frozen=True)
class Cost:
    """Seconds by the clock and of processors, and megabytes at the peak of the largest process."""

    name: str
    wall: float
    processor: float
    memory: float


def run(name: str, command: list[str], folder: Path, path: str) -> Cost:
    """Run a command in a folder; its processor time is that of all processes that it started, too."""
    start = time.perf_counter()
    log = os.open(folder / f"{name}.log", os.O_WRONLY | os.O_CREAT)
    actions = [(os.POSIX_SPAWN_DUP2, log, 1), (os.POSIX_SPAWN_DUP2, log, 2)]
    os.chdir(folder)
    child = os.posix_spawn(command[0], command, os.environ | {"PATH": path}, file_actions=actions)
    _, status, used = os.wait4(child, 0)
    if status:
        sys.exit((folder / f"{name}.log").read_text()[-3000:])
    return Cost(name, time.perf_counter() - start, used.ru_utime + used.ru_stime, used.ru_maxrss / 1e3)


def rules() -> list[str]:
    """List the rules that `make report` allows."""
    (stages,) = re.findall(r"^STAGES := (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    texts = [(ROOT / f"workflow/rules/{stage}.smk").read_text() for stage in stages.split()]
    return [rule for text in texts for rule in re.findall(r"^rule (\w+):", text, re.MULTILINE)]


def make_report(folder: Path) -> tuple[Cost, Cost, list[Cost]]:
    """Simulate the tables and make all of them: the cost of either, and of each step of the latter."""
    shim, log = folder / "bin/layerwise", folder / "steps.jsonl"
    shim.parent.mkdir()
    shim.write_text(STAND_IN.format(python=sys.executable, real=str(BIN / "layerwise"), log=str(log)))
    shim.chmod(0o755)
    path, allowed = os.environ.get("PATH", ""), rules()
    simulated = run(
        "simulate tables", [str(BIN / "layerwise"), "simulate", "tables", "--output", "results/simulated"], folder, path
    )
    command = [
        *(str(BIN / "snakemake"), "--snakefile", str(ROOT / "Snakefile"), "--profile", str(ROOT / "profiles/local")),
        *("--configfile", "results/simulated/config.yaml", "--allowed-rules", *allowed, "--"),
        *(rule for rule in allowed if rule.startswith("plot_") and rule != "plot_history"),
        "make_report",
    ]
    whole = run("all of it", command, folder, f"{shim.parent}{os.pathsep}{path}")
    return simulated, whole, [Cost(*json.loads(line)) for line in log.read_text().splitlines()]


def draw_neuroids() -> tuple[float, int]:
    """Time samples of neuroids of one network: seconds of processor time, and its layers."""
    from layerwise.statistics import draw_scores

    rng, layers, start = np.random.default_rng(0), round(LAYERS / NETWORKS), time.process_time()
    for neuroids in NEUROIDS.values():
        draw_scores(rng.random((layers, SPLITS, neuroids)), rng.random((10, neuroids)), DRAWS)
    return time.process_time() - start, layers


def text(simulated: Cost, whole: Cost, steps: list[Cost], load: tuple[float, float]) -> str:
    row = "| {0.name} | {0.wall:.1f} | {0.processor:.1f} | {0.memory:.0f} |".format
    own = Cost("Snakemake itself", float("nan"), whole.processor - sum(one.processor for one in steps), float("nan"))
    seconds_on_two = (whole.processor + simulated.processor) / 2
    largest = sum(sorted(one.memory for one in steps)[-2:])
    seconds, layers = draw_neuroids()
    cores = len(os.sched_getaffinity(0))
    return "\n".join(
        [
            "# What the numbers, figures and report of a whole study cost",
            "",
            (
                f"`python benchmarks/analysis.py` on {processor()}, {cores} cores, load {load[0]:.1f} at the start and "
                f"{load[1]:.1f} at the end: the figures, tables and report of {NETWORKS} simulated networks with "
                f"{LAYERS:,} layers and 2,000 draws, which is what `make report` makes. {LIMITS}"
            ),
            "",
            (
                f"**{whole.processor:.0f} s of processor time, and {simulated.processor:.0f} s before that for "
                f"`layerwise simulate tables`, which correlates the layers, too: {seconds_on_two:.0f} s on two cores "
                f"that have nothing else to do, and at most {largest:.0f} MB in two processes at once.** By the clock "
                f"it took {whole.wall:.0f} s at that load. Steps overlap where there are cores."
            ),
            "",
            "| step | clock (s) | processor (s) | peak (MB) |",
            "|---|---:|---:|---:|",
            *(row(one) for one in sorted(steps, key=lambda one: -one.processor)),
            row(own).replace("nan", ""),
            row(whole),
            "",
            (
                f"With `statistics: {{neuroids: {DRAWS}}}`, gathering a network draws its neuroids: {seconds:.1f} s of "
                f"processor time for one of {layers} layers, {len(NEUROIDS)} regions "
                f"({', '.join(f'{name} {n}' for name, n in NEUROIDS.items())} neuroids) and {SPLITS} splits, of random "
                f"scores. It goes with the number of layers, so that all {LAYERS:,} take about "
                f"{seconds * LAYERS / layers / 60:.0f} minutes, in {NETWORKS} jobs."
            ),
            "",
        ]
    )


def main() -> None:
    before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        costs = make_report(Path(folder))
        written = text(*costs, (before, os.getloadavg()[0]))
        os.chdir(ROOT)
    print(written)
    Path(__file__).with_suffix(".md").write_text(written, encoding="utf-8")


if __name__ == "__main__":
    main()
