"""What measures beside PLS cost, from the same stored layer: each alone, and all together, side by side in one run.

python benchmarks/measures.py [cpu | cuda]     (writes benchmarks/measures.md; on a CPU with one thread)

A layer of 10,000 units is stored as extraction stores it. Seconds are those of `BrainSimilarity.score`, reading
included: on a CPU of the process, so that other processes do not count; on a GPU of the clock.
"""

import platform
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from machine import processor

from layerwise.activations import ActivationStore
from layerwise.activations.parts import Part
from layerwise.activations.reduce import Reducer, Writer
from layerwise.activations.store import write_store
from layerwise.analyses.brain import BrainSimilarity
from layerwise.interfaces import LayerSpec, Measure, MeasureSettings, Recordings

N_NEUROIDS, N_UNITS, LAYERS = 168, 10_000, 2
TARGET = 1.15
GRID = "ridge, the best of 99"
ROWS: dict[str, tuple[tuple[Measure, ...], float | None]] = {
    "pls": (("pls",), None),
    "pls, rsa": (("pls", "rsa"), None),
    "pls, cka": (("pls", "cka"), None),
    "pls, debiased_cka": (("pls", "debiased_cka"), None),
    "pls, ridge, alpha 1": (("pls", "ridge"), 1.0),
    "all but ridge": (("pls", "rsa", "cka", "debiased_cka"), None),
    "all, ridge with alpha 1": (("pls", "ridge", "rsa", "cka", "debiased_cka"), 1.0),
    f"pls, {GRID}": (("pls", "ridge"), None),
    f"all, {GRID}": (("pls", "ridge", "rsa", "cka", "debiased_cka"), None),
}


def fill(path: Path, n_stimuli: int) -> ActivationStore:
    """Write layers of random units with a spectrum that falls as 1 / rank, as those of networks do."""
    rng = np.random.default_rng(0)
    layers = [LayerSpec(f"layer{depth}", "Conv2d", (N_UNITS,), N_UNITS, depth) for depth in range(1, LAYERS + 1)]
    attributes = dict.fromkeys(("model", "weights", "preprocessing", "stimuli", "code"), "x")
    ids = tuple(f"image{index:04d}" for index in range(n_stimuli))
    with write_store(path, layers, ids, attributes) as store, Writer(0) as writer:
        reducer = Reducer(store, writer, n_stimuli, torch.device("cpu"), 0)
        for layer in layers:
            latent = rng.standard_normal((n_stimuli, 500), np.float32) / np.arange(1, 501, dtype=np.float32)
            noise = 0.02 * rng.standard_normal((n_stimuli, N_UNITS), np.float32)
            units = latent @ rng.standard_normal((500, N_UNITS), np.float32) + noise
            reducer.take(Part(layer, 0, N_UNITS), torch.from_numpy(units))
    return ActivationStore(path)


def seconds(similarity: BrainSimilarity, store: ActivationStore, on_gpu: bool) -> float:
    """Return the seconds of a layer."""
    clock = time.perf_counter if on_gpu else time.process_time
    if on_gpu:
        similarity.score(store, store.layers[:1])
        torch.cuda.synchronize()
    start = clock()
    similarity.score(store, store.layers)
    return (clock() - start) / LAYERS


def rows(device: str, n_stimuli: int, folder: Path) -> list[str]:
    """Time all rows; the grid on a CPU of few stimuli alone, since each penalty inverts a matrix."""
    store = fill(folder / f"{n_stimuli}.h5", n_stimuli)
    responses = np.random.default_rng(1).standard_normal((1, n_stimuli, N_NEUROIDS))
    names = tuple(map(str, range(N_NEUROIDS)))
    similarity = BrainSimilarity(
        Recordings(responses, store.stimuli, names, ("IT",) * N_NEUROIDS), "IT", device=device, memory=10**10
    )
    found: dict[str, float] = {}
    for name, (measures, alpha) in ROWS.items():
        if GRID not in name or device != "cpu" or n_stimuli <= 1000:
            changed = replace(similarity, measures=measures, settings=MeasureSettings(alpha=alpha))
            found[name] = seconds(changed, store, device != "cpu")
            print(n_stimuli, name, found[name], flush=True)
    return [f"| {n_stimuli:,} | {name} | {one:.3f} | {one / found['pls']:.2f} |" for name, one in found.items()]


def main(device: str = "cpu") -> None:
    on_gpu = device != "cpu"
    if not on_gpu:
        torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        table = [row for n in (1000, 3200) for row in rows(device, n, Path(folder))]
    machine = torch.cuda.get_device_name() if on_gpu else f"{processor()}, one thread"
    text = f"""# What measures beside PLS cost

Made by `python benchmarks/measures.py {device}` on {machine}; Python {platform.python_version()}, torch
{torch.__version__}. Ten splits, {N_NEUROIDS} neuroids, a layer whose Gram matrix is stored; seconds a layer{
        "" if on_gpu else " of the process"
    }, reading included. The
last column is the ratio to PLS alone in the same run; the goal of all measures, on an H100, is {TARGET}.

| stimuli | measures | s a layer | times PLS |
|---|---|---|---|
""" + "\n".join(table)
    Path(__file__).with_suffix(".md").write_text(text + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
