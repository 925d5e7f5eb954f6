"""What kinds of work take on this machine, beside what they are planned to take: passes, fits, scores, training."""

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from platform import machine as architecture
from platform import node

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from layerwise.activations import ActivationStore, extract_activations
from layerwise.activations.parts import kind_of, stored_bytes
from layerwise.analyses.brain import BrainSimilarity
from layerwise.analyses.dividing import SplitPlan
from layerwise.files.made import software
from layerwise.finetuning import FinetuneSettings
from layerwise.finetuning.networks import replace_by_one_unit, set_training
from layerwise.finetuning.optimisers import make_optimiser
from layerwise.finetuning.precision import arithmetic
from layerwise.finetuning.preparing import prepare_step
from layerwise.interfaces import LayerSpec, Preprocessing, RatedImages, Recordings, Split
from layerwise.layers.manifest import read_manifest, shipped_manifest
from layerwise.models import build
from layerwise.models.normalisation import normalise
from layerwise.models.registry import find
from layerwise.passes.precision import exact_products
from layerwise.sketching import Sketched, sketch_pls
from layerwise.steps.devices import choose_device
from layerwise.streaming import Streamed, stream_pls
from layerwise.study.calibration import Calibration
from layerwise.study.rates import SHIPPED, Rates
from layerwise.study.training_rates import training_rate

NEUROIDS, SPLITS, COMPONENTS = 168, 10, 25  # of a region, as in the paper
PASSES = 2  # components of the streamed fit: three passes
PART = 4  # of the images, a share whose time is taken off: what a job does once is no rate
TRAINED, STEPS = 32, 3  # images of a batch, and steps that count
SCORED = 16  # layers of a network
ORIGIN = {"model": "noise", "weights": "none", "code": "none"}
LEAST = 0.05  # of what was planned: a difference of two measured times may be nothing, or less
Seconds = dict[str, float]


@dataclass(frozen=True)
class Workload:
    """What is measured.

    Parameters
    ----------
    networks : tuple of str
        Names of networks, with weights that are drawn.
    n_images : int
        Images of random pixels.
    batch_size : int
        Of a forward pass.
    """

    networks: tuple[str, ...]
    n_images: int
    batch_size: int


ON_GPU = Workload(("resnet50", "squeezenet1_1"), 2048, 256)
ON_CPU = Workload(("alexnet", "resnet18"), 160, 32)


def calibrate(gpus: int, workload: Workload | None = None) -> tuple[Calibration, bool]:
    """Measure this machine: a GPU where the study asks for one, else a processor core.

    Parameters
    ----------
    gpus : int
        What the study asks for.
    workload : Workload, optional
        What is measured; default: what takes about two minutes.

    Returns
    -------
    Calibration
        What was measured.
    bool
        Whether of a GPU.

    Raises
    ------
    ValueError
        The study asks for a GPU, and there is none here.
    """
    device = choose_device("auto", gpus) if gpus else "cpu"
    on_gpu, threads = device != "cpu", torch.get_num_threads()
    chosen = workload or (ON_GPU if on_gpu else ON_CPU)
    torch.set_num_threads(1)
    try:
        found = [_measure(name, chosen, device) for name in chosen.networks]
    finally:
        torch.set_num_threads(threads)
    factors = compare([taken for taken, _ in found], [planned for _, planned in found])
    date = datetime.now(UTC).date().isoformat()
    return Calibration(_name(device), node(), date, software(), factors), on_gpu


def compare(measured: Sequence[Seconds], planned: Sequence[Seconds]) -> dict[str, float]:
    """Return how many times as long each kind of work took, over all networks.

    Parameters
    ----------
    measured, planned : sequence of dict of str to float
        Seconds of each network by kind of work; of streamed fits and sketches without those of their passes.
    """
    totals = [{kind: sum(one[kind] for one in each) for kind in planned[0]} for each in (measured, planned)]
    return {kind: max(LEAST, totals[0][kind] / totals[1][kind]) for kind in planned[0]}


class _Noise:
    """Random pixels."""

    content_hash = "random"

    def __init__(self, images: NDArray[np.uint8]) -> None:
        self.images, self.ids = images, tuple(f"{index}.png" for index in range(len(images)))

    def __len__(self) -> int:
        return len(self.ids)

    def read(self, start: int, stop: int) -> np.ndarray:
        return self.images[start:stop]


