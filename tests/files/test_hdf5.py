"""A disk that is full anywhere in the writing of an HDF5 file ends in an OSError, and HDF5 does not notice."""

import subprocess
import sys
import time

import h5py
import numpy as np
import pytest
from damage import flip

from layerwise.data.described import read_array
from layerwise.files.hdf5 import reserve, write_hdf5

PROGRAM = """
import resource, sys
import numpy as np
from layerwise.data.described import read_array
from layerwise.files.hdf5 import write_hdf5
for limit in range(0, 200_000, 4_000):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        with write_hdf5(sys.argv[1]) as (file, _):
            for number in range(100):
                file[f"group/{number}"] = np.arange(50.0)
                file[f"group/{number}"].attrs["words"] = ["of any length"] * 5
        print("written", limit)
    except OSError as error:
        assert error.filename == sys.argv[1] and error.errno, error
        print("full", limit)
"""


def test_a_place_that_is_reserved_says_nothing_of_when(tmp_path):
    written = []
    for name in ("now.h5", "later.h5"):
        with write_hdf5(tmp_path / name) as (file, _):
            dataset = reserve(file.create_group("group"), "values", (3, 5), np.float32)
            assert (dataset.name, dataset.shape, dataset.dtype) == ("/group/values", (3, 5), np.float32)
            offset = dataset.id.get_offset()
        with (tmp_path / name).open("r+b") as file:
            file.seek(offset)
            file.write(np.arange(15, dtype=np.float32).tobytes())
        written.append((tmp_path / name).read_bytes())
        time.sleep(1.1)  # HDF5 counts whole seconds
    assert written[0] == written[1]
    with h5py.File(tmp_path / "now.h5") as file:
        np.testing.assert_array_equal(file["group/values"], np.arange(15.0).reshape(3, 5))


def test_no_limit_of_a_file_brings_the_interpreter_down(tmp_path):
    done = subprocess.run([sys.executable, "-c", PROGRAM, tmp_path / "x.h5"], capture_output=True, text=True)
    assert done.returncode == 0, done
    assert done.stderr == ""
    size = (tmp_path / "x.h5").stat().st_size
    assert done.stdout.splitlines() == [f"full {limit}" for limit in range(0, size, 4_000)] + [
        f"written {limit}" for limit in range(size + -size % 4_000, 200_000, 4_000)
    ]


@pytest.mark.parametrize("mode", ["w", "r+"])
def test_hdf5_itself_reads_what_was_written(tmp_path, rng, mode):
    values, path = rng.normal(size=(40, 3)), tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        file["older"] = np.ones(3)
    with write_hdf5(path, mode) as (file, check):
        file["values"], file.attrs["name"] = values, "x"
        offset = file["values"].id.get_offset()
        check()
    with h5py.File(path) as file:
        assert np.array_equal(file["values"], values)
        assert file.attrs["name"] == "x"
        assert ("older" in file) == (mode == "r+")
    assert np.array_equal(np.fromfile(path, count=120, offset=offset).reshape(40, 3), values)


def test_an_error_within_is_raised_as_it_is(tmp_path):
    with pytest.raises(ZeroDivisionError), write_hdf5(tmp_path / "x.h5"):
        _ = 1 / 0


SHORT = """
import resource, sys
from pathlib import Path
import h5py
from layerwise.data.described import read_array
read_array(Path(sys.argv[1]), None)
found = set()
held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
for left in range(40, 400, 12):
    resource.setrlimit(resource.RLIMIT_AS, (held + left * 10**6, resource.RLIM_INFINITY))
    try:
        read_array(Path(sys.argv[1]), None)
        found.add("read")
    except MemoryError as error:
        found.add("memory")
print(*sorted(found))
"""


def test_memory_that_runs_out_in_a_filter_is_told_as_that(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("x", data=np.full((3000, 3000), 0.5), chunks=(3000, 3000), compression="gzip")
    done = subprocess.run([sys.executable, "-c", SHORT, tmp_path / "x.h5"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "memory read\n"), done


def test_a_damaged_chunk_is_no_lack_of_memory(tmp_path, rng):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("x", data=rng.normal(size=(30, 30)), chunks=(30, 30), compression="gzip")
        chunk = file["x"].id.get_chunk_info(0)
    for bit in range(chunk.byte_offset * 8, (chunk.byte_offset + 2) * 8):
        flip(tmp_path / "x.h5", bit)
    with pytest.raises(ValueError, match=f"{tmp_path}/x.h5 is truncated, or not .*filter returned failure"):
        read_array(tmp_path / "x.h5", None)
