import hashlib
import logging
import pickle

import pytest
import torch
from damage import N_FLIPS, flipped
from safetensors.torch import save_file
from torch import nn

from layerwise.models.states import load_state, read_state, rename_in_order


def small():
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))


def same(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("ending", [".pth", ".pt"])
@pytest.mark.parametrize("wrap", [lambda s: s, lambda s: {"state_dict": s, "epoch": 3}])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_reads_what_people_save(tmp_path, ending, wrap, prefix):
    state = small().state_dict()
    torch.save(wrap({prefix + name: value for name, value in state.items()}), tmp_path / f"a{ending}")
    assert same(read_state(tmp_path / f"a{ending}"), state)


def test_reads_safetensors(tmp_path):
    state = small().state_dict()
    save_file(state, tmp_path / "a.safetensors")
    assert same(read_state(tmp_path / "a.safetensors"), state)


class Evil:
    def __reduce__(self):
        return (open, ("ran", "w"))


def test_code_in_a_file_is_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"weight": torch.zeros(3), "more": Evil()}, tmp_path / "a.pth")
    with pytest.raises(ValueError, match="not read"):
        read_state(tmp_path / "a.pth")
    (tmp_path / "b.pth").write_bytes(pickle.dumps(Evil(), protocol=2))
    with pytest.raises(ValueError, match="not read"):
        read_state(tmp_path / "b.pth")
    assert not (tmp_path / "ran").exists()


class Settings:
    pass


def test_what_is_in_a_file_that_is_not_read_is_told(tmp_path):
    torch.save({"model": small().state_dict(), "args": Settings()}, tmp_path / "settings.pth")
    torch.save(small(), tmp_path / "network.pth")
    torch.jit.save(torch.jit.script(small()), tmp_path / "script.pt")
    for name, told in (
        ("settings.pth", r"objects besides tensors \(\S*Settings\)"),
        ("network.pth", r"objects besides tensors \(torch\.nn\.modules\.container\.Sequential\)"),
        ("script.pt", "is a TorchScript program, whose code is not run"),
    ):
        with pytest.raises(ValueError, match=told):
            read_state(tmp_path / name)


@pytest.mark.parametrize("page", ["<!DOCTYPE html><html>", "\n  <HTML>"])
def test_web_page_in_place_of_a_file(tmp_path, page):
    (tmp_path / "a.pth").write_text(page)
    with pytest.raises(ValueError, match="is a web page, not a file of weights"):
        read_state(tmp_path / "a.pth")


@pytest.mark.parametrize("ending", [".pth", ".safetensors"])
@pytest.mark.parametrize("keep", [0, 1, 0.5, 0.99])
def test_truncated_file(tmp_path, ending, keep):
    path = tmp_path / f"a{ending}"
    torch.save(small().state_dict(), path) if ending == ".pth" else save_file(small().state_dict(), path)
    content = path.read_bytes()
    path.write_bytes(content[: keep if keep in (0, 1) else int(keep * len(content))])
    with pytest.raises(ValueError, match=r"damaged|not a whole file"):
        read_state(path)


def saved(path, kind):
    state = small().state_dict()
    if kind == "safetensors":
        save_file(state, path)
    else:
        torch.save(state, path, _use_new_zipfile_serialization=kind == "zip")
    return path.read_bytes()


KINDS = [("zip", ".pth"), ("legacy", ".pth"), ("safetensors", ".safetensors")]


@pytest.mark.parametrize(("kind", "ending"), KINDS)
def test_every_truncation_is_refused_in_words(tmp_path, rng, kind, ending):
    path = tmp_path / f"a{ending}"
    content = saved(path, kind)
    assert read_state(path)
    for keep in {*range(200), *rng.integers(0, len(content), 200), len(content) - 1}:
        path.write_bytes(content[:keep])
        with pytest.raises(ValueError, match=r"damaged|not a whole file|not tensors by name"):
            read_state(path)


@pytest.mark.parametrize(("kind", "ending"), KINDS)
@pytest.mark.filterwarnings("ignore")
def test_flipped_bytes_are_refused_in_words_or_give_tensors_by_name(tmp_path, rng, kind, ending):
    path = tmp_path / f"a{ending}"
    content, refused = saved(path, kind), 0
    for _ in range(400):
        damaged = bytearray(content)
        for place in rng.integers(0, len(content), rng.integers(1, 6)):
            damaged[place] ^= rng.integers(1, 256)
        path.write_bytes(damaged)
        try:
            state = read_state(path)
        except ValueError as error:
            refused += 1
            assert str(path) in str(error)
        else:
            assert all(isinstance(name, str) and isinstance(state[name], torch.Tensor) for name in state)
    assert refused > 20


