"""Processes that fine-tune are killed, warned, and run out of time and of disk; started again they end alike.

They fork from one server that has imported everything, so that each starts at once.
"""

import json
import multiprocessing
import os
import pickle
import shutil
import signal
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import training_process
from PIL import Image
from small_training import STORED, planted
from training_process import EPOCHS, STEPS, STOPPED, run_command, train

from layerwise.study import FINETUNED_FILES

CALLS = EPOCHS * (STEPS + 1)  # of `stop`: before each step and before the one batch of validation images
PATIENCE = 300  # seconds, on a machine that has other things to do


@pytest.fixture(scope="module")
def processes():
    with pytest.MonkeyPatch.context() as patch:
        fixtures = str(Path(training_process.__file__).parent)
        patch.setenv("PYTHONPATH", os.pathsep.join([fixtures, *filter(None, [os.environ.get("PYTHONPATH")])]))
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["training_process", "layerwise.steps.finetuning"])
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
        if killed < 8 and job.wait_for(int(rng.integers(1, CALLS // 4))):  # so that three come before the end
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
    codes = []
    for _ in range(1, EPOCHS):
        job = Job(processes, tmp_path)
        if job.wait_for(STEPS + 1):  # else one before it was killed some epochs later, and this one is the last
            time.sleep(rng.uniform(0, 0.02))
            job.send(signal.SIGKILL)
        codes.append(job.end())
    assert -signal.SIGKILL in codes and set(codes) <= {-signal.SIGKILL, 0}
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


# --- the command

COMMAND_EPOCHS = 6
MODEL = {"name": "tiny", "factory": "tiny_networks:build", "weights": "random", "seed": 1}
CONFIG = {
    "study": "s",
    "models": [{**MODEL, "preprocessing": {"size": 16, "resize": STORED}}],
    "ratings": [{"name": "rated", "images": "photos", "scores": "scores.csv", "folds": 3}],
    "compute": {"threads": 1, "device": "cpu"},
    "finetuning": {
        "models": ["tiny"],
        "batch_size": 8,
        "max_epochs": COMMAND_EPOCHS,
        "patience": COMMAND_EPOCHS,
        "learning_rate": 0.01,
        "hold_out": 0.2,
    },
}
GEOMETRY = f"crop{STORED}to{STORED}-bilinear"


def run(processes, folder, *arguments):
    process = processes.Process(target=run_command, args=(folder, list(arguments)))
    process.start()
    return process


def start(processes, folder):
    return run(
        processes, folder, "finetune-network", "--config", "config.json", "--model", "tiny", "--splits", "1",
        "--splits", "3", "--pixels", "pixels.h5", "--state-folder", "states", "--output-folder", "results",
    )  # fmt: skip


@pytest.fixture
def home(processes, rng, tmp_path):
    """A study of photographs with planted scores, and its pixels."""
    images, scores = planted(rng, 60)
    (tmp_path / "photos").mkdir()
    names = [f"{index:02d}.png" for index in range(len(images))]
    for name, image in zip(names, images, strict=True):
        Image.fromarray(image).save(tmp_path / "photos" / name)
    pd.DataFrame({"image": names, "score": scores}).to_csv(tmp_path / "scores.csv", index=False)
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    packing = run(
        processes, tmp_path, "pack-stimuli", "--config", "config.json", "--stimuli", "rated", "--geometry", GEOMETRY,
        "--output", "pixels.h5",
    )  # fmt: skip
    packing.join(PATIENCE)
    assert packing.exitcode == 0, (tmp_path / "said").read_text()
    return tmp_path


def saves(folder):
    """Which files of states there are: each save makes another."""
    found = set()
    for path in folder.glob("states/[!.]*.state"):  # hidden are those that are being written
        with suppress(FileNotFoundError):  # by now
            found.add((path.name, path.stat().st_ino))
    return found


def wait_for_saves(process, folder, count):
    """Return whether a process still runs after so many saves."""
    seen, end = saves(folder), time.monotonic() + PATIENCE
    while count and process.is_alive():
        assert time.monotonic() < end
        now = saves(folder)
        count, seen = count - (now != seen), now
        time.sleep(0.001)
    return process.is_alive()


def results(folder):
    return {
        (split, name): (folder / "results" / split / name).read_bytes() for split in "13" for name in FINETUNED_FILES
    }


def test_the_command_killed_and_warned_at_random_moments_writes_the_same_files(processes, rng, home):
    codes = []
    for number in (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM):
        process = start(processes, home)
        if wait_for_saves(process, home, int(rng.integers(1, 4))):
            time.sleep(rng.uniform(0, 0.01))
            os.kill(process.pid, number)
        process.join(PATIENCE)
        codes.append(process.exitcode)
    assert set(codes) <= {0, -signal.SIGKILL, os.EX_TEMPFAIL, 143}, (home / "said").read_text()
    assert -signal.SIGKILL in codes
    last = start(processes, home)
    last.join(PATIENCE)
    assert last.exitcode == 0, (home / "said").read_text()
    disturbed = results(home)
    assert not any((home / "states").iterdir())
    shutil.rmtree(home / "results")
    undisturbed = start(processes, home)
    undisturbed.join(PATIENCE)
    assert undisturbed.exitcode == 0
    assert results(home) == disturbed
    assert len(pd.read_parquet(home / "results/3/history.parquet")) == COMMAND_EPOCHS
