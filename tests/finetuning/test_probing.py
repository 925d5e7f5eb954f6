"""Networks whose score cannot follow a head of one unit, which are told before they are trained."""

import logging

import numpy as np
import pytest
import torch
from small_training import PREPROCESSING, STORED, Kept, tiny
from torch import nn

from layerwise.finetuning.probing import probe_head


class Ending(nn.Module):
    """A network that does something to what its classifier gives."""

    def __init__(self, end):
        super().__init__()
        self.inner, self.end = tiny(), end

    def forward(self, x):
        return self.end(self.inner(x))


def probe(network, rng):
    images = Kept(rng.integers(0, 256, (2, STORED, STORED, 3), dtype=np.uint8))
    probe_head(network, ("inner.fc",), images, PREPROCESSING, "cpu")


@pytest.mark.parametrize(("end", "score"), [(nn.Softmax(1), 1), (nn.LogSoftmax(1), 0), (lambda x: x * 0 + 2, 2)])
def test_a_network_whose_score_is_the_same_whatever_its_head_gives_is_refused(end, score, rng):
    with pytest.raises(ValueError, match=rf"gives the score {score} whatever inner\.fc gives.*softmax"):
        probe(Ending(end), rng)


@pytest.mark.parametrize("end", [nn.ReLU(), nn.Sigmoid(), nn.Hardtanh()])
def test_one_that_clips_or_squeezes_is_told(end, rng, caplog):
    probe(Ending(end), rng)
    assert "may clip or squeeze scores" in caplog.text


@pytest.mark.parametrize("end", [nn.Identity(), lambda x: 0.5 * x - 100, lambda x: x / 7 + x])
def test_one_that_shifts_or_scales_is_trained(end, rng, caplog):
    caplog.set_level(logging.WARNING)
    network = Ending(end)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    drawn = torch.get_rng_state()
    probe(network, rng)
    assert not caplog.text and torch.equal(drawn, torch.get_rng_state())
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_one_that_gives_several_numbers_for_an_image_is_refused(rng):
    with pytest.raises(ValueError, match="one number for each image"):
        probe(Ending(lambda x: torch.cat([x, x], 1)), rng)
