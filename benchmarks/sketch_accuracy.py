"""The quick mode against the exact one, over all layers of networks: how far is rho, and how much faster is it?

    python benchmarks/sketch_accuracy.py squeezenet1_1=squeezenet1_1.pth alexnet resnet18 \
        --images 1500 --record --photographs FOLDER...

An entry is NAME, NAME:BATCH or NAME:BATCH=WEIGHTS (else random weights). Images are random crops of photographs with
random contrast and brightness. The target is planted: readings of a middle layer of the network itself, bent and with
noise as strong as the signal, so that no layer predicts it by heart and layers differ. Both modes see the same images,
scores and five splits. A line is printed for each group of layers, a row is added to sketch.md for each network, and
--record writes the errors to the package, whose results carry them, beside those of runs with as many images.
"""

import argparse
import csv
import json
import sys
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from photographs import Crops
from scipy.stats import spearmanr
from streaming import Blobs

from layerwise.activations import ActivationStore, extract_activations
from layerwise.interfaces import RatedImages
from layerwise.layers.blocks import in_block
from layerwise.layers.manifest import read_manifest, shipped_manifest
from layerwise.models import build, registry
from layerwise.passes.images import Images
from layerwise.passes.runner import Runner
from layerwise.regression import make_splits, predict_gram, predict_neuroids
from layerwise.sketching import SketchDemand, Sketched, plan_sketches, sketch_pls
from layerwise.sketching.measured import RECORD
from layerwise.streaming import Demand, Streamed, plan_groups, stream_pls

READINGS = 8  # of the layer that the target is planted in
TABLE = Path(__file__).with_name("sketch.md")
HEAD = """# Quick mode: rho from sketches against rho from all units

`rho` is the mean of five splits, of each layer, as in layers.parquet. Each row is of one run: the same images, scores
and splits for both modes, and their seconds; images are crops of photographs, the target is planted in a middle layer
of the network itself (`python benchmarks/sketch_accuracy.py --help`). Exact rho comes from streamed fits, of few images
on a CPU from Gram matrices (`--gram`). The last column is Spearman's correlation, over layers, of the two modes' rho.
Layers with no more units than dimensions are not sketched, and agree to rounding.

| machine | network | weights | images | dimensions | layers (sketched) | exact rho, median (range) \
| difference, median | 95 % | largest | of one split, largest | exact, s | quick, s | order of layers |
|---|---|---|---|---|---|---|---|---|---|---|---|---|---|"""


