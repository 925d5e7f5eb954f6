"""Rows come back as they were given, in the type and the memory that the plan states."""

import os

import pytest
import torch

from layerwise.interfaces import LayerSpec
from layerwise.sketching import rows as module
from layerwise.sketching.layer import LayerRows
from layerwise.sketching.planner import SOLVING, row_bytes
from layerwise.sketching.rows import FileRows, MemoryRows

SPECS = [LayerSpec("few", "Linear", (30,), 30, 1), LayerSpec("many", "Linear", (500,), 500, 2)]
DIMENSIONS, IMAGES = 64, 50


@pytest.fixture(params=["memory", "file"])
def filled(request, tmp_path, monkeypatch):
    """Rows of two layers, added in batches, and what was added; a file is read in pieces that do not divide it."""
    monkeypatch.setattr(module, "READ_AT_ONCE", 7)
    layers = [LayerRows.of(layer, DIMENSIONS, 0, torch.device("cpu")) for layer in SPECS]
    for layer in layers:
        layer.make_room(8)
    rows = MemoryRows(layers, IMAGES) if request.param == "memory" else FileRows(tmp_path / "r", "a", layers, IMAGES, 0)
    rows.begin(layers)
    added = [torch.randn(IMAGES, layer.batch.shape[1]).to(layer.batch.dtype) for layer in layers]
    for start in range(0, IMAGES, 8):
        count = min(8, IMAGES - start)
        for layer, values in zip(layers, added, strict=True):
            layer.batch[:count] = values[start : start + count]
        rows.append(layers, count)
    yield rows, added
    rows.close()


def test_they_come_back_as_they_were_given(filled):
    rows, added = filled
    assert rows.done == IMAGES
    for index, (values, dtype) in enumerate(zip(added, (torch.float64, torch.float32), strict=True)):
        found = rows.read(index)
        assert found.dtype == dtype
        assert torch.equal(found, values.to(dtype))


def test_what_is_read_is_a_copy_of_the_size_that_the_plan_states(filled):
    rows, added = filled
    for index, layer in enumerate(SPECS):
        found = rows.read(index)
        assert found.nbytes == SOLVING * IMAGES * row_bytes(layer, DIMENSIONS)
        found.zero_()
        assert torch.equal(rows.read(index), added[index].to(found.dtype))


def test_a_link_stays_and_what_is_no_file_is_refused(tmp_path):
    layers = [LayerRows.of(layer, DIMENSIONS, 0, torch.device("cpu")) for layer in SPECS]
    for layer in layers:
        layer.make_room(8)
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "rows")
    FileRows(link, "a", layers, IMAGES, 0).close()
    assert link.is_symlink() and not (tmp_path / "rows").exists()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="pipe is a pipe: name a file"):
        FileRows(tmp_path / "pipe", "a", layers, IMAGES, 0)
    assert (tmp_path / "pipe").is_fifo()
