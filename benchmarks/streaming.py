"""Streamed PLS of all layers of networks, against plain forward passes: python benchmarks/streaming.py

For each network, in one run: a plain forward pass over the images, the first pass (means and X'y) and passes of
components, each timed to the last kernel. Networks have random weights, images are random blobs, 58,741 of them (or
as many as --images says; times are then scaled to 58,741). Prints a table and writes it to streaming.md.
"""

import argparse
import statistics
import sys
import time
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch

from layerwise.interfaces import RatedImages, Split
from layerwise.layers.manifest import read_manifest, shipped_manifest
from layerwise.models import build, registry
from layerwise.passes.images import Images
from layerwise.passes.precision import exact_products
from layerwise.passes.runner import Runner
from layerwise.streaming import Streamed, stream_pls
from layerwise.streaming import fit as fit_module
from layerwise.streaming.products import PLAIN, choose_products

LAMEM = 58741


class Blobs:
    """Random images of few frequencies; they repeat, which costs a network the same and a host less memory."""

    content_hash = "blobs"

    def __init__(self, n: int, size: int) -> None:
        rng = np.random.default_rng(0)
        coarse = torch.from_numpy(rng.uniform(0, 255, (min(n, 1024), 3, 14, 14)).astype(np.float32))
        fine = torch.nn.functional.interpolate(coarse, size=size, mode="bilinear").permute(0, 2, 3, 1)
        self.n, self.array = n, fine.to(torch.uint8).numpy()

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(map(str, range(self.n)))

    def __len__(self) -> int:
        return self.n

    def read(self, start: int, stop: int) -> np.ndarray:
        return self.array[np.arange(start, stop) % len(self.array)]


class Clock:
    """Stands in for a bar of progress: notes when each pass over the images is done on the device."""

    def __init__(self, n: int) -> None:
        self.n, self.times = n, [time.perf_counter()]

    def __call__(self, items, description, total=None):
        for done, item in enumerate(items, start=1):
            if done % self.n == 0:
                torch.cuda.synchronize()
                self.times.append(time.perf_counter())
            yield item

    @property
    def seconds(self) -> list[float]:
        return np.diff(self.times).tolist()


def draw_scores(n: int, train_size: float = 0.75, seed: int = 0) -> tuple[np.ndarray, list[Split]]:
    """Return random scores [split, image], and five random splits."""
    rng = np.random.default_rng(seed)
    parts = [np.split(rng.permutation(n), [int(train_size * n)]) for _ in range(5)]
    return rng.standard_normal((5, n)), [Split(np.sort(train), np.sort(test)) for train, test in parts]


def plain_pass(network, layers, images, preprocessing, batch_size: int, tf32: bool) -> float:
    """Seconds of a forward pass whose last layer is looked at and left alone."""
    with torch.inference_mode(), exact_products(tf32):
        runner = Runner(network, layers[-1:], images, preprocessing, batch_size)
        runner.survey(lambda index, output: None)
        look = _ignore
        runner.warm_up(look)
        seconds = []
        for _ in range(3):
            clock = Clock(len(images))
            list(clock(runner.run(look), ""))
            seconds += clock.seconds
    return min(seconds)


def _ignore(index, output) -> None:
    pass


def measure(name: str, batch_size: int, n: int, components: int, tf32: bool = True, kernels: bool = True) -> str:
    expected, layers = registry.find(name).preprocessing, read_manifest(shipped_manifest(name))
    images = Blobs(n, expected.size)
    network = build(name, weights="random").cuda().eval()
    torch.cuda.reset_peak_memory_stats()
    resident = Images(images, torch.device("cuda"), resident=True)
    plain = plain_pass(network, layers, resident, expected, batch_size, tf32)
    del resident
    scores, splits = draw_scores(n, 0.77, seed=1)
    how = Streamed(components, batch_size, "cuda", memory=78 * 10**9, tf32=tf32)
    clock = Clock(n)
    attributes = {"model": name, "weights": "random", "code": ""}
    with patch.object(fit_module, "choose_products", choose_products if kernels else lambda *_: PLAIN):
        rated = RatedImages(images, expected, scores, splits)
        stream_pls(network, layers, layers, rated, how, attributes, clock)
    torch.cuda.synchronize()
    whole = time.perf_counter() - clock.times[0]
    one, scale = statistics.median(clock.seconds[2:]), LAMEM / n
    total = whole if n == LAMEM and components == 25 else 26 * one * scale
    units = sum(layer.units for layer in layers)
    return (
        f"| {name} | {len(layers)} | {units / 1e6:.1f} M | {batch_size} | {'TF32' if tf32 else 'fp32'} "
        f"| {'Triton' if kernels else 'PyTorch'} | {n:,} x {components + 1} | {n / plain:,.0f} | {n / one:,.0f} "
        f"| {26 * plain * scale:.0f} | {total:.0f} | {total / (26 * plain * scale):.2f} "
        f"| {torch.cuda.max_memory_allocated() / 1e9:.1f} |"
    )


HEAD = """# Exact memorability: PLS with 25 components of all layers, streamed, against plain forward passes

Machine: {machine}; PyTorch {torch}. Made by `python benchmarks/streaming.py {arguments}`; each row's times are of one
run. Five splits; random weights and images. Seconds are for 58,741 images and 26 passes: of the whole fit, with loading
and recording, where the column "run" says so; else 26 times the median pass of a component, scaled to as many images.

| network | layers | units | batch | convolutions | products | run: images x passes | plain, images/s | \
component, images/s | 26 plain passes, s | streamed fit, s | ratio | peak GB |
|---|---|---|---|---|---|---|---|---|---|---|---|---|"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("networks", nargs="*", default=["alexnet:512", "resnet50:256", "densenet201:256"])
    parser.add_argument("--images", type=int, default=LAMEM)
    parser.add_argument("--components", type=int, default=25)
    parser.add_argument("--fp32", action="store_true", help="convolutions keep float32")
    parser.add_argument("--plain", action="store_true", help="PyTorch's own operations in place of our kernels")
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".md"))
    given = parser.parse_args()
    lines = given.output.read_text().rstrip().splitlines() if given.output.exists() else []
    if not lines:
        lines = HEAD.format(
            machine=f"one {torch.cuda.get_device_name()}", torch=torch.__version__, arguments=" ".join(sys.argv[1:])
        ).splitlines()
        print("\n".join(lines), flush=True)
    for entry in given.networks:
        name, _, batch = entry.partition(":")
        lines.append(measure(name, int(batch or 64), given.images, given.components, not given.fp32, not given.plain))
        print(lines[-1], flush=True)
        torch.cuda.empty_cache()
    given.output.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
