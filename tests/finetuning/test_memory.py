"""Memory of a step that does not run: against theory, and against what PyTorch's profiler sees of one that does."""

import pytest
import torch
from small_training import SIZE, small_settings
from torch import nn

from layerwise.finetuning.memory import BLOCK, step_memory
from layerwise.finetuning.networks import set_training
from layerwise.finetuning.optimisers import make_optimiser
from layerwise.finetuning.step import PlainStep

IMAGES, WIDE = 64, 1024


class Wide(nn.Module):
    """Linear layers without a bias, of which everything that is kept can be counted by hand."""

    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Linear(3 * SIZE**2, WIDE, bias=False), nn.Linear(WIDE, WIDE, bias=False)
        self.fc = nn.Linear(WIDE, 1, bias=False)

    def forward(self, x):
        return self.fc(self.two(self.one(x.flatten(1)).relu()).relu())


def counted(make, **changes):
    with torch.device("meta"):
        network = make()
    return step_memory(network, SIZE, small_settings(**{"batch_size": IMAGES, **changes}))


def rounded(*values):
    return sum(-(-4 * count // BLOCK) * BLOCK for count in values)


def test_of_linear_layers_it_is_what_theory_says():
    weights = 3 * SIZE**2 * WIDE, WIDE * WIDE, WIDE
    held = 2 * rounded(*weights) + rounded(IMAGES * 3 * SIZE**2, IMAGES)  # with momentum, the batch and its scores
    # It is most when the first layer, which is last, gets its gradient: from that of its output, beside all others.
    wanted = held + rounded(*weights) + rounded(IMAGES * WIDE)
    given = counted(Wide)
    assert wanted <= given <= wanted + 16 * BLOCK  # the loss, and other single numbers
    assert counted(Wide, optimiser="adamw") - given == pytest.approx(rounded(*weights), rel=0.02)


def sequence():
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 32, 3), nn.BatchNorm2d(32),
        nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.Dropout(), nn.Flatten(), nn.Linear(32 * 49, 1),
    )  # fmt: skip


def seen_by_the_profiler(network, settings):
    """The most bytes that are alive in a second step, with those of before it."""
    set_training(network, settings)
    optimiser = make_optimiser(network.parameters(), settings)
    inputs, targets = torch.rand(IMAGES, 3, SIZE, SIZE), torch.rand(IMAGES)
    step = PlainStep(network, optimiser, settings)
    step.compute(inputs, targets)
    optimiser.zero_grad(set_to_none=True)
    held = [*network.parameters(), *network.buffers(), inputs, targets]
    held += [state["momentum_buffer"] for state in optimiser.state.values()]
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        step.compute(inputs, targets)
    events = [event for event in profile.profiler.kineto_results.events() if event.name() == "[memory]"]
    now = most = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        now += event.nbytes()
        most = max(most, now)
    return most + sum(tensor.nbytes for tensor in held)


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_of_convolutions_it_is_what_the_profiler_sees(precision):
    settings = small_settings(batch_size=IMAGES, precision=precision)
    seen = seen_by_the_profiler(sequence(), settings)
    # The kernels of a CPU take more inside.
    assert 0.8 < counted(sequence, precision=precision) / seen < 1.02


def test_parts_of_a_batch_and_bf16_take_less():
    whole = counted(sequence)
    assert counted(sequence, accumulate=4) < 0.5 * whole
    assert counted(sequence, precision="bf16") < 0.8 * whole
