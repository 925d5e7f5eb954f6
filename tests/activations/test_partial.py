"""An extraction that is stopped at any moment goes on from the layers that are done, and gives the same file."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from damage import flip

from layerwise.activations import ActivationStore, Part
from layerwise.activations.packing import kept_size
from layerwise.activations.store import write_store
from layerwise.interfaces import LayerSpec

N = 30
STIMULI = tuple(f"image{index:02d}" for index in range(N))
ATTRIBUTES = {"model": "mine", "weights": "w", "preprocessing": "p", "stimuli": "s", "code": "c"}
SMALL = LayerSpec("block.0/a%b", "ReLU", (5, 5), 25, 2)
LARGE = LayerSpec("block.0", "Conv2d", (4, 5, 5), 100, 1)
LAST = LayerSpec("end", "Linear", (26,), 26, 3)
LAYERS = [LARGE, SMALL, LAST]


@pytest.fixture
def arrays(rng):
    gram = rng.normal(size=kept_size(N))
    return {LARGE: gram, SMALL: rng.normal(size=(N, 25)).astype("f4"), LAST: rng.normal(size=(N, 26)).astype("f4")}


def put(store, arrays, layers):
    for layer in layers:
        if layer is LARGE:
            store.put_gram(layer, arrays[layer])
        else:  # in two passes
            store.put_activations(Part(layer, 0, 10), arrays[layer][:, :10])
            store.put_activations(Part(layer, 10, layer.units), arrays[layer][:, 10:])


def write(path, arrays, stop_before=None, **changes):
    """Write what is left; return its names. Where it is stopped, half of the next layer is written, too."""
    with write_store(path, LAYERS, STIMULI, ATTRIBUTES | changes) as store:
        left = store.left(LAYERS)
        if stop_before is None:
            put(store, arrays, left)
            return [layer.name for layer in left]
        put(store, arrays, LAYERS[:stop_before])
        if LAYERS[stop_before] is not LARGE:
            store.put_activations(Part(LAYERS[stop_before], 0, 10), arrays[LAYERS[stop_before]][:, :10])
        raise KeyboardInterrupt


def read(path):
    store, found = ActivationStore(path), {}
    for layer in store.layers:
        stored = store.read(layer.name, packed=True)
        behind = b"" if stored.patterns is None else stored.patterns.tobytes()
        found[layer] = stored.array.tobytes() + behind
    return found


@pytest.mark.parametrize("done", [0, 1, 2])
def test_a_stopped_run_goes_on_with_the_layers_that_are_left(tmp_path, arrays, done):
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "a.h5", arrays, stop_before=done)
    assert not (tmp_path / "a.h5").exists()
    assert write(tmp_path / "a.h5", arrays) == [layer.name for layer in LAYERS[done:]]
    assert read(tmp_path / "a.h5") == {layer: arrays[layer].tobytes() for layer in LAYERS}
    assert [file.name for file in tmp_path.iterdir()] == ["a.h5"]


def test_what_was_begun_with_other_weights_is_begun_anew(tmp_path, arrays, caplog):
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "a.h5", arrays, stop_before=2, weights="others")
    assert len(write(tmp_path / "a.h5", arrays)) == 3
    assert "is of other data, code or settings: starting from the first layer" in caplog.text


def test_values_that_changed_since_are_written_again(tmp_path, arrays):
    import h5py

    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "a.h5", arrays, stop_before=2)
    with h5py.File(tmp_path / ".a-partial.h5", "r") as file:
        offset = file["layers/block.0"].id.get_offset()
    flip(tmp_path / ".a-partial.h5", 8 * offset + 3)
    assert write(tmp_path / "a.h5", arrays) == [LARGE.name, LAST.name]
    assert read(tmp_path / "a.h5") == {layer: arrays[layer].tobytes() for layer in LAYERS}


@pytest.mark.parametrize("keep", [0.0, 0.3, 0.7])
def test_a_partial_file_or_journal_that_is_cut_costs_time_and_nothing_else(tmp_path, arrays, keep):
    for name in (".a-partial.h5", ".a-partial.journal"):
        with pytest.raises(KeyboardInterrupt):
            write(tmp_path / "a.h5", arrays, stop_before=2)
        os.truncate(tmp_path / name, int(keep * (tmp_path / name).stat().st_size))
        write(tmp_path / "a.h5", arrays)
        assert read(tmp_path / "a.h5") == {layer: arrays[layer].tobytes() for layer in LAYERS}


def test_nonfinite_layers_stay_marked(tmp_path, arrays):
    with pytest.raises(KeyboardInterrupt), write_store(tmp_path / "a.h5", LAYERS, STIMULI, ATTRIBUTES) as store:
        store.put_gram(LARGE, np.full_like(arrays[LARGE], np.nan), finite=False)
        raise KeyboardInterrupt
    with write_store(tmp_path / "a.h5", LAYERS, STIMULI, ATTRIBUTES) as store:
        assert store.nonfinite == [LARGE.name]
        put(store, arrays, store.left(LAYERS))
    stored = ActivationStore(tmp_path / "a.h5")
    assert [layer.name for layer in stored.layers if stored.read(layer.name).nonfinite] == [LARGE.name]


CHILD = """
import itertools
import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, {tests!r})
from layerwise.activations.store import StoreWriter
from test_partial import *

count, put = itertools.count(), StoreWriter._put
def put_and_die(self, *given):
    if next(count) == {puts}:
        os.kill(os.getpid(), signal.SIGKILL)
    put(self, *given)
StoreWriter._put = put_and_die

with np.load({arrays!r}) as file:
    arrays = {{layer: file[layer.name.replace("/", "")] for layer in LAYERS}}
write(Path({path!r}), arrays)
"""


@pytest.mark.parametrize(("puts", "done"), [(0, 0), (1, 1), (2, 1), (3, 2), (4, 2)])
def test_a_killed_run_is_taken_up_where_it_stood(tmp_path, arrays, puts, done):
    np.savez(tmp_path / "arrays.npz", **{layer.name.replace("/", ""): array for layer, array in arrays.items()})
    path, tests = tmp_path / "results/a.h5", Path(__file__).parent
    code = CHILD.format(tests=str(tests), arrays=str(tmp_path / "arrays.npz"), path=str(path), puts=puts)
    paths = [str(tests.parent / "fixtures"), *filter(None, sys.path)]
    child = subprocess.run([sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)})
    assert child.returncode == -signal.SIGKILL and not path.exists()
    assert write(path, arrays) == [layer.name for layer in LAYERS[done:]]
    assert read(path) == {layer: arrays[layer].tobytes() for layer in LAYERS}
    assert [file.name for file in path.parent.iterdir()] == ["a.h5"]
