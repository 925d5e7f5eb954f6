import logging
import subprocess
import sys

import pytest
import torch
from damage import N_FLIPS, flipped
from torch import nn

from layerwise.files import Resumable
from layerwise.passes.hashing import hash_values
from layerwise.regression.pls1.components import LayerVectors
from layerwise.streaming.hosted import HostHistories
from layerwise.streaming.state import read_state, restore, save_state

UNITS, SPLITS, COMPONENTS, VALUE = 50_000, 2, 25, 4


def kept(path):
    return Resumable(path, "print", "starting from the first component")


def load(path, vectors, predictions):
    return restore(read_state(kept(path)), vectors, predictions)


def fill(hosted, generator, device="cpu"):
    """Vectors of two layers with random numbers, and the fit's histories."""
    histories = HostHistories(SPLITS, COMPONENTS, torch.float32, torch.device(device), hosted)
    layers = []
    for name in ("first", "second"):
        layer = LayerVectors.empty(UNITS, SPLITS, COMPONENTS, torch.float32, device, histories.of(name))
        for values in (layer.history.values, layer.shift, layer.sums, layer.direction, layer.square):
            values.copy_(torch.randn(values.shape, generator=generator))
        layers.append(layer)
    return layers, histories


@pytest.mark.parametrize("saved", [{}, {"second": UNITS}])
@pytest.mark.parametrize("loaded", [{}, {"first": UNITS}])
def test_a_state_is_as_large_as_what_is_done_and_comes_back_wherever_histories_lie(
    rng, device, tmp_path, saved, loaded
):
    generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
    path, component = tmp_path / "some.state", 3
    before, _owner = fill(saved, generator, device)
    predictions = torch.randn(2, 10, SPLITS, generator=generator, dtype=torch.float64).to(device)
    save_state(kept(path), component, before, predictions, [1])
    vectors = 3 + 3 * SPLITS  # shift, squares, what is left of them; means, residuals, directions
    size = 2 * UNITS * VALUE * (vectors + SPLITS * component)
    assert size < path.stat().st_size < 1.01 * size
    after, _other = fill(loaded, generator, device)
    found = torch.empty_like(predictions)
    assert load(path, after, found) == (component, [1])
    torch.testing.assert_close(found, predictions, rtol=0, atol=0)
    for one, other in zip(before, after, strict=True):
        for name in ("shift", "sums", "direction", "square", "scale", "first", "active"):
            torch.testing.assert_close(getattr(other, name), getattr(one, name), rtol=0, atol=0)
        for earlier, again in zip(one.history.before(component), other.history.before(component), strict=True):
            torch.testing.assert_close(again.to(device), earlier.to(device), rtol=0, atol=0)


def test_a_state_may_have_any_name(rng, tmp_path):
    before, _owner = fill({}, torch.Generator().manual_seed(0))
    for name in ("kept", ".kept", "some.state", "a b"):
        save_state(kept(tmp_path / name), 2, before, torch.zeros(2, 10, SPLITS), [])
        assert load(tmp_path / name, before, torch.zeros(2, 10, SPLITS)) == (2, [])


def test_where_the_disk_is_full_the_old_state_stays_and_it_is_said(tmp_path, monkeypatch, caplog):
    before, _owner = fill({}, torch.Generator().manual_seed(0))
    assert save_state(kept(tmp_path / "a.state"), 2, before, torch.zeros(2, 10, SPLITS), [])

    def write_half(_content, file):
        file.write(b"half")
        raise RuntimeError("[enforce fail at inline_container.cc:603] . unexpected pos 64 vs 0")  # as torch says it

    monkeypatch.setattr(torch, "save", write_half)
    assert not save_state(kept(tmp_path / "a.state"), 5, before, torch.zeros(2, 10, SPLITS), [], begun=True)
    assert "the state before component 6 could not be saved" in caplog.text
    assert load(tmp_path / "a.state", before, torch.zeros(2, 10, SPLITS)) == (2, [])
    assert [path.name for path in tmp_path.iterdir()] == ["a.state"]


def test_of_a_component_that_is_begun_its_own_residual_is_kept_too(tmp_path):
    before, _owner = fill({}, torch.Generator().manual_seed(0))
    after, _other = fill({}, torch.Generator().manual_seed(1))
    for component in (0, 7, COMPONENTS - 1):
        save_state(kept(tmp_path / "a.state"), component, before, torch.zeros(2, 10, SPLITS), [], begun=True)
        assert read_state(kept(tmp_path / "a.state"))["begun"]
        assert load(tmp_path / "a.state", after, torch.zeros(2, 10, SPLITS)) == (component, [])
        rows = min(component + 1, COMPONENTS - 1)  # nothing needs the last one's
        for one, other in zip(before, after, strict=True):
            assert torch.equal(one.history.values[:, :rows], other.history.values[:, :rows])


