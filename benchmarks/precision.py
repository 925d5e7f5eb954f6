"""What the precision of networks and products changes in r, over all layers: python benchmarks/precision.py --help

The reference is a network in float64 and a Gram matrix in float64. Against it stand what extraction does (network in
float32, products in float64), products in float32, and operands rounded to the ten bits of mantissa that TF32 keeps.
Neuroids are readings of a middle layer with as much noise. Runs on a CPU; writes precision.md.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from photographs import Crops

from layerwise.interfaces import LayerSpec
from layerwise.layers.manifest import read_manifest, shipped_manifest
from layerwise.layers.tap import LayerTap
from layerwise.models import build, registry
from layerwise.models.inputs import normalise
from layerwise.regression import make_splits, score_gram

NEUROIDS, BATCH, BLOCK, AT_ONCE = 60, 50, 65536, 1_500_000
DEFAULT, SINGLE, TEN_BITS = "float32, products in float64", "float32, products in float32", "float32, ten bits"


def collect(network: torch.nn.Module, layers: list[str], crops: Crops, expected) -> dict[str, torch.Tensor]:
    """Outputs of some layers, {layer: tensor [stimulus, unit]}."""
    dtype, rows = next(network.parameters()).dtype, []
    for start in range(0, len(crops), BATCH):
        images = normalise(torch.from_numpy(crops.read(start, start + BATCH)), expected).to(dtype)
        with torch.inference_mode(), LayerTap(network, layers) as tap:
            network(images)
        rows.append(tap.outputs)
    return {layer: torch.cat([outputs[layer] for outputs in rows]) for layer in layers}


def together(layers: list[LayerSpec]) -> Iterator[list[str]]:
    """Names of neighbours that are collected in one pass."""
    group, units = [], 0
    for layer in layers:
        if group and units + layer.units > AT_ONCE:
            yield group
            group, units = [], 0
        group, units = [*group, layer.name], units + layer.units
    yield group


def gram(activations: torch.Tensor, dtype: torch.dtype, bits: int | None = None) -> np.ndarray:
    """Gram matrix of centred activations; their values rounded to some bits of mantissa, if wanted."""
    total = torch.zeros(len(activations), len(activations), dtype=dtype)
    for block in activations.split(BLOCK, dim=1):
        centred = block.to(dtype)
        centred = centred - centred.mean(0)
        if bits:
            mantissa, exponent = torch.frexp(centred)
            centred = torch.ldexp((mantissa * 2 ** (bits + 1)).round() / 2 ** (bits + 1), exponent)
        total.addmm_(centred, centred.T)
    return total.double().numpy()


def variants(activations: torch.Tensor) -> Iterator[tuple[str, np.ndarray]]:
    yield DEFAULT, gram(activations, torch.float64)
    yield SINGLE, gram(activations, torch.float32)
    yield TEN_BITS, gram(activations, torch.float32, bits=10)


def plant(activations: torch.Tensor) -> np.ndarray:
    rng = np.random.default_rng(0)
    directions = torch.from_numpy(rng.standard_normal((activations.shape[1], NEUROIDS)))
    signal = (activations - activations.mean(0)) @ directions
    signal = (signal / signal.std(0)).numpy()
    return signal + rng.standard_normal(signal.shape)


def measure(name: str, weights: str, given: argparse.Namespace) -> list[str]:
    expected, layers = registry.find(name).preprocessing, read_manifest(shipped_manifest(name))
    crops = Crops(given.photographs, given.images, expected.size)
    single, double = build(name, weights=weights).eval(), build(name, weights=weights).double().eval()
    middle = layers[len(layers) // 2].name
    responses = plant(collect(double, [middle], crops, expected)[middle])
    splits = make_splits(given.images)
    found: dict[str, list[tuple[float, float]]] = {DEFAULT: [], SINGLE: [], TEN_BITS: []}
    failed, references = dict.fromkeys(found, 0), []
    for group in together(layers):
        exact, rounded = collect(double, group, crops, expected), collect(single, group, crops, expected)
        for layer in group:
            r = score_gram(gram(exact.pop(layer), torch.float64), responses, splits)
            references.append(np.median(r))
            for label, matrix in variants(rounded.pop(layer)):
                try:
                    other = score_gram(matrix, responses, splits)
                except ValueError:  # not positive semi-definite any more
                    failed[label] += 1
                    continue
                medians = np.abs(np.median(other, 1).mean() - np.median(r, 1).mean())
                found[label].append((float(medians), float(np.abs(other - r).max())))
    kind = "random" if weights == "random" else "ImageNet"
    rows = []
    for label, pairs in found.items():
        of_medians, of_neuroids = np.array(pairs).T
        rows.append(
            f"| {name} ({kind}) | {len(layers)} | {np.median(references):.2f} | {label} | {np.median(of_medians):.1e} "
            f"| {of_medians.max():.1e} | {of_neuroids.max():.1e} | {failed[label]} |"
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="+", help="NAME, or NAME=WEIGHTS")
    parser.add_argument("--photographs", type=Path, nargs="+", required=True, help="folders")
    parser.add_argument("--images", type=int, default=300)
    given = parser.parse_args()
    lines = [
        "# What precision changes in r",
        "",
        f"`python benchmarks/precision.py`, torch {torch.__version__}: {given.images} crops of photographs, {NEUROIDS}",
        "neuroids read from a middle layer with as much noise, ten splits, 25 components; all layers, against network",
        "and products in float64. Differences of the median r over neuroids (mean of splits): median over layers and",
        "largest; largest of a neuroid in a split; how many layers have a Gram matrix that rounding made unusable.",
        "",
        "| network (weights) | layers | r | precision | median r: median | largest | a neuroid: largest | unusable |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for entry in given.networks:
        name, _, weights = entry.partition("=")
        rows = measure(name, weights or "random", given)
        print(*rows, sep="\n", flush=True)
        lines += rows
    Path(__file__).with_suffix(".md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