@pytest.mark.parametrize(("kind", "ending"), KINDS)
def test_no_flipped_bit_changes_weights_that_have_a_checksum(tmp_path, rng, kind, ending):
    """Archives of torch have checksums of their own; the others need a file beside them."""
    path, refused = tmp_path / f"a{ending}", 0
    digest = hashlib.sha256(saved(path, kind)).hexdigest()
    before = read_state(path)
    if kind != "zip":
        (tmp_path / f"a{ending}.sha256").write_text(f"{digest}  a{ending}\n")
    for _ in flipped(path, rng):
        try:
            assert same(read_state(path), before)
        except ValueError as error:
            refused += 1
            assert str(path) in str(error)
    assert refused == N_FLIPS or (kind == "zip" and refused > N_FLIPS / 2)  # its headers hold dates


def test_the_hash_beside_a_file_is_honoured(tmp_path, caplog):
    path, beside = tmp_path / "a.safetensors", tmp_path / "a.safetensors.sha256"
    digest = hashlib.sha256(saved(path, "safetensors")).hexdigest()
    with caplog.at_level(logging.INFO, "layerwise"):
        read_state(path)
    assert f"a.safetensors has no checksum in it (its SHA-256 is {digest})" in caplog.text
    beside.write_text(digest.upper())
    assert read_state(path)
    beside.write_text("0" * 64)
    with pytest.raises(ValueError, match=rf"a\.safetensors is damaged or another file: its SHA-256 is {digest}"):
        read_state(path)
    for content in ("", "0" * 63, "see the web page"):
        beside.write_text(content)
        with pytest.raises(ValueError, match=r"sha256 must begin with the SHA-256 of a\.safetensors, 64 hexadecimal"):
            read_state(path)


def test_an_archive_that_was_saved_without_checksums_needs_a_hash(tmp_path):
    path = tmp_path / "a.pth"
    torch.serialization.set_crc32_options(False)
    try:
        digest = hashlib.sha256(saved(path, "zip")).hexdigest()
    finally:
        torch.serialization.set_crc32_options(True)
    with pytest.raises(ValueError, match=r"a\.pth is damaged .* if torch was told to save it without checksums, write"):
        read_state(path)
    (tmp_path / "a.pth.sha256").write_text(digest)
    assert read_state(path)


def test_lack_of_memory_is_no_damage(tmp_path, monkeypatch):
    def full(*_, **__):
        raise MemoryError

    saved(tmp_path / "a.pth", "zip")
    monkeypatch.setattr(torch, "load", full)
    with pytest.raises(MemoryError):
        read_state(tmp_path / "a.pth")


def test_keys_that_are_no_names(tmp_path):
    torch.save({"weight": torch.zeros(3), 7: torch.zeros(3)}, tmp_path / "a.pth")
    torch.save({"state_dict": {7: 0.1}}, tmp_path / "b.pth")
    for name in ("a.pth", "b.pth"):
        with pytest.raises(ValueError, match="keys that are no names: 7;"):
            read_state(tmp_path / name)


def test_other_contents_and_endings(tmp_path):
    torch.save([1, 2], tmp_path / "list.pth")
    torch.save({"lr": 0.1}, tmp_path / "numbers.pth")
    (tmp_path / "notes.txt").touch()
    with pytest.raises(ValueError, match="holds list, not tensors"):
        read_state(tmp_path / "list.pth")
    with pytest.raises(ValueError, match="other than tensors: lr"):
        read_state(tmp_path / "numbers.pth")
    with pytest.raises(ValueError, match=r"must end in \.pth, \.pt, \.safetensors"):
        read_state(tmp_path / "notes.txt")


def test_misfits_are_counted_and_named_and_nothing_is_loaded():
    network = small()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    state = {name: value + 1 for name, value in before.items() if name != "0.bias"}
    state["2.weight"], state["9.bias"] = torch.zeros(7, 4), torch.zeros(1)
    with pytest.raises(ValueError) as error:
        load_state(network, state, "file.pth")
    for part in ("1 missing (0.bias)", "1 not in the network (9.bias)", "2.weight (7, 4) instead of (2, 4)"):
        assert part in str(error.value)
    assert same(network.state_dict(), before)


def test_long_lists_are_cut():
    with pytest.raises(ValueError, match=r"30 not in the network \(x0, x1, x2, x3, x4, \.\.\.\)"):
        load_state(small(), small().state_dict() | {f"x{i}": torch.zeros(1) for i in range(30)}, "a")


def test_order_gives_other_names():
    state = {f"their.{index}": value for index, value in enumerate(small().state_dict().values())}
    network = small()
    load_state(network, rename_in_order(network, state, "a"), "a")
    assert all(
        torch.equal(ours, theirs) for ours, theirs in zip(network.state_dict().values(), state.values(), strict=True)
    )


def test_order_with_other_shapes_or_numbers():
    values = list(small().state_dict().values())
    with pytest.raises(ValueError, match=f"holds {len(values) - 1} tensors, the network {len(values)}"):
        rename_in_order(small(), dict(enumerate(values[:-1])), "a")
    with pytest.raises(ValueError, match="does not hold the network's tensors in its order"):
        rename_in_order(small(), {str(index): value for index, value in enumerate(reversed(values))}, "a")
