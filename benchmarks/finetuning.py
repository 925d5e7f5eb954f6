"""Rates of fine-tuning steps beside the loop that everybody writes: python benchmarks/finetuning.py NETWORK...

For each network, in one run, with random weights, batches of 32 and each image's own crop and mirroring:

- a plain loop: JPEGs decoded by the workers of a DataLoader, torchvision's transforms, PyTorch's optimiser;
- our steps call by call, recorded as a CUDA graph, and recorded with the network compiled (`compile: always`), with the
  pixels on the GPU;
- the recorded step without its input.

Then a hundred steps recorded and a hundred plain from the same start are compared, beside a hundred plain ones once
more, which differ by the order in which a GPU adds. Prints a Markdown table and writes it to finetuning.md beside this
file after each rate; after `--limit` seconds nothing more is begun, and what is measured by then is kept.
"""

import argparse
import copy
import gc
import io
import itertools
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from machine import processor
from PIL import Image
from torch import Tensor, nn
from torchvision import transforms

from layerwise.data.drawing import draw_image
from layerwise.finetuning.augmentation import Augmentation
from layerwise.finetuning.images import ResidentImages
from layerwise.finetuning.networks import replace_by_one_unit, set_training
from layerwise.finetuning.optimisers import make_optimiser
from layerwise.finetuning.parts import Part
from layerwise.finetuning.precision import arithmetic
from layerwise.finetuning.preparing import Prepared, prepare_step
from layerwise.finetuning.training import Batches
from layerwise.interfaces.finetuning import FinetuneSettings
from layerwise.models import build, registry

BATCH, IMAGES, DIFFERENT, LAMEM = 32, 2048, 60, 45_000
BORDER = 32  # pixels by which stored images are larger than the input
COMPARED = 100
COLUMNS = {
    "plain loop, DataLoader": "img/s",
    "call by call, TF32": "img/s",
    "graph, TF32": "img/s",
    "graph, bf16": "img/s",
    "compiled, TF32": "img/s",
    "compiled, bf16": "img/s",
    "graph without input, TF32": "img/s",
    "graph / plain loop": "",
    "compiled / plain loop": "",
    "compiled, bf16 / plain loop": "",
    "graph / without input": "",
    "memory, TF32": "GB",
    "bf16": "GB",
    "prepared in": "s",
    "compiled in": "s",
    "losses of 100 steps, graph": "",
    "plain again": "",
}


class Noise:
    """Random pixels; what they show costs nothing."""

    content_hash = "noise"

    def __init__(self, side: int, images: int = IMAGES) -> None:
        self.ids = tuple(map(str, range(images)))
        self._images = np.random.default_rng(0).integers(0, 256, (images, side, side, 3), np.uint8)

    def __len__(self) -> int:
        return len(self._images)

    def read(self, start: int, stop: int) -> np.ndarray:
        return self._images[start:stop]


class Photographs(torch.utils.data.Dataset[tuple[Tensor, float]]):
    """JPEGs as they come from a disk, through torchvision's transforms."""

    def __init__(self, paths: list[Path], preprocessing: registry.Preprocessing, size: int) -> None:
        self._paths = paths
        self._transform = transforms.Compose(
            [
                transforms.Resize((size + BORDER, size + BORDER)),
                transforms.RandomCrop(size),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize(preprocessing.mean, preprocessing.std),
            ]
        )

    def __len__(self) -> int:
        return LAMEM

    def __getitem__(self, index: int) -> tuple[Tensor, float]:
        with Image.open(self._paths[index % len(self._paths)]) as image:
            return self._transform(image.convert("RGB")), 0.5 + index / 4 / LAMEM


def draw(folder: Path) -> list[Path]:
    """Draw JPEGs with the sides and the quality of photographs on the web, about 50 kB each."""
    rng = np.random.default_rng(0)
    paths = [folder / f"{index:03d}.jpg" for index in range(DIFFERENT)]
    for path in paths:
        side = int(rng.integers(400, 640))
        buffer = io.BytesIO()
        Image.fromarray(draw_image(rng, side)).save(buffer, "JPEG", quality=85)
        path.write_bytes(buffer.getvalue())
    return paths


