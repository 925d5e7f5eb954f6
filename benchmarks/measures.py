"""What measures beside PLS cost, from the same stored layer: each alone, and all together, side by side in one run.

python benchmarks/measures.py [cpu | cuda] [STIMULI ...] [--limit SECONDS]
    (writes benchmarks/measures.md, or measures_gpu.md; one thread on a CPU; no row begins after the limit)

Layers of 10,000 units are stored as extraction stores them. Seconds are those of `BrainSimilarity.score`, reading
included: on a CPU of the process, so that other processes do not count; on a GPU of the clock, where the next layers
are read while some are scored.
"""

import argparse
import platform
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from machine import processor

from layerwise.activations import ActivationStore
from layerwise.activations.packing import kept_size
from layerwise.activations.parts import Part
from layerwise.activations.reduce import Reducer, Writer
from layerwise.activations.store import write_store
from layerwise.analyses.brain import BrainSimilarity
from layerwise.interfaces import LayerSpec, Measure, MeasureSettings, Recordings

N_NEUROIDS, N_UNITS = 168, 10_000
LAYERS, LAYERS_ON_GPU = 3, 32  # stored
OF_GRID, OF_GRID_ON_GPU = 1, 8  # of these, scored with the best of 99 penalties
MEMORY, TOGETHER = 4 * 10**10, 32  # bytes of a GPU, and the layers that it takes at once
LIMIT = 90.0  # s after which no row of a GPU begins
TARGET = 1.15
GRID = "ridge, the best of 99"
READING = "nothing: reading alone"
ROWS: dict[str, tuple[tuple[Measure, ...], float | None]] = {
    READING: ((), None),
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


def fill(path: Path, n_stimuli: int, device: str = "cpu") -> ActivationStore:
    """Write layers of random units with a spectrum that falls as 1 / rank, as those of networks do."""
    generator = torch.Generator(device).manual_seed(0)
    n_layers = LAYERS if device == "cpu" else LAYERS_ON_GPU
    layers = [LayerSpec(f"layer{depth}", "Conv2d", (N_UNITS,), N_UNITS, depth) for depth in range(1, n_layers + 1)]
    attributes = dict.fromkeys(("model", "weights", "preprocessing", "stimuli", "code"), "x")
    ids = tuple(f"image{index:04d}" for index in range(n_stimuli))

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, device=device)

    with write_store(path, layers, ids, attributes) as store, Writer(0) as writer:
        reducer = Reducer(store, writer, n_stimuli, torch.device(device), 8 * kept_size(n_stimuli))
        for layer in layers:
            latent = draw(n_stimuli, 500) / torch.arange(1, 501, device=device)
            reducer.take(Part(layer, 0, N_UNITS), latent @ draw(500, N_UNITS) + 0.02 * draw(n_stimuli, N_UNITS))
    return ActivationStore(path)


def seconds(similarity: BrainSimilarity, store: ActivationStore, on_gpu: bool, n_layers: int) -> float:
    """Return the seconds of a layer."""
    clock, layers = time.perf_counter if on_gpu else time.process_time, store.layers[:n_layers]

    def score(some: Sequence[LayerSpec]) -> None:
        if similarity.measures:
            similarity.score(store, some)
        else:
            for layer in some:
                store.read(layer.name, packed=True)

    if on_gpu:
        score(layers[:TOGETHER])
        torch.cuda.synchronize()
    start = clock()
    score(layers)
    return (clock() - start) / n_layers


def rows(device: str, n_stimuli: int, folder: Path, end: float) -> list[str]:
    """Time all rows."""
    store, on_gpu = fill(folder / f"{n_stimuli}.h5", n_stimuli, device), device != "cpu"
    responses = np.random.default_rng(1).standard_normal((1, n_stimuli, N_NEUROIDS))
    names = tuple(map(str, range(N_NEUROIDS)))
    recordings = Recordings(responses, store.stimuli, names, ("IT",) * N_NEUROIDS)
    similarity = BrainSimilarity(recordings, "IT", device=device, memory=MEMORY)
    found: dict[str, float] = {}
    for name, (measures, alpha) in ROWS.items():
        if time.monotonic() > end:
            print(n_stimuli, name, "not measured: the time is over", flush=True)
        else:
            changed = replace(similarity, measures=measures, settings=MeasureSettings(alpha=alpha))
            of_grid = OF_GRID_ON_GPU if on_gpu else OF_GRID
            n_layers = of_grid if GRID in name else len(store.layers)
            found[name] = seconds(changed, store, on_gpu, n_layers)
            print(n_stimuli, name, found[name], found[name] / found.get("pls", np.nan), flush=True)
    return [f"| {n_stimuli:,} | {name} | {one:.4f} | {one / found['pls']:.2f} |" for name, one in found.items()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("device", nargs="?", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("stimuli", nargs="*", type=int, default=[1000, 3200])
    parser.add_argument("--limit", type=float)
    given = parser.parse_args()
    limit = given.limit or (LIMIT if given.device != "cpu" else float("inf"))
    end = time.monotonic() + limit
    if given.device == "cpu":
        torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        table: list[str] = []
        for n in given.stimuli:
            table += rows(given.device, n, Path(folder), end)
            write(given.device, table)


def write(device: str, table: list[str]) -> None:
    on_gpu = device != "cpu"
    machine = torch.cuda.get_device_name() if on_gpu else f"{processor()}, one thread"
    text = f"""# What measures beside PLS cost

Made by `python benchmarks/measures.py {device}` on {machine}; Python {platform.python_version()}, torch
{torch.__version__}. Ten splits, {N_NEUROIDS} neuroids; {LAYERS_ON_GPU if on_gpu else LAYERS} layers whose Gram matrices
are stored, {OF_GRID_ON_GPU if on_gpu else OF_GRID} with the best of 99 penalties; seconds a layer{
        "" if on_gpu else " of the process"
    }, reading
and what is done once for all layers included. The last column is the ratio to PLS alone in the same run; the goal of
all measures, on an H100, is {TARGET}.

| stimuli | measures | s a layer | times PLS |
|---|---|---|---|
""" + "\n".join(table)
    Path(__file__).with_name("measures_gpu.md" if on_gpu else "measures.md").write_text(text + "\n")


if __name__ == "__main__":
    main()
