"""Processes that would make the same file take turns, whatever becomes of the one before."""

import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from layerwise.files import locked

HOLD = """
import sys, time
from layerwise.files import locked
with locked(sys.argv[1]):
    print("taken", flush=True)
    time.sleep(60)
"""


def test_never_two_at_once_and_nothing_is_left(tmp_path):
    target, inside, most = tmp_path / "below" / "file.h5", [], []

    def work(index):
        for _ in range(20):
            with locked(target):
                inside.append(index)
                most.append(len(inside))
                time.sleep(0.001)
                inside.remove(index)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert (len(most), max(most)) == (80, 1)
    assert list(target.parent.iterdir()) == []


def test_an_error_lets_the_next_one_in(tmp_path):
    with pytest.raises(RuntimeError), locked(tmp_path / "file"):
        raise RuntimeError
    with locked(tmp_path / "file"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_killed_process_lets_the_next_one_in(tmp_path):
    holder = subprocess.Popen([sys.executable, "-c", HOLD, tmp_path / "file"], stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "taken\n"
    taken = threading.Event()

    def wait():
        with locked(tmp_path / "file"):
            taken.set()

    waiting = threading.Thread(target=wait)
    waiting.start()
    assert not taken.wait(0.3)
    os.kill(holder.pid, signal.SIGKILL)
    holder.communicate()
    assert taken.wait(10)
    waiting.join()
    assert list(tmp_path.iterdir()) == []


def test_without_locks_it_goes_on_and_says_so(tmp_path, monkeypatch, caplog):
    def refuse(handle, operation):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with locked(tmp_path / "file"):
        pass
    assert "has no locks" in caplog.text
