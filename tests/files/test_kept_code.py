import json

import pytest

from layerwise.files import CodeHashes, Contents, code, contents
from layerwise.study.staleness import code_of

NAME = "layerwise.steps:step"
FILES = {"__init__.py": "", "steps.py": "def step():\n    return 1\n", "other.py": "VALUE = 1\n"}


def forget():
    for cached in (code._imports, code._uses, code._source, code._digest):
        cached.cache_clear()


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A small package in place of layerwise, whose files are old enough for their times to be trusted."""
    root = tmp_path / "layerwise"
    root.mkdir()
    for name, text in FILES.items():
        (root / name).write_text(text)
    monkeypatch.setattr(code, "ROOT", root)
    monkeypatch.setattr(contents, "SETTLED", -(10**9))
    forget()
    yield root
    forget()


@pytest.fixture
def parsed(monkeypatch):
    """What is asked of `hash_source`, each time that it is."""
    asked, found = [], code.hash_source

    def hash_source(*names, apart=()):
        forget()  # as a new process would
        asked.append(names)
        return found(*names, apart=apart)

    monkeypatch.setattr(code, "hash_source", hash_source)
    return asked


@pytest.fixture
def ask(tmp_path):
    """Ask as the next run would."""

    def ask(*names, apart=(), folder=tmp_path / "kept"):
        return CodeHashes(folder / "code.json", Contents(folder / "contents.json")).of(*(names or [NAME]), apart=apart)

    return ask


def test_code_is_parsed_once_until_a_file_of_the_package_changes(package, parsed, ask):
    first = ask()
    assert first == code.hash_source(NAME) and ask() == first
    assert len(parsed) == 2  # once by the comparison
    (package / "steps.py").write_text(FILES["steps.py"].replace("1", "2"))
    edited = ask()
    assert edited == code.hash_source(NAME) != first and len(parsed) == 4
    (package / "steps.py").write_text(FILES["steps.py"])
    assert ask() == first


def test_a_file_that_comes_or_goes_counts_too(package, parsed, ask):
    text = "def step():\n    from layerwise.more import VALUE\n    return VALUE\n"
    (package / "steps.py").write_text(text)
    without = ask()
    (package / "more.py").write_text("VALUE = 1\n")
    forget()
    assert ask() == code.hash_source(NAME) != without
    (package / "more.py").unlink()
    assert ask() == without


def test_what_is_left_apart_and_other_names_have_hashes_of_their_own(package, parsed, ask):
    (package / "steps.py").write_text("from layerwise.other import VALUE\n\ndef step():\n    return VALUE\n")
    found = [ask(), ask(apart=["layerwise.other"]), ask("layerwise.other")]
    assert len(set(found)) == 3 and [ask(), ask(apart=["layerwise.other"]), ask("layerwise.other")] == found
    assert len(parsed) == 3


@pytest.mark.parametrize("text", ["", "{", "[]", '{"package": 1}', "\0\xff"])
def test_a_damaged_file_of_hashes_is_written_anew(package, parsed, ask, tmp_path, text):
    first = ask()
    (tmp_path / "kept/code.json").write_text(text)
    assert ask() == first == ask() and len(parsed) == 2


def test_a_hash_that_was_changed_in_the_file_is_not_believed(package, parsed, ask, tmp_path):
    first, store = ask(), tmp_path / "kept/code.json"
    stored = json.loads(store.read_text())
    stored["hashes"] = dict.fromkeys(stored["hashes"], "0" * 16)
    store.write_text(json.dumps(stored))
    assert ask() == first


def test_a_file_that_was_deleted_or_cannot_be_written_is_no_hindrance(package, parsed, ask, tmp_path):
    first = ask()
    (tmp_path / "kept/code.json").unlink()
    assert ask() == first
    (tmp_path / "file").touch()
    assert ask(folder=tmp_path / "file") == first


def test_an_edit_while_code_is_parsed_is_not_kept(package, monkeypatch, ask, tmp_path):
    found = code.hash_source

    def edit(*names, apart=()):
        (package / "steps.py").write_text(FILES["steps.py"].replace("1", "3"))
        return found(*names, apart=apart)

    monkeypatch.setattr(code, "hash_source", edit)
    ask()
    assert not (tmp_path / "kept/code.json").exists()


def test_each_step_has_the_hash_that_parsing_gives(tmp_path):
    hashes = CodeHashes(tmp_path / "code.json", Contents(tmp_path / "contents.json"))
    for step in ("gather_study", "make_report"):
        assert code_of.__wrapped__(step, hashes.of) == code_of.__wrapped__(step)
