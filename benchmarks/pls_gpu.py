"""Ten splits of one layer on a GPU, beside scikit-learn and ikpls: python benchmarks/pls_gpu.py [--no-sklearn]

ikpls needs JAX for the GPU (its `jax` extra); without them the table says so. Writes pls_gpu.md.
"""

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import torch
from sklearn.cross_decomposition import PLSRegression

from layerwise.interfaces import Split
from layerwise.regression import make_splits, pearson, score_gram, score_neuroids
from layerwise.regression.dual import gram_matrix

DEVICE, PLATFORM = "cuda", "gpu"  # as PyTorch and as JAX name it
N_STIMULI, N_NEUROIDS, N_COMPONENTS, TOGETHER, REPEATS = 3200, 168, 25, 32, 5
UNITS = (1000, 25088)
PEER = Path(__file__).with_name("pls_gpu_peer.py")

NOTES = """\
- One layer alone waits for launches, as long as 16 layers together. Hence the stack of layers.
- Tried: blocks of eight directions (as on a CPU) in place of squaring: .3 s a layer alone, since QR and small
  eigenproblems go one by one; with Cholesky in place of QR they win from about 500 targets on, and are used there.
- ikpls' algorithm 2, which forms a matrix of units by units, and several of its layers at once were run only where the
  GPU has the memory."""


def find(package: str) -> str | None:
    """Return the version of a package, None where it is missing."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def simulate(units: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw units and noisy neuroids that share 60 latent causes."""
    rng = np.random.default_rng(units)
    latent = rng.standard_normal((N_STIMULI, 60))
    X = latent @ rng.standard_normal((60, units)) + rng.standard_normal((N_STIMULI, units))
    return X, latent @ rng.standard_normal((60, N_NEUROIDS)) + 5 * rng.standard_normal((N_STIMULI, N_NEUROIDS))


def seconds(call: Callable[[], object]) -> float:
    """Median of some runs, after one that warms up."""
    found = []
    for _ in range(REPEATS + 1):
        torch.cuda.synchronize()
        start = time.perf_counter()
        call()
        torch.cuda.synchronize()
        found.append(time.perf_counter() - start)
    return float(np.median(found[1:]))


class Ours:
    """Our seconds: `alone` for one layer, `gram` for its Gram matrix, `share` for the rest of it in a stack of layers.

    `r` is what the layer alone gives [split, neuroid]; `difference` the stack's largest from it.
    """

    def __init__(self, X: np.ndarray, Y: np.ndarray, splits: list[Split]) -> None:
        units = torch.from_numpy(X).to(DEVICE)
        stack = gram_matrix(units, units.device).expand(TOGETHER, -1, -1).clone()
        self.r = score_neuroids(units, Y, splits, N_COMPONENTS, device=DEVICE)
        self.alone = seconds(lambda: score_neuroids(units, Y, splits, N_COMPONENTS, device=DEVICE))
        self.gram = seconds(lambda: gram_matrix(units, units.device))
        self.share = seconds(lambda: score_gram(stack, Y, splits, N_COMPONENTS, device=DEVICE)) / TOGETHER
        self.difference = np.abs(score_gram(stack, Y, splits, N_COMPONENTS, device=DEVICE) - self.r).max()

    def rows(self) -> Iterator[str]:
        yield f"layerwise, a layer alone | {self.alone:.4f} | 1 | | |"
        yield f"layerwise, its Gram matrix | {self.gram:.4f} | | | |"
        yield f"layerwise, the rest, a share of {TOGETHER} layers | {self.share:.4f} | | | {self.difference:.0e} |"
        yield f"layerwise, the last two | {self.gram + self.share:.4f} | | 1 | |"

    def beside(self, label: str, taken: float, r: np.ndarray) -> str:
        """Return a peer's row, for its r of the first splits, or of all."""
        difference = np.abs(self.r[: len(r)] - r).max()
        times = f"{taken / self.alone:,.1f} | {taken / (self.gram + self.share):,.0f}"
        return f"{label} | {taken:.3f} | {times} | {difference:.0e} |"


