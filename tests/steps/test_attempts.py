"""A mistake is tried once in a run; what may heal is tried again."""

import errno
import os
import resource
import sys

import pytest

from layerwise.cli import app
from layerwise.files import explain_denial
from layerwise.interfaces.environment import ATTEMPT, MISTAKES
from layerwise.models.weights import UnreachableError
from layerwise.steps import attempts


@pytest.fixture
def attempt(tmp_path, monkeypatch, capsys):
    """Runs an attempt that raises something; returns its status, what it said, and whether it came to its work."""
    monkeypatch.setenv(MISTAKES, str(tmp_path / "mistakes"))
    monkeypatch.setattr(app, "_show_plans", lambda: None)
    monkeypatch.setattr(app, "_leave_at_once", lambda: None)
    monkeypatch.setattr(app.signal, "signal", lambda *_: None)
    monkeypatch.setattr(sys, "path", list(sys.path))

    def run(number, error=None, command=("score-brain", "--model", "a")):
        worked = []

        def work():
            worked.append(True)
            raise error or SystemExit(0)

        monkeypatch.setenv(ATTEMPT, str(number))
        monkeypatch.setattr(sys, "argv", ["layerwise", *command])
        monkeypatch.setattr(app, "app", work)
        with pytest.raises(SystemExit) as ended:
            app.main()
        return ended.value.code, capsys.readouterr().err, bool(worked)

    return run


def left(tmp_path):
    return [file.read_text().strip() for file in (tmp_path / "mistakes").iterdir()]


FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "a.h5")
DENIED = PermissionError(errno.EACCES, "Permission denied", "b")


@pytest.mark.parametrize(
    ("mistake", "told"),
    [
        (ValueError("torch sees no GPU: é"), "torch sees no GPU: é"),
        (FULL, "the disk is full (a.h5): free some space and run the command again"),
        (DENIED, explain_denial(DENIED)),
        (
            OSError(errno.EDQUOT, "Disk quota exceeded", "c"),
            "your quota of the disk is used up (c): free some space and run the command again",
        ),
        (OSError("the disk of d has 0.1 GB free"), "the disk of d has 0.1 GB free"),
        (ValueError("é long " * 2000), ("é long " * 2000).strip()),  # longer than the room that is made beforehand
    ],
)
def test_a_mistake_is_not_tried_again_in_the_same_run(attempt, mistake, told):
    status, said, worked = attempt(1, mistake)
    assert (status, worked) == (1, True) and said.startswith(f"error: {told}")
    for number in (2, 3):
        again = f"error: {told} (so said an earlier attempt of this run: not tried again)\n"
        assert attempt(number) == (1, again, False)
    assert attempt(2, command=("score-brain", "--model", "b")) == (0, "", True)  # another job
    assert attempt(1) == (0, "", True)  # of the next run
    assert attempt(2) == (0, "", True)


@pytest.mark.parametrize(
    "failure",
    [
        MemoryError(),
        RuntimeError("CUDA error: an illegal memory access was encountered"),  # nobody foresaw it
        OSError(errno.EIO, "Input/output error", "a.h5"),
        OSError("unable to lock file, errno = 11, error message = 'Resource temporarily unavailable'"),
        OSError(errno.ESTALE, "Stale file handle", "a.h5"),
        UnreachableError("the weights of 'resnet18' cannot be obtained"),
        SystemExit(143),
        KeyboardInterrupt(),
    ],
)
def test_what_may_heal_is_tried_again(attempt, tmp_path, failure):
    assert attempt(1, failure)[0] != 0
    assert attempt(2) == (0, "", True)
    assert left(tmp_path) == []


def test_an_attempt_that_was_killed_is_no_mistake(attempt, tmp_path, monkeypatch):
    monkeypatch.setenv(ATTEMPT, "1")
    monkeypatch.setattr(sys, "argv", ["layerwise", "score-brain", "--model", "a"])
    attempts.refuse_to_repeat()
    assert left(tmp_path) == [""]
    assert attempt(2) == (0, "", True)


def test_on_a_full_disk_the_sentence_takes_the_room_that_was_made_for_it(attempt, tmp_path):
    attempt(1, FULL)
    (file,) = (tmp_path / "mistakes").iterdir()
    assert file.stat().st_size == attempts.ROOM


@pytest.fixture
def no_room():
    """No file becomes longer than the room for a mistake, as if the disk were full from there on."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (attempts.ROOM, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize(
    ("mistake", "first", "last"),
    [
        ("The file is bad. See é below:\n" + "  a line\n" * 2000 + "  the last", "below:\n", "\n  the last"),
        ("One sentence. " * 1000, "One sentence.\n", "log of that attempt, below .snakemake/slurm_logs]"),
        ("é" * 9000, "é" * 1300, "log of that attempt, below .snakemake/slurm_logs]"),
    ],
)
def test_where_the_disk_has_no_room_the_first_sentences_and_last_lines_are_kept(
    attempt, tmp_path, no_room, mistake, first, last
):
    attempt(1, ValueError(mistake))
    (file,) = (tmp_path / "mistakes").iterdir()
    assert file.stat().st_size == attempts.ROOM
    (kept,) = left(tmp_path)
    start, _, end = kept.partition("[cut, as the disk had no room for more; the whole is in the ")
    assert first in start and mistake.startswith(start.rstrip()) and kept.endswith(last)
    assert set(end.splitlines()[1:]) <= set(mistake.splitlines())
    assert attempt(2)[1] == f"error: {kept} (so said an earlier attempt of this run: not tried again)\n"


def test_what_was_cut_is_in_the_log_of_the_job(attempt, tmp_path, no_room, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "71")
    attempt(1, ValueError("a mistake, " * 2000))
    assert "the whole is in SLURM's log of job 71, below .snakemake/slurm_logs]" in left(tmp_path)[0]


def test_a_folder_that_cannot_be_made_is_no_failure(attempt, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv(MISTAKES, str(tmp_path / "file"))
    assert attempt(1, ValueError("a mistake"))[:2] == (1, "error: a mistake\n")
    assert attempt(2) == (0, "", True)


def test_nothing_is_kept_where_nobody_tries_again(attempt, tmp_path, monkeypatch):
    monkeypatch.delenv(MISTAKES)
    assert attempt(2, ValueError("a mistake")) == (1, "error: a mistake\n", True)
    assert list(tmp_path.iterdir()) == []
