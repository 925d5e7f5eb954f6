"""A step, plain and recorded, against PyTorch's own calls."""

import gc
import random

import pytest
import timm
import torch
from small_training import Short, batch, make, small_settings, values
from torch import nn

from layerwise.finetuning.networks import replace_by_one_unit, set_training, skip_idle_pools
from layerwise.finetuning.optimisers import make_optimiser, set_learning_rate, state_tensors
from layerwise.finetuning.precision import arithmetic
from layerwise.finetuning.preparing import prepare_step
from layerwise.finetuning.step import PlainStep, RecordedStep
from layerwise.models import build, registry


def test_accumulated_gradients_are_those_of_the_whole_batch_where_batch_norms_are_frozen(generator):
    inputs, targets = batch(generator)
    ends = []
    for accumulate in (1, 3, 8):
        settings = small_settings(batch_norms="frozen", accumulate=accumulate)
        network, optimiser = make(settings)
        network.dropout.p, network.drop_path.drop_prob = 0.0, 0.0
        loss = PlainStep(network, optimiser, settings, accumulate)(inputs, targets, 1)
        ends.append((loss, values(network)))
    for loss, state in ends[1:]:
        torch.testing.assert_close(loss, ends[0][0])
        for name, tensor in state.items():
            torch.testing.assert_close(tensor, ends[0][1][name], rtol=1e-5, atol=1e-7)


def test_batch_norms_see_the_parts_of_a_batch(generator):
    inputs, targets = batch(generator)
    settings = small_settings()
    network, optimiser = make(settings)
    seen = []
    network.stem[1].register_forward_hook(lambda _, given, __: seen.append(len(given[0])))
    PlainStep(network, optimiser, settings, 3)(inputs, targets, 1)
    PlainStep(network, optimiser, settings, 3)(inputs[:2], targets[:2], 1)  # a last batch
    assert seen == [3, 3, 2, 2]


@pytest.mark.parametrize(
    ("accumulate", "left", "seen"),
    [(4, 3, [3]), (4, 5, [3, 2]), (4, 7, [3, 2, 2]), (4, 8, [2] * 4), (4, 2, [2]), (3, 4, [2, 2]), (8, 3, [1] * 3)],
)
def test_no_part_of_the_images_that_are_left_over_is_a_single_one(generator, accumulate, left, seen):
    inputs, targets = batch(generator)
    settings = small_settings()
    assert settings.batch_size == len(inputs) == 8
    network, optimiser = make(settings)
    parts = []
    network.stem[1].register_forward_hook(lambda _, given, __: parts.append(len(given[0])))
    PlainStep(network, optimiser, settings, accumulate)(inputs[:left], targets[:left], 1)
    assert parts == seen


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_trying_a_step_changes_nothing_but_makes_what_the_optimiser_remembers(generator, name):
    settings = small_settings(optimiser=name)
    network, optimiser = make(settings)
    before, drawn = values(network), torch.get_rng_state()
    inputs, targets = batch(generator)
    prepared = prepare_step(network, optimiser, settings, inputs, targets)
    assert all(torch.equal(tensor, before[name]) for name, tensor in values(network).items())
    assert torch.equal(torch.get_rng_state(), drawn)
    assert (prepared.accumulate, prepared.recorded) == (1, False)
    assert state_tensors(optimiser) and not any(tensor.any() for tensor in state_tensors(optimiser).values())
    # and a step from there is a first step
    other, fresh = make(settings)
    for _ in range(3):
        one = prepared.step(inputs, targets, 5)
        two = PlainStep(other, fresh, settings)(inputs, targets, 5)
        assert torch.equal(one, two)
    assert all(torch.equal(tensor, values(other)[name]) for name, tensor in values(network).items())


@pytest.mark.parametrize(("most", "parts"), [(8, 1), (7, 2), (4, 2), (3, 4), (2, 4)])
def test_a_batch_that_does_not_fit_is_divided_and_it_is_said(generator, most, parts, caplog):
    settings = small_settings()
    network, optimiser = make(settings, network=Short(most))
    before = values(network)
    prepared = prepare_step(network, optimiser, settings, *batch(generator))
    assert prepared.accumulate == parts
    assert all(torch.equal(tensor, before[name]) for name, tensor in values(network).items())
    told = f"gradients of {parts} parts of it are added up, and batch normalisations see these parts"
    assert (told in caplog.text) == (parts > 1)
    assert torch.isfinite(prepared.step(*batch(generator), 1))