def fit_sklearn(X: np.ndarray, Y: np.ndarray, split: Split) -> tuple[float, np.ndarray]:
    """Return the seconds of ten splits, were all like the first, and r of the first."""
    start = time.perf_counter()
    predicted = PLSRegression(N_COMPONENTS, scale=False).fit(X[split.train], Y[split.train]).predict(X[split.test])
    return 10 * (time.perf_counter() - start), pearson(predicted, Y[split.test])[None]


def run_peer(X: np.ndarray, Y: np.ndarray, splits: list[Split]) -> dict[str, tuple[float, np.ndarray]] | str:
    """Return {way: (seconds, r [split, neuroid])} of ikpls, or why there is none."""
    missing = [name for name in ("jax", "ikpls") if not find(name)]
    if missing:
        return f"not installed ({', '.join(missing)})"
    train, test = (np.stack([getattr(split, part) for split in splits]) for part in ("train", "test"))
    with tempfile.TemporaryDirectory() as folder:
        task = Path(folder) / "task.npz"
        np.savez(task, X=X, Y=Y, train=train, test=test, components=N_COMPONENTS, platform=PLATFORM)
        environment = {**os.environ, "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}  # PyTorch has memory of this GPU, too
        ran = subprocess.run([sys.executable, PEER, folder], env=environment, stderr=subprocess.PIPE, text=True)
        if ran.returncode:
            print(ran.stderr, file=sys.stderr)
            return f"failed: {ran.stderr.strip().splitlines()[-1]}"
        found = dict(np.load(Path(folder) / "peer.npz"))
    ways = dict.fromkeys(key.rpartition(": ")[0] for key in found)
    answers = {}
    for way in ways:
        pairs = zip(found[f"{way}: predictions"], test, strict=True)
        r = np.stack([pearson(predictions, Y[rows]) for predictions, rows in pairs])
        answers[way] = float(found[f"{way}: seconds"]), r
    return answers


def measure(units: int, with_sklearn: bool) -> Iterator[str]:
    X, Y = simulate(units)
    splits = make_splits(np.arange(N_STIMULI) % 64)
    ours = Ours(X, Y, splits)
    torch.cuda.empty_cache()  # for JAX
    yield from ours.rows()
    label = "scikit-learn, its first split times ten"
    yield ours.beside(label, *fit_sklearn(X, Y, splits[0])) if with_sklearn else f"{label} | not run | | | |"
    peers = run_peer(X, Y, splits)
    if isinstance(peers, str):
        yield f"ikpls | {peers} | | | |"
    else:
        yield from (ours.beside(way, *answer) for way, answer in peers.items())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--no-sklearn", action="store_true", help="leave scikit-learn out: it takes most of the time")
    given = parser.parse_args()
    packages = [f"{name} {find(name) or 'not installed'}" for name in ("torch", "jax", "ikpls", "scikit-learn")]
    lines = [
        "# PLS on a GPU: ours and its peers, in one run",
        "",
        f"`python benchmarks/pls_gpu.py` on one {torch.cuda.get_device_name()}, {torch.get_num_threads()} CPU threads;",
        f"Python {platform.python_version()}, {', '.join(packages)}.",
        f"Ten splits of {N_STIMULI:,} stimuli and {N_NEUROIDS} targets, {N_COMPONENTS} components, all in float64,",
        f"the data on the GPU (scikit-learn's in memory). Medians of {REPEATS} calls after a first that warms up or",
        "compiles, but for scikit-learn. The last column is the largest difference in r from ours alone, over neuroids",
        "and splits (scikit-learn: of its first split, and due to its tolerance of 1e-6; tests/regression shows",
        "agreement where it is let converge).",
        "",
        "| units | method | seconds | times ours alone | times Gram + share | difference in r |",
        "|---|---|---|---|---|---|",
    ]
    for units in UNITS:
        for row in measure(units, not given.no_sklearn):
            lines.append(f"| {units:,} | {row}")
            print(lines[-1], flush=True)
    Path(__file__).with_suffix(".md").write_text("\n".join([*lines, "", NOTES]) + "\n")


if __name__ == "__main__":
    main()
