"""The brain part on a GPU: Gram matrices of all layers, and ten splits of 168 targets for each layer.

python benchmarks/brain_gpu.py [NETWORK ...]     (default: alexnet resnet50 densenet201; weights are random)
"""

import platform
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from layerwise.activations import ActivationStore, extract_activations
from layerwise.activations.packing import unpack
from layerwise.interfaces import Preprocessing
from layerwise.layers.manifest import read_manifest, shipped_manifest
from layerwise.models import build
from layerwise.models.normalisation import normalise
from layerwise.models.registry import find, names
from layerwise.passes.precision import full_precision
from layerwise.regression import make_splits, score_gram

N_STIMULI, N_NEUROIDS, MEMORY, BATCH, TOGETHER = 3200, 168, 65 * 10**9, 256, 32

NOTES = """\
- The goal is 3 times the floor for forward passes and Gram matrices. It is reached by all three networks; with the
  file on disk alexnet and densenet201 take 3.9 and 3.1 times as long. What is left then is the way of up to a
  gigabyte to the disk, and `fsync`, after which no crash loses the file.
- What waits for the disk waits on the GPU: small layers come in bursts. With two layers in place of a gigabyte all
  Gram matrices of densenet201 took 34.7 s, and 30.9 s with it, in one run on the same machine.
- Tried: Gram matrices from two TF32 products, of the rounded activations and of the rest: r was off by up to
  2.7e-4; float32 hides components below 3e-4 of the largest. float64 costs no more than float32 on an H100.
- Tried on 100,000 units, in times of the half of all products at full rate: blocks of rows, four, six or eight, 1.6
  to 1.8; centred in one operation with the change to float64, 1.6 to 2.0; means of all units at once, 1.6 to 1.8;
  cuBLAS's own product for symmetric matrices, which PyTorch does not offer, 1.3 to 1.4.
- Weights are random, since published ones could not be reached; they change no time. The seconds a layer wait for
  the host: on machines of this kind 6.7 to 10.2 ms were seen, and 6.0 ms in pls_gpu.md."""


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


def seconds(call: Callable[[], object], repeats: int = 1) -> float:
    torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(repeats):
        call()
    torch.cuda.synchronize()
    return (time.perf_counter() - start) / repeats


def forward(network: torch.nn.Module, pixels: Pixels, preprocessing: Preprocessing) -> float:
    """Seconds of a plain pass over all images, which are on the GPU, in the precision of extraction."""
    images = torch.from_numpy(pixels.images).cuda()

    def run() -> None:
        with torch.inference_mode(), full_precision():
            for batch in images.split(BATCH):
                network(normalise(batch, preprocessing))

    network.cuda().eval()
    run()
    return seconds(run, 2)


def product_rate() -> float:
    """Products of two float64 numbers a second, in one large matrix product."""
    big = torch.randn(N_STIMULI, 16384, dtype=torch.float64, device="cuda")
    big @ big.T
    return N_STIMULI**2 * 16384 / seconds(lambda: big @ big.T, 5)


def score_together(store: ActivationStore) -> float:
    """Seconds a layer, given the Gram matrices on the GPU, of layers spread over the network."""
    grams = [layer for layer in store.layers if layer.units > N_STIMULI]
    chosen = [grams[index] for index in np.linspace(0, len(grams) - 1, TOGETHER).astype(int)]
    stack = torch.stack([unpack(store.read(layer.name, packed=True).array, N_STIMULI, "cuda") for layer in chosen])
    responses = np.random.default_rng(0).standard_normal((N_STIMULI, N_NEUROIDS))
    how = responses, make_splits(np.arange(N_STIMULI) % 64)
    score_gram(stack[:2], *how, device="cuda")
    return seconds(lambda: score_gram(stack, *how, device="cuda")) / TOGETHER


