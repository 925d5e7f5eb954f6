"""Whether anything was drawn since a seed was given."""

import torch

from layerwise.finetuning.generators import host_has_drawn


def test_what_is_drawn_on_the_processor_beside_a_gpu_is_seen():
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(4)
        assert not host_has_drawn(4)
        torch.rand(())
        assert host_has_drawn(4)
