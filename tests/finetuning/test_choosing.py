"""Which of several ways to run a step is taken."""

import itertools
import logging
import random
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from small_training import batch, make, small_settings, tiny, values

from layerwise.finetuning import choosing, compiling
from layerwise.finetuning.compiling import as_before, compile_network
from layerwise.finetuning.networks import predict_scores
from layerwise.finetuning.precision import arithmetic
from layerwise.finetuning.preparing import Prepared, prepare_step
from layerwise.finetuning.step import PlainStep
from layerwise.finetuning.undoing import Undo
from layerwise.interfaces.finetuning import WORTHWHILE

STEPS = 1000
gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here: nothing is compiled")


class Scripted(choosing.Choice):
    """Takes so many seconds a step, as it is and compiled; None where that way fails."""

    _freezes = False

    def __init__(self, settings, as_it_is, compiled):
        self.plain = PlainStep(*make(settings), settings)
        self.taken, self.tried = {False: as_it_is, True: compiled}, []

    def _as_it_is(self):
        self.tried.append("as it is")
        return Prepared(False, self.plain, 1, self.taken[False] is not None)

    def _compiled(self):
        self.tried.append("compiled")
        return Prepared(True, self.plain, 1, True, True) if self.taken[True] else None

    def _seconds(self, step):
        return self.taken[step]


LONG, SHORT = 1.1 * WORTHWHILE / STEPS, 0.9 * WORTHWHILE / STEPS


@pytest.mark.parametrize(
    ("changes", "as_it_is", "compiled", "kept", "tried"),
    [
        ({}, LONG, LONG / 2, True, ["as it is", "compiled"]),
        ({}, LONG, LONG * 2, False, ["as it is", "compiled", "as it is"]),
        ({}, LONG, None, False, ["as it is", "compiled", "as it is"]),
        ({}, SHORT, SHORT / 2, False, ["as it is"]),
        ({}, None, LONG, False, ["as it is"]),  # a step that cannot be recorded as it is
        ({"deterministic": True}, LONG, LONG / 2, False, ["as it is"]),
        ({"compile": "never"}, LONG, LONG / 2, False, ["as it is"]),
        ({"compile": "always"}, SHORT, SHORT * 2, True, ["compiled"]),
        ({"compile": "always"}, SHORT, None, False, ["compiled", "as it is"]),
    ],
)
def test_what_is_quicker_is_kept_where_training_lasts(changes, as_it_is, compiled, kept, tried):
    choice = Scripted(small_settings(**changes), as_it_is, compiled)
    assert choice.quickest(STEPS).compiled == kept
    assert choice.tried == tried


def test_a_choice_is_taken_over():
    settings = small_settings(seed=7)
    assert [as_before(settings, compiled).compile for compiled in (True, False)] == ["always", "never"]
    assert as_before(settings, True).seed == 7


def test_nothing_is_compiled_on_a_cpu(generator, monkeypatch):
    monkeypatch.setattr(choosing, "compile_network", lambda network: pytest.fail("compiled"))
    settings = small_settings(compile="always")
    prepared = prepare_step(*make(settings), settings, *batch(generator), steps=10**9)
    assert not prepared.compiled and not prepared.recorded


class Draws(torch.nn.Module):
    """Draws from a generator that is not PyTorch's."""

    def __init__(self, draw):
        super().__init__()
        self.fc, self.draw = torch.nn.Linear(3, 10), draw

    def forward(self, x):
        return self.fc(x.mean((2, 3))) + self.draw()


def choice_of(network, generator, compile="auto"):
    settings = small_settings(compile=compile)
    trained, optimiser = make(settings, "cpu", network)
    plain, (inputs, targets) = PlainStep(trained, optimiser, settings), batch(generator)
    plain(inputs, targets, 0)
    return choosing.Choice(plain, inputs, targets, Undo(trained, optimiser)), plain


@pytest.mark.parametrize("compile", ["always", "auto"])
@pytest.mark.parametrize(
    "draw",
    [random.random, np.random.rand, random.Random(1).random, np.random.default_rng(1).random,
     np.random.RandomState(1).rand],
    ids=["Python", "NumPy", "its own of Python", "its own of NumPy", "its own of old NumPy"],
)  # fmt: skip
def test_what_draws_outside_of_torch_is_neither_recorded_nor_compiled(generator, draw, compile, monkeypatch, caplog):
    monkeypatch.setattr(choosing, "RecordedStep", lambda *_: pytest.fail("recorded"))
    monkeypatch.setattr(choosing, "compile_network", lambda *_: pytest.fail("compiled"))
    choice, plain = choice_of(Draws(draw), generator, compile)
    assert choice.quickest(10**9) == Prepared(plain, plain, plain.accumulate, False)
    assert caplog.text.count("draws random numbers outside PyTorch's generator") == 1


