"""Rates of fine-tuning of all networks, for `layerwise plan` and for people: python benchmarks/finetuning_rates.py

For each network, in one process, with random weights, batches of 32, each image's own crop and mirroring from pixels
that lie on the GPU, on as many GPUs as there are, a network on one of them at a time:

- a plain loop in TF32: PyTorch's defaults call by call, its SGD, its memory format;
- our step, recorded as a CUDA graph, in TF32 and in bf16, and the same in the other memory format;
- the GPU's memory that our step holds, and what libraries took at most while they tried algorithms.

Rows are added to a table as they come (`--table`), in place of those of other machines, so that a run that stopped is
continued by the same command. The Markdown beside this file is written from the rows of this machine; `--document`
measures nothing. After `--limit` seconds no network is begun.
"""

import argparse
import csv
import gc
import logging
import queue
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
import torch.multiprocessing as processes
from finetuning import Bench, clean, wait
from torch import Tensor, nn

from layerwise.finetuning import FinetuneSettings
from layerwise.finetuning.networks import predict_scores
from layerwise.finetuning.optimisers import make_optimiser
from layerwise.finetuning.precision import arithmetic
from layerwise.finetuning.preparing import prepare_step
from layerwise.models import registry

HERE = Path(__file__)
TABLE = HERE.parent.parent / "src" / "layerwise" / "study" / "finetune_rates.tsv"
PRECISIONS = ("tf32", "bf16")
# Of benchmarks/finetuning_compiled.py.
COMPILED = ("compiled_images_per_second", "compiled_gigabytes", "seconds_to_compile")
COLUMNS = [
    "model",
    "precision",
    "images_per_second",
    "gigabytes",
    "plain_images_per_second",
    "device",
    "torch",
    "planar_images_per_second",
    "gigabytes_while_choosing",
    "seconds_to_prepare",
    *COMPILED,
    "remark",
    "source",  # where it is not this program
]
STEPS, SECONDS = 10, 0.8  # of each rate, at least
PICTURES = 512  # on the GPU, beside the network
EPOCHS, FOLDS, IMAGES = 25, 5, 45_000
SMALL = 16  # GB of a GPU
HEAVY = (
    "nasnetalarge", "pnasnet5large", "polynet", "efficientnet_b4", "inceptionresnetv2", "senet154", "dpn131", "dpn107",
    "dpn98", "resnext101_64x4d", "inceptionv4", "densenet161", "densenet201",
)  # fmt: skip
PLANAR = (
    "dpn92", "se_resnext50_32x4d", "alexnet", "vgg16_bn", "squeezenet1_0", "xception", "mobilenet_v2", "cornet_s",
    "googlenet", "resnet50",
)  # fmt: skip
Row = dict[str, str]


