"""Memory of fine-tuning of all networks, estimated without a GPU: python benchmarks/finetuning_memory.py

A step of 32 images runs on fake tensors, which have shapes and no values (`layerwise.finetuning.memory`), and the most
bytes that are alive at once are counted, in TF32 and in bf16; where they are planned with more than a GPU of 16 GB
holds, also of 2, 4, 8 ... parts of these images, until they are not. Nothing of it is measured.

Rows are added to a table as they come (`--table`), so that a run that stopped is continued by the same command;
networks that are named are counted again. The Markdown beside this file has all rows, and how far those are off that
were measured on a GPU (`finetuning_rates.py`); with `--document` nothing is counted.
"""

import argparse
import csv
import time
from pathlib import Path
from statistics import median

import torch
from finetuning_rates import read

from layerwise.finetuning import FinetuneSettings
from layerwise.finetuning.memory import step_memory
from layerwise.models import build_empty, registry, replace_head
from layerwise.study.training_rates import BATCH, COUNTED, MARGIN, TABLE, WORKSPACES, with_margin

HERE = Path(__file__)
PRECISIONS = ("tf32", "bf16")
COLUMNS = ["model", "precision", "images", "gigabytes"]
GPUS = (16, 32)  # GB
LEFT = 1  # GB of each that are the driver's and the libraries'
FEWEST = 2  # images of a part
Row = dict[str, str]


def planned(row: Row) -> float:
    """GB with the margin."""
    return with_margin(round(1e9 * float(row["gigabytes"]))) / 1e9


def count(name: str, precision: str) -> list[Row]:
    """Count a step, of ever smaller parts, until one fits into the smallest GPU."""
    known, images, rows = registry.find(name), BATCH, list[Row]()
    while images >= FEWEST and (not rows or planned(rows[-1]) > GPUS[0] - LEFT):
        network = replace_head(build_empty(name), known.classifier)
        # Of two parts the second is the larger one: gradients of the first are there.
        parts = 1 if images == BATCH else 2
        settings = FinetuneSettings(batch_size=parts * images, accumulate=parts, precision=precision)
        taken = step_memory(network, known.preprocessing.size, settings) / 1e9
        rows.append({"model": name, "precision": precision, "images": str(images), "gigabytes": f"{taken:.3f}"})
        images //= 2
    return rows


def write(path: Path, rows: list[Row]) -> None:
    order = {name: number for number, name in enumerate(registry.names())}
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, delimiter="\t", lineterminator="\n")
        writer.writeheader()
        writer.writerows(
            sorted(rows, key=lambda row: (order[row["model"]], PRECISIONS.index(row["precision"]), -int(row["images"])))
        )


def run(names: list[str], path: Path) -> list[Row]:
    rows = read(path)
    for name in names:
        start = time.time()
        found = [row for precision in PRECISIONS for row in count(name, precision)]
        rows = [row for row in rows if row["model"] != name] + found
        write(path, rows)
        print(
            name, *(f"{row['images']}: {row['gigabytes']}" for row in found), f"{time.time() - start:.0f} s", flush=True
        )
    return read(path)


def measured() -> dict[tuple[str, str], float]:
    """GB of our step as measured on a GPU; without rows of another program, which kept what libraries tried."""
    rows = [row for row in read(TABLE) if not row["source"]]
    return {(row["model"], row["precision"]): float(row["gigabytes"]) for row in rows}


