"""Rows come back as they were given, in the type and the memory that the plan states."""

import logging
import os

import numpy as np
import pytest
import torch
from damage import N_FLIPS, edited, flip, flipped

from layerwise.interfaces import LayerSpec
from layerwise.sketching import rows as module
from layerwise.sketching.groups import SOLVING, row_bytes
from layerwise.sketching.layer import LayerRows
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


def begin(path, done):
    """A file of rows as a process leaves it that was killed, and what it holds."""
    layers = [LayerRows.of(layer, DIMENSIONS, 0, torch.device("cpu")) for layer in SPECS]
    for layer in layers:
        layer.make_room(done)
        layer.shift.copy_(torch.randn(layer.shift.shape))
        layer.batch.copy_(torch.randn(layer.batch.shape))
    rows = FileRows(path, "a", layers, IMAGES, 0)
    rows.begin(layers)
    rows.append(layers, done)
    rows._file.close()
    return [layer.shift.numpy().copy() for layer in layers], [layer.batch.clone() for layer in layers]


def go_on(path):
    layers = [LayerRows.of(layer, DIMENSIONS, 0, torch.device("cpu")) for layer in SPECS]
    rows = FileRows(path, "a", layers, IMAGES, 0)
    rows._file.close()
    held = [rows._load(f"{index}/rows", 0, rows.done) for index in range(len(SPECS))]
    return rows.done, held, [layer.shift.numpy() for layer in layers]


def test_no_flipped_bit_is_gone_on_with(tmp_path, rng, caplog):
    path, refused = tmp_path / "rows.h5", 0
    shifts, batches = begin(path, 40)
    for _ in flipped(path, rng):
        caplog.clear()
        done, held, found = go_on(path)
        assert done in (0, 40)
        if done:
            for ours, theirs in zip([*shifts, *batches], [*found, *held], strict=True):
                np.testing.assert_array_equal(ours, theirs)
        else:
            refused += 1
            assert "rows.h5 " in caplog.text
            assert "starting from the first image" in caplog.text
    assert refused > N_FLIPS / 2  # the others were in rows that are not counted yet


def test_rows_that_are_damaged_while_a_job_runs_are_named(tmp_path):
    layers = [LayerRows.of(layer, DIMENSIONS, 0, torch.device("cpu")) for layer in SPECS]
    for layer in layers:
        layer.make_room(IMAGES)
        layer.batch.copy_(torch.randn(layer.batch.shape))
    rows = FileRows(tmp_path / "rows.h5", "a", layers, IMAGES, 0)
    rows.begin(layers)
    rows.append(layers, IMAGES)
    flip(rows.path, 8 * (rows._places["1/rows"][0] + 1000))
    assert torch.equal(rows.read(0), layers[0].batch.to(torch.float64))
    with pytest.raises(ValueError, match=r"rows\.h5 is damaged \(rows of layer 1 do not fit .*\): delete it, and run"):
        rows.read(1)
    rows.close()


@pytest.mark.parametrize("count", [-1, IMAGES + 1, 2**40])
def test_a_count_that_cannot_be_is_not_gone_on_with(tmp_path, count, caplog):
    begin(tmp_path / "rows.h5", 40)
    with edited(tmp_path / "rows.h5") as file:
        file["done"][:] = module._count(count)
    with caplog.at_level(logging.WARNING):
        assert go_on(tmp_path / "rows.h5")[0] == 0
    assert "its count does not fit" in caplog.text


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