class Remarks(logging.Handler):
    """Keeps the first warning: why a step is not recorded."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.first = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.first = self.first or record.getMessage().replace("\t", " ").replace("\n", " ")


def rate(step: Callable[[], object], device: torch.device, images: int) -> float:
    """Images a second of steps, after three that are not counted."""
    for _ in range(3):
        step()
    wait(device)
    start, done = time.perf_counter(), 0
    while done < STEPS or time.perf_counter() - start < SECONDS:
        for _ in range(STEPS):
            step()
        wait(device)
        done += STEPS
    return images * done / (time.perf_counter() - start)


def plain(bench: Bench) -> float:
    """Rate of the loop that everybody writes, with its data on the GPU."""
    clean(bench.device)
    with arithmetic("tf32"):
        torch.backends.cudnn.benchmark = False  # PyTorch's default; the block puts it back
        network = bench.network().train()
        optimiser = torch.optim.SGD(network.parameters(), lr=1e-3, momentum=0.9, nesterov=True)
        batches = bench.batches()

        def step() -> None:
            inputs, targets = next(batches)
            loss = nn.functional.mse_loss(predict_scores(network, inputs.contiguous()), targets)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()

        return rate(step, bench.device, 32)


def ours(bench: Bench, precision: str, memory_format: torch.memory_format) -> tuple[float, Row]:
    """Rate of our step, and the other columns."""
    device = bench.device
    clean(device)
    logger, remarks = logging.getLogger("layerwise.finetuning"), Remarks()
    logger.addHandler(remarks)
    start = time.perf_counter()
    with arithmetic(precision):
        network = bench.network().to(memory_format=memory_format).train()
        settings = FinetuneSettings(precision=precision)
        optimiser = make_optimiser(network.parameters(), settings)
        batches = formatted(bench.batches(), memory_format)
        prepared = prepare_step(network, optimiser, settings, *next(batches))
        taken, most = time.perf_counter() - start, most_memory(device)
        gc.collect()
        clean(device)
        numbers = iter(range(10**9))
        images = rate(lambda: prepared.step(*next(batches), next(numbers)), device, 32)
        gigabytes = held(device)
    logger.removeHandler(remarks)
    return images, {
        "gigabytes": f"{gigabytes:.1f}",
        "gigabytes_while_choosing": f"{most:.1f}",
        "seconds_to_prepare": f"{taken:.0f}",
        "remark": remarks.first,
    }


def formatted(
    batches: Iterator[tuple[Tensor, Tensor]], memory_format: torch.memory_format
) -> Iterator[tuple[Tensor, Tensor]]:
    for inputs, targets in batches:
        yield inputs.contiguous(memory_format=memory_format), targets


def held(device: torch.device) -> float:
    """GB that PyTorch holds, a graph's own memory among them; the benchmark's images are not the network's."""
    return torch.cuda.memory_reserved(device) / 1e9 if device.type == "cuda" else 0.0


def most_memory(device: torch.device) -> float:
    return torch.cuda.max_memory_allocated(device) / 1e9 if device.type == "cuda" else 0.0


def measure(name: str, device: torch.device, arguments: argparse.Namespace) -> list[Row]:
    """Two rows."""
    bench = Bench(name, device, argparse.Namespace(seconds=SECONDS, workers=0, size=arguments.size), PICTURES)
    planar = name in arguments.planar or "all" in arguments.planar
    everybody = float("nan") if arguments.memory else plain(bench)
    rows = []
    for precision in PRECISIONS:
        images, more = ours(bench, precision, torch.channels_last)
        other = ours(bench, precision, torch.contiguous_format)[0] if planar else float("nan")
        rows.append(
            {
                "model": name,
                "precision": precision,
                "images_per_second": f"{images:.0f}",
                "plain_images_per_second": f"{everybody:.0f}",
                "device": device_name(device),
                "torch": torch.__version__,
                "planar_images_per_second": f"{other:.0f}",
                **more,
            }
        )
    return rows


def device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"


def work(number: int, tasks: Any, results: Any, end: float, arguments: argparse.Namespace) -> None:
    """Measure networks on one GPU until none is left."""
    device = torch.device("cuda", number) if torch.cuda.is_available() else torch.device("cpu")
    if device.type == "cuda":
        torch.cuda.set_device(device)
    if arguments.memory:
        whole = torch.cuda.get_device_properties(device).total_memory
        torch.cuda.set_per_process_memory_fraction(arguments.memory * 1e9 / whole, device)
    while time.time() < end:
        try:
            name = tasks.get(timeout=1)
        except queue.Empty:
            break
        start = time.time()
        try:
            rows, error = measure(name, device, arguments), ""
        except (RuntimeError, ValueError, MemoryError, OSError) as raised:
            rows, error = [], f"{type(raised).__name__}: {str(raised).partition(chr(10))[0]}"
        results.put((name, rows, error, time.time() - start))
    results.put(None)


def read(path: Path) -> list[Row]:
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def write(path: Path, rows: list[Row]) -> None:
    order = {name: number for number, name in enumerate(registry.names())}
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, delimiter="\t", lineterminator="\n")
        writer.writeheader()
        writer.writerows(sorted(rows, key=lambda row: (order[row["model"]], PRECISIONS.index(row["precision"]))))


