"""Rough rates of one processor core, from which `layerwise plan` expects the time of jobs without a GPU.

python benchmarks/cpu_rates.py > benchmarks/cpu_rates.md     (about two minutes)

Seconds are of processor time (user and system), which others on the machine disturb less than those of a clock.
"""

import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from machine import processor

from layerwise.activations import extract_activations
from layerwise.activations.gram import add_gram
from layerwise.interfaces import Preprocessing, RatedImages, Split
from layerwise.layers.manifest import read_manifest, shipped_manifest
from layerwise.models import build, specify
from layerwise.models.normalisation import normalise
from layerwise.models.registry import find
from layerwise.passes.precision import full_precision
from layerwise.regression import score_gram
from layerwise.sketching import Sketched, sketch_pls
from layerwise.streaming import Streamed, stream_pls

N_IMAGES, N_SPLITS, COMPONENTS = 64, 5, 8
NETWORKS = ("alexnet", "resnet18", "squeezenet1_1")


class Pixels:
    content_hash = "random"

    def __init__(self, preprocessing: Preprocessing) -> None:
        shape = (N_IMAGES, preprocessing.size, preprocessing.size, 3)
        self.images = np.random.default_rng(0).integers(0, 255, shape, dtype=np.uint8)
        self.ids = tuple(f"{index}.png" for index in range(N_IMAGES))

    def __len__(self) -> int:
        return N_IMAGES

    def read(self, start: int, stop: int) -> np.ndarray:
        return self.images[start:stop]


def seconds(call: Callable[[], object]) -> float:
    start = time.process_time()
    call()
    return time.process_time() - start


def ratings() -> tuple[np.ndarray, list[Split]]:
    rng = np.random.default_rng(0)
    orders = [rng.permutation(N_IMAGES) for _ in range(N_SPLITS)]
    cut = N_IMAGES * 3 // 4
    return rng.random((N_SPLITS, N_IMAGES)), [Split(np.sort(one[:cut]), np.sort(one[cut:])) for one in orders]


def measure(name: str) -> str:
    row = find(name)
    path, preprocessing = shipped_manifest(row.name), row.preprocessing
    assert path and preprocessing
    layers, network = read_manifest(path), build(replace(specify(name), weights="random")).eval()
    pixels, units = Pixels(preprocessing), sum(layer.units for layer in layers)
    images = normalise(torch.from_numpy(pixels.images), preprocessing)

    def forward() -> None:
        with torch.inference_mode(), full_precision():
            for batch in images.split(32):
                network(batch)

    rated = RatedImages(pixels, preprocessing, *ratings())
    origin = {"model": name, "weights": "none", "code": "none"}
    streamed, sketched = Streamed(n_components=COMPONENTS), Sketched(n_components=COMPONENTS)
    forward()
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder, "activations.h5")
        taken = [
            seconds(forward),
            seconds(lambda: extract_activations(network, layers, pixels, preprocessing, output, 2 * 10**9, origin)),
            seconds(lambda: stream_pls(network, layers, layers, rated, streamed, origin)) / (COMPONENTS + 1),
            seconds(lambda: sketch_pls(network, layers, rated, sketched, origin)),
        ]
    cells = [f"{1e9 * one / N_IMAGES / units:.1f} ({1e3 * one / N_IMAGES:.0f})" for one in taken]
    return " | ".join(["", name, f"{units / 1e6:.1f}", *cells, ""]).strip()


def gram_rate(n_images: int, units: int) -> float:
    buffer, gram = torch.randn(n_images, units), torch.zeros(n_images, n_images, dtype=torch.float64)
    return seconds(lambda: add_gram(gram, buffer)) / (n_images**2 * units)


def score_rate(n_images: int) -> float:
    rng = np.random.default_rng(0)
    features = torch.from_numpy(rng.standard_normal((n_images, 2 * n_images)))
    splits = [
        Split(order[n_images // 10 :], order[: n_images // 10]) for order in map(rng.permutation, [n_images] * 10)
    ]
    grams, responses = (features @ features.T)[None], rng.standard_normal((n_images, 168))
    return seconds(lambda: score_gram(grams, responses, splits, 25, "exact", "cpu"))


def main() -> None:
    torch.set_num_threads(1)
    print(
        f"# Rough rates of a processor core\n\nMade by `python benchmarks/cpu_rates.py` on one core of {processor()},"
    )
    print(f"beside other work; torch {torch.__version__}. Seconds are of processor time. One run, rough: the rates are")
    print("for planning, which leaves them a wide margin.\n")
    print(
        f"Nanoseconds a unit and image (milliseconds an image); {N_IMAGES} images, {N_SPLITS} splits, random weights:\n"
    )
    print("| network | M units | plain forward | extraction | a streamed pass | sketching, all |")
    print("|---|---|---|---|---|---|")
    for name in NETWORKS:
        print(measure(name), flush=True)
    print("\nA Gram matrix in float64, per squared image and unit:")
    print(", ".join(f"{1e9 * gram_rate(n, 20_000):.3f} ns ({n} images)" for n in (200, 800, 1600)) + ".")
    print("\nTen splits of 168 targets and 25 components from the Gram matrix of a layer:")
    print(", ".join(f"{score_rate(n):.2f} s ({n} images)" for n in (200, 800, 1600)) + ".")


if __name__ == "__main__":
    main()