@pytest.mark.parametrize(
    ("most", "changes", "advice"),
    [
        (1, {}, "use a GPU with more memory"),
        (3, {"accumulate": 2}, "set `accumulate` to more parts"),
        (1, {"accumulate": 4}, "use a GPU with more memory"),
        (0, {"batch_norms": "frozen"}, "use a GPU with more memory"),
    ],
)
def test_a_network_that_does_not_fit_at_all_ends_in_a_sentence(generator, most, changes, advice):
    settings = small_settings(**changes)
    network, optimiser = make(settings, network=Short(most))
    with pytest.raises(MemoryError, match="images of a batch do not fit into memory at once") as raised:
        prepare_step(network, optimiser, settings, *batch(generator))
    assert "\n" not in str(raised.value) and str(raised.value).endswith(advice)


def test_other_errors_are_not_taken_for_memory(generator):
    class Broken(Short):
        def forward(self, x):
            raise RuntimeError("shapes cannot be multiplied")

    settings = small_settings()
    network, optimiser = make(settings, network=Broken(1))
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        prepare_step(network, optimiser, settings, *batch(generator))


TF32 = {"tf32": True, "ieee": False}


def test_arithmetic_is_put_back():
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    newer = hasattr(matmul, "fp32_precision")  # since PyTorch 2.9; the lock for a V100 has an older one

    def told():
        if newer:
            tf32 = [TF32.get(name, name) for name in (matmul.fp32_precision, cudnn.conv.fp32_precision)]
        else:
            tf32 = [matmul.allow_tf32, cudnn.allow_tf32]
        return (*tf32, cudnn.deterministic, cudnn.benchmark, cudnn.benchmark_limit)

    before = told(), torch.are_deterministic_algorithms_enabled()
    for precision, tf32 in (("tf32", True), ("bf16", True), ("float32", False)):
        with arithmetic(precision, deterministic=True):
            assert told()[:4] == (tf32, tf32, True, False)
            assert torch.are_deterministic_algorithms_enabled()
        assert (told(), torch.are_deterministic_algorithms_enabled()) == before


# --- on a GPU

gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here: CUDA graphs cannot be recorded")


