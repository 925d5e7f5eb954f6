"""Libraries that hide why a file could not be written."""

import errno
from pathlib import Path

import pytest
import torch

from layerwise.files import atomic_path, written
from layerwise.finetuning.weights import _save

FULL = Path("/dev/full")
pytestmark = pytest.mark.skipif(not FULL.exists(), reason="no /dev/full here: a full disk cannot be imitated")


def test_torch_says_that_the_disk_is_full(tmp_path):
    content = {"a": torch.arange(50_000.0)}
    with written(tmp_path / "a.pt") as file:
        torch.save(content, file)
    assert torch.equal(torch.load(tmp_path / "a.pt")["a"], content["a"])
    (tmp_path / "full.pt").symlink_to(FULL)
    with pytest.raises(OSError, match=r"No space left .*full.pt") as told, written(tmp_path / "full.pt") as file:
        torch.save(content, file)
    assert told.value.errno == errno.ENOSPC


def test_an_error_that_is_none_of_the_disk_is_raised_as_it_is(tmp_path):
    with pytest.raises(ZeroDivisionError), written(tmp_path / "a") as file:
        file.write(b"a")
        raise ZeroDivisionError


def test_safetensors_says_so_too(tmp_path, monkeypatch):
    with atomic_path(tmp_path / "a.safetensors") as temporary:
        _save({"a": torch.ones(3)}, temporary, {})
    assert (tmp_path / "a.safetensors").stat().st_size
    said = "Error while serializing: I/O error: No space left on device (os error 28)"  # of safetensors 0.7, on a tmpfs
    from safetensors import SafetensorError

    def full(*_):
        raise SafetensorError(said)

    monkeypatch.setattr("layerwise.finetuning.weights.save_file", full)
    with pytest.raises(OSError, match="No space left on device") as told, atomic_path(tmp_path / "b") as temporary:
        _save({"a": torch.ones(3)}, temporary, {})
    assert (told.value.errno, told.value.filename) == (errno.ENOSPC, str(tmp_path / "b"))
    assert [path.name for path in tmp_path.iterdir()] == ["a.safetensors"]
    said = "Error while serializing: tensors share memory"
    with pytest.raises(SafetensorError, match="share memory"), atomic_path(tmp_path / "b") as temporary:
        _save({"a": torch.ones(3)}, temporary, {})
