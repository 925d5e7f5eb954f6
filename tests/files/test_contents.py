import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from damage import flip

from layerwise.files import Contents, contents, hash_file

LONG_AGO = 10**18  # ns, in 2001


def write(path, text, at=LONG_AGO):
    path.write_text(text)
    os.utime(path, ns=(at, at))
    return path


@pytest.fixture
def store(tmp_path):
    return tmp_path / "kept" / "contents.json"


@pytest.fixture
def reads(monkeypatch):
    """The files that are read, by name."""
    found = []

    def read(name):
        found.append(Path(name).name)
        return hash_file(name)

    monkeypatch.setattr(contents, "hash_file", read)
    return found


@pytest.fixture
def settled(monkeypatch):
    """No file is too young: as if a test wrote its files long ago."""
    monkeypatch.setattr(contents, "SETTLED", -(10**9))


def test_the_hash_is_that_of_the_content_and_nothing_else(tmp_path, store):
    one, same = write(tmp_path / "one", "a"), write(tmp_path / "same", "a", at=2 * LONG_AGO)
    other = write(tmp_path / "other", "b")
    found = Contents(store).of([one, same, other, tmp_path / "missing", tmp_path])
    assert found[:3] == [hash_file(path)[:16] for path in (one, same, other)]
    assert found[3:] == ["", ""]


def test_an_older_file_of_the_same_size_moved_into_place_is_noticed(tmp_path, store, settled):
    path, older = write(tmp_path / "file", "new"), write(tmp_path / "older", "old", at=LONG_AGO // 2)
    before = Contents(store).of([path])
    older.rename(path)
    assert Contents(store).of([path]) == [hash_file(path)[:16]] != before


def test_a_file_of_the_same_size_and_time_is_noticed_by_its_inode(tmp_path, store, settled):
    path, twin = write(tmp_path / "file", "new"), write(tmp_path / "twin", "old")
    before = Contents(store).of([path])
    twin.rename(path)
    assert Contents(store).of([path]) != before


def test_content_written_in_place_with_its_old_time_is_noticed(tmp_path, store, settled):
    path = write(tmp_path / "file", "new")
    before = Contents(store).of([path])
    write(path, "old")
    assert Contents(store).of([path]) != before


def test_a_file_is_read_once_and_again_when_it_was_touched(tmp_path, store, reads, settled):
    paths = [write(tmp_path / name, name) for name in "abc"]
    known = Contents(store)
    assert known.of(paths) == known.of(paths) == Contents(store).of(paths)
    assert sorted(reads) == ["a", "b", "c"]
    os.utime(paths[1])
    assert Contents(store).of(paths) == known.of(paths)
    assert set(reads[3:]) == {"b"}


def test_a_file_that_was_just_written_is_read_again(tmp_path, store, reads):
    path = write(tmp_path / "file", "a")  # its content is of 2001, its inode of now
    Contents(store).of([path])
    Contents(store).of([path])
    assert reads == ["file", "file"]


def test_a_file_that_is_written_while_it_is_read_is_not_kept(tmp_path, store, monkeypatch, settled):
    path = write(tmp_path / "file", "a")

    def read_and_write(name):
        digest = hash_file(name)
        write(path, "bb")
        return digest

    with monkeypatch.context() as patch:
        patch.setattr(contents, "hash_file", read_and_write)
        Contents(store).of([path])
    assert Contents(store).of([path]) == [hash_file(path)[:16]]


@pytest.mark.parametrize(
    "damage",
    ["", "{", "[]", '{"version": 2}', '{"version": 2, "files": {"a": 3}}', '{"version": 2, "files": [1]}', "\0"],
)
def test_a_damaged_store_is_rebuilt(tmp_path, store, damage, settled, caplog):
    path = write(tmp_path / "file", "a")
    expected = Contents(store).of([path])
    whole = json.loads(store.read_text())
    store.write_text(damage)
    assert Contents(store).of([path]) == expected
    assert "is damaged" in caplog.text
    assert json.loads(store.read_text()) == whole


def test_no_flipped_bit_changes_a_hash(tmp_path, store, settled, rng):
    path = write(tmp_path / "file", "a")
    expected = Contents(store).of([path])
    start = 8 * store.read_text().index(expected[0])
    for bit in [*range(start, start + 8 * 16), *rng.integers(8 * store.stat().st_size, size=100).tolist()]:
        flip(store, bit)
        assert Contents(store).of([path]) == expected, bit


def test_a_store_of_another_version_is_rebuilt(tmp_path, store, settled):
    path = write(tmp_path / "file", "a")
    expected = Contents(store).of([path])
    stored = json.loads(store.read_text())
    store.write_text(json.dumps({"version": 99, "files": {str(path): [*stored["files"][str(path)][:4], "wrong"]}}))
    assert Contents(store).of([path]) == expected


def test_two_processes_at_once_lose_nothing_but_time(tmp_path, store, settled):
    one, two = Contents(store), Contents(store)
    first, second = write(tmp_path / "first", "1"), write(tmp_path / "second", "2")
    one.of([]), two.of([])
    one.of([first])
    two.of([second])  # had loaded nothing of what the first has kept since
    assert set(json.loads(store.read_text())["files"]) == {str(first), str(second)}


def test_processes_that_write_at_once_leave_a_whole_store(tmp_path, store):
    for name in map(str, range(40)):
        write(tmp_path / name, name)
    code = (
        "import sys; from pathlib import Path; from layerwise.files import Contents, contents;"
        "contents.SETTLED = -10**9; [Contents(sys.argv[1]).of([path]) for path in sorted(Path(sys.argv[2]).iterdir())]"
    )
    running = [subprocess.Popen([sys.executable, "-c", code, str(store), str(tmp_path)]) for _ in range(3)]
    assert [process.wait() for process in running] == [0, 0, 0]
    paths = [path for path in sorted(tmp_path.iterdir()) if path.is_file()]
    assert Contents(store).of(paths) == [hash_file(path)[:16] for path in paths]
    kept = json.loads(store.read_text())["files"]
    assert 0 < len(kept) <= 40
    assert all(hash_file(name)[:16] == content for name, (*_, content) in kept.items())
    assert [path.name for path in store.parent.iterdir()] == [store.name]


def test_a_store_that_cannot_be_written_costs_time_alone(tmp_path, settled, caplog):
    (tmp_path / "file").write_text("in the way")
    path = write(tmp_path / "input", "a")
    assert Contents(tmp_path / "file" / "contents.json").of([path]) == [hash_file(path)[:16]]
    assert "cannot be written" in caplog.text


def test_a_file_that_may_not_be_read_has_no_hash(tmp_path, store, monkeypatch):
    def refuse(name):
        raise PermissionError(name)

    monkeypatch.setattr(contents, "hash_file", refuse)
    assert Contents(store).of([write(tmp_path / "file", "a")]) == [""]
