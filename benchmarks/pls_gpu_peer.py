"""The part of pls_gpu.py that runs JAX, in a process of its own: python pls_gpu_peer.py FOLDER

Reads task.npz; writes peer.npz with, for each way that ikpls can do all splits, seconds a layer (after a call that
compiles) and predictions [split, test stimulus, neuroid].
"""

import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from ikpls.jax import PLS

REPEATS, TOGETHER = 5, 8
FEW_UNITS = 4096  # more fill the memory: of algorithm 2 with a matrix of units by units a split, and of several layers


def ways(algorithm: int, data: list[jax.Array], components: int) -> Iterator[tuple[str, int, Callable[[], jax.Array]]]:
    """Return names, numbers of layers and functions that predict [layer, split, test stimulus, neuroid]."""
    model = PLS(algorithm=algorithm, scale_X=False, scale_Y=False, dtype=jnp.float64)
    X, Y, train, test = data

    def predict(X: jax.Array, Y: jax.Array, train: jax.Array, test: jax.Array) -> jax.Array:
        B, *_, X_mean, Y_mean, _, _ = model.stateless_fit(X[train], Y[train], components)
        return model.stateless_predict(X[test], B, components, X_mean=X_mean, Y_mean=Y_mean)

    every_split = jax.vmap(predict, (None, None, 0, 0))
    every_layer = jax.vmap(every_split, (0, None, None, None))
    one, splits, layers = jax.jit(predict), jax.jit(every_split), jax.jit(every_layer)
    pairs = list(zip(train, test, strict=True))
    yield "splits in a loop", 1, lambda: jnp.stack([one(X, Y, *pair) for pair in pairs])[None]
    yield "all splits in one call", 1, lambda: splits(X, Y, train, test)[None]
    if X.shape[1] <= FEW_UNITS:
        stack = jnp.stack([X] * TOGETHER)
        label = f"all splits of {TOGETHER} layers in one call, a share"
        yield label, TOGETHER, lambda: layers(stack, Y, train, test)


def seconds(call: Callable[[], jax.Array]) -> float:
    found = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        call().block_until_ready()
        found.append(time.perf_counter() - start)
    return statistics.median(found)


def main(folder: Path) -> None:
    jax.config.update("jax_enable_x64", True)
    task = np.load(folder / "task.npz")
    if jax.devices()[0].platform != task["platform"]:
        sys.exit(f"JAX computes on {jax.devices()}, and is to be measured on a {task['platform']}")
    data = [jnp.asarray(task[name]) for name in ("X", "Y", "train", "test")]
    found = {}
    for algorithm in (1, 2) if data[0].shape[1] <= FEW_UNITS else (1,):
        for way, layers, call in ways(algorithm, data, int(task["components"])):
            label = f"ikpls, algorithm {algorithm}, {way}"
            predictions = np.asarray(call()[-1])
            found |= {f"{label}: seconds": seconds(call) / layers, f"{label}: predictions": predictions}
    np.savez(folder / "peer.npz", **found)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
