"""Memory that ran out, as the libraries themselves say it under a limit, and as they are known to say it elsewhere."""

import errno
import json
import os
import subprocess
import sys
import zlib
from pathlib import Path

import h5py
import pandas as pd
import pyarrow as pa
import pytest
import scipy.io
import torch

from layerwise.activations.store import ActivationStore
from layerwise.data.matlab import read_matlab
from layerwise.data.partial import PartialPixels
from layerwise.data.pixels import PixelCache
from layerwise.data.recordings import list_regions
from layerwise.files import ran_out, reraise_memory, seal
from layerwise.files.tables import read_table, write_table
from layerwise.interfaces import ModelSpec
from layerwise.layers import survey_layers
from layerwise.models import build, downloads
from layerwise.models.downloads import Address, download
from layerwise.models.states import read_state
from layerwise.sketching.rows import FileRows

SCRIPT = Path(__file__).parents[1] / "fixtures" / "short_memory.py"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux alone keeps to limits of memory")
def test_it_is_recognised_and_calls_no_whole_file_damaged(tmp_path):
    fewest = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "ARROW_DEFAULT_MEMORY_POOL": "system"}
    command = [sys.executable, str(SCRIPT), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **fewest})
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert len(said) == 16
    assert {name: found for name, found in said.items() if not found[0]} == {}


SAID = [
    MemoryError(),
    pa.ArrowMemoryError("malloc of size 64 failed"),
    pa.ArrowException("Unknown error: Failed to launch worker thread: Resource temporarily unavailable"),
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.\nmore"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you tried"),
    RuntimeError("could not create a primitive"),
    RuntimeError("could not create a primitive\nmore"),
    RuntimeError("can't start new thread"),
    RuntimeError("std::bad_alloc"),
    OSError(errno.ENOMEM, "Cannot allocate memory"),
    OSError("Can't synchronously read data (memory allocation failed for raw data chunk)"),
    KeyError("Unable to synchronously open object (memory allocation failed for object header)"),
    RuntimeError("Can't decrement id ref count (can't allocate memory for path)"),
    ImportError("libtorch_cpu.so: failed to map segment from shared object"),
    pd.errors.ParserError("Error tokenizing data. C error: out of memory"),
    SystemError("error return without exception set"),
    SystemError("<built-in function compile> returned NULL without setting an exception"),
]
OTHER = [
    ValueError("out of memory.csv is not a CSV"),  # quotes a user
    FileNotFoundError(errno.ENOENT, "No such file or directory", "out of memory"),
    OSError(errno.ENOSPC, "No space left on device"),
    OSError("Unable to synchronously create dataset (can't allocate file space)"),
    RuntimeError("Can't decrement id ref count (unable to flush file's cached information)"),
    RuntimeError("could not create a primitive descriptor for the matmul primitive"),
    RuntimeError("mat1 and mat2 shapes cannot be multiplied (1x2 and 3x4)"),
    ImportError("No module named 'x'"),
    pd.errors.ParserError("Error tokenizing data. C error: Expected 2 fields in line 3, saw 4"),
    torch.linalg.LinAlgError("no SVD"),
]


@pytest.mark.parametrize("error", SAID, ids=repr)
def test_what_libraries_say_of_it(error):
    assert ran_out(error)
    with pytest.raises(MemoryError, match=r"^reading a\.h5: .+") as told:
        reraise_memory(error, "reading a.h5")
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("error", OTHER, ids=repr)
def test_what_is_no_matter_of_memory(error):
    assert not ran_out(error)
    reraise_memory(error, "reading a.h5")


def test_errors_that_come_from_it_count_and_those_that_replace_it_do_not():
    def wrapped(cause):
        try:
            try:
                raise MemoryError
            except MemoryError as error:
                raise RuntimeError("no backend can read it") from (error if cause else None)
        except RuntimeError as error:
            return error

    assert ran_out(wrapped(cause=True))
    assert not ran_out(wrapped(cause=False))


