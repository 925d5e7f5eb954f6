from math import prod

import pandas as pd
import pytest
from damage import flipped
from hypothesis import given
from hypothesis import strategies as st

from layerwise.interfaces import LayerSpec
from layerwise.layers import Skipped, manifest, read_manifest, shipped_manifest, write_manifest, write_skipped
from layerwise.models import registry

OLDER = "layer\tclass\tshape\tunits\tdepth\n"
HEADER = OLDER[:-1] + "\tsame_as\treduced\n"

names = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)
shapes = st.lists(st.integers(1, 300), min_size=1, max_size=4).map(tuple)


@given(st.lists(st.tuples(names, names, shapes), min_size=1, unique_by=lambda row: row[0]))
def test_what_is_written_is_read(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("manifest") / "a.tsv"
    layers = [LayerSpec(name, kind, shape, prod(shape), depth) for depth, (name, kind, shape) in enumerate(rows, 1)]
    write_manifest(layers[::-1], path)
    assert read_manifest(path) == layers


def test_what_a_layer_repeats_and_is_reduced_to_is_read(tmp_path):
    layers = [
        LayerSpec("blocks.0", "Block", (8,), 8, 1, reduced="token 0"),
        LayerSpec("blocks.0.drop", "Dropout", (8,), 8, 2, same_as="blocks.0", reduced="token 0"),
    ]
    write_manifest(layers, tmp_path / "a.tsv")
    assert read_manifest(tmp_path / "a.tsv") == layers


def test_what_is_skipped_is_written_with_the_reason(tmp_path):
    write_skipped([Skipped("a.b", "LSTM", "gives tuple instead of a tensor")], tmp_path / "skipped.tsv")
    expected = "layer\tclass\treason\na.b\tLSTM\tgives tuple instead of a tensor\n"
    assert (tmp_path / "skipped.tsv").read_text() == expected


def test_every_network_of_the_registry_brings_its_manifest():
    for name in registry.names():
        assert read_manifest(shipped_manifest(name))
    assert shipped_manifest("unheard_of") is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is not a manifest: its first line must be"),
        ("layer\tunits\n", "is not a manifest: its first line must be"),
        (HEADER, "lists no layer"),
        (OLDER, "was written by an older layerwise: delete it"),
        (HEADER + "a\tReLU\t2x3\t6\n", "line 2: 4 cells instead of 7"),
        (HEADER + "a\tReLU\t2x3\t6\t1\t\t\nb\tReLU\t2xx3\t6\t2\t\t\n", "line 3: shape must look like"),
        (HEADER + "a\tReLU\t2x3\tsix\t1\t\t\n", "line 2: shape must look like"),
        (HEADER + "a\tReLU\t2x3\t7\t1\t\t\n", r"'a' cannot have 7 units of shape \(2, 3\)"),
        (HEADER + "a\tReLU\t2x3\t6\t1\t\t\na\tReLU\t2x3\t6\t2\t\t\n", "has the layer 'a' twice"),
        (HEADER + "a\tReLU\t2x3\t6\t1\t\t\nb\tReLU\t2x3\t6\t1\t\t\n", "has the depth 1 twice"),
        (HEADER + "a\tReLU\t2x3\t6\t2\t\t\nb\tReLU\t2x3\t6\t1\t\t\n", "not in order of depth"),
        (HEADER + "a\tReLU\t2x0\t0\t1\t\t\n", "cannot have 0 units"),
        (HEADER + "a\tReLU\t2x3\t6\t1\t\t\nb\tReLU\t6\t6\t2\tc\t\n", "'b' cannot be the same as 'c'"),
        (HEADER + "a\tReLU\t2x3\t6\t1\t\t\nb\tReLU\t7\t7\t2\ta\t\n", "'b' cannot be the same as 'a'"),
    ],
)
def test_broken_manifests(tmp_path, content, message):
    (tmp_path / "a.tsv").write_text(content + manifest._end(content, max(0, content.count("\n") - 1)))
    with pytest.raises(ValueError, match=message):
        read_manifest(tmp_path / "a.tsv")


def test_a_manifest_that_is_cut_is_refused(tmp_path):
    path = tmp_path / "a.tsv"
    write_manifest([LayerSpec(f"layer{depth}", "ReLU", (2,), 2, depth) for depth in range(1, 9)], path)
    whole = path.read_bytes()
    for keep in range(len(whole)):
        path.write_bytes(whole[:keep])
        with pytest.raises(ValueError, match=r"a\.tsv (is not a manifest|does not fit its last line: it is cut)"):
            read_manifest(path)


def test_no_flipped_bit_changes_a_manifest(tmp_path, rng):
    path = tmp_path / "a.tsv"
    write_manifest([LayerSpec(f"layer{depth}", "ReLU", (2, 8), 16, depth) for depth in range(1, 30)], path)
    for _ in flipped(path, rng):
        with pytest.raises(ValueError, match=r"a\.tsv (is not a manifest|does not fit its last line)"):
            read_manifest(path)


def test_other_programs_read_a_manifest(tmp_path):
    write_manifest([LayerSpec("a", "ReLU", (2, 3), 6, 1)], tmp_path / "a.tsv")
    table = pd.read_csv(tmp_path / "a.tsv", sep="\t", comment="#")
    expected = {"layer": "a", "class": "ReLU", "shape": "2x3", "units": 6, "depth": 1}
    assert table.dropna(axis="columns").to_dict("records") == [expected]
    assert list(table) == [*expected, "same_as", "reduced"]


def test_missing_and_binary_files(tmp_path):
    with pytest.raises(ValueError, match=r"no manifest .*list the layers of the network first"):
        read_manifest(tmp_path / "a.tsv")
    (tmp_path / "b.tsv").write_bytes(bytes(range(256)))
    with pytest.raises(ValueError, match="not text"):
        read_manifest(tmp_path / "b.tsv")


def test_contradictions_are_not_written(tmp_path):
    with pytest.raises(ValueError, match="twice"):
        write_manifest([LayerSpec("a", "ReLU", (2,), 2, depth) for depth in (1, 2)], tmp_path / "a.tsv")
    assert list(tmp_path.iterdir()) == []
