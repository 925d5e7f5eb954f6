"""What the precision of networks and products changes in r, over all layers: python benchmarks/precision.py --help

The reference is a network in float64 and a Gram matrix in float64. Against it stand what extraction does (network in
float32, products in float64), products in float32, and TF32: on a GPU in the convolutions or in the products, on a CPU
as operands rounded to the ten bits of mantissa that TF32 keeps. Neuroids are readings of a middle layer with as much
noise. Writes precision.md, where the rows of other machines and networks stay.
"""

import argparse
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch
from machine import processor
from photographs import Crops

from layerwise.activations.gram import add_gram
from layerwise.interfaces import LayerSpec
from layerwise.layers.manifest import read_manifest, shipped_manifest
from layerwise.layers.tap import LayerTap
from layerwise.models import build, registry
from layerwise.models.normalisation import normalise
from layerwise.passes.precision import exact_products
from layerwise.regression import make_splits, score_gram

NEUROIDS, BATCH, BLOCK, AT_ONCE = 60, 50, 65536, 1_500_000
REFERENCE, TABLE = "float64", Path(__file__).with_suffix(".md")
HEADER = (
    "| network (weights) | machine | images | layers | r | precision | median r: median | largest | a neuroid: largest "
)
HEADER += "| unusable |"


def collect(network: torch.nn.Module, layers: list[str], crops: Crops, expected, tf32=False) -> dict[str, torch.Tensor]:
    """Outputs of some layers, {layer: tensor [stimulus, unit]}, with convolutions in TF32 or not."""
    weight, rows = next(network.parameters()), []
    for start in range(0, len(crops), BATCH):
        images = normalise(torch.from_numpy(crops.read(start, start + BATCH)).to(weight.device), expected)
        with torch.inference_mode(), exact_products(tf32), LayerTap(network, layers) as tap:
            network(images.to(weight.dtype))
        rows.append(tap.outputs)
    return {layer: torch.cat([outputs.pop(layer) for outputs in rows]) for layer in layers}


def together(layers: list[LayerSpec]) -> Iterator[list[str]]:
    """Names of neighbours that are collected in one pass."""
    group, units = [], 0
    for layer in layers:
        if group and units + layer.units > AT_ONCE:
            yield group
            group, units = [], 0
        group, units = [*group, layer.name], units + layer.units
    yield group


def double(activations: torch.Tensor) -> torch.Tensor:
    """Gram matrix by products in float64, as extraction makes it."""
    total = activations.new_zeros(len(activations), len(activations), dtype=torch.float64)
    add_gram(total, activations)
    return total.triu() + total.triu(1).T


def single(activations: torch.Tensor, rounding: Callable[[torch.Tensor], torch.Tensor] | None = None, tf32=False):
    """Gram matrix by products in float32 or TF32, of centred values that are rounded first, if wanted."""
    total = activations.new_zeros(len(activations), len(activations))
    for block in activations.split(BLOCK, dim=1):
        centred = block - block.mean(0)
        centred = rounding(centred) if rounding else centred
        with exact_products(tf32_convolutions=False):
            if tf32:
                torch.backends.cuda.matmul.fp32_precision = "tf32"  # exact_products puts it back
            total.addmm_(centred, centred.T)
    return total.double()


def ten_bits(values: torch.Tensor) -> torch.Tensor:
    mantissa, exponent = torch.frexp(values)
    return torch.ldexp((mantissa * 2**11).round() / 2**11, exponent)


def variants(device: str) -> list[tuple[str, str, Callable[[torch.Tensor], torch.Tensor]]]:
    """Return labels, the network's precision, and what makes a Gram matrix."""
    common = [
        (REFERENCE, "float64", double),
        ("float32, products in float64", "float32", double),
        ("float32, products in float32", "float32", single),
    ]
    if device == "cpu":
        return [*common, ("float32, ten bits", "float32", partial(single, rounding=ten_bits))]
    return [
        *common,
        ("float32, products in TF32", "float32", partial(single, tf32=True)),
        ("TF32 convolutions, products in float64", "TF32", double),
    ]


