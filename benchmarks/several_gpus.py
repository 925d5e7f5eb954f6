"""One job on one GPU and on all that can be seen, in one run: python benchmarks/several_gpus.py [NETWORK ...]

Gram matrices of all layers (3,200 stimuli, as in brain_gpu.py) and a streamed fit of all layers (16,384 images, five
splits, three components), the layers divided over the GPUs. Writes several_gpus.md.
"""

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from brain_gpu import BATCH, MEMORY, Clock, Pixels
from sketch_accuracy import timed
from streaming import Blobs, draw_scores

from layerwise.activations import ActivationStore, extract_activations
from layerwise.interfaces import RatedImages
from layerwise.layers.manifest import read_manifest, shipped_manifest
from layerwise.models import build
from layerwise.models.registry import find
from layerwise.streaming import Streamed, stream_pls_on

NETWORKS = ["resnet50"]

NOTES = """
- Layers are divided, not images. Gram matrices gain, since each GPU stops its passes at its last layer and keeps
  half of the units; in a streamed fit each GPU runs the network over all images. Where one GPU holds a group of
  layers, two jobs with a GPU each fit two groups or networks in less time; several GPUs are for groups that one
  cannot hold.
"""
N_IMAGES, N_COMPONENTS = 16384, 3


def gram_seconds(name: str, pixels: Pixels, devices: list[str], output: Path) -> float:
    """Seconds until all Gram matrices are there; they are written to `output`."""
    row, layers, clock = find(name), read_manifest(shipped_manifest(name)), Clock()
    data = build(name, weights="random", seed=0), layers, pixels, row.preprocessing
    attributes = {"model": name, "weights": "random", "code": "benchmark"}
    start = time.perf_counter()
    extract_activations(*data, output, MEMORY, attributes, devices, BATCH, clock)
    return clock.done - start


def gram_difference(one: Path, other: Path) -> float:
    """Largest difference of an entry, in parts of the largest of its layer."""
    stores = ActivationStore(one), ActivationStore(other)
    pairs = ([store.read(layer.name, packed=True).array for store in stores] for layer in stores[0].layers[::10])
    return max(float(np.abs(a - b).max() / np.abs(a).max()) for a, b in pairs)


def fit(name: str, devices: list[str]) -> np.ndarray:
    expected, layers = find(name).preprocessing, read_manifest(shipped_manifest(name))
    rated = RatedImages(Blobs(N_IMAGES, expected.size), expected, *draw_scores(N_IMAGES))
    how = Streamed(N_COMPONENTS, BATCH, devices[0], MEMORY, tf32=True)
    attributes = {"model": name, "weights": "random", "code": "benchmark"}
    return stream_pls_on(devices, build(name, weights="random", seed=0), layers, layers, rated, how, attributes)


def measure(name: str, devices: list[str]) -> list[str]:
    with tempfile.TemporaryDirectory() as folder:
        one, all_ = (Path(folder) / f"{count}.h5" for count in ("one", "all"))
        pixels = Pixels(find(name).preprocessing)
        before, after = gram_seconds(name, pixels, devices[:1], one), gram_seconds(name, pixels, devices, all_)
        seconds = f"{before:.1f} | {after:.1f} | {before / after:.2f}"
        rows = [f"| {name} | Gram | {seconds} | {gram_difference(one, all_):.0e} |"]
    (alone, before), (together, after) = (timed(lambda used=used: fit(name, used)) for used in (devices[:1], devices))
    apart = np.nanmax(np.abs(alone - together)) / np.nanstd(alone)
    return [*rows, f"| {name} | streamed fit | {before:.1f} | {after:.1f} | {before / after:.2f} | {apart:.0e} |"]


def main(names: list[str]) -> None:
    devices = [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    fit("alexnet", devices)  # starts all GPUs
    head = f"""# One job on {len(devices)} GPUs

`python benchmarks/several_gpus.py {" ".join(names)}` on {len(devices)} {torch.cuda.get_device_name()}, torch
{torch.__version__}, against one of them, in one run; seconds. Gram matrices of 3,200 stimuli, whose entries differ by
so much of a layer's largest, and streamed fits of {N_IMAGES:,} images with {N_COMPONENTS} components, with recording,
whose predictions differ by so many standard deviations.

| network | what | one | all | times | difference |
|---|---|---|---|---|---|"""
    lines = [head]
    for name in names:
        lines += measure(name, devices)
        print("\n".join(lines[-2:]), flush=True)
    Path(__file__).with_suffix(".md").write_text("\n".join(lines) + "\n" + NOTES, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:] or NETWORKS)
