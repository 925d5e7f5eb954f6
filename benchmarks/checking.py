"""What it costs to compare files with their checksums, beside what is done with their content.

python benchmarks/checking.py
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import torchvision
from machine import processor
from PIL import Image

from layerwise.activations import ActivationStore
from layerwise.activations.store import write_store
from layerwise.analyses.brain import BrainSimilarity
from layerwise.analyses.gather import gather_model
from layerwise.data.pixels import PixelCache, pack_pixels
from layerwise.data.recordings import read_recordings, write_recordings
from layerwise.files import check_seal, check_zip, checksum, try_hdf5
from layerwise.files.tables import _digested, read_table, write_table
from layerwise.interfaces import Geometry, LayerSpec, Recordings, StimulusSet
from layerwise.models.states import read_state

N_STIMULI, N_NEUROIDS, N_LAYERS, N_TABLES, RUNS = 3200, 168, 64, 20, 5
STIMULI = tuple(f"{index:05d}" for index in range(N_STIMULI))


def seconds(call: Callable[[], object], runs: int = RUNS) -> float:
    """Processor time of a call, children included: the median of some, after one more."""
    times = []
    for _ in range(runs + 1):
        before = os.times()
        call()
        after = os.times()
        times.append(sum(after[:4]) - sum(before[:4]))
    return statistics.median(times[1:])


def many(call: Callable[[], object], repeats: int) -> float:
    """The same of a short call, which the clock of processes is too coarse for."""
    return seconds(lambda: [call() for _ in range(repeats)]) / repeats


def activations(folder: Path, rng: np.random.Generator) -> tuple[float, float]:
    layers = [LayerSpec(f"layer{index}", "Conv2d", (4000,), 4000, index) for index in range(1, 3)]
    values = rng.normal(size=(N_STIMULI, 4000))
    patterns = values.sum(1), values @ values.mean(0)
    kept = np.concatenate([(values @ values.T)[np.triu_indices(N_STIMULI)], *patterns])
    attributes = dict.fromkeys(("model", "weights", "preprocessing", "stimuli", "code"), "x")
    with write_store(folder / "a.h5", layers, STIMULI, attributes) as store:
        for layer in layers:
            store.put_gram(layer, kept)
    responses = rng.normal(size=(1, N_STIMULI, N_NEUROIDS))
    recordings = Recordings(responses, STIMULI, tuple(map(str, range(N_NEUROIDS))), ("IT",) * N_NEUROIDS)
    similarity = BrainSimilarity(recordings, "IT")
    stage = seconds(lambda: similarity.score(ActivationStore(folder / "a.h5"), layers[:1]), 1)
    return many(lambda: checksum(kept), 10) + many(lambda: check_seal(folder / "a.h5", ""), 10), stage


def pixels(folder: Path, rng: np.random.Generator) -> tuple[float, float]:
    paths = tuple(folder / f"{index}.bmp" for index in range(32))
    for path in paths:
        Image.fromarray(rng.integers(0, 256, (224, 224, 3), dtype=np.uint8)).save(path)
    images = StimulusSet("images", STIMULI[:32], paths)
    pack_pixels(images, Geometry("square", 224, 224, "bilinear"), folder / "p.h5")
    cache, network = PixelCache(folder / "p.h5"), torchvision.models.alexnet().eval()

    def run() -> None:
        with torch.inference_mode():
            network(torch.from_numpy(cache.read(0, 32)).movedim(3, 1).float())

    batch = cache.read(0, 32)
    return many(lambda: [checksum(image) for image in batch], 200), many(run, 5)


def sketches(folder: Path, rng: np.random.Generator) -> tuple[float, float]:
    rows = rng.normal(size=(32, 4096)).astype(np.float32)
    network = torchvision.models.alexnet().eval()
    n_layers = sum(not list(module.children()) for module in network.modules())

    def run() -> None:
        with torch.inference_mode():
            network(torch.zeros(32, 3, 224, 224))

    return n_layers * many(lambda: [checksum(row) for row in rows], 2000), many(run, 5)


def tables(folder: Path, rng: np.random.Generator) -> tuple[float, float]:
    layers = [LayerSpec(f"layer{index}", "ReLU", (10,), 10, index + 1) for index in range(N_LAYERS)]
    r = rng.normal(size=(10 * N_LAYERS, N_NEUROIDS))
    names = [layer.name for layer in layers for _ in range(10)]
    table = pd.DataFrame({"model": "x", "layer": names, "region": "IT", "r": r[:, 0], "r_neuroids": list(r)})
    halves = pd.DataFrame({"region": "IT", "half": np.repeat(range(10), N_NEUROIDS), "ceiling": 0.5})
    path = folder / "t.parquet"
    write_table(table, path)
    content = path.read_bytes()
    gather = many(lambda: gather_model("x", layers, [read_table(path)], [], [halves]), 20)
    command = [sys.executable, "-c", "import layerwise.analyses.gather, layerwise.files.tables, layerwise.config"]
    start = seconds(lambda: subprocess.run(command, check=True), 2)
    return N_TABLES * many(lambda: _digested(content), 200), N_TABLES * gather + start


def recordings(folder: Path, rng: np.random.Generator) -> tuple[float, float, float]:
    responses = rng.normal(size=(20, N_STIMULI, N_NEUROIDS)).astype(np.float32)
    written = Recordings(responses, STIMULI, tuple(map(str, range(N_NEUROIDS))), ("IT",) * N_NEUROIDS)
    write_recordings(written, folder / "r.nc", StimulusSet("x", STIMULI, (folder / "x.png",) * N_STIMULI))
    read = seconds(lambda: read_recordings(folder / "r.nc"), 2)
    return seconds(lambda: check_seal(folder / "r.nc", "")), seconds(lambda: try_hdf5(folder / "r.nc"), 2), read


def weights(folder: Path) -> tuple[float, float]:
    torch.save(torchvision.models.resnet50().state_dict(), folder / "w.pth")
    path = folder / "w.pth"

    def build() -> None:
        torchvision.models.resnet50().load_state_dict(read_state(path))

    network = torchvision.models.resnet50().eval()

    def run() -> None:
        with torch.inference_mode():
            network(torch.zeros(32, 3, 224, 224))

    return many(lambda: check_zip(path), 10), seconds(build) + N_STIMULI / 32 * seconds(run, 2)


def table() -> str:
    rng, rows = np.random.default_rng(0), []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sealed, tried, read = recordings(folder, rng)
        score = activations(folder, rng)
        region = 64 * score[1] + read  # what one job does with a region's recordings
        rows = [
            ("activations: a layer of 41 MB", "reading and scoring it against one region", *score),
            ("pixels: 32 images of 224 pixels", "reading them and running AlexNet", *pixels(folder, rng)),
            ("sketches: rows of 32 images, all layers of AlexNet", "running it", *sketches(folder, rng)),
            ("20 tables of 64 layers, 10 splits, 168 neuroids", "a command that gathers them", *tables(folder, rng)),
            ("recordings of ours, 43 MB", "reading them, and scoring 64 layers", sealed, region),
            ("the same of another program, by another process", "reading them, and scoring 64 layers", tried, region),
            ("weights of ResNet-50, 102 MB", "building it, and running 3,200 images", *weights(folder)),
        ]
    lines = [
        "# What checking files costs",
        "",
        (
            f"`python benchmarks/checking.py` on {processor()}, {torch.get_num_threads()} thread(s), load "
            f"{os.getloadavg()[0]:.1f} at the end; processor seconds, medians of {RUNS} runs or fewer after one more. "
            "Nothing here waits for a disk, which would make what is compared larger."
        ),
        "",
        "| checked | beside | checking | all of it | share |",
        "|---|---|---|---|---|",
    ]
    lines += [f"| {what} | {beside} | {a:.4f} | {b:.3f} | {100 * a / b:.2g} % |" for what, beside, a, b in rows]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    torch.set_num_threads(1)
    start = time.perf_counter()
    text = table()
    print(text, f"{time.perf_counter() - start:.0f} s")
    Path(__file__).with_suffix(".md").write_text(text)
