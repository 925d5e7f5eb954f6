"""PLS of one layer against its peers, in one run: python benchmarks/pls.py [OUTPUT]

Calls are repeated in turns, so that a busy machine slows all alike; what counts are the ratios.
Prints a table and writes it to OUTPUT (default: pls.md beside this file).
"""

import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from ikpls.numpy import PLS as IKPLS
from machine import processor
from sklearn.cross_decomposition import PLSRegression
from threadpoolctl import threadpool_limits

from layerwise.interfaces import Split
from layerwise.regression import PLS, make_splits, predict_neuroids

THREADS = 2
COMPONENTS = 25
PAUSE = 0.2  # seconds before each call, until the idle threads of the other library's pool stop spinning
OURS = "layerwise, exact"

NOTES = """\
The goals for one fit are 30 times scikit-learn and twice ikpls. On an Intel Xeon the first was reached and the
second nearly (pls.md); on an AMD EPYC neither was (pls_epyc.md). For ten splits, which is what the study runs, both
are reached on both. PyTorch multiplies with MKL, numpy with OpenBLAS: on the EPYC MKL took twice as long as OpenBLAS
for products of ten rows with the activations, and 3.5 times as long for those of the eigenvectors; a large product
ran at the same speed."""


def simulate(n_stimuli: int, n_units: int, n_neuroids: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw rectified units and noisy neuroids that share 40 latent causes."""
    rng = np.random.default_rng(0)
    causes = rng.standard_normal((n_stimuli, 40))
    units = causes @ rng.standard_normal((40, n_units)) + 3 * rng.standard_normal((n_stimuli, n_units))
    neuroids = causes @ rng.standard_normal((40, n_neuroids)) + 3 * rng.standard_normal((n_stimuli, n_neuroids))
    return np.maximum(units, 0), neuroids


def fit_scikit_learn(X: np.ndarray, Y: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    return PLSRegression(COMPONENTS, scale=False).fit(X, Y).predict


def fit_ikpls(algorithm: int) -> Callable[[np.ndarray, np.ndarray], Callable[[np.ndarray], np.ndarray]]:
    def fit(X: np.ndarray, Y: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        model = IKPLS(algorithm=algorithm, scale_X=False, scale_Y=False)
        model.fit(X, Y, COMPONENTS)
        return lambda test: model.predict(test, n_components=COMPONENTS)

    return fit


def fit_ours(X: np.ndarray, Y: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    return PLS(COMPONENTS).fit(X, Y).predict


PEERS = {
    "scikit-learn PLSRegression, its default": fit_scikit_learn,
    "ikpls numpy, algorithm 1": fit_ikpls(1),
    "ikpls numpy, algorithm 2": fit_ikpls(2),
}


def loop(fit, X: np.ndarray, Y: np.ndarray, splits: list[Split]) -> list[np.ndarray]:
    return [fit(X[split.train], Y[split.train])(X[split.test]) for split in splits]


def measure(methods: dict[str, Callable[[], object]], repeats: dict[str, int]) -> dict[str, list[float]]:
    """Return the seconds of each method's calls, without the first, which warms up (unless it is the only one)."""
    times: dict[str, list[float]] = {name: [] for name in methods}
    for turn in range(max(repeats.values()) + 1):
        for name, method in methods.items():
            if turn <= repeats[name]:
                time.sleep(PAUSE)
                start = time.perf_counter()
                method()
                times[name].append(time.perf_counter() - start)
    return {name: values[1:] or values for name, values in times.items()}


def one_split(rows: list[str]) -> None:
    X, Y = simulate(2304, 1000, 168)
    methods = {name: (lambda fit=fit: fit(X, Y)) for name, fit in {OURS: fit_ours, **PEERS}.items()}
    repeats = {name: 3 if "scikit" in name else 9 for name in methods}
    report(rows, "fit, 2304 x 1000 units to 168 neuroids", measure(methods, repeats))


def ten_splits(rows: list[str], n_stimuli: int, n_units: int, n_neuroids: int, peers: list[str]) -> None:
    X, Y = simulate(n_stimuli, n_units, n_neuroids)
    splits = make_splits(n_stimuli)
    methods = {name: (lambda fit=PEERS[name]: loop(fit, X, Y, splits)) for name in peers}
    methods = {OURS: lambda: predict_neuroids(X, Y, splits, COMPONENTS), **methods}
    repeats = {name: 0 if "scikit" in name else 3 for name in methods}
    task = f"ten splits of {n_stimuli} x {n_units} units to {n_neuroids} neuroids, fit and predict"
    report(rows, task, measure(methods, repeats))


def report(rows: list[str], task: str, seconds: dict[str, list[float]]) -> None:
    for name, values in seconds.items():
        cells = [f"{take(values):.3f} | {take(values) / take(seconds[OURS]):.1f}" for take in (statistics.median, min)]
        rows.append(f"| {task} | {name} | {len(values)} | {cells[0]} | {cells[1]} |")
        print(rows[-1], flush=True)


def main() -> None:
    torch.set_num_threads(THREADS)
    packages = f"Python {platform.python_version()}, " + ", ".join(
        f"{name} {version(name)}" for name in ("numpy", "scikit-learn", "ikpls", "torch")
    )
    rows = [
        "| task | method | calls | median, s | times ours | fastest, s | times ours |",
        "|---|---|---|---|---|---|---|",
    ]
    head = [
        "# PLS with 25 components: ours and its peers, in one run",
        "",
        f"Machine {platform.node()}, {processor()}, {THREADS} threads; {packages}.",
        "Made by `env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE python benchmarks/pls.py` (the variables,",
        "where set, tie numpy's BLAS to another processor and slow the peers). Float64; methods take turns.",
        f"Load at the start: {os.getloadavg()[0]:.1f} (0 is idle; the fastest calls suffer least from it).",
        "",
    ]
    print("\n".join(head + rows), flush=True)
    with threadpool_limits(THREADS):
        one_split(rows)
        ten_splits(rows, 2560, 1000, 168, list(PEERS))
        # scikit-learn would take minutes on this.
        ten_splits(rows, 400, 300, 360, [name for name in PEERS if "ikpls" in name])
    output = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_suffix(".md")
    output.write_text("\n".join([*head, *rows, "", NOTES]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
