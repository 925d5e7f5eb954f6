"""The brain part on a GPU: Gram matrices of all layers, then ten splits of 168 targets for each layer.

python benchmarks/brain_gpu.py [NETWORK ...]     (default: alexnet resnet50; weights are random)
"""

import platform
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from layerwise.activations import ActivationStore, extract_activations
from layerwise.interfaces import Preprocessing
from layerwise.layers.manifest import read_manifest, shipped_manifest
from layerwise.models import build
from layerwise.models.registry import find
from layerwise.regression import make_splits, score_gram, score_neuroids

N_STIMULI, N_NEUROIDS, MEMORY, BATCH = 3200, 168, 40 * 10**9, 256


class Pixels:
    """Smooth random images, as MajajHong2015's public set has many."""

    def __init__(self, preprocessing: Preprocessing) -> None:
        coarse = torch.randint(0, 256, (N_STIMULI, 3, 28, 28), dtype=torch.uint8)
        fine = torch.nn.functional.interpolate(coarse, size=preprocessing.size, mode="nearest")
        self.images = fine.permute(0, 2, 3, 1).contiguous().numpy()
        self.ids = tuple(f"image{index:04d}" for index in range(N_STIMULI))
        self.content_hash = "random"

    def __len__(self) -> int:
        return N_STIMULI

    def read(self, start: int, stop: int) -> np.ndarray:
        return self.images[start:stop]


def forward(network: torch.nn.Module, pixels: Pixels, device: str) -> float:
    """Seconds of a plain pass over all images."""
    network = network.to(device)
    with torch.inference_mode():
        for _ in range(2):  # the first warms up
            start = time.perf_counter()
            for first in range(0, N_STIMULI, BATCH):
                batch = torch.from_numpy(pixels.read(first, first + BATCH)).to(device)
                network(batch.permute(0, 3, 1, 2).float().div_(255))
            torch.cuda.synchronize()
    return time.perf_counter() - start


def score(store: ActivationStore, device: str, n_layers: int = 12) -> float:
    """Seconds a layer, median over layers spread over the network."""
    rng = np.random.default_rng(0)
    responses, splits = rng.standard_normal((N_STIMULI, N_NEUROIDS)), make_splits(np.arange(N_STIMULI) % 64)
    seconds = []
    for layer in store.layers[:: max(1, len(store.layers) // n_layers)]:
        stored = store.read(layer.name)
        start = time.perf_counter()
        (score_gram if stored.kind == "gram" else score_neuroids)(stored.array, responses, splits, device=device)
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds[1:]))


def measure(name: str, folder: Path) -> str:
    row = find(name)
    layers = read_manifest(shipped_manifest(name))
    pixels, network = Pixels(row.preprocessing), build(name)
    plain = forward(network, pixels, "cuda")
    attributes = {"model": name, "weights": "random", "code": "benchmark"}
    start = time.perf_counter()
    output = folder / f"{name}.h5"
    extract_activations(
        network, layers, pixels, row.preprocessing, output, MEMORY, attributes, device="cuda", batch_size=BATCH
    )
    extracted = time.perf_counter() - start
    scored = score(ActivationStore(output), "cuda")
    units = sum(layer.units for layer in layers) / 1e6
    output.unlink()
    return f"| {name} | {len(layers)} | {units:.1f} | {plain:.1f} | {extracted:.1f} | {scored:.3f} |"


def main(names: list[str]) -> None:
    machine = f"{torch.cuda.get_device_name()}, torch {torch.__version__}, Python {platform.python_version()}"
    told = (
        f"`python benchmarks/brain_gpu.py {' '.join(names)}` on one {machine}: {N_STIMULI:,} stimuli, Gram matrices in "
        f"float64 and written to disk, {MEMORY / 1e9:.0f} GB for activations; then ten splits of {N_NEUROIDS} targets. "
        "One run; seconds."
    )
    columns = ("network", "layers", "million units", "plain forward pass", "all layers extracted", "scoring a layer")
    lines = ["# The brain part on a GPU", "", told, "", f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            lines.append(measure(name, Path(folder)))
            print(lines[-1], flush=True)
    Path(__file__).with_suffix(".md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:] or ["alexnet", "resnet50"])
