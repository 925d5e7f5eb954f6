"""Rates of several splits that are fine-tuned at once on one GPU: python benchmarks/finetuning_together.py NETWORK...

For each network, in one run, with random weights, batches of 32 and pixels on the GPU: the plain loop that everybody
writes in TF32, its data on the GPU; then, in each precision, one split and several at once by the very code that
`folds_per_job` runs. Images a second are of all splits together, over steps of training without the validation. Prints
a Markdown table and writes it beside this file after each network; after `--limit` seconds nothing more is begun.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import torch
from finetuning import BATCH, BORDER, IMAGES, Bench, Noise, clean, wait
from finetuning_rates import SECONDS, plain
from machine import processor

from layerwise.finetuning import FinetuneSettings, Fold, Part
from layerwise.finetuning.folds import Job
from layerwise.finetuning.together import _Together
from layerwise.finetuning.training import surroundings
from layerwise.interfaces import never
from layerwise.models import build, registry

ROUNDS, WARM_UP = 40, 8  # steps of each split; fewer than an epoch together
HEAD = (
    "network",
    "precision",
    "plain loop",
    "one split",
    "at once",
    "splits",
    "at once / plain",
    "GB",
    "prepared in, s",
)


def fold(split: int) -> Fold:
    images, rng = np.arange(IMAGES), np.random.default_rng(split)
    ends = (IMAGES - 64, IMAGES - 32)
    return Fold(split, *(Part(part, rng.uniform(0.5, 1, len(part))) for part in np.split(images, ends)))


def together(
    name: str, precision: str, splits: int, device: torch.device, compiled: str
) -> tuple[float, int, float, float]:
    """Images a second, splits that ran at once, GB that PyTorch holds, seconds to prepare."""
    clean(device)
    row = registry.find(name)
    settings = FinetuneSettings(precision=precision, learning_rate=1e-5, compile=compiled)
    pixels = Noise(row.preprocessing.size + BORDER)
    job = Job(row.classifier, pixels, row.preprocessing, settings, device, None, True, never, True)
    with surroundings(settings, device):
        start = time.perf_counter()
        work = _Together(job, build(name, "random"), [fold(split) for split in range(splits)], None, print, print)
        while work._waiting and len(work._running) < work._at_once:
            work._start(work._waiting.popleft())
        wait(device)
        taken = time.perf_counter() - start
        running = tuple(work._running)

        def rounds(number: int) -> None:
            for _ in range(number):
                for one in running:
                    work._advance(one)
            wait(device)

        rounds(WARM_UP)
        start = time.perf_counter()
        rounds(ROUNDS)
        rate = BATCH * ROUNDS * len(running) / (time.perf_counter() - start)
    held = torch.cuda.memory_reserved(device) / 1e9 if device.type == "cuda" else 0.0
    return rate, len(running), held, taken


def measure(name: str, splits: int, device: torch.device, precisions: list[str], compiled: str) -> list[list[str]]:
    everybody = plain(Bench(name, device, argparse.Namespace(seconds=SECONDS, workers=0, size=None)))
    rows = []
    for precision in precisions:
        alone = together(name, precision, 1, device, compiled)[0]
        rate, number, memory, taken = together(name, precision, splits, device, compiled)
        rows.append(
            [
                name, precision, f"{everybody:,.0f}", f"{alone:,.0f}", f"{rate:,.0f}", str(number),
                f"{rate / everybody:.1f}", f"{memory:.1f}", f"{taken:.0f}",
            ]
        )  # fmt: skip
        print(" ".join(rows[-1]), flush=True)
    return rows


def table(rows: list[list[str]], device: torch.device) -> str:
    where = torch.cuda.get_device_name(device) if device.type == "cuda" else processor()
    lines = [
        "# Rates of several splits at once",
        "",
        (
            f"`python benchmarks/finetuning_together.py {' '.join(sys.argv[1:])}` on {where}, torch {torch.__version__}"
            ": images a second of all splits at batches of 32, random weights, crop and mirroring included."
        ),
        "",
        f"| {' | '.join(HEAD)} |",
        f"| --- | --- |{' ---: |' * (len(HEAD) - 2)}",
        *(f"| {' | '.join(row)} |" for row in rows),
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("networks", nargs="+")
    parser.add_argument("--splits", type=int, default=5)
    parser.add_argument("--precisions", nargs="+", default=["tf32", "bf16"])
    parser.add_argument("--compile", choices=["always", "never"], default="never", help="torch.compile")
    parser.add_argument("--limit", type=float, default=540, help="seconds after which no network is begun")
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".md"))
    arguments = parser.parse_args()
    end = time.monotonic() + arguments.limit
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    rows: list[list[str]] = []
    for name in arguments.networks:
        if time.monotonic() < end:
            rows += measure(name, arguments.splits, device, arguments.precisions, arguments.compile)
            arguments.output.write_text(table(rows, device))
    print(table(rows, device))


if __name__ == "__main__":
    main()