def run(names: list[str], rows: list[Row], arguments: argparse.Namespace) -> list[Row]:
    """Measure networks on all GPUs."""
    context = processes.get_context("spawn")
    tasks, results, end = context.Queue(), context.Queue(), time.time() + arguments.limit
    for name in names:
        tasks.put(name)
    workers = [
        context.Process(target=work, args=(number, tasks, results, end, arguments), daemon=True)
        for number in range(max(1, torch.cuda.device_count()))
    ]
    for worker in workers:
        worker.start()
    running = len(workers)
    while running:
        try:
            result = results.get(timeout=10)
        except queue.Empty:
            if not any(worker.is_alive() for worker in workers):
                break
            continue
        if result is None:
            running -= 1
            continue
        name, measured, error, seconds = result
        if measured:
            rows = [row for row in rows if row["model"] != name] + measured
        write(arguments.table, rows)
        told = [f"{row['precision']} {row['images_per_second']}/{row['planar_images_per_second']}" for row in measured]
        print(f"{name}: {error or ', '.join(told)} {seconds:.0f} s", flush=True)
    return rows


def hours(rows: list[Row], column: str) -> float:
    """Hours of one GPU for all folds of all networks of a table."""
    return sum(EPOCHS * FOLDS * IMAGES / float(row[column]) for row in rows) / 3600


def document(rows: list[Row]) -> str:
    """The table for people."""
    by = {precision: [row for row in rows if row["precision"] == precision] for precision in PRECISIONS}
    tf32, bf16 = by["tf32"], by["bf16"]
    device, every = rows[0]["device"], len(registry.names())
    everybody = hours(tf32, "plain_images_per_second")
    total = [(name, hours(of, "images_per_second")) for name, of in (("TF32", tf32), ("bf16", bf16))]
    lines = [
        "# Rates of fine-tuning, all networks",
        "",
        (
            f"`python benchmarks/finetuning_rates.py` on {device}, torch {rows[0]['torch']}: images a second at "
            "batches of 32, random weights, crop and mirroring included, pixels on the GPU. The plain loop is "
            "PyTorch's defaults call by call in TF32; the others are the recorded step, with channels last in memory, "
            "or planar. GB is what the step holds in all, and in brackets what libraries took at most while they tried "
            "algorithms, where there was room."
        ),
        "",
        (
            f"{EPOCHS} epochs of {IMAGES:,} images, {FOLDS} splits, one at a time, without validation, of "
            f"{len(tf32)} of {every} networks: {everybody:,.1f} GPU hours with the plain loop, "
            + ", ".join(f"{value:,.1f} in {name} ({value / everybody:.2f} of it)" for name, value in total)
            + "."
        ),
        "",
        *_compiled(by, everybody),
        (
            "| network | plain loop | TF32 | / plain | compiled | / plain | bf16 | / plain | compiled | / plain "
            "| planar TF32 | planar bf16 | GB TF32 | GB bf16 |"
        ),
        "| --- |" + " ---: |" * 13,
    ]
    for one, two in zip(tf32, bf16, strict=True):
        base = float(one["plain_images_per_second"])
        cells = [f"{base:,.0f}"]
        for row in (one, two):
            for column in ("images_per_second", COMPILED[0]):
                images = float(row.get(column) or 0)
                cells += [f"{images:,.0f}", f"{images / base:.1f}"] if images else ["", ""]
        planar = [float(row["planar_images_per_second"]) for row in (one, two)]
        cells += [f"{images:,.0f}" if images > 0 else "" for images in planar]
        cells += [f"{row['gigabytes']} ({row['gigabytes_while_choosing']})" for row in (one, two)]
        lines.append(f"| {one['model']} | {' | '.join(cells)} |")
    remarks = [f"- {row['model']}, {row['precision']}: {row['remark']}" for row in rows if row["remark"]]
    told = [_above(name, of) for name, of in (("TF32", tf32), ("bf16", bf16))]
    return "\n".join([*lines, "", *told, *remarks]) + "\n"