class Valued(nn.Module):
    """Parameters and buffers of many types, one of which no state dict has."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.arange(6.0).reshape(2, 3))
        self.rough = nn.Parameter(torch.ones(3, dtype=torch.bfloat16))
        self.register_buffer("count", torch.tensor(3))
        self.register_buffer("mask", torch.tensor([True, False]))
        self.register_buffer("passing", torch.tensor([1 + 2j]), persistent=False)
        self.register_buffer("none", None)
        self.register_buffer("empty", torch.zeros(0))


def test_every_value_of_a_network_changes_its_hash(device):
    network = Valued()
    found = {hash_values(network)}
    assert hash_values(Valued().to(device)) in found
    for change in (
        lambda: network.weight.data.add_(torch.eye(2, 3), alpha=1e-6),
        lambda: network.rough.data.mul_(2),
        lambda: network.count.add_(1),
        lambda: network.mask.logical_not_(),
        lambda: network.passing.mul_(1j),
        lambda: setattr(network, "weight", nn.Parameter(network.weight.data.reshape(3, 2))),
        lambda: setattr(network, "none", torch.zeros(1)),
    ):
        change()
        found.add(hash_values(network))
    assert len(found) == 8


def test_no_flipped_bit_changes_a_state(rng, tmp_path, caplog):
    """Torch itself does not look at the checksums of its archives."""
    generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
    histories = HostHistories(SPLITS, COMPONENTS, torch.float32, torch.device("cpu"), {})
    layer = LayerVectors.empty(300, SPLITS, COMPONENTS, torch.float32, "cpu", histories.of("first"))
    for values in (*layer.history.values, layer.shift, layer.sums, layer.direction, layer.square):
        values.copy_(torch.randn(values.shape, generator=generator))
    predictions, path = torch.randn(1, 10, SPLITS, generator=generator, dtype=torch.float64), tmp_path / "some.state"
    save_state(kept(path), 3, [layer], predictions, [1])

    def read():
        after = LayerVectors.empty(300, SPLITS, COMPONENTS, torch.float32, "cpu", histories.of("second"))
        for values in after.history.values:
            values.zero_()
        found = torch.zeros_like(predictions)
        done = load(path, [after], found)
        vectors = (after.shift, after.sums, after.direction, after.square, after.scale, after.first, after.active)
        return done, [values.numpy().tobytes() for values in (*vectors, *after.history.before(3), found)]

    expected, refused = read(), 0
    assert expected[0] == (3, [1])
    for _ in flipped(path, rng):
        caplog.clear()
        found = read()
        if found[0] == (0, []):
            refused += 1
            assert "some.state" in caplog.text
            assert "starting from the first component" in caplog.text
        else:
            assert found == expected
    assert refused > N_FLIPS / 2  # in the rest of the archive's headers a bit means nothing, such as a date


@pytest.mark.parametrize("content", [[1, 2], "text", torch.ones(3)])
def test_a_state_that_holds_something_else_is_not_gone_on_with(tmp_path, caplog, content):
    torch.save(content, tmp_path / "some.state")
    with caplog.at_level(logging.WARNING):
        assert load(tmp_path / "some.state", [], torch.zeros(1)) == (0, [])
    assert "some.state is damaged" in caplog.text


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), RuntimeError("failed writing file")])
def test_a_state_that_cannot_be_saved_is_a_warning_and_the_last_one_stays(tmp_path, monkeypatch, caplog, error):
    def fail(_content, file):
        file.write(b"half")
        raise error

    path = tmp_path / "some.state"
    path.write_bytes(b"the last one")
    monkeypatch.setattr(torch, "save", fail)
    save_state(kept(path), 3, [], torch.zeros(1), [])
    assert "the state before component 4 could not be saved to" in caplog.text
    assert path.read_bytes() == b"the last one"
    assert list(tmp_path.iterdir()) == [path]


def test_a_state_for_which_there_is_no_room_is_a_warning(tmp_path):
    program = """
import resource, sys
from pathlib import Path
import torch
from layerwise.files import Resumable
from layerwise.streaming.state import save_state
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
save_state(Resumable(Path(sys.argv[1]), "print", ""), 3, [], torch.zeros(100_000), [])
print("went on")
"""
    command = [sys.executable, "-c", program, tmp_path / "some.state"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "went on\n"), done
    assert "could not be saved" in done.stderr
    assert list(tmp_path.iterdir()) == []
