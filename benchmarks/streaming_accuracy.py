"""Streamed PLS against dense float64 PLS on the same activations of a network with real weights.

    python benchmarks/streaming_accuracy.py --photographs FOLDER --weights squeezenet1_1.pth

The dense fit is the regression room's, on activations collected in the same batches; whatever the convolutions round,
both see the same. Prints a table and writes it to streaming_accuracy.md.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from photographs import Crops
from scipy.stats import spearmanr

from layerwise.interfaces import RatedImages
from layerwise.layers.manifest import read_manifest, shipped_manifest
from layerwise.models import build, registry
from layerwise.passes.images import Images
from layerwise.passes.precision import exact_products
from layerwise.passes.runner import Runner
from layerwise.regression import make_splits, predict_neuroids
from layerwise.streaming import Streamed, stream_pls

NETWORK = "squeezenet1_1"
BATCH = 100


def collect(network, layer, crops, preprocessing, device: str, tf32: bool) -> torch.Tensor:
    """All activations of one layer [image, unit]."""
    batch, rows = torch.empty(BATCH, layer.units, device=device), []
    with torch.inference_mode(), exact_products(tf32):
        runner = Runner(network, [layer], Images(crops, torch.device(device)), preprocessing, BATCH)
        copy = lambda _index, output: batch.copy_(output)  # noqa: E731
        runner.survey(copy)
        runner.warm_up(copy)
        list(runner.run(copy, after=lambda _first: rows.append(batch.clone())))
    return torch.cat(rows)[: len(crops)]


def correlations(predictions, targets, splits) -> np.ndarray:
    return np.array([spearmanr(part, targets[split.test])[0] for part, split in zip(predictions, splits, strict=True)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photographs", type=Path, nargs="+", required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--images", type=int, default=6000)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    given = parser.parse_args()
    crops, expected = Crops(given.photographs, given.images), registry.find(NETWORK).preprocessing
    layers = read_manifest(shipped_manifest(NETWORK))
    splits = make_splits(len(crops), n_splits=5, train_size=0.77)
    scores = np.tile(crops.scores, (5, 1))
    attributes = {"model": NETWORK, "weights": "", "code": ""}
    network = build(NETWORK, weights=str(given.weights)).to(given.device)
    streamed = {}
    for tf32 in (True, False):
        how = Streamed(batch_size=BATCH, device=given.device, memory=70 * 10**9, tf32=tf32)
        streamed[tf32] = stream_pls(
            network, layers, layers, RatedImages(crops, expected, scores, splits), how, attributes
        )
    machine = torch.cuda.get_device_name() if given.device == "cuda" else "CPU"
    lines = [
        "# Streamed PLS against dense float64 PLS on the same activations",
        "",
        "`python benchmarks/streaming_accuracy.py --photographs FOLDER --weights squeezenet1_1.pth` on one",
        f"{machine}; PyTorch {torch.__version__}. {NETWORK} with ImageNet weights, {len(crops):,} crops of",
        "photographs, five splits, 25 components, TF32 convolutions. The largest difference of a prediction from the",
        "dense one is given in their standard deviations, and the largest difference in Spearman's rho.",
        "",
        "| layer | units | rho | prediction | rho: streamed - dense | rho: TF32 - float32 convolutions |",
        "|---|---|---|---|---|---|",
    ]
    for index in np.unique(np.linspace(0, len(layers) - 1, 9).round().astype(int)):
        layer = layers[index]
        dense = predict_neuroids(
            collect(network, layer, crops, expected, given.device, True), crops.scores[:, None], splits, 25,
            device=given.device,
        )  # fmt: skip
        ours = {
            key: [values[index, split.test, i] for i, split in enumerate(splits)] for key, values in streamed.items()
        }
        rho = {key: correlations(parts, crops.scores, splits) for key, parts in ours.items()}
        dense_rho = correlations([part[:, 0] for part in dense], crops.scores, splits)
        worst = max(np.abs(a - b[:, 0]).max() / b.std() for a, b in zip(ours[True], dense, strict=True))
        lines.append(
            f"| {layer.name} | {layer.units:,} | {dense_rho.mean():.3f} | {worst:.1e} "
            f"| {np.abs(rho[True] - dense_rho).max():.1e} | {np.abs(rho[True] - rho[False]).max():.1e} |"
        )
        print(lines[-1], flush=True)
    change = [
        abs(np.mean(correlations([a[i, s.test, k] for k, s in enumerate(splits)], crops.scores, splits)
        - correlations([b[i, s.test, k] for k, s in enumerate(splits)], crops.scores, splits)))
        for a, b in [(streamed[True], streamed[False])] for i in range(len(layers))
    ]  # fmt: skip
    over = f"TF32 against float32 convolutions, over all {len(layers)} layers"
    lines += ["", f"Mean rho of the five splits, {over}: median {np.median(change):.1e}, largest {np.max(change):.1e}."]
    print(lines[-1])
    Path(__file__).with_suffix(".md").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
