"""A folder that one process keeps: others are told who, and get it as soon as that one is gone."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

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


@pytest.fixture
def renewed():
    """Renews a file for as long as a block lasts."""

    @contextmanager
    def renewing(marker):
        ended = threading.Event()

        def renew():
            while not ended.wait(0.05):
                os.utime(marker)

        thread = threading.Thread(target=renew)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    return renewing


def test_one_on_another_machine_that_renews_it_keeps_it(tmp_path, renewed):
    marker, told = tmp_path / MARKER, []
    marker.write_text(ELSEWHERE.format(7, 3.0))
    match = "in use by another run, process 7 on login2: let that end"
    with renewed(marker), pytest.raises(ValueError, match=match):
        occupy(tmp_path, told.append, lasts=3.0)
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


def test_a_file_that_says_nothing_is_taken_over_when_nobody_renews_it(tmp_path):
    (tmp_path / MARKER).touch()
    told = []
    occupy(tmp_path, told.append, lasts=0.6)
    leave(tmp_path)
    assert told == ["one of which nothing is known may be gone: waiting 1 s for a sign of it"]
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_says_nothing_but_is_renewed_is_told_with_what_to_do(tmp_path, renewed):
    marker = tmp_path / MARKER
    marker.touch()
    with renewed(marker), pytest.raises(ValueError, match=f"one of which nothing is known: .* delete {marker}"):
        occupy(tmp_path, lambda _: None, lasts=1.0)
    assert marker.read_bytes() == b""


@pytest.fixture
def cannot_swap(monkeypatch):
    """A disk that swaps no two names in one step, as NFS: filelock takes nothing over on it."""
    monkeypatch.setattr("filelock._soft.exchange_names", lambda *_: False)


def test_where_names_cannot_be_swapped_what_a_killed_process_left_is_taken_over_later(tmp_path, keeper, cannot_swap):
    first, results, told = keeper(), tmp_path / "results", []
    assert first.stdout.readline() == "kept\n"
    with pytest.raises(ValueError, match=f"process {first.pid} on"):  # it runs: at once, and not after a while
        occupy(results, pytest.fail)
    first.kill()
    first.wait()
    marker = results / MARKER
    marker.write_text(re.sub("duration=.*", "duration=1.0", marker.read_text()))
    occupy(results, told.append, lasts=1.0)
    leave(results)
    assert len(told) == 1 and told[0].startswith(f"process {first.pid} on") and "may be gone" in told[0]
    assert list(results.iterdir()) == []


def test_what_another_one_made_meanwhile_is_left_or_put_back(tmp_path, monkeypatch):
    marker = tmp_path / MARKER
    marker.touch()
    judged = occupied._sign(marker)
    marker.unlink()
    occupied._take_away(marker, judged)
    assert not marker.exists()
    marker.write_text("a new one")
    os.utime(marker, ns=(5, 5))
    occupied._take_away(marker, judged)
    assert marker.read_text() == "a new one"
    # It comes between the look at the file and the rename.
    real, first = occupied._sign, [judged]
    monkeypatch.setattr(occupied, "_sign", lambda path: first.pop() if first else real(path))
    occupied._take_away(marker, judged)
    assert marker.read_text() == "a new one" and real(marker) != judged and list(tmp_path.iterdir()) == [marker]


CHANGING = {"fchmod", "flock", "ftruncate", "link", "rename", "unlink", "utime", "write"}


def die_at(call, work):
    """Run something in a process that is killed before its so many-th change of a file; return whether it was."""
    left = [call]

    def count(_frame, event, function):
        left[0] -= event == "c_call" and function.__module__ in ("posix", "fcntl") and function.__name__ in CHANGING
        if left[0] < 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def profiled():
        sys.setprofile(count)
        work()
        sys.setprofile(None)

    return os.WIFSIGNALED(os.waitpid(forked(profiled), 0)[1])


@pytest.mark.slow
@pytest.mark.parametrize("swaps", [True, False])
@pytest.mark.parametrize("before", [None, b"", b"of a dead one"])
def test_wherever_a_process_is_killed_the_next_one_gets_the_folder(tmp_path, request, monkeypatch, before, swaps):
    monkeypatch.setattr(occupied, "AT_ONCE", 0.05)
    if not swaps:
        request.getfixturevalue("cannot_swap")
    ended = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True)
    dead = ELSEWHERE.format(int(ended.stdout), 0.2).replace("login2", filelock_name())
    call, kinds = 0, set()
    while True:
        folder = tmp_path / str(call)
        folder.mkdir()
        if before is not None:
            (folder / MARKER).write_text(dead if before else "")

        def work(folder=folder):
            occupy(folder, lambda _: None, lasts=0.2)
            leave(folder)

        killed = die_at(call, work)
        marker = folder / MARKER
        kinds.add("none" if not marker.exists() else "empty" if not marker.stat().st_size else "full")
        occupy(folder, lambda _: None, lasts=0.2)  # fails if it is refused
        assert folder.resolve() in occupied._occupied and marker.read_text().count(f"pid={os.getpid()}\n") == 1
        leave(folder)
        if not killed:
            break
        call += 1
    assert call > 2 and kinds >= {"none", "full"} | (set() if before else {"empty"})


@pytest.mark.slow
@pytest.mark.parametrize("swaps", [True, False])
def test_of_many_that_wait_for_a_sign_a_single_one_gets_the_folder(tmp_path, request, swaps):
    if not swaps:
        request.getfixturevalue("cannot_swap")
    for turn in range(5):
        folder = tmp_path / str(turn)
        folder.mkdir()
        (folder / MARKER).touch()
        children = [forked(lambda folder=folder: stay(folder)) for _ in range(6)]
        ends = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        assert sorted(ends) == [0, 1, 1, 1, 1, 1]


def stay(folder):
    try:
        occupy(folder, lambda _: None, lasts=1.0)
        time.sleep(5)  # the others give up meanwhile
    except ValueError:
        os._exit(1)


def forked(work):
    """Run something in another process, and return its number."""
    child = os.fork()
    if not child:
        try:
            work()
        finally:
            os._exit(0)
    return child


def filelock_name():
    from filelock._identity import host_name

    return host_name()


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


@pytest.mark.parametrize("empty", [False, True])
def test_that_of_another_user_is_told_in_the_same_sentence(tmp_path, keeper, empty):
    first = keeper()
    assert first.stdout.readline() == "kept\n"
    results = tmp_path / "results"
    if empty:
        (results / MARKER).write_text("")
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
    who = "one of which nothing is known: " if empty else f"process {first.pid} on "
    assert f"is in use by another run, {who}" in done.stdout, done.stdout + done.stderr
