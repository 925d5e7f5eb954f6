"""Does fine-tuning learn what was planted, and what does it add to PLS on the frozen network?

    python benchmarks/finetuning_learning.py

Images are drawn, and their scores are planted in a layer of the network itself, with its ImageNet weights: in one study
a sum of its leading principal components (what PLS is made for), in the other a sum of their squares (which no
regression that is linear in this layer can find). Noise makes them as reliable as `--reliability` says. The ceiling is
Spearman's rho, over the same test images, between the scores and what was planted before the noise.

On the same splits, whose test images do not overlap, three ways are compared: fine-tuning; PLS with 25 components on
the frozen network's penultimate layer; and PLS on its best layer, chosen by rho on the validation images. PLS and
fine-tuning see the same training images; fine-tuning uses the validation images to choose its epoch, as PLS its layer.
The best of all layers on the test images themselves, which nobody could have chosen, is printed beside it. Then scores
are shuffled, where rho is within 1.96 / sqrt(n - 1) in 95 % of cases. Writes finetuning_learning.md beside this file.
"""

import argparse
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from machine import processor
from scipy.stats import spearmanr

from layerwise.data.drawing import draw_image
from layerwise.data.simulate import read_out, simulate_scores
from layerwise.finetuning import FinetuneSettings, Fold, fine_tune, make_fold
from layerwise.interfaces import Split
from layerwise.layers import LayerTap, list_layers
from layerwise.models import PenultimateTap, build, find_classifiers, normalise, resolve_preprocessing, specify
from layerwise.regression import make_kfold_splits, predict_gram, predict_neuroids
from layerwise.regression.dual import gram_matrix

NETWORK, LAYER = "tf_efficientnet_lite0", "blocks.4.2.bn2.act"
COMPONENTS, PLANTED_IN, BORDER = 25, 12, 8
KINDS = ("ReLU6",)  # of layers that PLS is tried on: what each convolution gives in the end
HEAD = """| planted | ceiling | fine-tuned | PLS, penultimate | PLS, best layer | largest of all | chosen | best epoch |
| --- | ---: | ---: | ---: | ---: | ---: | --- | --- |"""
AT_ONCE = 12  # layers in memory
CPU, DEVICE = torch.device("cpu"), torch.device("cuda" if torch.cuda.is_available() else "cpu")
CHANGED = ("optimiser", "learning_rate", "batch_size", "batch_norms", "schedule", "max_epochs")


