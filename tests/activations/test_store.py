import os
import resource
import subprocess
import sys

import h5py
import numpy as np
import pytest
from damage import N_FLIPS, count_refused, edited, flip

from layerwise.activations import ActivationStore, Part
from layerwise.activations import store as store_module
from layerwise.activations.packing import packed_size
from layerwise.activations.store import write_store
from layerwise.files import seal
from layerwise.interfaces import LayerSpec

N = 30
STIMULI = tuple(f"image{index:02d}" for index in range(N))
ATTRIBUTES = {"model": "mine", "weights": "w", "preprocessing": "p", "stimuli": "s", "code": "c"}
SMALL = LayerSpec("block.0/a%b", "ReLU", (5, 5), 25, 2)
LARGE = LayerSpec("block.0", "Conv2d", (4, 5, 5), 100, 1)
PATTERNS = np.arange(2.0 * N).reshape(2, N)


@pytest.fixture
def arrays(rng):
    raw = rng.normal(size=(N, SMALL.units)).astype(np.float32)
    gram = np.cov(rng.normal(size=(N, LARGE.units)))
    return raw, (gram + gram.T) / 2


def write(path, arrays, **changes):
    raw, gram = arrays
    with write_store(path, [SMALL, LARGE], STIMULI, ATTRIBUTES | changes) as store:
        store.put_activations(Part(SMALL, 0, 10), raw[:, :10])
        store.put_activations(Part(SMALL, 10, 25), raw[:, 10:])
        store.put_gram(LARGE, np.append(gram[np.triu_indices(N)], PATTERNS))


@pytest.fixture
def path(tmp_path, arrays):
    write(tmp_path / "a.h5", arrays)
    return tmp_path / "a.h5"


def change(path, **attributes):
    with edited(path) as file:
        file.attrs.update(attributes)


def test_what_is_written_is_read(path, arrays):
    store = ActivationStore(path, model="mine")
    assert (store.model, store.stimuli, store.attributes) == ("mine", STIMULI, ATTRIBUTES)
    assert store.layers == [LARGE, SMALL]
    small, large = store.read(SMALL.name), store.read(LARGE.name)
    assert (small.kind, large.kind) == ("activations", "gram")
    np.testing.assert_array_equal(small.array, arrays[0])
    np.testing.assert_array_equal(large.array, arrays[1])
    assert not small.nonfinite and not large.nonfinite
    assert (small.array.dtype, large.array.dtype) == (np.float32, np.float64)
    np.testing.assert_array_equal(large.patterns, PATTERNS)
    np.testing.assert_array_equal(store.read(LARGE.name, packed=True).array, arrays[1][np.triu_indices(N)])
    assert small.patterns is None


def test_a_file_of_the_former_version_is_read_and_has_no_patterns(tmp_path, arrays, monkeypatch):
    monkeypatch.setattr(store_module, "VERSION", 2)
    monkeypatch.setattr(store_module, "kept_size", packed_size)
    monkeypatch.setattr(sys.modules[__name__], "PATTERNS", np.zeros((2, 0)))
    write(tmp_path / "old.h5", arrays)
    monkeypatch.undo()
    old = ActivationStore(tmp_path / "old.h5").read(LARGE.name)
    np.testing.assert_array_equal(old.array, arrays[1])
    assert old.patterns is None


def test_what_is_kept_of_a_large_layer_is_whole(path, arrays):
    with write_store(path, [LARGE], STIMULI, ATTRIBUTES) as store:
        with pytest.raises(ValueError, match=r"465 values of block\.0 are given, not 525"):
            store.put_gram(LARGE, arrays[1][np.triu_indices(N)])
        store.put_gram(LARGE, np.append(arrays[1][np.triu_indices(N)], PATTERNS))


def test_no_flipped_bit_changes_activations(path, rng):
    def read():
        store = ActivationStore(path)
        layers = [store.read(layer.name) for layer in store.layers]
        values = [(stored.kind, stored.nonfinite, stored.array.tobytes()) for stored in layers]
        return store.stimuli, store.attributes, store.layers, values

    assert count_refused(path, rng, read, read()) == N_FLIPS


def test_a_layer_that_is_damaged_is_named_and_others_are_read(path, arrays):
    with h5py.File(path, "r") as file:
        offset = file["layers/block.0%2Fa%25b"].id.get_offset()
    flip(path, 8 * offset + 3)
    store = ActivationStore(path)
    np.testing.assert_array_equal(store.read(LARGE.name).array, arrays[1])
    with pytest.raises(ValueError, match=r"a\.h5 is damaged \(the layer 'block\.0/a%b' does not fit .*\): delete it"):
        store.read(SMALL.name)


def test_a_heap_that_would_keep_hdf5_busy_for_ever_is_found_before(path):
    content = bytearray(path.read_bytes())
    start = content.index(b"GCOL") + 16
    content[start : start + 512] = bytes(512)
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"is damaged .*delete it"):
        ActivationStore(path)