def parts(rows: list[Row], gpu: int) -> str:
    """Parts of a batch with which a network is planned to fit into a GPU."""
    fitting = [int(row["images"]) for row in rows if planned(row) <= gpu - LEFT]
    return str(BATCH // max(fitting)) if fitting else "none"


def spread(ratios: list[float]) -> str:
    return f"median {median(ratios):.2f}, from {min(ratios):.2f} to {max(ratios):.2f}"


def compare(whole: dict[tuple[str, str], Row], known: dict[tuple[str, str], float]) -> list[str]:
    lines = []
    for precision in PRECISIONS:
        pairs = [(whole[key], known[key]) for key in known if key[1] == precision and key in whole]
        bare = spread([float(row["gigabytes"]) / held for row, held in pairs])
        with_it = [planned(row) / held for row, held in pairs]
        lines.append(f"| {precision} | {len(pairs)} | {bare} | {spread(with_it)} | {sum(one < 1 for one in with_it)} |")
    return lines


def document(rows: list[Row]) -> str:
    """The table for people."""
    known = measured()
    whole = {(row["model"], row["precision"]): row for row in rows if row["images"] == str(BATCH)}
    by = {key: [row for row in rows if (row["model"], row["precision"]) == key] for key in whole}
    divided = {
        (gpu, precision): [
            f"{name} ({parts(by[name, precision], gpu)})"
            for name in registry.names()
            if (name, precision) in by and parts(by[name, precision], gpu) != "1"
        ]
        for gpu in GPUS
        for precision in PRECISIONS
    }
    lines = [
        "# Memory of fine-tuning, all networks, estimated",
        "",
        (
            f"`python benchmarks/finetuning_memory.py`, torch {torch.__version__}, no GPU: bytes alive at once "
            f"in a step of {BATCH} images, counted on tensors without values (weights, gradients, momentum, what "
            "autograd keeps, and what lies between). What kernels take inside, and what PyTorch's allocator cannot "
            f"fill, is not in it. So a job is planned with {MARGIN:g} times as much and {WORKSPACES / 1e9:g} GB, and "
            "images that are held on the GPU come to that (11.5 GB for LaMem at 256 pixels; else they are streamed)."
        ),
        "",
        (
            "Against what our recorded step held on an H200 ([finetuning_rates.md](finetuning_rates.md)). The margin "
            "was chosen from these very networks, so that none holds more: of another network it says what is likely."
        ),
        "",
        "| precision | networks | estimated / measured | planned / measured | planned below measured |",
        "| --- | ---: | --- | --- | ---: |",
        *compare(whole, known),
        "",
        (
            f"Parts into which a batch of {BATCH} is divided, so that what is planned leaves {LEFT} GB of a GPU to its "
            "driver and libraries. Gradients of the parts are added up; batch normalisations see a part each. A job "
            "finds the number of parts itself, by trying. No GPU of 16 or 32 GB was there to try it on; what networks "
            "took of an H200 that was held to 15 GB is in [finetuning_small.md](finetuning_small.md)."
        ),
        "",
        *(
            f"- {gpu} GB, {precision}: {', '.join(names) or 'none is divided'}"
            for (gpu, precision), names in divided.items()
        ),
        "",
        (
            "| network | TF32, GB | planned | measured | parts, 16 GB | 32 GB "
            "| bf16, GB | planned | measured | parts, 16 GB | 32 GB |"
        ),
        "| --- |" + " ---: |" * 10,
    ]
    for name in registry.names():
        cells = []
        for precision in PRECISIONS:
            if (name, precision) in whole:
                row, held = whole[name, precision], known.get((name, precision))
                cells += [f"{float(row['gigabytes']):.1f}", f"{planned(row):.1f}", f"{held:.1f}" if held else ""]
                cells += [parts(by[name, precision], gpu) for gpu in GPUS]
        if cells:
            lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("networks", nargs="*", help="default: all that the table lacks")
    parser.add_argument("--table", type=Path, default=COUNTED)
    parser.add_argument("--output", type=Path, default=HERE.with_suffix(".md"))
    parser.add_argument("--document", action="store_true", help="write the Markdown and count nothing")
    arguments = parser.parse_args()
    known = {row["model"] for row in read(arguments.table)}
    names = arguments.networks or [name for name in registry.names() if name not in known]
    rows = run([] if arguments.document else names, arguments.table)
    arguments.output.write_text(document(rows))
    print(document(rows))


if __name__ == "__main__":
    main()
