"""Processes that fine-tune are killed, warned, and run out of time and of disk; started again they end alike.

They fork from one server that has imported everything, so that each starts at once.
"""

import multiprocessing
import os
import pickle
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import training_process
from training_process import EPOCHS, STEPS, STOPPED, train

CALLS = EPOCHS * (STEPS + 1)  # of `stop`: before each step and before the one batch of validation images
PATIENCE = 60  # seconds


@pytest.fixture(scope="module")
def processes():
    with pytest.MonkeyPatch.context() as patch:
        fixtures = str(Path(training_process.__file__).parent)
        patch.setenv("PYTHONPATH", os.pathsep.join([fixtures, *filter(None, [os.environ.get("PYTHONPATH")])]))
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["training_process"])
        yield context


class Job:
    """A process that trains, and tells how far it is."""

    def __init__(self, context, folder, **options):
        folder.mkdir(exist_ok=True)
        self.told, given = context.Pipe(duplex=False)
        self.process = context.Process(target=train, args=(folder, given), kwargs=options)
        self.process.start()
        given.close()

    def wait_for(self, calls):
        """Wait until it has been asked so often whether to stop; return whether it still runs."""
        try:
            for _ in range(calls):
                assert self.told.poll(PATIENCE)
                self.told.recv_bytes()
        except EOFError:
            return False
        return True

    def send(self, number):
        if self.process.is_alive():
            os.kill(self.process.pid, number)

    def end(self):
        self.wait_for(10**6)
        self.process.join(PATIENCE)
        return self.process.exitcode


def outcome(folder):
    return pickle.loads((folder / "result").read_bytes())


def assert_same(one, other):
    assert one["history"] == other["history"]
    assert one["weights"].keys() == other["weights"].keys()
    for name, values in one["weights"].items():
        np.testing.assert_array_equal(values, other["weights"][name], strict=True)
    np.testing.assert_array_equal(one["predicted"], other["predicted"])


@pytest.fixture(scope="module")
def undisturbed(processes, tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    assert Job(processes, folder).end() == 0
    found = outcome(folder)
    assert len(found["history"]) == EPOCHS
    return found


def test_killed_at_random_moments_it_ends_as_if_it_had_not_been(processes, undisturbed, rng, tmp_path):
    killed = 0
    while True:
        job = Job(processes, tmp_path)
        if killed < 8 and job.wait_for(int(rng.integers(1, CALLS // 2))):
            time.sleep(rng.uniform(0, 0.01))  # anywhere in a step, or while a state is written
            job.send(signal.SIGKILL)
        code = job.end()
        if code == 0:
            break
        assert code == -signal.SIGKILL
        assert not (tmp_path / "result").exists()
        killed += 1
    assert killed >= 3
    assert_same(outcome(tmp_path), undisturbed)


def test_killed_while_a_state_is_written_it_ends_as_if_it_had_not_been(processes, undisturbed, rng, tmp_path):
    """A state is written after the validation, which is the last call of an epoch."""
    for epoch in range(1, EPOCHS):
        job = Job(processes, tmp_path)
        assert job.wait_for(STEPS + 1)
        time.sleep(rng.uniform(0, 0.02))
        job.send(signal.SIGKILL)
        assert job.end() in (-signal.SIGKILL, 0), f"after epoch {epoch}"
    assert Job(processes, tmp_path).end() == 0
    assert_same(outcome(tmp_path), undisturbed)


@pytest.mark.parametrize("name", ["SIGTERM", "SIGUSR2"])
def test_warned_by_a_signal_it_stops_by_itself_and_the_next_goes_on(processes, undisturbed, rng, tmp_path, name):
    for _ in range(2):
        job = Job(processes, tmp_path)
        assert job.wait_for(int(rng.integers(1, CALLS // 3)))
        job.send(getattr(signal, name))
        assert job.end() == STOPPED
        said = (tmp_path / "stopped").read_text()
        assert f"{name} was received: training stopped after" in said and "start it again to resume" in said
        assert not (tmp_path / "result").exists()
    assert Job(processes, tmp_path).end() == 0
    assert_same(outcome(tmp_path), undisturbed)


def test_a_job_whose_time_is_over_stops_by_itself_and_the_next_goes_on(processes, undisturbed, tmp_path):
    codes = []
    while not codes or codes[-1] == STOPPED:
        # Each job has twice the time of the one before, so that on any machine some stop, and one comes to the end.
        codes.append(Job(processes, tmp_path, seconds=0.01 * 2 ** len(codes)).end())
    assert codes[-1] == 0 and len(codes) > 2
    assert "the job's time limit is less than 0 s away" in (tmp_path / "stopped").read_text()
    assert_same(outcome(tmp_path), undisturbed)


def test_on_a_full_disk_the_old_state_stays_and_training_goes_on(processes, undisturbed, tmp_path):
    full = Job(processes, tmp_path / "full", full_after=2)
    assert full.wait_for(3 * (STEPS + 1) + 2)  # into the fourth epoch, after a third that could not be saved
    full.send(signal.SIGKILL)
    assert full.end() == -signal.SIGKILL
    states = sorted(path.name for path in (tmp_path / "full").iterdir() if not path.name.startswith("."))
    assert states == ["a.state", "a.state.previous"]
    for name, epochs in (("a.state", 2), ("a.state.previous", 1)):
        saved = torch.load(tmp_path / "full" / name, weights_only=True)["reached"]
        assert (len(saved["history"]), saved["step"]) == (epochs, 0)
    again = Job(processes, tmp_path / "full")
    assert again.end() == 0
    assert_same(outcome(tmp_path / "full"), undisturbed)
    # and a job that is never killed comes to its end without a place for its state
    assert Job(processes, tmp_path / "all", full_after=1).end() == 0
    assert_same(outcome(tmp_path / "all"), undisturbed)