def test_nonfinite_layers_are_marked(tmp_path):
    with write_store(tmp_path / "a.h5", [SMALL], STIMULI, ATTRIBUTES) as store:
        store.put_activations(Part(SMALL, 0, 25), np.full((N, 25), np.nan, np.float32), finite=False)
        assert store.nonfinite == [SMALL.name]
    assert ActivationStore(tmp_path / "a.h5").read(SMALL.name).nonfinite


def test_file_of_another_network(path):
    with pytest.raises(ValueError, match="holds activations of 'mine', not of 'other': delete it"):
        ActivationStore(path, model="other")


def test_unknown_layer(path):
    with pytest.raises(ValueError, match=r"no layer 'block.1': did you mean block.0"):
        ActivationStore(path).read("block.1")


def test_stimuli_must_be_the_same_in_the_same_order(path):
    store = ActivationStore(path)
    store.check_stimuli(list(STIMULI))
    with pytest.raises(ValueError, match="they are in another order; delete it"):
        store.check_stimuli(STIMULI[::-1])
    with pytest.raises(ValueError, match=r"30 of them, here 29.*1 id differs, such as 'image29'"):
        store.check_stimuli(STIMULI[:-1])


@pytest.mark.parametrize("keep", [0, 7, 600, 0.5, 0.9, -1])
def test_truncated_files(path, keep):
    content = path.read_bytes()
    path.write_bytes(content[: int(keep * len(content)) if isinstance(keep, float) else keep])
    with pytest.raises(ValueError, match=r"has no checksums at its end: it is cut, .*delete it, and run the step"):
        ActivationStore(path)


def test_files_that_are_something_else(tmp_path, path):
    with pytest.raises(ValueError, match=r"no activations .*run the step that extracts them first"):
        ActivationStore(tmp_path / "missing.h5")
    (tmp_path / "text.h5").write_text("not HDF5")
    with pytest.raises(ValueError, match="or is another file; delete it"):
        ActivationStore(tmp_path / "text.h5")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = 1
    with pytest.raises(ValueError, match="or is another file; delete it"):
        ActivationStore(tmp_path / "other.h5")
    seal(tmp_path / "other.h5")
    with pytest.raises(ValueError, match="is not a file of activations"):
        ActivationStore(tmp_path / "other.h5")


def test_newer_unfinished_and_gutted_files(path):
    change(path, version=99)
    with pytest.raises(ValueError, match=r"newer layerwise .*version 99"):
        ActivationStore(path)
    change(path, version=1, complete=False)
    with pytest.raises(ValueError, match="was not finished: delete it"):
        ActivationStore(path)
    change(path, complete=True)
    with edited(path) as file:
        del file["stimuli"]
    with pytest.raises(ValueError, match="is damaged"):
        ActivationStore(path)


def test_file_that_is_cut_after_it_was_opened(path):
    store = ActivationStore(path)
    os.truncate(path, 900)
    with pytest.raises(ValueError, match="is damaged"):
        store.read(LARGE.name)


def test_an_error_leaves_nothing_behind_and_the_old_file_alone(path, arrays):
    before = path.read_bytes()
    with pytest.raises(KeyError), write_store(path, [SMALL], STIMULI, ATTRIBUTES):
        raise KeyError
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("missing", list(ATTRIBUTES))
def test_every_hash_must_be_given(tmp_path, arrays, missing):
    with pytest.raises(ValueError, match=f"without the attributes {missing}"):
        write(tmp_path / "b.h5", arrays, **{missing: ""})
    assert list(tmp_path.iterdir()) == []


def test_full_disk_is_seen_beforehand(tmp_path, arrays, monkeypatch):
    import shutil

    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
    with pytest.raises(OSError, match=r"disk has .* GB free, and the activations need"):
        write(tmp_path / "a.h5", arrays)
    assert list(tmp_path.iterdir()) == []


FULL = """
import numpy as np, sys
from layerwise.activations import Part
from layerwise.activations import store as store_module
from layerwise.activations.packing import packed_size
from layerwise.activations.store import write_store
from layerwise.interfaces import LayerSpec
layer = LayerSpec("a", "ReLU", (4000,), 4000, 1)
stimuli = [f"{index:05d}" for index in range(5000)]
attributes = dict.fromkeys(["model", "weights", "preprocessing", "stimuli", "code"], "x")
try:
    with write_store(sys.argv[1], [layer], stimuli, attributes) as store:
        store.put_activations(Part(layer, 0, 4000), np.ones((5000, 4000), np.float32))
except OSError as error:
    print("refused:", error)
    sys.exit(3)
"""


def test_disk_that_fills_up_while_writing(tmp_path):
    # A limit on the size of files stands in for a disk that another process fills.
    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (10**6, 10**6))

    command = [sys.executable, "-c", FULL, str(tmp_path / "a.h5")]
    result = subprocess.run(command, preexec_fn=limit, capture_output=True, text=True, check=False)
    assert "refused" in result.stdout, result
    assert list(tmp_path.iterdir()) == []
