"""What is changed of a network before it is trained."""

from copy import deepcopy

import pytest
import torch
from torch import nn

from layerwise.finetuning.networks import skip_idle_pools


@pytest.mark.parametrize(
    ("wanted", "same"), [((6, 6), True), (6, True), ((None, 6), True), ((3, 6), False), (1, False)]
)
def test_a_pool_that_has_nothing_to_do_passes_on_what_it_is_given(wanted, same):
    plain = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(wanted))
    images = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for parameter in plain.parameters():
            nn.init.normal_(parameter)
    expected = plain(images)
    expected.square().sum().backward()
    ours = deepcopy(plain)
    skip_idle_pools(ours)
    skip_idle_pools(ours)
    copied = deepcopy(ours)
    for network in (ours, copied):
        network.zero_grad()
        given = network(images)
        assert torch.equal(given, expected)
        given.square().sum().backward()
        torch.testing.assert_close(network[0].weight.grad, plain[0].weight.grad)
    assert copied[1].forward._pool is copied[1]
    assert (type(ours(images).grad_fn).__name__ == "CloneBackward0") == same
