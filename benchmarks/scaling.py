"""How the cost grows with layers, units, images and targets.

python benchmarks/scaling.py measure    on a GPU: writes scaling.csv
python benchmarks/scaling.py draw       anywhere: writes scaling.md, with fitted exponents, and scaling.png
"""

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import torch

HERE = Path(__file__).parent
TABLE = HERE / "scaling.csv"
N_STIMULI, N_TARGETS, TOGETHER, REPEATS = 3200, 168, 8, 3
UNITS = [20_000, 60_000, 200_000, 600_000, 2_000_000]
STIMULI = [400, 800, 1600, 3200, 6400]
TARGETS = [10, 30, 100, 168, 300, 1000]
LAYERS = [1, 2, 4, 8, 16]
IMAGES = [4096, 8192, 16384, 32768]

NOTES = """\
- Small sizes wait for launches, not for the GPU, which lowers the exponents: streamed products grow with the power
  .93 of the units from 600,000 on. From 1,600 images on a Gram matrix grows with the power 1.6 of their number (its
  entries grow with the square); a streamed fit is nearly linear in it (.85).
- A cost that is flat up to 1,000 targets is reached up to 300 (1.3 times that of ten; 1,000 cost 3.2 times). Products
  with K are taken once; a component changes S (targets by targets) by a matrix of rank two, and its eigenvector takes
  products that read S. Of 8 layers and ten splits S is 58 MB for 300 targets, which are squared behind the launches,
  and 640 MB for 1,000: 25 components that read it some 15 times take .1 s at the GPU's 3 TB/s, whatever the method."""


def seconds(call: Callable[[], object]) -> float:
    """Median of a few runs, after one that warms up."""
    call()
    found = []
    for _ in range(REPEATS):
        torch.cuda.synchronize()
        start = time.perf_counter()
        call()
        torch.cuda.synchronize()
        found.append(time.perf_counter() - start)
    return float(np.median(found))


def gram_seconds(n_stimuli: int, units: int) -> float:
    from layerwise.activations.gram import add_gram

    total = torch.zeros(n_stimuli, n_stimuli, dtype=torch.float64, device="cuda")
    activations = torch.randn(n_stimuli, units, device="cuda")
    return seconds(lambda: add_gram(total, activations))


def solver_seconds(layers: int, n_stimuli: int, targets: int) -> float:
    from layerwise.regression import make_splits, score_gram

    latent = torch.randn(n_stimuli, 60, dtype=torch.float64, device="cuda")
    units = latent @ torch.randn(layers, 60, 4000, dtype=torch.float64, device="cuda")
    units += torch.randn_like(units)
    units -= units.mean(1, keepdim=True)
    mixed = latent @ torch.randn(60, targets, dtype=torch.float64, device="cuda")
    responses = (mixed + 5 * torch.randn_like(mixed)).cpu().numpy()
    grams, splits = units @ units.mT, make_splits(n_stimuli)
    return seconds(lambda: score_gram(grams, responses, splits, device="cuda"))


def streamed_seconds(units: int) -> float:
    from layerwise.streaming.fused import Relation
    from layerwise.streaming.kernels import accumulate, project

    x = torch.randn(256, units, device="cuda")
    relation, directions = Relation(x.mean(0)), [torch.randn(5, units, device="cuda")]
    offsets, mask = torch.zeros(1, 5, device="cuda"), torch.ones(256, 5, device="cuda")
    scores, training = torch.zeros(1, 256, 5, device="cuda"), torch.zeros(3, 256, 5, device="cuda")
    totals = [torch.zeros(5, units, device="cuda")]

    def step() -> None:
        project(x, relation, directions, offsets, mask, scores, training)
        accumulate(x, relation, training, totals)

    return seconds(step)


