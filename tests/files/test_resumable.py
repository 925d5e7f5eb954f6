import logging

import pytest

from layerwise.files import DamagedError, Resumable


def raising(error):
    def read():
        raise error

    return read


@pytest.fixture
def kept(tmp_path):
    (tmp_path / "work").write_text("half of it")
    return Resumable(tmp_path / "work", "mine", "starting anew")


def test_work_of_the_same_fingerprint_is_resumed(kept, caplog):
    assert kept.take_up(lambda: ("mine", kept.path.read_text)) == "half of it"
    assert caplog.text == ""


def test_nothing_is_said_where_there_is_nothing(kept, caplog):
    kept.remove()
    kept.remove()
    assert kept.take_up(raising(AssertionError)) is None
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("read", "why"),
    [
        (lambda: ("other", raising(AssertionError)), "is of other data, code or settings"),
        (raising(OSError("no end")), "is damaged (no end)"),
        (raising(PermissionError(13, "Permission denied")), "cannot be read ([Errno 13] Permission denied)"),
        (lambda: ("mine", raising(ValueError("half"))), "is damaged (half)"),
        (lambda: ("mine", raising(DamagedError("is cut"))), "is cut"),
    ],
)
def test_why_work_is_not_resumed_is_said(kept, caplog, read, why):
    with caplog.at_level(logging.WARNING):
        assert kept.take_up(read) is None
    assert [record.getMessage() for record in caplog.records] == [f"{kept.path} {why}: starting anew"]
    assert kept.path.exists()


def test_memory_that_ran_out_is_no_damage(kept):
    with pytest.raises(MemoryError, match=r"reading .*work"):
        kept.take_up(raising(RuntimeError("std::bad_alloc")))


def test_a_mistake_of_ours_is_not_hidden(kept):
    with pytest.raises(TypeError):
        kept.take_up(raising(TypeError()))
