"""The schedule against PyTorch's own."""

import pytest
import torch
from torch import nn

from layerwise.finetuning import FinetuneSettings
from layerwise.finetuning.optimisers import learning_rate, make_optimiser, set_learning_rate, state_tensors


@pytest.mark.parametrize(
    ("settings", "make"),
    [
        (FinetuneSettings(), lambda optimiser: torch.optim.lr_scheduler.StepLR(optimiser, 10, 0.1)),
        (FinetuneSettings(step_epochs=3), lambda optimiser: torch.optim.lr_scheduler.StepLR(optimiser, 3, 0.1)),
        (
            FinetuneSettings(schedule="cosine", max_epochs=40),
            lambda optimiser: torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, 40),
        ),
        (FinetuneSettings(schedule="constant"), lambda optimiser: torch.optim.lr_scheduler.StepLR(optimiser, 1000)),
    ],
)  # fmt: skip
def test_learning_rates_are_those_of_pytorchs_schedules(settings, make):
    optimiser = torch.optim.SGD([nn.Parameter(torch.ones(1))], lr=settings.learning_rate)
    schedule = make(optimiser)
    for epoch in range(40):
        assert learning_rate(settings, epoch) == pytest.approx(optimiser.param_groups[0]["lr"], rel=1e-9)
        optimiser.step()
        schedule.step()


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_what_is_frozen_does_not_learn_and_what_is_remembered_is_told(name):
    layer = nn.Linear(3, 1)
    layer.bias.requires_grad_(False)
    optimiser = make_optimiser(layer.parameters(), FinetuneSettings(optimiser=name))
    set_learning_rate(optimiser, 0.5)
    assert optimiser.param_groups[0]["lr"] == 0.5
    before = layer.weight.detach().clone(), layer.bias.detach().clone()
    layer(torch.ones(1, 3)).sum().backward()
    optimiser.step()
    assert (layer.weight != before[0]).all() and torch.equal(layer.bias, before[1])
    wanted = {"sgd": {"0.momentum_buffer"}, "adamw": {"0.step", "0.exp_avg", "0.exp_avg_sq"}}
    assert state_tensors(optimiser).keys() == wanted[name]


def test_a_network_of_which_nothing_learns_is_refused():
    layer = nn.Linear(3, 1).requires_grad_(False)
    with pytest.raises(ValueError, match="no parameter of the network learns"):
        make_optimiser(layer.parameters(), FinetuneSettings())


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize(
    "changes", [{}, {"nesterov": False}, {"momentum": 0.0, "nesterov": False}, {"weight_decay": 0.1}]
)
def test_parameters_may_have_their_first_gradient_late(generator, fused, changes):
    """As in a block that a network skips at random; PyTorch's own step, not fused, gives the numbers."""
    settings = FinetuneSettings(**changes)
    start = [torch.randn(5, generator=generator) for _ in range(2)]
    gradients = [
        [torch.randn(5, generator=generator) if step or number else None for number in (0, 1)] for step in range(4)
    ]
    ours, wanted = ([nn.Parameter(one.clone()) for one in start] for _ in range(2))
    optimiser = make_optimiser(ours, settings)
    names = {
        "lr": settings.learning_rate,
        **{name: getattr(settings, name) for name in ("momentum", "nesterov", "weight_decay")},
    }
    optimiser.param_groups[0]["fused"] = fused
    plain = torch.optim.SGD(wanted, **names)
    for step in gradients:
        for parameters, one in ((ours, optimiser), (wanted, plain)):
            for parameter, gradient in zip(parameters, step, strict=True):
                parameter.grad = None if gradient is None else gradient.clone()
            one.step()
    for found, expected in zip(ours, wanted, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-7)