def document_small(rows: list[Row], memory: float) -> str:
    """The table of a GPU that was held to some memory."""
    names = " ".join(dict.fromkeys(row["model"] for row in rows))
    lines = [
        "# Rates of fine-tuning on a smaller GPU",
        "",
        (
            f"`python benchmarks/finetuning_rates.py {names} --memory {memory:g} --planar --table small.tsv --output "
            f"benchmarks/finetuning_small.md` on {rows[0]['device']}, torch {rows[0]['torch']}, of which PyTorch had "
            f"{memory:g} GB: images a second at batches of 32 and what the recorded step holds, random weights. It "
            "shows what fits, not how quick a GPU of that size is."
        ),
        "",
        "| network | precision | img/s | GB | prepared in, s | told |",
        "| --- | --- | ---: | ---: | ---: | --- |",
    ]
    for row in rows:
        cells = ("model", "precision", "images_per_second", "gigabytes", "seconds_to_prepare", "remark")
        lines.append(f"| {' | '.join(row[name] for name in cells)} |")
    return "\n".join(lines) + "\n"


def _compiled(by: dict[str, list[Row]], everybody: float) -> list[str]:
    """What a compilation gives, of all networks together."""
    lines = []
    for precision, name in zip(PRECISIONS, ("TF32", "bf16"), strict=True):
        rows = [
            (row, float(row["images_per_second"]), float(row[COMPILED[0]])) for row in by[precision] if row[COMPILED[0]]
        ]
        if not rows:
            continue
        quicker = sorted(compiled / graph for _, graph, compiled in rows if compiled > graph)
        slower = [row["model"] for row, graph, compiled in rows if 0 < compiled <= graph]
        refused = [row["model"] for row, _, compiled in rows if not compiled]
        seconds = sorted(float(row[COMPILED[2]]) for row, *_ in rows)
        total = sum(EPOCHS * FOLDS * IMAGES / quickest(row) for row in by[precision]) / 3600
        lines += [
            (
                f"Compiled (`python benchmarks/finetuning_compiled.py`), in {name}: {len(quicker)} of {len(rows)} "
                f"networks that were tried are quicker, {quicker[0]:.2f} to {quicker[-1]:.2f} times (median "
                f"{quicker[len(quicker) // 2]:.2f}); slower: {', '.join(slower) or 'none'}; not compiled, or not with "
                f"the same losses: {', '.join(refused) or 'none'}. A preparation took {seconds[0]:.0f} to "
                f"{seconds[-1]:.0f} s (median {seconds[len(seconds) // 2]:.0f}) while others compiled. With what is "
                f"quicker of each network the {len(by[precision])} take {total:,.1f} GPU hours, "
                f"{total / everybody:.2f} of the plain loop's."
            ),
            "",
        ]
    return lines


def quickest(row: Row) -> float:
    return max(float(row["images_per_second"]), float(row[COMPILED[0]] or 0))


def _above(name: str, rows: list[Row]) -> str:
    above = [f"{row['model']} ({row['gigabytes']})" for row in rows if float(row["gigabytes"]) > SMALL]
    return f"- Above {SMALL} GB in {name}: {', '.join(above) or 'none'}" + (
        "; a smaller GPU adds up the gradients of parts of a batch." if above else "."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("networks", nargs="*", help="default: all that the table lacks")
    parser.add_argument("--limit", type=float, default=3600, help="seconds after which no network is begun")
    parser.add_argument("--table", type=Path, default=TABLE)
    parser.add_argument("--output", type=Path, default=HERE.with_suffix(".md"))
    parser.add_argument("--planar", nargs="*", default=PLANAR, help="networks to try in the other memory format: all")
    parser.add_argument("--document", metavar="GPU", help="write the Markdown of this GPU's rows and measure nothing")
    parser.add_argument("--memory", type=float, help="GB to which each process is kept, as on a smaller GPU")
    parser.add_argument("--size", type=int, help="side of the input, instead of the network's own")
    arguments = parser.parse_args()
    rows = read(arguments.table)
    here = arguments.document or device_name(torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    known = {row["model"] for row in rows if row["device"] == here and not row.get("source")}
    names = arguments.networks or [name for name in registry.names() if name not in known]
    if not arguments.networks:
        names = sorted(names, key=lambda name: (name not in HEAVY, name not in PLANAR))
    if names and not arguments.document:
        rows = run(names, rows, arguments)
    rows = [row for row in rows if row["device"] == here and not row.get("source")]
    if rows:
        text = document_small(rows, arguments.memory) if arguments.memory else document(rows)
        arguments.output.write_text(text)
        print(text)


if __name__ == "__main__":
    main()