class Bench:
    """One network on one device."""

    def __init__(self, name: str, device: torch.device, arguments: argparse.Namespace, images: int = IMAGES) -> None:
        self.row = registry.find(name)
        self.device, self.seconds, self.workers = device, arguments.seconds, arguments.workers
        self.size = arguments.size or self.row.preprocessing.size
        self._preprocessing = replace(self.row.preprocessing, size=self.size)
        self._start = replace_by_one_unit(build(name, "random"), self.row.classifier, FinetuneSettings(), 0.7)
        self._images = ResidentImages(Noise(self.size + BORDER, images), np.arange(images), device)
        self._part = Part(np.arange(images), np.random.default_rng(1).uniform(0.5, 1, images))

    def batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        augmentation = Augmentation(self._preprocessing, self.device)
        batches = Batches(self._images, self._part, augmentation, FinetuneSettings(), self.device)
        for epoch in itertools.count():
            yield from batches.epoch(epoch)

    def network(self) -> nn.Module:
        """Another copy of the network, on the device."""
        return copy.deepcopy(self._start).to(self.device)

    def prepare(self, precision: str, record: bool, compiled: bool = False) -> Prepared:
        """The caller sets the arithmetic."""
        settings = FinetuneSettings(precision=precision, compile="always" if compiled else "never")
        network = self.network()
        if self.device.type == "cuda":
            network.to(memory_format=torch.channels_last)
        set_training(network, settings)
        optimiser = make_optimiser(network.parameters(), settings)
        inputs, targets = next(self.batches())
        return prepare_step(network, optimiser, settings, inputs, targets, record=record)

    def plain_loop(self, paths: list[Path]) -> float:
        """Nothing of ours: PyTorch's defaults, in which convolutions use TF32."""
        network = self.network().train()
        optimiser = torch.optim.SGD(network.parameters(), lr=1e-3, momentum=0.9, nesterov=True)
        loader = torch.utils.data.DataLoader(
            Photographs(paths, self._preprocessing, self.size), BATCH, shuffle=True, num_workers=self.workers,
            pin_memory=self.device.type == "cuda", drop_last=True,
        )  # fmt: skip
        batches = iter(loader)

        def step() -> None:
            inputs, targets = (part.to(self.device, non_blocking=True) for part in next(batches))
            loss = nn.functional.mse_loss(network(inputs).flatten(), targets.float())
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()

        return self.rate(step, self.workers + 4)

    def ours(
        self, precision: str, record: bool, with_input: bool = True, compiled: bool = False
    ) -> tuple[float, float, float]:
        """Images a second, GB, seconds to prepare; NaN where what was wanted could not be made."""
        clean(self.device)
        start = time.perf_counter()
        with arithmetic(precision):
            prepared = self.prepare(precision, record, compiled)
            taken = time.perf_counter() - start
            if self.device.type == "cuda" and (prepared.recorded, prepared.compiled) != (record, compiled):
                return float("nan"), float("nan"), taken
            batches = self.batches()
            kept = next(batches)
            numbers = itertools.count()

            def step() -> None:
                prepared.step(*(next(batches) if with_input else kept), next(numbers))

            rate = self.rate(step, 10)
        memory = torch.cuda.max_memory_allocated(self.device) / 1e9 if self.device.type == "cuda" else 0.0
        return rate, memory, taken

    def rate(self, step: Callable[[], None], warm_up: int) -> float:
        for _ in range(warm_up):
            step()
        wait(self.device)
        start, done = time.perf_counter(), 0
        while time.perf_counter() - start < self.seconds:
            for _ in range(10):
                step()
            done += 10
            wait(self.device)
        return BATCH * done / (time.perf_counter() - start)

    def losses(self, record: bool) -> Tensor:
        clean(self.device)
        with arithmetic("tf32"):
            prepared = self.prepare("tf32", record)
            batches = itertools.islice(self.batches(), COMPARED)
            return torch.stack([prepared.step(*batch, seed).clone() for seed, batch in enumerate(batches)]).cpu()


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def clean(device: torch.device) -> None:
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