def test_what_keeps_a_state_of_its_own_is_neither_recorded_nor_compiled(generator, monkeypatch, caplog):
    """As where a generator is made anew in each call, of which nothing is left to look at."""
    monkeypatch.setattr(choosing, "RecordedStep", lambda *_: pytest.fail("recorded"))
    choice, plain = choice_of(Draws(itertools.count().__next__), generator)
    assert choice.quickest(10**9) == Prepared(plain, plain, plain.accumulate, False)
    assert "from the same weights, images and seed give different losses" in caplog.text


@pytest.mark.parametrize(
    ("again", "graph", "frozen", "agrees"),
    [
        # Of what updates make of later losses, three times the difference is allowed; of first losses nothing more
        ([1.001, 2.2, 1.002, 2.2], [1.001, 2.5, 1.0, 2.2], False, True),
        ([1.001, 2.2, 1.002, 2.2], [1.05, 2.2, 1.0, 2.2], False, False),
        ([1.001, 2.2, 1.002, 2.2], [1.001, 2.7, 1.0, 2.2], False, False),
        ([1.001, 2.0, 1.03, 2.0], None, True, None),
        ([float("nan"), 2.0, 1.0, 2.0], [float("nan"), 2.0, 1.0, 2.0], False, False),
    ],
)
def test_first_losses_must_agree_and_later_ones_as_far_as_plain_ones_do(
    generator, monkeypatch, again, graph, frozen, agrees
):
    wanted = [again[0] if np.isnan(again[0]) else 1.0, 2.0, 1.0, 2.0]
    scripted = iter([wanted, again, graph])
    monkeypatch.setattr(choosing.Choice, "_losses", lambda *_: next(scripted))
    choice, plain = choice_of(tiny(), generator)
    assert bool(choice._freezes) == frozen
    assert frozen or choice._agrees(plain, "graph") == agrees


def test_generators_that_others_use_meanwhile_are_none_of_the_network(generator):
    others = np.random.default_rng(1), random.Random(1), random.SystemRandom()
    choice, _ = choice_of(tiny(), generator)
    assert choice._freezes == "" and others[2].random() < 1


class Skips(torch.nn.Module):
    """Skips its block every other time, as the processor draws it."""

    def __init__(self):
        super().__init__()
        self.block, self.fc = torch.nn.Conv2d(3, 3, 3, 1, 1), torch.nn.Linear(3, 10)

    def forward(self, x):
        return self.fc((x if torch.rand(()) < 0.5 else self.block(x)).mean((2, 3)))


@gpu
def test_what_is_drawn_on_the_processor_is_not_recorded_cuda(generator, caplog):
    settings = small_settings()
    prepared = prepare_step(*make(settings, "cuda", Skips()), settings, *batch(generator, "cuda"))
    assert not prepared.recorded and "draws from PyTorch's generator of the processor" in caplog.text


def test_what_draws_from_torch_is_recorded(generator, monkeypatch):
    monkeypatch.setattr(choosing, "RecordedStep", lambda plain, *_: plain)
    choice, plain = choice_of(tiny(), generator)
    assert choice._record(plain) is plain


