"""HDF5 files that would keep HDF5 busy for ever, bring it down, or lead to other files."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

from layerwise.files import foreign, try_hdf5

WORDS = [f"stimulus {index}" for index in range(200)]


def break_heap(path):
    """Zero part of the heap that holds the words: HDF5 goes through it without an end."""
    content = bytearray(path.read_bytes())
    start = content.index(b"GCOL") + 16
    content[start : start + 512] = bytes(512)
    path.write_bytes(content)


@pytest.fixture
def path(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["words"] = np.array(WORDS, dtype=object)
        file["numbers"] = np.arange(12.0).reshape(3, 4)
        file.create_dataset("chunked", data=np.ones((100, 50)), chunks=(7, 9), compression="gzip")
        file.create_dataset("empty", shape=(0, 3), chunks=(1, 3), maxshape=(None, 3))
        file["a group/scalar"] = 3
        file["a group/again"], file["nowhere"] = file["/"], h5py.SoftLink("/none")
    return tmp_path / "a.h5"


def test_whole_files_and_such_as_hdf5_refuses_itself_are_passed(path):
    try_hdf5(path)
    path.write_bytes(path.read_bytes()[:-100])
    try_hdf5(path)
    path.write_bytes(b"\x89HDF\r\n\x1a\n")
    try_hdf5(path)


def test_a_file_without_an_end_is_named_after_some_time(path, monkeypatch):
    monkeypatch.setattr(foreign, "SECONDS", 1)
    break_heap(path)
    with pytest.raises(ValueError, match=r"a\.h5 is damaged \(HDF5 comes to no end with it\): copy or export it again"):
        try_hdf5(path)
    with pytest.raises(ValueError, match="comes to no end"):
        try_hdf5(path, ["words"])
    try_hdf5(path, ["numbers"])  # nothing else is read


def test_a_process_that_breaks_down_is_told(path, monkeypatch, tmp_path):
    (tmp_path / "trial.py").write_text("import os\nos.kill(os.getpid(), 11)\n")
    monkeypatch.setattr(foreign, "_TRIAL", tmp_path / "trial.py")
    with pytest.raises(ValueError, match=r"a\.h5 is damaged \(HDF5 breaks down with it, by SIGSEGV\)"):
        try_hdf5(path)
    (tmp_path / "trial.py").write_text("import no_such_module\n")
    with pytest.raises(ValueError, match=r"cannot be tried on it: ModuleNotFoundError: .*no_such_module"):
        try_hdf5(path)


@pytest.mark.parametrize(
    ("program", "told"),
    [
        ("raise MemoryError", "MemoryError"),
        ("import numpy; numpy.empty(2**50)", "Unable to allocate 8.00 PiB"),
        ("raise ImportError('libhdf5.so: failed to map segment from shared object')", "failed to map segment"),
        ("import os; os.kill(os.getpid(), 9)", "the process that tried it was killed"),
    ],
)
def test_a_process_without_memory_does_not_call_the_file_damaged(path, monkeypatch, tmp_path, program, told):
    (tmp_path / "trial.py").write_text(program)
    monkeypatch.setattr(foreign, "_TRIAL", tmp_path / "trial.py")
    with pytest.raises(MemoryError, match=rf"reading .*a\.h5: .*{told}"):
        try_hdf5(path)


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="needs Linux, to find the other process")
@pytest.mark.parametrize("command", [["data", "check"], ["data", "import", "--output", "out.nc"]])
def test_a_command_that_waits_for_such_a_file_honours_a_termination(path, tmp_path, command):
    break_heap(path)
    path.rename(tmp_path / "r.h5")
    (tmp_path / "described.yaml").write_text(
        "{responses: r.h5, array: words, dimensions: [stimulus, neuroid], stimuli: t.csv, neuroids: t.csv, images: .}"
    )
    (tmp_path / "t.csv").write_text("stimulus,image,neuroid,region\na,a.png,n,V1\n")
    given = "r.h5" if command[1] == "check" else "described.yaml"
    program = f"from layerwise.cli import main; import sys; sys.argv = ['layerwise', *{[*command, given]}]; main()"
    process = subprocess.Popen([sys.executable, "-c", program], cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    child, deadline = "", time.monotonic() + 30
    while not child:
        assert time.monotonic() < deadline
        assert process.poll() is None, process.stderr.read()
        child = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().strip()
    time.sleep(0.5)
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 143
    with pytest.raises(ProcessLookupError):
        os.kill(int(child), 0)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["described.yaml", "r.h5", "t.csv"]


@pytest.mark.parametrize("kind", ["link", "deep link", "storage", "virtual"])
def test_parts_in_other_files_are_refused(path, tmp_path, kind):
    with h5py.File(path, "a") as file:
        if kind.endswith("link"):
            file["x" if kind == "link" else "a group/x"] = h5py.ExternalLink(tmp_path / "secret.h5", "data")
        elif kind == "storage":
            file.create_dataset("x", (5,), "f8", external=[(tmp_path / "secret", 0, h5py.h5f.UNLIMITED)])
        else:
            layout = h5py.VirtualLayout((5,), "f8")
            layout[:] = h5py.VirtualSource(tmp_path / "secret.h5", "data", (5,))
            file.create_virtual_dataset("x", layout)
    with pytest.raises(ValueError, match=r"a\.h5 has .*x' in another file .*, which is not read: write all of it into"):
        try_hdf5(path)


def test_parts_in_the_file_itself_are_read(path):
    with h5py.File(path, "a") as file:
        layout = h5py.VirtualLayout((3, 4), "f8")
        layout[:] = h5py.VirtualSource(".", "numbers", (3, 4))
        file.create_virtual_dataset("x", layout)
        file["soft"] = h5py.SoftLink("/numbers")
    try_hdf5(path)
