"""What is changed of a network before it is trained."""

from copy import deepcopy

import numpy as np
import pytest
import torch
from small_training import CPU, PREPROCESSING, Kept, divided, planted, small_settings, tiny
from torch import nn
from torch._dynamo.testing import CompileCounter

from layerwise.finetuning import fine_tune, make_fold
from layerwise.finetuning.networks import predict_scores, replace_by_one_unit, score_in_float32, skip_idle_pools
from layerwise.finetuning.precision import autocast


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
    assert isinstance(copied[1], type(plain[1])) and type(copied[1]).__name__ == "AdaptiveAvgPool2d"
    assert (type(ours(images).grad_fn).__name__ == "CloneBackward0") == same


class Mapped(nn.Module):
    """Scores each place with a convolution, as SqueezeNet does, and averages the places."""

    def __init__(self):
        super().__init__()
        self.stem, self.classifier = nn.Conv2d(3, 8, 3, 2), nn.Conv2d(8, 10, 1)

    def forward(self, x):
        return self.classifier(self.stem(x).relu()).mean((2, 3))


@pytest.mark.parametrize(("make", "head"), [(tiny, "fc"), (Mapped, "classifier")])
def test_a_head_scores_what_bf16_gives_it_as_float64_does(make, head):
    settings = small_settings()
    network = replace_by_one_unit(make(), head, settings, 0.76).eval()
    score_in_float32(network, head)
    copied, received = deepcopy(network), []
    copied.get_submodule(head).register_forward_pre_hook(lambda module, given: received.append(given[0]))
    images = torch.randn(64, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode(), autocast(CPU, "bf16"):
        given = predict_scores(copied, images)
    unit = copied.get_submodule(head)
    features = received[0].double()
    features = features.flatten(2).mean(2) if features.ndim == 4 else features
    weight, bias = unit.weight.detach().double().flatten(), unit.bias.detach().double()
    summed = features.abs() @ weight.abs() + bias.abs()  # how much can be rounded
    wanted = features @ weight + bias
    assert received[0].dtype == torch.bfloat16
    assert ((given.double() - wanted).abs() <= 1e-6 * summed).all()
    assert ((wanted.bfloat16().double() - wanted).abs() > 1e-6 * summed).any()  # as bf16 would round


def test_of_a_single_image_the_axis_may_be_dropped():
    scores = nn.Linear(4, 1)
    for count in (1, 2, 5):
        images = torch.randn(count, 4, generator=torch.Generator().manual_seed(count))
        found = predict_scores(lambda given: scores(given).squeeze(), images)
        assert torch.equal(found, scores(images)[:, 0])
    with pytest.raises(ValueError, match=r"gives \[2\] for 1 images"):
        predict_scores(lambda given: given[0, :2], images[:1])


def test_all_splits_of_a_network_are_compiled_once():
    counter, start = CompileCounter(), nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(6), nn.Flatten())
    start.append(nn.Linear(4 * 6 * 6, 10))
    torch.compiler.reset()
    for _ in range(3):
        network = replace_by_one_unit(deepcopy(start), "3", small_settings(), 0.76)
        score_in_float32(network, "3")
        skip_idle_pools(network)
        torch.compile(network, backend=counter)(torch.rand(2, 3, 8, 8)).sum().backward()
    assert counter.frame_count == 1


def test_validation_in_bf16_tells_images_apart(rng):
    images, scores = planted(rng, 400)
    settings = small_settings(precision="bf16", max_epochs=1, learning_rate=1e-6)
    fold = make_fold(0, scores, *divided(400, rng), settings)
    network, seen = tiny(), []

    def note(epoch, pace):
        network.eval()
        inputs = torch.from_numpy(images[fold.validation.images]).permute(0, 3, 1, 2) / 255
        with torch.inference_mode(), autocast(CPU, "bf16"):
            seen.append(predict_scores(network, inputs).double().numpy())

    fine_tune(network, "fc", Kept(images), PREPROCESSING, fold, settings, CPU, report=note)
    steps = 2.0 ** (np.floor(np.log2(np.abs(seen[0]))) - 7)  # between neighbours in bf16
    assert (np.abs(seen[0] / steps - np.round(seen[0] / steps)) > 1e-3).mean() > 0.9