def plant(activations: torch.Tensor) -> np.ndarray:
    rng = np.random.default_rng(0)
    directions = torch.from_numpy(rng.standard_normal((activations.shape[1], NEUROIDS))).to(activations.device)
    signal = (activations - activations.mean(0)) @ directions
    signal = (signal / signal.std(0)).cpu().numpy()
    return signal + rng.standard_normal(signal.shape)


def score(grams: list[torch.Tensor], responses: np.ndarray) -> list[np.ndarray | None]:
    """Return r [split, neuroid] of each layer; None if its matrix is not positive semi-definite any more."""
    try:
        return list(score_gram(torch.stack(grams), responses, make_splits(len(responses)), device=grams[0].device))
    except ValueError:
        return [None] if len(grams) == 1 else [r for gram in grams for r in score([gram], responses)]


def score_all(name: str, weights: str, layers: list[LayerSpec], given: argparse.Namespace) -> dict[str, list]:
    """Return {label: r of each layer}."""
    expected, compared = registry.find(name).preprocessing, variants(given.device)
    crops = Crops(given.photographs, given.images, expected.size)
    precise, usual = (build(name, weights=weights).eval().to(given.device) for _ in range(2))
    ways = {"float64": (precise.double(), False), "float32": (usual, False), "TF32": (usual, True)}
    middle = layers[len(layers) // 2].name
    responses = plant(collect(precise, [middle], crops, expected)[middle])
    found: dict[str, list] = {label: [] for label, _, _ in compared}
    for group in together(layers):
        outputs = {
            precision: collect(network, group, crops, expected, tf32)
            for precision, (network, tf32) in ways.items()
            if any(precision == wanted for _, wanted, _ in compared)
        }
        for label, precision, product in compared:
            found[label] += score([product(outputs[precision][layer]) for layer in group], responses)
    return found


def measure(name: str, weights: str, machine: str, given: argparse.Namespace) -> Iterator[str]:
    layers = read_manifest(shipped_manifest(name))
    found = score_all(name, weights, layers, given)
    exact = np.stack(found.pop(REFERENCE))
    network = f"{name} ({'random' if weights == 'random' else 'ImageNet'})"
    for label, scores in found.items():
        usable = [index for index, r in enumerate(scores) if r is not None]
        r, reference = np.stack([scores[index] for index in usable]), exact[usable]
        of_medians = np.abs(np.median(r, 2).mean(1) - np.median(reference, 2).mean(1))
        yield (
            f"| {network} | {machine} | {given.images} | {len(layers)} | {np.median(exact):.2f} | {label} "
            f"| {np.median(of_medians):.1e} | {of_medians.max():.1e} | {np.abs(r - reference).max():.1e} "
            f"| {len(scores) - len(usable)} |"
        )


def network_and_machine(row: str) -> list[str]:
    return [cell.strip() for cell in row.split("|")[1:3]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="+", help="NAME, or NAME=WEIGHTS")
    parser.add_argument("--photographs", type=Path, nargs="+", required=True, help="folders")
    parser.add_argument("--images", type=int, default=300)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cuda" if torch.cuda.is_available() else "cpu")
    given = parser.parse_args()
    machine = f"{torch.cuda.get_device_name() if given.device == 'cuda' else processor()}, torch {torch.__version__}"
    _, _, former = TABLE.read_text().partition(HEADER)
    rows = former.splitlines()[2:]
    for entry in given.networks:
        name, _, weights = entry.partition("=")
        new = list(measure(name, weights or "random", machine, given))
        print(*new, sep="\n", flush=True)
        rows = [row for row in rows if network_and_machine(row) != network_and_machine(new[0])] + new
    lines = [
        "# What precision changes in r",
        "",
        f"`python benchmarks/precision.py`: crops of photographs, {NEUROIDS} neuroids read from a middle layer with as",
        "much noise, ten splits, 25 components; all layers, against network and products in float64. Differences of",
        "the median r over neuroids (mean of splits): median over layers and largest; largest of a neuroid in a split;",
        "how many layers have a Gram matrix that rounding made unusable.",
        "",
        HEADER,
        "|---" * (HEADER.count("|") - 1) + "|",
        *rows,
    ]
    TABLE.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
