"""Rates of several splits as processes on one GPU: python benchmarks/finetuning_processes.py NETWORK... [--mps]

The other way to what `folds_per_job` does (benchmarks/finetuning_together.py): a process for each split, each with the
recorded step of one split, all at once, with or without NVIDIA's MPS, which lets their kernels run side by side. Images
a second are of all processes, batches of 32, random weights, crop and mirroring included. Prints Markdown rows.
"""

import argparse
import itertools
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.multiprocessing as processes
from finetuning import BATCH, Bench, wait

from layerwise.finetuning.precision import arithmetic

SECONDS, WARM_UP = 4.0, 8


def run(name: str, precision: str, ready: Any, results: Any) -> None:
    """Train in this process, once all are prepared."""
    device = torch.device("cuda")
    bench = Bench(name, device, argparse.Namespace(seconds=SECONDS, workers=0, size=None), 512)
    with arithmetic(precision):
        prepared, batches, seeds = bench.prepare(precision, True), bench.batches(), itertools.count()
        for _ in range(WARM_UP):
            prepared.step(*next(batches), next(seeds))
        wait(device)
        ready.wait()
        start, steps = time.perf_counter(), 0
        while time.perf_counter() - start < SECONDS:
            for _ in range(10):
                prepared.step(*next(batches), next(seeds))
            wait(device)
            steps += 10
        results.put((BATCH * steps / (time.perf_counter() - start), prepared.recorded))


def rate(name: str, precision: str, number: int) -> float:
    """Images a second of all processes; NaN if one of them failed or could not record its step."""
    context = processes.get_context("spawn")
    ready, results = context.Barrier(number), context.Queue()
    workers = [context.Process(target=run, args=(name, precision, ready, results), daemon=True) for _ in range(number)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(240)
    if any(worker.exitcode != 0 for worker in workers):
        return float("nan")
    found = [results.get(timeout=5) for _ in workers]
    return sum(one for one, _ in found) if all(recorded for _, recorded in found) else float("nan")


@contextmanager
def server(wanted: bool) -> Iterator[None]:
    """Run MPS of one's own, in folders of one's own."""
    if not wanted:
        yield
        return
    control = shutil.which("nvidia-cuda-mps-control")
    if control is None:
        raise SystemExit("there is no nvidia-cuda-mps-control here: it belongs to NVIDIA's driver")
    with tempfile.TemporaryDirectory() as folder:
        names = ("CUDA_MPS_PIPE_DIRECTORY", "CUDA_MPS_LOG_DIRECTORY")
        os.environ.update(dict.fromkeys(names, folder))
        subprocess.run([control, "-d"], check=True)
        # The server sees one GPU, whichever it is, and gives it to its clients as the first.
        if "CUDA_VISIBLE_DEVICES" in os.environ:
            os.environ["CUDA_VISIBLE_DEVICES"] = "0"
        try:
            yield
        finally:
            subprocess.run([control], input="quit\n", text=True, timeout=30)
            for name in names:
                del os.environ[name]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("networks", nargs="+")
    parser.add_argument("--splits", type=int, default=5)
    parser.add_argument("--precisions", nargs="+", default=["tf32", "bf16"])
    parser.add_argument("--mps", action="store_true")
    arguments = parser.parse_args()
    with server(arguments.mps):
        for name, precision in itertools.product(arguments.networks, arguments.precisions):
            found = rate(name, precision, arguments.splits)
            print(f"| {name} | {precision} | {'MPS' if arguments.mps else 'no MPS'} | {found:,.0f} |", flush=True)


if __name__ == "__main__":
    main()