class Drawn:
    """Images that are drawn once."""

    content_hash = "drawn"

    def __init__(self, count: int, side: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.ids = tuple(f"{index}.jpg" for index in range(count))
        self.images = np.stack([draw_image(rng, side) for _ in range(count)])

    def __len__(self) -> int:
        return len(self.images)

    def read(self, start: int, stop: int) -> np.ndarray:
        return self.images[start:stop]


@dataclass
class Study:
    """Images, a frozen network, and the splits."""

    images: Drawn
    size: int
    folds: list[tuple[np.ndarray, np.ndarray, np.ndarray]]

    def __post_init__(self) -> None:
        spec = specify(NETWORK)
        self.network = build(spec)
        self.classifiers = find_classifiers(self.network, spec, resolve_preprocessing(spec).size)
        self.preprocessing = replace(resolve_preprocessing(spec), size=self.size, resize=self.size + BORDER)

    def pooled(self, layer: str) -> np.ndarray:
        """Means over positions, of which a mirrored image has about the same: float32 [image, channel]."""
        channels = next(found.shape[0] for found in list_layers(self.network, self.size) if found.name == layer)
        values = self.activations([layer])[layer]
        return values.reshape(len(values), channels, -1).mean(2)

    def activations(self, layers: list[str]) -> dict[str, np.ndarray]:
        """Of the images' centres: float32 [image, unit]; the penultimate representation under ""."""
        start = BORDER // 2
        centres = torch.from_numpy(self.images.images[:, start : start + self.size, start : start + self.size])
        found: dict[str, list[np.ndarray]] = {name: [] for name in (*layers, "")}
        for batch in torch.split(centres, 64):
            last = PenultimateTap(self.network, self.classifiers)
            with torch.inference_mode(), LayerTap(self.network, layers) as tap, last:
                self.network(normalise(batch, self.preprocessing))
            for name, output in {**tap.outputs, "": last.output}.items():
                found[name].append(output.numpy())
        return {name: np.concatenate(parts) for name, parts in found.items()}


def divide(count: int, splits: int, seed: int) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Five parts of the images: one is tested, the next watched, the rest trained on."""
    parts = [split.test for split in make_kfold_splits(count, 5, seed)]
    return [
        (np.sort(np.concatenate([parts[(one + other) % 5] for other in (2, 3, 4)])), parts[(one + 1) % 5], parts[one])
        for one in range(splits)
    ]


def plant(layer: np.ndarray, kind: str, reliability: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores, and what was planted before the noise: float64 [image] each."""
    if kind == "squares":
        centred = (layer - layer.mean(0)).astype(np.float64)
        vectors = np.linalg.eigh(centred @ centred.T).eigenvectors
        layer = vectors[:, -PLANTED_IN:] ** 2 * len(layer)
    scores = simulate_scores(layer, np.random.default_rng(seed), reliability)
    return scores, read_out(layer, 1, np.random.default_rng(seed))[:, 0]


def rho(one: np.ndarray, other: np.ndarray) -> float:
    return float(spearmanr(one, other).statistic)


def score_pls(activations: np.ndarray, scores: np.ndarray, study: Study) -> np.ndarray:
    """Rho of PLS on validation and test images: float64 [split, 2]."""
    wide = activations.shape[1] > len(activations)
    features = gram_matrix(torch.from_numpy(activations), CPU) if wide else activations
    both = [Split(train, np.sort(np.concatenate([watched, test]))) for train, watched, test in study.folds]
    predicted = (predict_gram if wide else predict_neuroids)(features, scores[:, None], both, COMPONENTS)
    found = []
    for values, split, (_, *parts) in zip(predicted, both, study.folds, strict=True):
        of_image = np.full(len(scores), np.nan)
        of_image[split.test] = values[:, 0]
        found.append([rho(of_image[part], scores[part]) for part in parts])
    return np.array(found)


def score_layers(study: Study, scores: dict[str, np.ndarray]) -> dict[str, dict[str, np.ndarray]]:
    """Rho of each layer, by kind of scores: [split, validation or test]."""
    layers = [layer.name for layer in list_layers(study.network, study.size) if layer.kind in KINDS]
    found: dict[str, dict[str, np.ndarray]] = {kind: {} for kind in scores}
    for start in range(0, len(layers), AT_ONCE):
        for name, values in study.activations(layers[start : start + AT_ONCE]).items():
            if name not in found["sum"]:
                for kind in scores:
                    found[kind][name] = score_pls(values, scores[kind], study)
        print(f"{min(start + AT_ONCE, len(layers))} of {len(layers)} layers", file=sys.stderr, flush=True)
    return found


def tune(study: Study, scores: np.ndarray, settings: FinetuneSettings) -> list[tuple[float, int, int]]:
    """Rho on test images, best epoch and number of epochs, of each split."""
    found = []
    for number, parts in enumerate(study.folds):
        fold: Fold = make_fold(number, scores, *parts, settings)
        start = time.perf_counter()
        network = build(specify(NETWORK))
        done = fine_tune(network, study.classifiers, study.images, study.preprocessing, fold, settings, DEVICE)
        found.append((done.test.rho, done.best_epoch, len(done.history)))
        watched = " ".join(f"{epoch.rho:.2f}" for epoch in done.history)
        print(f"{found[-1]}, {time.perf_counter() - start:.0f} s: {watched}", file=sys.stderr, flush=True)
    return found


def report(kind: str, ceiling: float, layers: dict[str, np.ndarray], tuned: list[tuple[float, int, int]]) -> str:
    names, table = list(layers), np.stack(list(layers.values()))  # [layer, split, 2]
    splits = range(table.shape[1])
    chosen = table[:, :, 0].argmax(0)
    values = {
        "fine-tuned": np.mean([test for test, *_ in tuned]),
        "PLS, penultimate": layers[""][:, 1].mean(),
        "PLS, best layer": np.mean([table[chosen[split], split, 1] for split in splits]),
        "PLS, best on test": table[:, :, 1].max(0).mean(),
    }
    shares = " | ".join(f"{value:.3f} ({value / ceiling:.0%})" for value in values.values())
    best = ", ".join(f"`{names[layer] or 'penultimate'}`" for layer in chosen)
    epochs = ", ".join(f"{best} of {done}" for _, best, done in tuned)
    return f"| {kind} | {ceiling:.3f} | {shares} | {best} | {epochs} |"


def page(
    rows: list[str],
    shuffled: list[tuple[float, int, int]],
    study: Study,
    settings: FinetuneSettings,
    arguments: argparse.Namespace,
) -> str:
    tested = [len(test) for _, _, test in study.folds]
    bound = 1.96 / np.sqrt(sum(count - 1 for count in tested))
    values = ", ".join(f"{test:.3f}" for test, *_ in shuffled)
    mean = np.mean([test for test, *_ in shuffled])
    usual = FinetuneSettings()
    changed = ", ".join(
        f"`{name}: {getattr(settings, name)}`" for name in CHANGED if getattr(settings, name) != getattr(usual, name)
    )
    machine = torch.cuda.get_device_name() if DEVICE.type == "cuda" else processor()
    train, watched, test = (len(part) for part in study.folds[0])
    given = {name.replace("_", "-"): value for name, value in vars(arguments).items() if name != "output"}
    options = " ".join(f"--{name} {value}" for name, value in given.items())
    return f"""# Learning, on planted scores

`python benchmarks/finetuning_learning.py {options}`: {NETWORK}, {arguments.images} drawn images,
inputs of {study.size} px; splits: {len(study.folds)}, {train} images trained on, {watched} watched, {test} tested.
Scores are planted in `{LAYER}` with a reliability of {arguments.reliability:g}. Fine-tuning with the paper's settings
but for {changed}: of few images an epoch has few steps. {machine}, torch {torch.__version__}.

Spearman's rho on test images, mean of the splits, and its share of the ceiling, the rho of what was planted. PLS has
{COMPONENTS} components; its best layer was chosen on the validation images, by split. The column after it is the
largest rho of any layer on the test images, which nobody could have chosen.

{chr(10).join([HEAD, *rows])}

Shuffled scores: rho {values}, mean {mean:.3f}. Without any relation 95 % of such means are within ±{bound:.3f}
(1.96 / √(Σ(n − 1)), test images n).
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, default=1500)
    parser.add_argument("--splits", type=int, default=2, help="5 at most")
    parser.add_argument("--size", type=int, default=64, help="of the network's input, pixels")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--optimiser", default="sgd", choices=["sgd", "adamw"])
    parser.add_argument("--rate", type=float, default=0.001, help="learning rate")
    parser.add_argument("--schedule", default="step", choices=["step", "cosine", "constant"])
    parser.add_argument("--batch", type=int, default=32, help="images of an update")
    parser.add_argument("--batch-norms", default="learn", choices=["learn", "frozen"])
    parser.add_argument("--reliability", type=float, default=0.8)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".md"))
    arguments = parser.parse_args()
    images = Drawn(arguments.images, arguments.size + BORDER, arguments.seed)
    study = Study(images, arguments.size, divide(arguments.images, arguments.splits, arguments.seed))
    planted = {
        kind: plant(study.pooled(LAYER), kind, arguments.reliability, arguments.seed) for kind in ("sum", "squares")
    }
    settings = FinetuneSettings(
        optimiser=arguments.optimiser, learning_rate=arguments.rate, schedule=arguments.schedule,
        max_epochs=arguments.epochs, batch_size=arguments.batch, batch_norms=arguments.batch_norms,
    )  # fmt: skip
    layers = score_layers(study, {kind: scores for kind, (scores, _) in planted.items()})
    rows = []
    for kind, (scores, truth) in planted.items():
        ceiling = np.mean([rho(scores[test], truth[test]) for *_, test in study.folds])
        rows.append(report(kind, ceiling, layers[kind], tune(study, scores, settings)))
        print(rows[-1], flush=True)
    shuffled = np.random.default_rng(arguments.seed).permutation(planted["sum"][0])
    arguments.output.write_text(page(rows, tune(study, shuffled, settings), study, settings, arguments))
    print(arguments.output.read_text())


if __name__ == "__main__":
    main()