def fit_seconds(images: int) -> float:
    from streaming import Blobs, Clock, draw_scores

    from layerwise.interfaces import RatedImages
    from layerwise.layers.manifest import read_manifest, shipped_manifest
    from layerwise.models import build, registry
    from layerwise.streaming import Streamed, stream_pls

    layers, expected = read_manifest(shipped_manifest("alexnet")), registry.find("alexnet").preprocessing
    clock, how = Clock(images), Streamed(4, 512, "cuda", memory=70 * 10**9)
    rated = RatedImages(Blobs(images, expected.size), expected, *draw_scores(images))
    attributes = {"model": "alexnet", "weights": "random", "code": ""}
    stream_pls(build("alexnet").cuda(), layers, layers, rated, how, attributes, clock)
    return float(np.median(clock.seconds[2:]))


def measure() -> Iterator[tuple[str, str, int, float]]:
    for units in UNITS:
        yield "Gram matrix, 3,200 stimuli", "units", units, gram_seconds(N_STIMULI, units)
        yield "streamed products, 256 images", "units", units, streamed_seconds(units)
    for stimuli in STIMULI:
        yield "Gram matrix, 100,000 units", "images", stimuli, gram_seconds(stimuli, 100_000)
        yield "ten splits, 8 layers", "images", stimuli, solver_seconds(TOGETHER, stimuli, N_TARGETS)
    for images in IMAGES:
        yield "streamed component, alexnet", "images", images, fit_seconds(images)
    for targets in TARGETS:
        yield "ten splits, 8 layers", "targets", targets, solver_seconds(TOGETHER, N_STIMULI, targets)
    for layers in LAYERS:
        yield "ten splits, 168 targets", "layers", layers, solver_seconds(layers, N_STIMULI, N_TARGETS)


def exponent(rows: pd.DataFrame) -> float:
    """Slope of log seconds on log size."""
    return float(np.polyfit(np.log(rows["size"]), np.log(rows["seconds"]), 1)[0])


def draw() -> None:
    import matplotlib.pyplot as plt
    import seaborn as sns

    table = pd.read_csv(TABLE)
    lines = [
        "# How the cost grows",
        "",
        f"`python benchmarks/scaling.py measure` on one {table['machine'].iloc[0]}: seconds from the smallest to",
        "the largest size, and the exponent of a power law fitted to all sizes ([drawn](scaling.png)).",
        "",
        "| cost | of | sizes | seconds | exponent |",
        "|---|---|---|---|---|",
    ]
    figure, panels = plt.subplots(2, 2, figsize=(9, 7.5), sharey=True, layout="constrained")
    for panel, (dimension, part) in zip(panels.flat, table.groupby("dimension", sort=False), strict=True):
        for cost, rows in part.groupby("cost", sort=False):
            sizes, times = rows["size"], rows["seconds"]
            lines.append(
                f"| {cost} | {dimension} | {sizes.iloc[0]:,} to {sizes.iloc[-1]:,} | "
                f"{times.iloc[0]:.4f} to {times.iloc[-1]:.4f} | {exponent(rows):.2f} |"
            )
            panel.loglog(sizes, times, "o-", label=f"{cost}: {exponent(rows):.2f}")
        panel.set(xlabel=dimension, ylabel="seconds")
        panel.legend(frameon=False, fontsize=8, loc="lower left", bbox_to_anchor=(0, 1), title="cost: exponent")
    sns.despine(figure)
    figure.savefig(TABLE.with_suffix(".png"), dpi=120)
    TABLE.with_suffix(".md").write_text("\n".join([*lines, "", NOTES]) + "\n")


def main(what: str) -> None:
    if what == "draw":
        draw()
        return
    table = pd.DataFrame(measure(), columns=["cost", "dimension", "size", "seconds"])
    table["machine"] = f"{torch.cuda.get_device_name()}, torch {torch.__version__}"
    table.to_csv(TABLE, index=False, float_format="%.6f")
    print(table.to_string())


if __name__ == "__main__":
    if sys.argv[1:] not in (["measure"], ["draw"]):
        sys.exit("say what to do: python benchmarks/scaling.py measure, or draw")
    main(sys.argv[1])