def test_a_truncated_file_is_no_matter_of_memory(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = list(range(10_000))
    (tmp_path / "a.h5").write_bytes((tmp_path / "a.h5").read_bytes()[:5000])
    with pytest.raises(OSError, match="truncated") as raised, h5py.File(tmp_path / "a.h5") as file:
        file["x"][:]
    assert not ran_out(raised.value)


def raising(error):
    def raise_it(*_, **__):
        raise error

    return raise_it


@pytest.fixture
def whole(tmp_path):
    path = tmp_path / "a.h5"
    h5py.File(path, "w").close()
    seal(path, [])
    return path


def of_rows(path):
    rows = object.__new__(FileRows)
    rows.path = path
    rows._is_of("a fingerprint")


@pytest.mark.parametrize("read", [ActivationStore, PixelCache, list_regions, of_rows])
def test_hdf5_without_memory_is_not_damaged(whole, monkeypatch, read):
    monkeypatch.setattr(h5py, "File", raising(SAID[11]))
    with pytest.raises(MemoryError, match=r"reading .*a\.h5: .*memory allocation failed"):
        read(whole)


def test_pixels_that_were_begun_are_kept(tmp_path, monkeypatch):
    shape = (2, 4, 4, 3)
    begun = PartialPixels(tmp_path / "a.h5", shape, "key")
    monkeypatch.setattr(h5py, "File", raising(SAID[11]))
    with pytest.raises(MemoryError, match="memory allocation failed"):
        PartialPixels(tmp_path / "a.h5", shape, "key")
    assert begun.path.is_file() and begun.journal.is_file()


def test_a_table_without_memory_is_not_damaged(tmp_path, monkeypatch):
    write_table(pd.DataFrame({"x": [1]}), tmp_path / "a.parquet")
    monkeypatch.setattr(pd, "read_parquet", raising(OSError(errno.ENOMEM, "Cannot allocate memory")))
    with pytest.raises(MemoryError, match=r"reading .*a\.parquet"):
        read_table(tmp_path / "a.parquet")


def test_a_network_without_memory_is_no_mistake_of_a_user(monkeypatch):
    monkeypatch.setattr("tiny_networks.build", raising(SAID[5]))
    with pytest.raises(MemoryError, match="building tiny_networks:build"):
        build(ModelSpec("a", "factory", "tiny_networks:build"), "random")
    monkeypatch.setattr("timm.create_model", raising(SAID[5]))
    with pytest.raises(MemoryError, match="building resnet18"):
        build(ModelSpec("a", "timm", "resnet18"), "random")
    network = torch.nn.Flatten()
    monkeypatch.setattr(network, "forward", raising(SAID[6]))
    with pytest.raises(RuntimeError, match=r"^could not create a primitive$"):
        survey_layers(network, 32)


def test_a_download_without_memory_is_not_tried_elsewhere(tmp_path, monkeypatch):
    monkeypatch.setattr(downloads, "_fetch", raising(OSError(errno.ENOMEM, "Cannot allocate memory")))
    with pytest.raises(MemoryError, match=r"writing .*a\.pth"):
        download(Address("https://nowhere.invalid/a.pth", "a.pth", "0" * 64), tmp_path)


def test_an_archive_without_memory_is_not_broken(tmp_path, monkeypatch):
    torch.save({"weight": torch.zeros(3)}, tmp_path / "a.pth")
    monkeypatch.setattr(
        "zipfile.ZipFile.testzip", raising(zlib.error("Error -4 while decompressing: insufficient memory"))
    )
    with pytest.raises(MemoryError, match=r"reading .*a\.pth: Error -4"):
        read_state(tmp_path / "a.pth")


def test_a_file_of_matlab_without_memory_is_not_truncated(tmp_path, monkeypatch):
    scipy.io.savemat(tmp_path / "a.mat", {"x": [1.0, 2.0]})
    monkeypatch.setattr("scipy.io.loadmat", raising(SAID[10]))
    with pytest.raises(MemoryError, match="Cannot allocate memory"):
        read_matlab(tmp_path / "a.mat", "x")
