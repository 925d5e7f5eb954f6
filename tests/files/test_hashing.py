import hashlib

import numpy as np

from layerwise.files import hash_arrays, hash_file, hash_object


def test_hash_of_a_file_is_its_published_checksum(tmp_path):
    content = np.random.default_rng().bytes(100_000)
    (tmp_path / "file").write_bytes(content)
    assert hash_file(tmp_path / "file") == hashlib.sha256(content).hexdigest()


def test_hash_of_an_object_ignores_the_order_of_keys_only():
    assert hash_object({"a": 1, "b": [1, 2]}) == hash_object({"b": [1, 2], "a": 1})
    assert hash_object([1, 2]) != hash_object([2, 1])


def test_hash_of_arrays_sees_values_types_and_shapes(rng):
    x = rng.standard_normal((3, 4))
    assert hash_arrays(x) == hash_arrays(np.asfortranarray(x.copy()))
    changed = x.copy()
    changed[1, 2] = np.nextafter(changed[1, 2], 1e9)
    assert len({hash_arrays(y) for y in (x, changed, x.reshape(4, 3), x.astype(np.float32))}) == 4