@dataclass
class Task:
    """A network, images and a target."""

    name: str
    weights: str
    batch: int
    given: argparse.Namespace

    def __post_init__(self) -> None:
        self.expected, self.layers = registry.find(self.name).preprocessing, read_manifest(shipped_manifest(self.name))
        self.splits = make_splits(self.given.images, n_splits=5, train_size=0.77)
        self.network = build(self.name, weights=self.weights).to(self.given.device).eval()
        if self.given.quick_only:  # how long it takes depends neither on what is in the images nor on the scores
            self.crops = Blobs(self.given.images, self.expected.size)
            self.scores = np.random.default_rng(0).standard_normal((5, self.given.images))
        else:
            self.crops = crops(tuple(self.given.photographs), self.given.images, self.expected.size)
            self.scores = np.tile(self._plant(), (5, 1))

    def _plant(self) -> np.ndarray:
        """Read the layer in the middle of the network along random directions, and bend what is read."""
        layer, device = self.layers[len(self.layers) // 2], torch.device(self.given.device)
        generator = torch.Generator().manual_seed(0)
        directions = torch.randn(layer.units, READINGS, generator=generator).to(device)
        batch, rows = torch.empty(self.batch, READINGS, device=device), []
        with torch.inference_mode():
            runner = Runner(self.network, [layer], Images(self.crops, device), self.expected, self.batch)
            look = lambda _index, output: torch.mm(output, directions, out=batch)  # noqa: E731
            runner.survey(look)
            runner.warm_up(look)
            list(runner.run(look, after=lambda _first: rows.append(batch.cpu().double().numpy())))
        readings = np.concatenate(rows)[: len(self.crops)]
        signal = np.tanh((readings - readings.mean(0)) / readings.std(0)).sum(1)
        return signal + signal.std() * np.random.default_rng(0).standard_normal(len(signal))

    def exact(self) -> np.ndarray:
        """Return rho [layer, split] of the exact mode."""
        return self._from_gram() if self.given.gram else self._streamed()

    def _from_gram(self) -> np.ndarray:
        given, attributes = self.given, {"model": self.name, "weights": self.weights, "code": "none"}
        targets, parts = self.scores[:, :, None], []
        with TemporaryDirectory() as folder:
            path = Path(folder) / "activations.h5"
            data = self.network, self.layers, self.crops, self.expected
            extract_activations(*data, path, given.memory, attributes, given.device, self.batch, told)
            store = ActivationStore(path)
            for layer in told(self.layers, f"predicting from {len(self.layers)} layers"):
                stored, predictions = store.read(layer.name), np.full((given.images, len(self.splits)), np.nan)
                predict = predict_gram if stored.kind == "gram" else predict_neuroids
                held_out = predict(stored.array, targets, self.splits, given.components, device=given.device)
                for index, split in enumerate(self.splits):
                    predictions[split.test, index] = held_out[index][:, 0]
                parts.append(self._rho(predictions))
        return np.array(parts)

    def _streamed(self) -> np.ndarray:
        given, n = self.given, len(self.crops)
        how = Streamed(given.components, self.batch, given.device, given.memory, tf32=True)
        demand = Demand(n, 5, given.components, self.expected.size, self.batch)
        groups = plan_groups(self.layers, demand, given.memory)
        return self._run("exact", groups, how, lambda group, *rest: stream_pls(self.network, self.layers, group, *rest))

    def quick(self) -> np.ndarray:
        """Return rho [layer, split] from sketches."""
        given, n = self.given, len(self.crops)
        how = Sketched(
            given.components, given.dimensions, given.seed, self.batch, given.device, tf32=True, file=given.file
        )
        demand = SketchDemand(n, given.dimensions, self.batch, given.file is None)
        groups = plan_sketches(self.layers, demand, given.memory, given.disk)
        return self._run("quick", groups, how, lambda group, *rest: sketch_pls(self.network, group, *rest))

    def _run(self, mode: str, groups: list[str], how: Streamed | Sketched, fit) -> np.ndarray:
        attributes = {"model": self.name, "weights": self.weights, "code": ""}
        parts, rest = [], (RatedImages(self.crops, self.expected, self.scores, self.splits), how, attributes)
        for block in groups:
            started = time.perf_counter()
            predictions = fit(in_block(self.layers, block), *rest, told)
            parts.append(np.array([self._rho(one) for one in predictions]))
            print(
                f"{self.name} {mode} {block}: mean rho {np.nanmean(parts[-1]):.3f}, "
                f"{time.perf_counter() - started:.0f} s",
                flush=True,
            )
            if self.given.device == "cuda":
                torch.cuda.empty_cache()
        return np.concatenate(parts)

    def _rho(self, predictions: np.ndarray) -> list[float]:
        pairs = enumerate(zip(self.splits, self.scores, strict=True))
        return [_spearman(predictions[split.test, index], scores[split.test]) for index, (split, scores) in pairs]


@cache
def crops(folders: tuple[Path, ...], n: int, size: int) -> Crops:
    return Crops(list(folders), n, size)


def told(items, description, total=None):
    """Stands in for a bar of progress: says at its end how long it took."""
    started = time.perf_counter()
    yield from items
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    print(f"  {description}: {time.perf_counter() - started:.1f} s", flush=True)


def _spearman(predicted: np.ndarray, scores: np.ndarray) -> float:
    defined = np.isfinite(predicted).all() and np.ptp(predicted) > 0
    return float(spearmanr(predicted, scores)[0]) if defined else float("nan")


def record(measured: dict[str, dict], given: argparse.Namespace) -> None:
    before = json.loads(RECORD.read_text(encoding="utf-8"))
    same = before["dimensions"] == given.dimensions
    kept = {name: one for name, one in before["networks"].items() if same and one["images"] == given.images}
    content = {"dimensions": given.dimensions, "networks": kept | measured}
    RECORD.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def timed(compute) -> tuple[np.ndarray, float]:
    started = time.perf_counter()
    return compute(), time.perf_counter() - started


def measure(task: Task) -> tuple[str, dict[str, object], list[tuple]]:
    name, given = task.name, task.given
    quick, quick_seconds = timed(task.quick)
    exact, exact_seconds = timed(task.exact)
    difference = np.abs(quick.mean(1) - exact.mean(1))
    defined = np.isfinite(difference)
    found = difference[defined]
    sketched = sum(layer.units > given.dimensions for layer in task.layers)
    middle, low, high = np.median(exact.mean(1)[defined]), exact.mean(1)[defined].min(), exact.mean(1)[defined].max()
    machine = torch.cuda.get_device_name() if given.device == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    trained = "random" if task.weights == "random" else "imagenet"
    row = (
        f"| {machine} | {name} | {trained} | {given.images:,} | {given.dimensions:,} | {len(task.layers)} ({sketched}) "
        f"| {middle:.3f} ({low:.3f} to {high:.3f}) | {np.median(found):.1e} | {np.quantile(found, 0.95):.1e} "
        f"| {found.max():.1e} | {np.nanmax(np.abs(quick - exact)):.1e} | {exact_seconds:.0f} | {quick_seconds:.0f} "
        f"| {spearmanr(quick.mean(1)[defined], exact.mean(1)[defined])[0]:.4f} |"
    )
    kept = {
        "weights": trained, "images": given.images, "layers": len(found),
        "median": float(np.median(found)), "largest": float(found.max()),
    }  # fmt: skip
    pairs = zip(task.layers, exact.mean(1), quick.mean(1), strict=True)
    return row, {name: kept}, [(name, layer.name, layer.units, one, other) for layer, one, other in pairs]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="+")
    parser.add_argument("--photographs", type=Path, nargs="+", default=[], help="folders; not used with --quick-only")
    parser.add_argument("--images", type=int, default=1500)
    parser.add_argument("--dimensions", type=int, default=4096)
    parser.add_argument("--components", type=int, default=25)
    parser.add_argument("--seed", type=int, default=0, help="of the sketches")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--memory", type=float, default=75e9 if torch.cuda.is_available() else 5e9, help="bytes")
    parser.add_argument("--file", type=Path, help="keep sketches in this file instead of in memory")
    parser.add_argument("--disk", type=float, default=100e9, help="bytes of that file")
    parser.add_argument("--record", action="store_true", help="write the errors to the package")
    parser.add_argument("--gram", action="store_true", help="exact rho from Gram matrices: quicker, of few images")
    parser.add_argument("--quick-only", action="store_true", help="say how long the quick mode takes, and no more")
    parser.add_argument("--csv", type=Path, help="write the rho of each layer")
    given = parser.parse_args()
    if not (given.photographs or given.quick_only):
        parser.error("--photographs is needed, but with --quick-only")
    given.memory, given.disk = int(given.memory), int(given.disk)
    lines = TABLE.read_text(encoding="utf-8").rstrip().splitlines() if TABLE.exists() else HEAD.splitlines()
    measured, layers = {}, []
    for entry in given.networks:
        entry, _, weights = entry.partition("=")
        name, _, batch = entry.partition(":")
        task = Task(name, weights or "random", min(int(batch or 32), given.images), given)
        if given.quick_only:
            task.quick()
            continue
        row, found, each = measure(task)
        print(row, flush=True)
        lines, measured, layers = [*lines, row], measured | found, layers + each
        TABLE.write_text("\n".join(lines) + "\n", encoding="utf-8")
    if given.record and measured:
        record(measured, given)
    if given.csv:
        with given.csv.open("w", encoding="utf-8", newline="") as handle:
            csv.writer(handle).writerows([("network", "layer", "units", "exact", "quick"), *layers])


if __name__ == "__main__":
    sys.exit(main())
