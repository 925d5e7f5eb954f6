"""What is tried and told before training."""

import pytest
import torch
from small_training import batch, make, small_settings
from torch import nn

from layerwise.finetuning.networks import replace_by_one_unit
from layerwise.finetuning.optimisers import make_optimiser
from layerwise.finetuning.preparing import prepare_step


@pytest.mark.parametrize("batch_norms", ["learn", "frozen"])
def test_what_does_not_learn_is_told(batch_norms, generator, caplog):
    settings = small_settings(batch_norms=batch_norms)
    network, optimiser = make(settings)
    prepare_step(network, optimiser, settings, *batch(generator))
    assert not caplog.text
    network.stem.requires_grad_(False)
    prepare_step(network, optimiser, settings, *batch(generator))
    share = 216 if batch_norms == "frozen" else 216 + 16  # a convolution of 3 x 8 x 3 x 3, and the norm after it
    total = 216 + 8 * 8 * 9 + 9 + (0 if batch_norms == "frozen" else 32)
    assert (
        f"{100 * share / total:.0f} % of its weights, got no gradient in a first step (first: stem.0.we" in caplog.text
    )


@pytest.mark.parametrize("hidden", [torch.no_grad, torch.inference_mode])
def test_a_network_that_lets_no_gradient_through_is_refused(hidden, generator):
    settings = small_settings()
    network, optimiser = make(settings)
    network.forward = hidden()(network.forward)
    with pytest.raises(ValueError, match=r"no parameter of the network gets a gradient: .*torch\.no_grad"):
        prepare_step(network, optimiser, settings, *batch(generator))


class Averages(nn.Module):
    """Divides by a running mean: in place or by an assignment, and with the weights or apart from them."""

    def __init__(self, assigned, persistent):
        super().__init__()
        self.assigned, self.fc = assigned, nn.Linear(3, 10)
        self.register_buffer("mean", torch.ones(3), persistent)
        self.register_buffer("constant", torch.tensor([1, float("nan")]), persistent=False)

    def forward(self, x):
        x = x.mean((2, 3))
        now = 0.5 * self.mean + 0.5 * x.detach().abs().mean(0)
        if self.assigned:
            self.mean = now
        elif self.training:
            self.mean.copy_(now)
        return self.fc(x / self.mean)


@pytest.mark.parametrize("assigned", [False, True])
def test_statistics_of_a_networks_own_are_as_they_were_before_a_step_was_tried(assigned, generator):
    settings = small_settings()
    network = replace_by_one_unit(Averages(assigned, True), "fc", settings, 0.5)
    mean = network.mean
    prepare_step(network, make_optimiser(network.parameters(), settings), settings, *batch(generator))
    assert network.mean is mean and torch.equal(mean, torch.ones(3))


@pytest.mark.parametrize("assigned", [False, True])
def test_a_network_that_learns_what_its_weights_lack_is_refused(assigned, generator):
    settings = small_settings()
    network = replace_by_one_unit(Averages(assigned, False), "fc", settings, 0.5)
    with pytest.raises(ValueError, match="changes mean as it learns, and does not give it away"):
        prepare_step(network, make_optimiser(network.parameters(), settings), settings, *batch(generator))


def test_parts_too_small_for_a_batch_normalisation_are_refused(generator):
    settings = small_settings(accumulate=8)
    network = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.BatchNorm1d(3), nn.Linear(3, 1))
    optimiser = make_optimiser(network.parameters(), settings)
    with pytest.raises(ValueError, match=r"a single image with `accumulate: 8`.* `batch_norms: frozen`$"):
        prepare_step(network, optimiser, settings, *batch(generator))
