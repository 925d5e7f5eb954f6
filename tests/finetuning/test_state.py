"""A training that was stopped or killed anywhere goes on to the bit."""

import errno
import logging
import os
import random
import re
import signal

import numpy as np
import pytest
import torch
from damage import N_FLIPS, flipped
from small_training import CPU, PREPROCESSING, Short, small_settings, tiny
from torch import nn

from layerwise.finetuning import StoppedError, StopRequests, fine_tune, make_fold
from layerwise.finetuning import state as module
from layerwise.finetuning.state import State

STEPS = 12  # of an epoch: 96 training images in batches of 8
CHOICES = [{}, {"optimiser": "adamw", "schedule": "cosine", "crop": "random-resized-crop", "accumulate": 2}]


def tune(study, path=None, changes=None, seed=0, **options):
    pixels, fold = study
    settings = small_settings(**(changes or {}))
    return fine_tune(tiny(seed), "fc", pixels, PREPROCESSING, fold, settings, CPU, state=path, **options)


def assert_same(one, other):
    assert one.history == other.history
    assert one.best_epoch == other.best_epoch
    assert one.weights.keys() == other.weights.keys()
    assert all(torch.equal(one.weights[name], tensor) for name, tensor in other.weights.items())
    for part in ("validation", "test"):
        np.testing.assert_array_equal(getattr(one, part).predicted, getattr(other, part).predicted)


class Killed(BaseException):
    """Nothing catches it, as nothing catches a kill."""


def after(calls, outcome="the test says so"):
    """Ask to stop, or die, at the given call; calls come after each step and before each batch of the validation."""
    count = 0

    def stop():
        nonlocal count
        count += 1
        if count < calls:
            return ""
        if outcome:
            return outcome
        raise Killed

    return stop


@pytest.mark.parametrize("changes", CHOICES)
@pytest.mark.parametrize("outcome", ["the test says so", ""])
def test_stopped_or_killed_at_any_step_it_ends_as_if_it_had_not_been(study, tmp_path, changes, outcome):
    whole = tune(study, changes=changes)
    assert len(whole.history) == 3
    path = tmp_path / "a.state"
    for calls in (1, 5, STEPS, STEPS + 1, STEPS + 3, 2 * STEPS, 3 * STEPS + 1):
        with pytest.raises(Killed if not outcome else StoppedError):
            tune(study, path, changes, stop=after(calls, outcome))
        torch.manual_seed(calls)  # whatever the random state of the next process
        assert_same(tune(study, path, changes), whole)
        State(path, {}).remove()


def test_stopped_after_every_few_steps_it_comes_to_the_same_end(study, tmp_path):
    whole, path, stops = tune(study), tmp_path / "a.state", 0
    while True:
        try:
            result = tune(study, path, stop=after(5))
        except StoppedError as stopped:
            stops += 1
            assert re.search(r"the test says so: training stopped after \d epochs? and \d+ steps?", str(stopped))
            assert str(path) in str(stopped)
        else:
            break
    assert stops >= 6
    assert_same(result, whole)


class SkipsBlocks(nn.Module):
    """Skips blocks at random, so that some have no gradient in the first steps and nothing is remembered of them."""

    def __init__(self, draw):
        super().__init__()
        self.draw = draw
        self.blocks = nn.ModuleList(nn.Linear(3, 3) for _ in range(6))
        self.fc = nn.Linear(3, 10)

    def forward(self, x):
        x = x.mean((2, 3))
        for block in self.blocks:
            if not self.training or self.draw() < 0.2:
                x = x + block(x)
        return self.fc(x)


@pytest.mark.parametrize("draw", [lambda: torch.rand(()), random.random, np.random.random])
@pytest.mark.parametrize("changes", [{}, {"optimiser": "adamw", "weight_decay": 0.1}])
def test_a_network_that_skips_blocks_at_random_goes_on_too(study, tmp_path, changes, draw):
    pixels, fold = study
    settings = small_settings(**changes)

    def run(**options):
        torch.manual_seed(0)
        return fine_tune(SkipsBlocks(draw), "fc", pixels, PREPROCESSING, fold, settings, CPU, **options)

    before = random.getstate(), np.random.get_state()[1].tobytes()
    whole, path = run(), tmp_path / "a.state"
    assert (random.getstate(), np.random.get_state()[1].tobytes()) == before
    for calls in (2, 9, STEPS + 4):
        with pytest.raises(StoppedError):
            run(state=path, stop=after(calls))
        random.seed(calls)  # whatever the random states of the next process
        np.random.seed(calls)
    assert_same(run(state=path), whole)


def test_a_finished_training_is_not_trained_again(study, tmp_path):
    first = tune(study, tmp_path / "a.state")
    assert_same(tune(study, tmp_path / "a.state", report=lambda *_: pytest.fail("it trained")), first)


def test_on_a_larger_gpu_a_batch_stays_in_as_many_parts(study, tmp_path):
    pixels, fold = study

    def run(most, **options):
        torch.manual_seed(0)
        network = Short(most)
        return fine_tune(network, "fc", pixels, PREPROCESSING, fold, small_settings(), CPU, **options)

    whole = run(5)
    assert [epoch.accumulate for epoch in whole.history] == [2, 2, 2]
    with pytest.raises(StoppedError):
        run(5, state=tmp_path / "a.state", stop=after(STEPS + 3))
    assert_same(run(8, state=tmp_path / "a.state"), whole)
    assert [epoch.accumulate for epoch in run(8).history] == [1, 1, 1]


