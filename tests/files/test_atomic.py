import errno
import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from layerwise.files import atomic_path, writable


def names(folder):
    return [path.name for path in folder.iterdir()]


def test_file_appears_only_when_whole(tmp_path):
    target = tmp_path / "folder" / "table.csv"
    with atomic_path(target) as temporary:
        temporary.write_text("whole")
        assert temporary.suffix == ".csv"
        assert not target.exists()
    assert target.read_text() == "whole"
    assert names(target.parent) == ["table.csv"]


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_nothing_is_left_of_a_failed_write_and_the_old_file_stays(tmp_path, error):
    target = tmp_path / "table.csv"
    target.write_text("old")
    with pytest.raises(type(error)), atomic_path(target) as temporary:
        temporary.write_text("half")
        raise error
    assert target.read_text() == "old"
    assert names(tmp_path) == ["table.csv"]


WRITE = """
import sys, time
from layerwise.files import atomic_path
with atomic_path(sys.argv[1]) as temporary:
    print(temporary, flush=True)
    time.sleep(60)
"""


def start_to_write(target):
    writing = subprocess.Popen([sys.executable, "-c", WRITE, target], stdout=subprocess.PIPE, text=True)
    return writing, Path(writing.stdout.readline().strip())


def test_what_a_killed_process_left_is_removed_and_what_a_live_one_writes_is_not(tmp_path):
    target = tmp_path / "table-1.csv"
    alive, of_the_living = start_to_write(target)
    killed, leftover = start_to_write(target)
    other, of_another_file = start_to_write(tmp_path / "table.csv")
    for process in (killed, other):
        process.kill()
        process.wait()
    try:
        assert {leftover, of_the_living, of_another_file} == set(tmp_path.iterdir())
        with atomic_path(target) as temporary:
            temporary.write_text("whole")
        assert {target, of_the_living, of_another_file} == set(tmp_path.iterdir())
    finally:
        alive.kill()
        alive.wait()


def test_full_disk_leaves_nothing_half_written(tmp_path):
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full on this system: a full disk cannot be imitated")
    target = tmp_path / "table.csv"
    with pytest.raises(OSError, match="No space left") as full, atomic_path(target) as temporary:
        temporary.unlink()
        temporary.symlink_to("/dev/full")
        with temporary.open("w") as handle:
            handle.write("x" * 10**6)
    assert names(tmp_path) == []
    assert full.value.filename == str(target)  # which the failed write does not name


def test_permissions_follow_the_umask_as_for_any_new_file(tmp_path):
    before = os.umask(0o027)
    try:
        with atomic_path(tmp_path / "file") as temporary:
            temporary.write_text("x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o640


def special(kind, folder):
    """Something that is no regular file."""
    path = folder / "special"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(os.path.relpath(path))
    else:
        path.symlink_to("/dev/null")
    return path


@pytest.mark.parametrize("kind", ["folder", "pipe", "socket", "device"])
def test_what_is_no_regular_file_is_refused_and_stays(tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)
    path = special(kind, tmp_path)
    before = path.lstat()
    with pytest.raises(ValueError, match=rf"special is a {kind}: name a file"), atomic_path(path):
        raise AssertionError("nothing is to be computed for it")
    assert (path.lstat().st_ino, path.lstat().st_mode) == (before.st_ino, before.st_mode)
    assert names(tmp_path) == ["special"]


def test_a_pipe_of_the_shell_is_refused():
    reading, writing = os.pipe()
    with pytest.raises(ValueError, match="is a pipe"):
        writable(f"/dev/fd/{writing}")
    os.close(reading), os.close(writing)


def test_a_folder_that_is_a_file_is_told(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="one of its folders is a file"), atomic_path(tmp_path / "file" / "table.csv"):
        pass


@pytest.mark.parametrize("there", [True, False])
def test_a_link_stays_and_what_it_leads_to_is_written(tmp_path, there):
    (tmp_path / "scratch").mkdir()
    target, link, other = tmp_path / "scratch" / "table.csv", tmp_path / "link.csv", tmp_path / "other.csv"
    if there:
        target.write_text("old")
    link.symlink_to(Path("scratch") / "table.csv")
    other.symlink_to(link)
    with atomic_path(other) as temporary:
        temporary.write_text("new")
        assert temporary.parent.samefile(target.parent)  # a rename cannot go from one disk to another
    assert link.is_symlink() and other.is_symlink()
    assert target.read_text() == "new"
    assert names(target.parent) == ["table.csv"]


def test_links_in_a_ring_are_told(tmp_path):
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(OSError, match="Too many levels of symbolic links"), atomic_path(tmp_path / "a"):
        pass
