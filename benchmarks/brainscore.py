"""All layers of a network against one region, by Brain-Score's own package and by ours: the same images and recordings.

python benchmarks/brainscore.py --photographs FOLDER ...     (needs `make .venv-brainscore/installed`)

Brain-Score's part runs in its environment, with PyTorch borrowed from ours. Ours decodes, extracts and scores, from
image files to the table. Writes brainscore.md.
"""

import argparse
import json
import subprocess
import sysconfig
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import torch
from machine import processor
from photographs import Crops
from PIL import Image

from layerwise.activations import ActivationStore, extract_activations
from layerwise.analyses.brain import BrainSimilarity, SplitPlan
from layerwise.data.images import load_image
from layerwise.interfaces import Recordings
from layerwise.layers.manifest import read_manifest, shipped_manifest
from layerwise.models import build, registry

SPLITS = 2  # of ten: Brain-Score would need hours
NOTES = """\
- The goals are 10 times on a CPU, which is reached, and 100 times on a GPU, which is not measured: the GPU machine that
  could be borrowed has no network, and Brain-Score's environment is larger than what can be carried there.
- 135 images are what FreemanZiemba2013 has; with more images and all splits Brain-Score would take hours."""
HERE = Path(__file__).parent
PEER = HERE.parent / ".venv-brainscore" / "bin" / "python"


class Files:
    """Image files, decoded when they are read."""

    content_hash = "crops"

    def __init__(self, folder: Path, ids: list[str]) -> None:
        self.folder, self.ids = folder, tuple(ids)

    def __len__(self) -> int:
        return len(self.ids)

    def read(self, start: int, stop: int) -> np.ndarray:
        return np.stack([load_image(self.folder / f"{name}.png") for name in self.ids[start:stop]])


def prepare(folder: Path, given: argparse.Namespace) -> Recordings:
    """Write images, responses and weights, which both read."""
    crops = Crops(given.photographs, given.images)
    ids = [f"image{index:04d}" for index in range(given.images)]
    for name, image in zip(ids, crops.array, strict=True):
        Image.fromarray(image).save(folder / f"{name}.png")
    rng = np.random.default_rng(0)
    latent = np.stack(
        [crops.array[:, row::56, column::56].mean((1, 2, 3)) for row in range(8) for column in range(8)], 1
    )
    signal = (latent - latent.mean(0)) @ rng.standard_normal((64, given.neuroids))
    responses = signal / signal.std(0) + rng.standard_normal(signal.shape)
    np.save(folder / "responses.npy", responses)
    torch.save(build(given.network).state_dict(), folder / "weights.pth")
    layers = [layer.name for layer in read_manifest(shipped_manifest(given.network))]
    objects = [f"object{index % 8}" for index in range(given.images)]
    task = {
        "ids": ids,
        "objects": objects,
        "network": given.network,
        "layers": layers,
        "threads": torch.get_num_threads(),
        "splits": SPLITS,
    }
    (folder / "task.json").write_text(json.dumps(task))
    names = tuple(f"neuroid{index:03d}" for index in range(given.neuroids))
    return Recordings(responses[None], tuple(ids), names, ("IT",) * len(names), {"object_name": np.array(objects)})


def ours(folder: Path, recordings: Recordings, network_name: str, solver: str) -> tuple[np.ndarray, float]:
    layers, expected = read_manifest(shipped_manifest(network_name)), registry.find(network_name).preprocessing
    network, output = build(network_name, weights=folder / "weights.pth"), folder / f"{solver}.h5"
    attributes = {"model": network_name, "weights": "random", "code": "benchmark"}
    device = "cuda" if torch.cuda.is_available() else "cpu"
    start = time.perf_counter()
    images = Files(folder, list(recordings.stimuli))
    extract_activations(network, layers, images, expected, output, 5 * 10**9, attributes, device, 32)
    plan = SplitPlan(by="object_name", n_splits=SPLITS)
    similarity = BrainSimilarity(recordings, "IT", plan, solver=solver, device=device)
    table = similarity.score(ActivationStore(output), layers)
    seconds = time.perf_counter() - start
    return np.stack(table["r_neuroids"]).reshape(len(layers), SPLITS, -1), seconds


def as_recorded(network_name: str, r: np.ndarray) -> tuple[np.ndarray, int]:
    """Return our r [layer, split, neuroid] of what the wrapper records, and in how many layers that is another output.

    On a CPU the wrapper keeps a layer's output by reference, so that an operation in place which follows overwrites it.
    """
    modules = dict(build(network_name).named_modules())
    names = [layer.name for layer in read_manifest(shipped_manifest(network_name))]
    overwritten = [getattr(modules[name], "inplace", False) and not torch.cuda.is_available() for name in names[1:]]
    rows = [index + over for index, over in enumerate([*overwritten, False])]
    return r[rows], sum(overwritten)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photographs", type=Path, nargs="+", required=True, help="folders")
    parser.add_argument("--network", default="alexnet")
    parser.add_argument("--images", type=int, default=135)
    parser.add_argument("--neuroids", type=int, default=30)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        recordings = prepare(folder, given)
        exact, seconds = ours(folder, recordings, given.network, "exact")
        subprocess.run([PEER, HERE / "brainscore_peer.py", folder, sysconfig.get_path("purelib")], check=True)
        _, other_seconds = ours(folder, recordings, given.network, "exact")
        loose, _ = ours(folder, recordings, given.network, "scikit-learn")
        peer = np.load(folder / "peer.npz")
        scores, theirs, extracted = peer["scores"], float(peer["seconds"]), float(peer["extracted"])
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    mean = (seconds + other_seconds) / 2
    loose, overwritten = as_recorded(given.network, loose)
    exact, _ = as_recorded(given.network, exact)
    medians = np.abs(np.median(exact, 2).mean(1) - np.median(scores, 2).mean(1))
    lines = [
        "# Beside Brain-Score's own package",
        "",
        f"`python benchmarks/brainscore.py` on {processor()}, {torch.get_num_threads()} threads, {device}; torch",
        f"{torch.__version__}. All {len(exact)} layers of {given.network}, {given.images} images, {given.neuroids}",
        f"neuroids, {SPLITS} splits of PLS with 25 components. One run; ours before and after theirs.",
        "",
        "| | seconds | |",
        "|---|---|---|",
        f"| Brain-Score | {theirs:.0f} | of them {extracted:.0f} for activations |",
        f"| layerwise | {seconds:.1f} and {other_seconds:.1f} | {theirs / mean:.0f} times faster |",
        "",
        f"Largest difference of a neuroid's r in a split: {np.nanmax(np.abs(loose - scores)):.0e} with",
        f"`solver: scikit-learn`, {np.nanmax(np.abs(exact - scores)):.0e} with `exact`, which lets each component",
        f"converge; of a layer's score (median r, mean of splits) with `exact`: {medians.max():.0e}.",
        "",
        f"Of {overwritten} layers Brain-Score recorded another: on a CPU its wrapper keeps outputs by reference, so",
        "that a ReLU in place which follows overwrites them. They are compared with that ReLU's scores here; layerwise",
        "copies an output at once, and gives the layer's own.",
        "",
        NOTES,
    ]
    print(*lines, sep="\n")
    Path(__file__).with_suffix(".md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