def test_signals_and_the_clock_ask_to_stop_and_handlers_are_put_back():
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR2)]
    now = [1000.0]
    with StopRequests(deadline=2000, margin=100, clock=lambda: now[0]) as stop:
        assert stop() == ""
        now[0] = 1901
        assert "time limit is less than 100 s away" in stop()
        os.kill(os.getpid(), signal.SIGUSR2)
        assert stop() == "SIGUSR2 was received"
    with StopRequests() as stop:
        assert stop() == ""
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop() == "SIGTERM was received"
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR2)] == before


def interrupted(study, path, calls=2 * STEPS + 8):
    with pytest.raises(StoppedError):
        tune(study, path, stop=after(calls))


def test_of_a_damaged_state_the_one_before_is_used_and_it_is_said(study, tmp_path, rng, caplog):
    whole, path = tune(study), tmp_path / "a.state"
    interrupted(study, path)
    content = path.read_bytes()
    previous = (tmp_path / "a.state.previous").read_bytes()
    for damaged in (b"", content[:1000], content[: len(content) // 2], b"no state"):
        path.write_bytes(damaged)
        (tmp_path / "a.state.previous").write_bytes(previous)
        caplog.clear()
        assert_same(tune(study, path), whole)
        assert "is damaged" in caplog.text and "the state before it is used" in caplog.text
    path.write_bytes(b"no")
    (tmp_path / "a.state.previous").write_bytes(b"no")
    assert_same(tune(study, path), whole)


def test_a_state_stays_where_the_disk_does_not_answer(study, tmp_path, monkeypatch):
    path = tmp_path / "a.state"
    interrupted(study, path)
    content = path.read_bytes()

    def stale(path):
        raise OSError(errno.ESTALE, "Stale file handle", str(path))

    with monkeypatch.context() as patch, pytest.raises(OSError, match="Stale file handle"):
        patch.setattr(module, "check_zip", stale)
        tune(study, path)
    assert path.read_bytes() == content


def test_a_flipped_bit_is_found_or_means_nothing(study, tmp_path, rng):
    path = tmp_path / "a.state"
    interrupted(study, path)
    content, found = path.read_bytes(), 0
    key = torch.load(path, weights_only=True)["key"]
    (tmp_path / "a.state.previous").unlink()
    good = State(path, key).load()
    for _ in flipped(path, rng, N_FLIPS):
        read = State(path, key).load()
        if read is None:
            found += 1
            path.write_bytes(content)  # it was removed
        else:
            assert all(torch.equal(read["network"][name], tensor) for name, tensor in good["network"].items())
    assert found > N_FLIPS / 2


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"seed": 5}, "another network:"),
        ({"changes": {"learning_rate": 0.02}}, "another value of `learning_rate`:"),
        ({"depends_on": {"code": "two"}}, "another code:"),
    ],
)
def test_the_state_of_something_else_is_refused(study, tmp_path, other, message):
    path = tmp_path / "a.state"
    with pytest.raises(StoppedError):
        tune(study, path, stop=after(20), depends_on={"code": "one"})
    kept = path.read_bytes()
    with pytest.raises(ValueError, match=message.replace(":", "")) as raised:
        tune(study, path, **{"depends_on": {"code": "one"}, **other})
    assert "delete it to start anew" in str(raised.value)
    assert path.read_bytes() == kept


def test_the_state_of_another_split_or_other_scores_is_refused(study, tmp_path):
    pixels, fold = study
    path = tmp_path / "a.state"
    interrupted(study, path)
    scores = np.random.default_rng(0).random(len(pixels))
    others = [
        make_fold(0, scores, fold.train.images, fold.validation.images, fold.test.images, small_settings()),
    ]
    for other in others:
        with pytest.raises(ValueError, match="another split or scores"):
            tune((pixels, other), path)


def test_on_a_full_disk_the_old_state_stays_and_training_goes_on(study, tmp_path, monkeypatch, caplog):
    whole, path = tune(study), tmp_path / "a.state"
    interrupted(study, path)
    content, previous = path.read_bytes(), (tmp_path / "a.state.previous").read_bytes()

    def full(content, file):
        file.write(b"half of it")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module.torch, "save", full)
    assert_same(tune(study, path), whole)
    assert "could not be saved" in caplog.text and "No space left" in caplog.text
    assert path.read_bytes() == content
    assert sorted(tmp_path.iterdir()) == [path, tmp_path / "a.state.previous"]
    assert (tmp_path / "a.state.previous").read_bytes() == previous
    with pytest.raises(StoppedError, match="no state was saved"):
        tune(study, path, stop=after(2))
    monkeypatch.undo()
    assert_same(tune(study, path), whole)


def test_a_kill_between_the_two_renames_leaves_a_state(study, tmp_path, monkeypatch):
    whole, path = tune(study), tmp_path / "a.state"
    interrupted(study, path)

    class Cut(BaseException):
        pass

    kept = State._keep_previous

    def cut(self):
        kept(self)
        raise Cut

    monkeypatch.setattr(State, "_keep_previous", cut)
    with pytest.raises(Cut):
        tune(study, path)
    monkeypatch.undo()
    assert_same(tune(study, path), whole)


def test_a_file_system_without_links_keeps_the_state_before_too(study, tmp_path, monkeypatch, caplog):
    def refuse(*_):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(module.os, "link", refuse)
    caplog.set_level(logging.WARNING)
    interrupted(study, tmp_path / "a.state")
    assert sorted(tmp_path.iterdir()) == [tmp_path / "a.state", tmp_path / "a.state.previous"]
    assert not caplog.records


def test_states_are_removed(study, tmp_path):
    interrupted(study, tmp_path / "a.state")
    State(tmp_path / "a.state", {}).remove()
    assert list(tmp_path.iterdir()) == []
