"""Numbers for missing responses, in every type, against plain loops and what netCDF's conventions say."""

import h5py
import numpy as np
import pytest

from layerwise.data.missing import decode, fill_of, is_code


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", ">f4", "int16", "int32", "int64"])
@pytest.mark.parametrize("code", [-999, -999.0, 255, 32767, -1])
def test_whole_codes_are_found_in_any_type(dtype, code):
    values = np.array([0, 1, code, -5, 254]).astype(dtype)
    assert is_code(values, [code]).tolist() == [float(value) == float(np.dtype(dtype).type(code)) for value in values]
    assert is_code(values, [code])[2]


@pytest.mark.parametrize("code", [-999.9, 1e20, -9.99e33, 0.1])
def test_codes_are_compared_as_the_array_writes_them(code):
    single = np.array([1, code, -999.8], dtype=np.float32)
    for values in (single, single.astype(np.float64), np.array([1, code, -999.8])):
        assert is_code(values, [code]).tolist() == [False, True, False]


def test_a_code_that_a_type_cannot_hold_is_nowhere():
    assert not is_code(np.array([0, 255, 231], np.uint8), [-1, -25, 256, 1e20, 254.5, 231.5]).any()
    assert not is_code(np.array([np.inf, 1], np.float16), [1e20]).any()
    assert is_code(np.array([np.inf, -np.inf, 1]), [np.inf]).tolist() == [True, False, False]
    assert not is_code(np.array([np.nan, 1]), [np.nan]).any()
    assert is_code(np.array([2**63 - 1, 2**63 - 2]), [2**63 - 1]).tolist() == [True, False]  # as float they are equal


@pytest.mark.parametrize("name", ["_FillValue", "missing_value"])
@pytest.mark.parametrize("kind", [np.float32, np.float64, float, "array", "text"])
def test_what_a_file_says_is_missing_is_nan(name, kind):
    code = {"array": np.array([-999.9]), "text": "-999.9"}.get(kind) if isinstance(kind, str) else kind(-999.9)
    found = decode(np.array([1, -999.9, 3], np.float32), {name: code, "units": "ms"}, "it")
    np.testing.assert_array_equal(found, np.array([1, np.nan, 3], np.float32))
    assert found.dtype == np.float32


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"valid_range": [0.0, 0.1]}, [0, 0.1, np.nan, np.nan]),
        ({"valid_min": 0}, [0, 0.1, 5, np.nan]),
        ({"valid_max": 0.1}, [0, 0.1, np.nan, -1]),
        ({"missing_value": [5.0, -1.0]}, [0, 0.1, np.nan, np.nan]),
    ],
)
def test_numbers_outside_the_valid_range_are_missing(attributes, expected):
    found = decode(np.array([0, 0.1, 5, -1], np.float32), attributes, "it")
    np.testing.assert_array_equal(found, np.array(expected, np.float32))


def test_packed_numbers_are_unpacked_after_missing_ones_are_found():
    stored = np.array([0, 10, -1], np.int16)
    found = decode(stored, {"scale_factor": 0.5, "add_offset": 2.0, "_FillValue": np.int16(-1)}, "it")
    np.testing.assert_array_equal(found, [2, 7, np.nan])


def test_numbers_of_which_nothing_is_said_stay_as_they_are():
    stored = np.array([0, 10, -1], np.int16)
    assert decode(stored, {"units": "spikes"}, "it") is stored
    assert decode(stored, {"_FillValue": np.int16(-7)}, "it") is stored


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        ({"missing_value": "none"}, "missing_value of it is .*not a number"),
        ({"scale_factor": "a"}, "scale_factor of it"),
        ({"valid_range": [1.0]}, "valid_range of it holds 1 numbers"),
        ({"_Unsigned": "true"}, "unsigned numbers"),
    ],
)
def test_attributes_that_say_nothing_usable_are_refused(attributes, words):
    with pytest.raises(ValueError, match=words):
        decode(np.zeros(2, np.int16), attributes, "it")


@pytest.mark.parametrize(
    ("dtype", "fill", "expected"),
    [
        ("f4", -999.9, np.float32(-999.9)),
        ("i2", -32767, -32767),
        ("f8", None, None),
        ("f8", 0, None),
        ("u1", 255, None),
    ],
)
def test_places_that_were_never_written_are_known(tmp_path, dtype, fill, expected):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        assert fill_of(file.create_dataset("a", (3,), dtype, fillvalue=fill)) == expected