def measure(
    name: str, device: torch.device, paths: list[Path], arguments: argparse.Namespace, end: float
) -> Iterator[dict[str, str]]:
    """Cells of a row, as they come, until the time is over."""
    bench, plain = Bench(name, device, arguments), float("nan")

    def left() -> bool:
        return time.monotonic() < end

    graph, memory, taken = bench.ours("tf32", True)
    yield {"graph, TF32": f"{graph:,.0f}", "memory, TF32": f"{memory:.1f}", "prepared in": f"{taken:.0f}"}
    if left() and not arguments.no_loader:
        clean(device)
        plain = bench.plain_loop(paths)
        yield {"plain loop, DataLoader": f"{plain:,.0f}", "graph / plain loop": f"{graph / plain:.1f}"}
    ratios = {
        "tf32": ("compiled, TF32", "compiled / plain loop"),
        "bf16": ("compiled, bf16", "compiled, bf16 / plain loop"),
    }
    for precision, (column, ratio) in ratios.items():
        if left():
            rate, _, taken = bench.ours(precision, True, compiled=True)
            yield {column: f"{rate:,.0f}", ratio: f"{rate / plain:.1f}", "compiled in": f"{taken:.0f}"}
    if left():
        rate, memory, _ = bench.ours("bf16", True)
        yield {"graph, bf16": f"{rate:,.0f}", "bf16": f"{memory:.1f}"}
    if left():
        alone = bench.ours("tf32", True, with_input=False)[0]
        yield {"graph without input, TF32": f"{alone:,.0f}", "graph / without input": f"{graph / alone:.2f}"}
    if left():
        yield {"call by call, TF32": f"{bench.ours('tf32', False)[0]:,.0f}"}
    if left():
        recorded, first, again = bench.losses(True), bench.losses(False), bench.losses(False)
        for column, other in (("losses of 100 steps, graph", recorded), ("plain again", again)):
            yield {column: f"{float(((other - first).abs() / first.abs().mean()).max()):.1e}"}


def table(rows: dict[str, dict[str, str]], device: torch.device, arguments: argparse.Namespace) -> str:
    where = torch.cuda.get_device_name(device) if device.type == "cuda" else processor()
    size = f", inputs of {arguments.size} px" if arguments.size else ""
    head = [f"{name}, {unit}" if unit else name for name, unit in COLUMNS.items()]
    return "\n".join(
        [
            "# Rates of fine-tuning",
            "",
            (
                f"`python benchmarks/finetuning.py {' '.join(sys.argv[1:])}` on {where}, {arguments.workers} workers, "
                f"torch {torch.__version__}: images a second at batches of {BATCH}{size}, {arguments.seconds:g} s for "
                "each rate, random weights. Ratios are of rates of this run. The last two columns are the largest "
                "difference of a loss to that of plain steps, over the mean loss."
            ),
            "",
            f"| network | {' | '.join(head)} |",
            f"| --- |{' ---: |' * len(head)}",
            *(
                f"| {name} | {' | '.join(map(cells.get, COLUMNS, itertools.repeat('')))} |"
                for name, cells in rows.items()
            ),
            "",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("networks", nargs="+")
    parser.add_argument("--limit", type=float, default=540, help="seconds of all")
    parser.add_argument("--seconds", type=float, default=2, help="of one rate")
    parser.add_argument("--workers", type=int, default=16, help="of the DataLoader")
    parser.add_argument("--no-loader", action="store_true", help="leave the plain loop out")
    parser.add_argument("--size", type=int, help="side of the input, instead of the network's own")
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".md"))
    arguments = parser.parse_args()
    end = time.monotonic() + arguments.limit
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    rows: dict[str, dict[str, str]] = {}
    with tempfile.TemporaryDirectory() as folder:
        paths = draw(Path(folder))
        for name in arguments.networks:
            if time.monotonic() >= end:
                break
            rows[name] = {}
            try:
                for cells in measure(name, device, paths, arguments, end):
                    rows[name] |= cells
                    print(name, cells, flush=True)
                    arguments.output.write_text(table(rows, device, arguments))
            except (RuntimeError, MemoryError, ValueError) as error:
                print(f"{name}: {type(error).__name__}: {error}", flush=True)
    print(table(rows, device, arguments))


if __name__ == "__main__":
    main()