@gpu
@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("name", ["sgd", "adamw"])
@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 2e-4), ("tf32", 2e-3), ("bf16", 2e-2)])
def test_a_hundred_recorded_steps_equal_a_hundred_plain_cuda(generator, precision, tolerance, name, accumulate):
    settings = small_settings(optimiser=name, precision=precision, accumulate=accumulate, learning_rate=1e-3)
    batches = [batch(generator, "cuda") for _ in range(100)]
    runs = []
    for record in (True, False):
        network, optimiser = make(settings, "cuda")
        with arithmetic(precision):
            prepared = prepare_step(network, optimiser, settings, *batches[0], record=record)
            assert prepared.recorded == record
            losses = []
            for number, (inputs, targets) in enumerate(batches):
                set_learning_rate(optimiser, 1e-3 * 0.5 ** (number // 25))  # a graph that froze it would go astray
                losses.append(prepared.step(inputs, targets, number).clone())
        runs.append((torch.stack(losses), values(network)))
    torch.testing.assert_close(runs[0][0], runs[1][0], rtol=tolerance, atol=tolerance * 0.1)
    for key, tensor in runs[1][1].items():
        torch.testing.assert_close(runs[0][1][key], tensor, rtol=tolerance * 5, atol=tolerance)


def build_real(name):
    """An untrained network of a library, and its classifier."""
    if name == "convnext_atto":  # drop path
        with torch.random.fork_rng():
            torch.manual_seed(1)
            return timm.create_model(name, drop_path_rate=0.3), "head.fc"
    return build(name, "random", seed=1), registry.find(name).classifier


@gpu
@pytest.mark.parametrize("name", ["alexnet", "resnet18", "shufflenet_v2_x0_5", "efficientnet_b0", "convnext_atto"])
def test_a_hundred_recorded_steps_of_real_networks_equal_a_hundred_plain_cuda(generator, name):
    """Dropout; batch normalisation; both with drop connect; drop path. Algorithms give the same bits again."""
    settings = small_settings(precision="float32", deterministic=True, learning_rate=1e-4)
    batches, side = [], 224 if name == "alexnet" else 64  # its pool has nothing to do then, and is skipped
    for _ in range(100):
        inputs, targets = torch.randn(8, 3, side, side, generator=generator), torch.rand(8, generator=generator)
        batches.append((inputs.cuda().contiguous(memory_format=torch.channels_last), targets.cuda()))
    runs = []
    for record in (True, False):
        network, classifier = build_real(name)
        network = replace_by_one_unit(network, classifier, settings, 0.5).cuda().to(memory_format=torch.channels_last)
        skip_idle_pools(network)
        set_training(network, settings)
        optimiser = make_optimiser(network.parameters(), settings)
        with arithmetic("float32", deterministic=True):
            prepared = prepare_step(network, optimiser, settings, *batches[0], record=record)
            assert prepared.recorded == record
            losses = [prepared.step(*given, number).clone() for number, given in enumerate(batches)]
        runs.append((torch.stack(losses), values(network)))
    assert runs[0][0].isfinite().all() and len(runs[0][0].unique()) > 90
    torch.testing.assert_close(runs[0][0], runs[1][0], rtol=1e-3, atol=1e-4)
    for key, tensor in runs[1][1].items():
        torch.testing.assert_close(runs[0][1][key], tensor, rtol=5e-3, atol=1e-3)


@gpu
def test_recording_leaves_statistics_and_weights_as_they_were_cuda(generator):
    settings = small_settings()
    network, optimiser = make(settings, "cuda")
    before = values(network)
    prepared = prepare_step(network, optimiser, settings, *batch(generator, "cuda"))
    assert prepared.recorded
    assert all(torch.equal(tensor, before[name]) for name, tensor in values(network).items())
    prepared.step(*batch(generator, "cuda"), 1)
    assert int(network.stem[1].num_batches_tracked) == 1


@gpu
def test_dropout_of_a_graph_follows_the_seed_cuda(generator):
    settings = small_settings(learning_rate=1e-30, batch_norms="frozen")
    network, optimiser = make(settings, "cuda")
    inputs, targets = batch(generator, "cuda")
    step = prepare_step(network, optimiser, settings, inputs, targets).step
    assert isinstance(step, RecordedStep)
    losses = [float(step(inputs, targets, seed)) for seed in (1, 2, 1, 3, 2)]
    assert losses[0] == losses[2] and losses[1] == losses[4]
    assert len(set(losses)) == 3
    plain = PlainStep(network, optimiser, settings)
    assert float(plain(inputs, targets, 3)) == pytest.approx(losses[3], rel=1e-4)


class Syncs(nn.Module):
    """Asks the GPU for a number, which a graph cannot, and has dropout, which must draw after that all the same."""

    def __init__(self):
        super().__init__()
        self.fc, self.dropout = nn.Linear(3, 10), nn.Dropout(0.1)

    def forward(self, x):
        means = self.dropout(x.mean((2, 3)))
        return self.fc(means if float(means.sum()) > -1e9 else -means)


class Freezes(nn.Module):
    """Draws from Python's generator, which a graph freezes."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 10)

    def forward(self, x):
        return self.fc(x.mean((2, 3))) + random.random() * 10


class Swells(nn.Module):
    """Takes a GB and then more than there is, where it is recorded."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 10)

    def forward(self, x):
        if x.is_cuda and torch.cuda.is_current_stream_capturing():
            held = torch.empty(2**30, dtype=torch.uint8, device=x.device)
            return self.fc(x.mean((2, 3))) + torch.empty(2**45, device=x.device)[:1] + held[:1]
        return self.fc(x.mean((2, 3)))


@gpu
def test_what_a_broken_recording_took_is_given_back_cuda(generator, caplog):
    settings = small_settings()
    inputs, targets = batch(generator, "cuda")
    for _ in range(3):
        gc.collect()
        torch.cuda.empty_cache()
        before, stream = torch.cuda.memory_reserved(), torch.cuda.current_stream()
        trained, optimiser = make(settings, "cuda", Swells())
        prepared = prepare_step(trained, optimiser, settings, inputs, targets)
        assert not prepared.recorded and torch.cuda.current_stream() == stream
        assert torch.cuda.memory_reserved() - before < 2**29
    assert caplog.text.count("CUDA out of memory") == 3
    trained, optimiser = make(settings, "cuda")
    assert prepare_step(trained, optimiser, settings, inputs, targets).recorded


@gpu
@pytest.mark.parametrize(
    ("network", "message"),
    [(Syncs, "cannot be recorded as a CUDA graph"), (Freezes, "random numbers outside PyTorch's generator")],
)
def test_what_cannot_be_recorded_runs_call_by_call_and_says_why_cuda(generator, network, message, caplog):
    settings = small_settings()
    trained, optimiser = make(settings, "cuda", network())
    before = values(trained)
    inputs, targets = batch(generator, "cuda")
    prepared = prepare_step(trained, optimiser, settings, inputs, targets)
    assert not prepared.recorded and message in caplog.text
    assert all(torch.equal(tensor, before[name]) for name, tensor in values(trained).items())
    assert torch.isfinite(prepared.step(inputs, targets, 1))
    torch.cuda.synchronize()