@dataclass(frozen=True)
class _Trial:
    """A network on random images."""

    layers: list[LayerSpec]
    network: nn.Module
    pixels: _Noise
    expected: Preprocessing
    workload: Workload
    device: str

    def forward(self) -> None:
        """Run the network once over all images, as streamed and sketched fits do."""
        with torch.inference_mode(), exact_products(tf32_convolutions=self.device != "cpu"):
            for start in range(0, len(self.pixels), self.workload.batch_size):
                shown = torch.from_numpy(self.pixels.read(start, start + self.workload.batch_size)).to(self.device)
                self.network(normalise(shown, self.expected))

    def extract(self, path: Path) -> None:
        memory = 2 * stored_bytes(self.layers, len(self.pixels)) + 10**9
        settings = memory, ORIGIN, self.device, self.workload.batch_size
        extract_activations(self.network, self.layers, self.pixels, self.expected, path, *settings)

    def stream(self) -> None:
        settings = Streamed(n_components=PASSES, batch_size=self.workload.batch_size, device=self.device)
        stream_pls(self.network, self.layers, self.layers, self._rated(), settings, ORIGIN)

    def sketch(self) -> None:
        settings = Sketched(n_components=PASSES, batch_size=self.workload.batch_size, device=self.device)
        sketch_pls(self.network, self.layers, self._rated(), settings, ORIGIN)

    def score(self, path: Path) -> None:
        n = len(self.pixels)
        responses = np.random.default_rng(1).standard_normal((1, n, NEUROIDS))
        neuroids = tuple(str(number) for number in range(NEUROIDS))
        recordings = Recordings(responses, self.pixels.ids, neuroids, ("V1",) * NEUROIDS)
        similarity = BrainSimilarity(recordings, "V1", SplitPlan(n_splits=SPLITS), COMPONENTS, device=self.device)
        similarity.score(ActivationStore(path, "noise"), self.layers[:SCORED])

    def _rated(self) -> RatedImages:
        n, order = len(self.pixels), np.random.default_rng(2).permutation(len(self.pixels))
        cut = n * 3 // 4
        split = Split(np.sort(order[:cut]), np.sort(order[cut:]))
        return RatedImages(self.pixels, self.expected, np.random.default_rng(3).random((1, n)), [split])


def _measure(name: str, workload: Workload, device: str) -> tuple[Seconds, Seconds]:
    """Return the seconds that kinds of work took, and those that are planned."""
    row = find(name)
    path, expected = shipped_manifest(row.name), row.preprocessing
    assert path and expected
    layers = read_manifest(path)
    network = build(name, "random").eval().to(device)
    shape = (workload.n_images, expected.size, expected.size, 3)
    images = np.random.default_rng(0).integers(0, 255, shape, dtype=np.uint8)
    trial = _Trial(layers, network, _Noise(images), expected, workload, device)
    rates, few = SHIPPED.of(device != "cpu"), workload.n_images // PART
    # The part first: libraries choose their algorithms in it, and compile.
    begun, whole = (dict(_run(replace(trial, pixels=_Noise(images[:count])))) for count in (few, len(images)))
    taken = {**_less(whole, begun), "training": _train(name, expected, device)}
    planned = _less(_plan(rates, layers, len(images)), _plan(rates, layers, few))
    return taken, {**planned, "training": _planned_step(name, layers, device)}


def _less(whole: Seconds, part: Seconds) -> Seconds:
    return {kind: seconds - part[kind] for kind, seconds in whole.items()}


def _run(trial: _Trial) -> Iterator[tuple[str, float]]:
    trial.forward()  # libraries choose their algorithms
    one = _seconds(trial.forward, trial.device)
    yield "passes", one
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder, "activations.h5")
        yield "extraction", _seconds(lambda: trial.extract(output), trial.device)
        yield "scoring", _seconds(lambda: trial.score(output), trial.device)
    yield "streaming", _seconds(trial.stream, trial.device) - (PASSES + 1) * one
    yield "sketching", _seconds(trial.sketch, trial.device) - one


def _plan(rates: Rates, layers: Sequence[LayerSpec], n_images: int) -> Seconds:
    """Return the same as planned; `study.plan` has the formulas."""
    units, kept = sum(layer.units for layer in layers), sum(min(layer.units, Sketched().dimensions) for layer in layers)
    grams = sum(layer.units for layer in layers if kind_of(layer, n_images) == "gram")
    exact = n_images * (rates.exact_image + rates.exact_unit * units) + rates.gram * n_images**2 * grams
    return {
        "passes": n_images * (rates.image + rates.unit * units),
        "extraction": exact + rates.write * stored_bytes(layers, n_images),
        "scoring": len(layers[:SCORED]) * SPLITS * (rates.split + rates.score * n_images**2)
        + rates.read * stored_bytes(layers[:SCORED], n_images),
        "streaming": (PASSES + 1) * n_images * rates.product * units,
        "sketching": n_images * (rates.sketch * units + rates.regression * kept),
    }


def _train(name: str, expected: Preprocessing, device: str) -> float:
    """Return the seconds of an image in training."""
    settings, target = FinetuneSettings(), torch.rand(TRAINED, device=device)
    network = replace_by_one_unit(build(name, "random"), find(name).classifier, settings, 0.5).to(device)
    if device != "cpu":
        network = network.to(memory_format=torch.channels_last)
    images = torch.rand(TRAINED, 3, expected.size, expected.size, device=device)
    with arithmetic(settings.precision):
        set_training(network, settings)
        optimiser = make_optimiser(network.parameters(), settings)
        step = prepare_step(network, optimiser, settings, images, target).step

        def train() -> None:
            for seed in range(STEPS):
                step(images, target, seed)

        return _seconds(train, device) / STEPS / TRAINED


def _planned_step(name: str, layers: Sequence[LayerSpec], device: str) -> float:
    return training_rate(name, layers, "tf32", TRAINED, device != "cpu").seconds


def _seconds(work: Callable[[], object], device: str) -> float:
    """Return seconds: of a processor, which others on the machine disturb less than those of a clock; else of a GPU."""
    clock = time.process_time if device == "cpu" else time.perf_counter
    if device != "cpu":
        torch.cuda.synchronize()
    start = clock()
    work()
    if device != "cpu":
        torch.cuda.synchronize()
    return clock() - start


def _name(device: str) -> str:
    return torch.cuda.get_device_name() if device != "cpu" else f"core of {_processor()}"


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.is_file() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), architecture())
