"""A folder that one process keeps: others are told who, and get it as soon as that one is gone."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from no_locks import without_locks
from other_user import hand_over, in_group

from layerwise.files import occupied
from layerwise.files.occupied import MARKER, NOTE, leave, occupy

KEEP = """
import sys, time
from layerwise.files.occupied import occupy
try:
    occupy(sys.argv[1], print)
except ValueError as error:
    print(error, flush=True)
    sys.exit(1)
print("kept", flush=True)
sys.stdin.read()
"""
ELSEWHERE = "filelock/2\npid={}\nhost=login2\nmode=lease\ntoken=t\nduration={!r}\n"


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(occupied, "AT_ONCE", 1.0)  # a busy machine may stop for a while


@pytest.fixture
def keeper(tmp_path):
    """Starts a process that keeps the folder; it says so, or why it does not."""
    started = []

    def start(**environment):
        command = [sys.executable, "-c", KEEP, str(tmp_path / "results")]
        place = tmp_path / "its folder"
        place.mkdir(exist_ok=True)
        process = subprocess.Popen(
            command, cwd=place, env=os.environ | environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def taken(folder):
    occupy(folder, pytest.fail)
    leave(folder)
    return list(folder.iterdir()) == []


def test_another_process_is_refused_until_the_first_ends(tmp_path, keeper):
    results, first = tmp_path / "results", keeper()
    assert first.stdout.readline() == "kept\n"
    with pytest.raises(ValueError) as refused:
        occupy(results, pytest.fail)
    told = str(refused.value)
    assert (
        f"{results} is in use by another run, process {first.pid} on " in told and f"delete {results / MARKER}" in told
    )
    assert f" in {tmp_path / 'its folder'} since 20" in told and told.count("\n") == 0
    first.communicate()  # it ends
    assert taken(results)


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_of_a_process_that_was_killed_it_is_taken_over_at_once(tmp_path, keeper, end):
    first = keeper()
    assert first.stdout.readline() == "kept\n"
    first.send_signal(end)
    first.wait()
    assert (tmp_path / "results" / MARKER).exists() and (tmp_path / "results" / NOTE).exists()
    assert taken(tmp_path / "results")


def test_the_number_of_a_process_that_is_gone_may_be_another_s_now(tmp_path, keeper):
    first = keeper()
    assert first.stdout.readline() == "kept\n"
    marker = tmp_path / "results" / MARKER
    text = marker.read_text().replace(f"pid={first.pid}\n", f"pid={os.getpid()}\n")
    first.kill()
    first.wait()
    marker.write_text(text)  # as if this process had got its number
    assert taken(tmp_path / "results")


def test_a_process_keeps_what_it_has(tmp_path):
    occupy(tmp_path, pytest.fail)
    occupy(tmp_path / "." / ".." / tmp_path.name, pytest.fail)
    assert {path.name for path in tmp_path.iterdir()} == {MARKER, NOTE}
    leave(tmp_path)
    leave(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_one_on_another_machine_counts_as_gone_when_it_renews_nothing(tmp_path):
    (tmp_path / MARKER).write_text(ELSEWHERE.format(7, 3.0))
    told = []
    occupy(tmp_path, told.append, lasts=3.0)
    leave(tmp_path)
    assert len(told) == 1 and told[0].startswith("process 7 on login2 may be gone: waiting")


def test_one_on_another_machine_that_renews_it_keeps_it(tmp_path):
    marker, told, ended = tmp_path / MARKER, [], threading.Event()
    marker.write_text(ELSEWHERE.format(7, 3.0))

    def renew():
        while not ended.wait(0.05):
            os.utime(marker)

    renewing = threading.Thread(target=renew)
    renewing.start()
    try:
        with pytest.raises(ValueError, match="in use by another run, process 7 on login2: let that end"):
            occupy(tmp_path, told.append, lasts=3.0)
    finally:
        ended.set()
        renewing.join()
    assert len(told) == 1


def test_one_whose_file_is_taken_away_says_so(tmp_path):
    told = []
    occupy(tmp_path, told.append, lasts=0.4)
    (tmp_path / MARKER).unlink()
    end = time.monotonic() + 20
    while not told and time.monotonic() < end:
        time.sleep(0.05)
    leave(tmp_path)
    assert len(told) == 1 and "is not kept for this run any more (marker-missing)" in told[0]


def test_a_file_that_says_nothing_is_told_with_what_to_do(tmp_path):
    (tmp_path / MARKER).touch()
    with pytest.raises(ValueError, match=f"of which nothing is known: .* delete {tmp_path / MARKER}"):
        occupy(tmp_path, pytest.fail)


def test_of_many_that_start_at_once_over_what_one_left_a_single_one_gets_it(tmp_path, keeper):
    first = keeper()
    assert first.stdout.readline() == "kept\n"
    first.kill()
    first.wait()
    said = [process.stdout.readline() for process in [keeper() for _ in range(4)]]
    assert sorted(line == "kept\n" for line in said) == [False, False, False, True]
    assert sum("is in use by another run, process" in line for line in said) == 3


def test_no_lock_of_the_file_system_is_needed(tmp_path, keeper):
    variable = without_locks(tmp_path)
    first, second = keeper(**variable), keeper(**variable)
    said = sorted([first.stdout.readline(), second.stdout.readline()], key=len)
    assert said[0] == "kept\n" and "is in use by another run, process" in said[1]


def test_that_of_another_user_is_told_in_the_same_sentence(tmp_path, keeper):
    first = keeper()
    assert first.stdout.readline() == "kept\n"
    results = tmp_path / "results"
    hand_over(results)
    results.chmod(0o775)
    for path in results.iterdir():
        path.chmod(0o444)
    done = subprocess.run(
        [*in_group(), sys.executable, "-c", KEEP, str(results)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert f"is in use by another run, process {first.pid} on " in done.stdout, done.stdout + done.stderr