@pytest.mark.parametrize(("errors", "raised"), [(0, False), (1, False), (2, False), (3, True)])
def test_an_error_that_a_broken_recording_leaves_does_not_end_training(generator, monkeypatch, errors, raised, caplog):
    choice, plain = choice_of(tiny(), generator)
    before, left, undo = values(plain.network), iter(range(errors)), choice.undo

    def break_off(*_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    def undo_or_fail():
        for _ in left:
            raise RuntimeError("operation not permitted when stream is capturing")
        undo()

    monkeypatch.setattr(choosing, "RecordedStep", break_off)
    choice.undo = undo_or_fail
    with pytest.raises(RuntimeError, match="is capturing") if raised else nullcontext():
        assert choice._record(plain) is None
    assert "cannot be recorded as a CUDA graph (CUDA out of memory)" in caplog.text
    if not raised:
        assert all(torch.equal(tensor, before[name]) for name, tensor in values(plain.network).items())


def test_a_step_in_float32_that_does_not_fit_leaves_weights_as_they_were(generator, monkeypatch):
    choice, plain = choice_of(tiny(), generator)
    before, steps = values(plain.network), iter(range(3))

    def losses(step):
        step(choice.inputs, choice.targets, next(steps))
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(choice, "_losses", losses)
    assert choice._rounding() == 0
    assert all(torch.equal(tensor, before[name]) for name, tensor in values(plain.network).items())


def test_a_network_that_is_compiled_again_and_again_is_not_compiled_in_part(monkeypatch):
    network, given = torch.nn.Linear(2, 2), torch.ones(1, 2)
    network.forward = lambda x: x * network.number
    monkeypatch.setattr(compiling, "MOST", 2)
    torch.compiler.reset()
    compiled = torch.compile(network, backend="eager", dynamic=False)
    with compiling.compiled_whole(), pytest.raises(Exception, match="recompile_limit"):
        for network.number in (2.5, 3.5, 4.5):
            compiled(given)


@pytest.mark.slow
def test_a_compiled_network_draws_and_learns_as_it_does_without(generator):
    """Inductor's own kernels, on a CPU."""
    settings = small_settings()
    runs = []
    for compiled in (False, True):
        network, optimiser = make(settings)
        step = PlainStep(network, optimiser, settings, forward=compile_network(network) if compiled else None)
        draws = torch.Generator().manual_seed(3)
        runs.append((torch.stack([step(*batch(draws), seed).clone() for seed in range(10)]), values(network)))
    assert len(runs[0][0].unique()) == 10
    torch.testing.assert_close(runs[1][0], runs[0][0], rtol=1e-4, atol=1e-6)
    for name, tensor in runs[0][1].items():
        torch.testing.assert_close(runs[1][1][name], tensor, rtol=1e-3, atol=1e-5)


# --- on a GPU


@gpu
@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-3), ("bf16", 5e-2)])
def test_a_hundred_compiled_steps_equal_a_hundred_plain_cuda(generator, precision, tolerance):
    batches = [batch(generator, "cuda") for _ in range(100)]
    runs = []
    for compile in ("always", "never"):
        settings = small_settings(precision=precision, learning_rate=1e-3, compile=compile)
        network, optimiser = make(settings, "cuda")
        with arithmetic(precision):
            prepared = prepare_step(network, optimiser, settings, *batches[0])
            assert (prepared.recorded, prepared.compiled) == (True, compile == "always")
            losses = [prepared.step(*given, number).clone() for number, given in enumerate(batches)]
        runs.append((torch.stack(losses), values(network)))
    torch.testing.assert_close(runs[0][0], runs[1][0], rtol=tolerance, atol=tolerance * 0.1)
    for key, tensor in runs[1][1].items():
        torch.testing.assert_close(runs[0][1][key], tensor, rtol=tolerance * 5, atol=tolerance)


@gpu
def test_auto_compiles_where_training_lasts_cuda(generator, caplog):
    settings = small_settings()
    with caplog.at_level(logging.INFO):
        short, long = (prepare_step(*make(settings, "cuda"), settings, *batch(generator, "cuda"), steps=steps)
                       for steps in (1, 10**9))  # fmt: skip
    assert short.recorded and not short.compiled and long.recorded
    assert caplog.text.count("compiled") == 1  # a trial, once


@gpu
@pytest.mark.parametrize("settings", [small_settings(compile="always"), small_settings()])
def test_what_cannot_be_compiled_runs_as_it_is_and_says_why_cuda(generator, settings, monkeypatch, caplog):
    def refuse(network):
        raise FileNotFoundError("no compiler\nand more")

    monkeypatch.setattr(choosing, "compile_network", lambda network: refuse)
    network, optimiser = make(settings, "cuda")
    before = values(network)
    prepared = prepare_step(network, optimiser, settings, *batch(generator, "cuda"), steps=10**9)
    assert prepared.recorded and not prepared.compiled
    assert "cannot be compiled (FileNotFoundError: no compiler): it runs as it is" in caplog.text
    assert all(torch.equal(tensor, before[name]) for name, tensor in values(network).items())


@gpu
def test_a_compilation_that_computes_something_else_is_not_kept_cuda(generator, monkeypatch, caplog):
    monkeypatch.setattr(choosing, "compile_network", lambda network: lambda x: 2 * predict_scores(network, x)[:, None])
    settings = small_settings(compile="always")
    prepared = prepare_step(*make(settings, "cuda", tiny()), settings, *batch(generator, "cuda"))
    assert prepared.recorded and not prepared.compiled
    assert "the compilation of this network's step gives other losses" in caplog.text
