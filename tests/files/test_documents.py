"""Strict YAML: what a person wrote is read as it stands, or refused with the file and the line."""

import time

import numpy as np
import pytest
import yaml

from layerwise.files.documents import parse_yaml, read_yaml


def test_plain_yaml_is_read_as_the_library_reads_it():
    text = "a: 1\nb: [x, 2.5, true, null, 2026-11-28]\nc: &c {d: e}\nf: {<<: *c, g: 09:30}\n'1': 1\n"
    assert parse_yaml(text) == yaml.safe_load(text)


def test_a_byte_order_mark_is_no_part_of_the_first_key(tmp_path):
    (tmp_path / "a.yaml").write_bytes("caf\u00e9: 1\n".encode("utf-8-sig"))
    assert read_yaml(tmp_path / "a.yaml") == {"caf\u00e9": 1}


@pytest.mark.parametrize(
    ("encoding", "words"),
    [("latin-1", r"line 2 holds the byte 0xe9.*UTF-8"), ("utf-16", "UTF-16: save it as UTF-8"), ("cp1252", "line 2")],
)
def test_other_encodings_are_named_with_the_file(tmp_path, encoding, words):
    (tmp_path / "a.yaml").write_bytes("a: 1\nb: caf\u00e9\n".encode(encoding))
    with pytest.raises(ValueError, match=rf"a\.yaml is not text in UTF-8.*{words}"):
        read_yaml(tmp_path / "a.yaml")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: 1\nb: 2026-13-45", "line 2: '2026-13-45' has no value.*quotes"),
        ("a: 2026-11-28T99:00:00Z", "line 1: .*quotes"),
        ("a: 0x_", "line 1: '0x_'"),
        ("a: 1\nb: !!float abc", r"line 2: the tag .*float.*without it"),
        ("a: !!python/object:os.system x", "line 1: the tag"),
        ("a: !own x", "line 1: the tag '!own'"),
        ("a: !!binary 1", "the tag"),
        ("a: &a [*a]", "line 1: a list or mapping holds itself"),
        ("a: &a {b: *a}", "holds itself"),
        ('a: "\\ud800"', "line 1: .*surrogates"),
        ("a: *b", "line 1: .*undefined alias"),
        ("a: " + "[" * 5000, "nested too deeply"),
        ("a: \x00", "special characters"),
        ("{a: 1, b: {c: 1,\n c: 2}}", "the key 'c' is given twice, in lines 1 and 2"),
        ("? [a]\n: b", "unhashable"),
        ("a: 1\n---\nb: 1", "another document"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_line(text, words):
    with pytest.raises(ValueError, match=f"mine is not valid YAML: .*{words}") as caught:
        parse_yaml(text, "mine")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("merged", [False, True])
def test_aliases_that_would_grow_without_end_are_refused_at_once(merged):
    lines = ["a0: &a0 {x: 1}" if merged else "a0: &a0 [x, x]"]
    for index in range(1, 40):
        aliases = f"*a{index - 1}, *a{index - 1}"
        lines.append(f"a{index}: &a{index} {{<<: [{aliases}]}}" if merged else f"a{index}: &a{index} [{aliases}]")
    start = time.monotonic()
    with pytest.raises(ValueError, match=r"with its aliases it holds .* 1,000,000 are allowed"):
        parse_yaml("\n".join(lines))
    assert time.monotonic() - start < 5


def test_any_bytes_are_read_or_refused_in_a_sentence(tmp_path, rng):
    path = tmp_path / "a.yaml"
    start = b"study: a\nmodels: [alexnet, {name: b, seed: 1}]\ncompute: {memory: 4GB, threads: 2}\n"
    signs = np.frombuffer(b"{}[]!&*<>:-?,#|%@`'\"\n\t 0x9e.e\xff\x00", np.uint8)
    for _ in range(1000):
        content = np.frombuffer(start, np.uint8).copy()
        places = rng.integers(0, len(content), rng.integers(1, 8))
        content[places] = rng.choice(signs, len(places))
        path.write_bytes(content.tobytes())
        try:
            read_yaml(path)
        except ValueError as error:
            assert str(error).startswith(str(path))
