"""Rates of fine-tuning with networks compiled, of all networks: python benchmarks/finetuning_compiled.py

What `compile: always` gives in place of the recorded step that benchmarks/finetuning_rates.py measures: images a second
of batches of 32 with random weights, each image's own crop and mirroring from pixels that lie on the GPU, the memory
that the step holds, and how long its preparation takes. Networks are compiled by several processes for each GPU, and
timed by one of them at a time: the quickest of some short windows, since the others still compile.

Columns are added to the rows of that program's table as they come, for the GPU that it was measured on, so that a run
that stopped is continued by the same command. Networks that train longest come first. After `--limit` seconds none is
begun.
"""

import argparse
import os
import queue
import time
from pathlib import Path
from typing import Any

import torch
import torch.multiprocessing as processes
from finetuning import Bench, clean, wait
from finetuning_rates import COMPILED, PICTURES, PRECISIONS, SECONDS, TABLE, Row, device_name, held, read, write

from layerwise.finetuning import FinetuneSettings
from layerwise.finetuning.networks import set_training
from layerwise.finetuning.optimisers import make_optimiser
from layerwise.finetuning.precision import arithmetic
from layerwise.finetuning.preparing import Prepared, prepare_step

WINDOWS, STEPS = 5, 5
THREADS = 4  # of a compilation


def fastest(bench: Bench, prepared: Prepared, batches: Any) -> float:
    """Images a second of the quickest window."""
    numbers, found = iter(range(10**9)), 0.0
    for _ in range(WINDOWS):
        start, done = time.perf_counter(), 0
        while done < STEPS or time.perf_counter() - start < SECONDS / 2:
            for _ in range(STEPS):
                prepared.step(*next(batches), next(numbers))
            wait(bench.device)
            done += STEPS
        found = max(found, 32 * done / (time.perf_counter() - start))
    return found


def measure(name: str, precision: str, device: torch.device, alone: Any) -> Row:
    """The columns of one row; a rate of 0 where the network is not compiled."""
    bench = Bench(name, device, argparse.Namespace(seconds=SECONDS, workers=0, size=None), PICTURES)
    settings = FinetuneSettings(precision=precision, compile="always", accumulate=1)
    clean(device)
    start = time.perf_counter()
    with arithmetic(precision):
        network = bench.network().to(memory_format=torch.channels_last)
        set_training(network, settings)
        optimiser, batches = make_optimiser(network.parameters(), settings), bench.batches()
        prepared = prepare_step(network, optimiser, settings, *next(batches))
        taken = time.perf_counter() - start
        clean(device)
        with alone:
            rate = fastest(bench, prepared, batches) if prepared.compiled else 0
    return dict(zip(COMPILED, (f"{rate:.0f}", f"{held(device):.1f}", f"{taken:.0f}"), strict=True))


def work(number: int, share: float, alone: Any, tasks: Any, results: Any, end: float) -> None:
    """Measure rows on one GPU until none is left."""
    torch.cuda.set_device(number)
    device = torch.device("cuda", number)
    torch.cuda.set_per_process_memory_fraction(share, device)
    while time.time() < end:
        try:
            name, precision = tasks.get(timeout=1)
        except queue.Empty:
            break
        try:
            results.put((name, precision, measure(name, precision, device, alone), ""))
        except (RuntimeError, ValueError, MemoryError, OSError) as raised:
            results.put((name, precision, {}, f"{type(raised).__name__}: {str(raised).partition(chr(10))[0]}"))
    results.put(None)


def wanted(rows: list[Row], arguments: argparse.Namespace) -> list[tuple[str, str]]:
    """Rows of this GPU that lack the columns, those that train longest first."""
    here = device_name(torch.device("cuda"))
    lacking = [
        row for row in rows
        if row["device"] == here and not row.get("source") and not row.get(COMPILED[0])
        and row["precision"] in arguments.precisions and row["model"] in (arguments.networks or [row["model"]])
    ]  # fmt: skip
    lacking.sort(key=lambda row: (arguments.precisions.index(row["precision"]), float(row["images_per_second"])))
    return [(row["model"], row["precision"]) for row in lacking]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("networks", nargs="*", help="default: all rows of this GPU that lack these columns")
    parser.add_argument("--precisions", nargs="+", default=list(PRECISIONS))
    parser.add_argument("--processes", type=int, default=4, help="for each GPU")
    parser.add_argument("--limit", type=float, default=3600, help="seconds after which no network is begun")
    parser.add_argument("--table", type=Path, default=TABLE)
    arguments = parser.parse_args()
    os.environ["TORCHINDUCTOR_COMPILE_THREADS"] = str(THREADS)
    rows, context = read(arguments.table), processes.get_context("spawn")
    tasks, results, end = context.Queue(), context.Queue(), time.time() + arguments.limit
    for task in wanted(rows, arguments):
        tasks.put(task)
    locks = [context.Lock() for _ in range(torch.cuda.device_count())]
    for number, lock in list(enumerate(locks)) * arguments.processes:
        context.Process(
            target=work, args=(number, 1 / arguments.processes, lock, tasks, results, end), daemon=True
        ).start()
    running = len(locks) * arguments.processes
    while running:
        result = results.get()
        if result is None:
            running -= 1
            continue
        name, precision, columns, error = result
        for row in rows:
            if (row["model"], row["precision"]) == (name, precision):
                row.update(columns)
                print(name, precision, row["images_per_second"], error or columns, flush=True)
        write(arguments.table, rows)


if __name__ == "__main__":
    main()