class Clock:
    """Stands in for a bar of progress: notes the passes, and when the last Gram matrix is done on all GPUs."""

    def __call__(self, items, description, total=None):
        self.passes = total // N_STIMULI
        yield from items
        for device in range(torch.cuda.device_count()):
            torch.cuda.synchronize(device)
        self.done = time.perf_counter()


def measure_network(name: str, folder: Path, rate: float, costs: list[tuple[float, float, float]]) -> str:
    row, layers = find(name), read_manifest(shipped_manifest(name))
    pixels, network, output = Pixels(row.preprocessing), build(name), folder / f"{name}.h5"
    plain = forward(network, pixels, row.preprocessing)
    attributes, clock = {"model": name, "weights": "random", "code": "benchmark"}, Clock()
    start = time.perf_counter()
    extract_activations(network, layers, pixels, row.preprocessing, output, MEMORY, attributes, "cuda", BATCH, clock)
    computed, extracted = clock.done - start, time.perf_counter() - start
    units = sum(layer.units for layer in layers)
    floor = plain + units * N_STIMULI**2 / 2 / rate
    size = output.stat().st_size / 1e9
    scored = score_together(ActivationStore(output))
    output.unlink()
    costs.append((units, extracted, scored))
    return (
        f"| {name} | {len(layers)} | {units / 1e6:.1f} | {plain:.2f} | {floor:.1f} | {clock.passes} | {size:.1f} | "
        f"{computed:.1f} | {computed / floor:.1f} | {extracted:.1f} | {extracted / floor:.1f} | {1000 * scored:.1f} |"
    )


def estimate(costs: list[tuple[float, float, float]]) -> str:
    """Say what the study would take, from the seconds of some networks and the units and layers of the registry's."""
    units, extracted, scored = map(sum, zip(*costs, strict=True))
    manifests = [read_manifest(path) for name in names() if (path := shipped_manifest(name))]
    all_units = sum(layer.units for layers in manifests for layer in layers)
    hours = all_units * extracted / units / 3600, 4 * sum(map(len, manifests)) * scored / len(costs) / 3600
    return (
        f"Estimate, not a measurement: {len(manifests)} networks (the paper's and the demo's) with\n"
        f"{all_units / 1e6:,.0f} M units at these seconds a unit, and four regions a layer, are {hours[0]:.2f} + "
        f"{hours[1]:.2f} hours\nof this GPU, without the start of processes."
    )


def main(chosen: list[str]) -> None:
    costs: list[tuple[float, float, float]] = []
    machine = f"{torch.cuda.get_device_name()}, torch {torch.__version__}, Python {platform.python_version()}"
    rate = product_rate()
    lines = [
        "# The brain part on a GPU",
        "",
        f"`python benchmarks/brain_gpu.py {' '.join(chosen)}` on one",
        f"{machine}, {torch.get_num_threads()} threads. {N_STIMULI:,} stimuli;",
        "everything in float64 but the networks, in float32. One run; seconds.",
        "",
        "## Gram matrices of all layers, from pixels to the file",
        "",
        f"{MEMORY / 1e9:.0f} GB for activations, batches of {BATCH}. The floor is one plain pass and half of all",
        f"products (a Gram matrix is symmetric) at the rate of one large product, {2 * rate / 1e12:.0f} Tflop/s. All",
        "Gram matrices are there after the first seconds; after the second ones the file is on the disk, renamed. The",
        f"last column is ten splits of {N_NEUROIDS} targets, {TOGETHER} layers at once, given their Gram matrices.",
        "",
        "| network | layers | M units | pass | floor | passes | GB | computed | ratio | on disk | ratio | ms a layer |",
        "|---" * 12 + "|",
    ]
    with tempfile.TemporaryDirectory() as folder:
        for name in chosen:
            lines.append(measure_network(name, Path(folder), rate, costs))
            print(lines[-1], flush=True)
    lines += ["", estimate(costs), "", NOTES]
    Path(__file__).with_suffix(".md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:] or ["alexnet", "resnet50", "densenet201"])
