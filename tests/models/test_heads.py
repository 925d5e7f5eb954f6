import numpy as np
import pytest
import torch
from torch import nn

from layerwise.interfaces import ModelSpec
from layerwise.models import (
    PenultimateTap,
    build,
    build_empty,
    find_classifiers,
    registry,
    replace_head,
    resolve_preprocessing,
)

# Those that are unlike the others; `make test-models` does this for all 64.
KINDS = ["squeezenet1_1", "resnet18", "dpn68", "googlenet", "inception_v3", "cornet_z"]


def spec_of(name):
    row = registry.find(name)
    return ModelSpec(name, row.library, row.constructor, weights="random")


@pytest.mark.parametrize("name", KINDS)
def test_classifier_of_the_penultimate_representation_gives_the_scores(name):
    network, row = build(name), registry.find(name)
    size = row.preprocessing.size
    replace_head(network, row.classifier, 5)
    with PenultimateTap(network, row.classifier) as tap, torch.inference_mode():
        scores = network(torch.randn(2, 3, size, size))
        head = network.get_submodule(row.classifier)
        expected = tap.output @ head.weight.flatten(1).T + head.bias
    torch.testing.assert_close(scores, expected, rtol=1e-4, atol=1e-4 * float(scores.abs().max()))


def train_a_step(network, images, rate):
    """Change the parameters only: batch norm's running statistics are put back."""
    statistics = {name: buffer.clone() for name, buffer in network.named_buffers()}
    optimiser = torch.optim.SGD(network.train().parameters(), lr=rate)
    (network(images) - 1).square().mean().backward()
    optimiser.step()
    for name, buffer in network.eval().named_buffers():
        buffer.copy_(statistics[name])


@pytest.mark.parametrize("name", KINDS)
def test_new_head_can_be_trained_and_be_negative(name):
    row = registry.find(name)
    network = replace_head(build(name), row.classifier)
    images = torch.randn(2, 3, row.preprocessing.size, row.preprocessing.size)
    head = network.get_submodule(row.classifier)
    with torch.no_grad():
        before = network(images)
        assert before.shape == (2, 1)
        assert before.isfinite().all() and before.all()
        head.weight.neg_()
        head.bias.neg_()
        assert torch.equal(network(images), -before)
    weight, bias = head.weight.detach().clone(), head.bias.detach().clone()
    train_a_step(network, images, rate=1e-3)
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())
    assert head.weight.grad.any() and head.bias.grad.any()
    assert not torch.equal(head.weight, weight) and not torch.equal(head.bias, bias)
    with torch.no_grad():
        after = network(images)
    assert after.isfinite().all() and not torch.equal(after, -before)


def test_a_step_of_no_size_leaves_the_output_of_batch_norm_as_it_is():
    network = replace_head(build("resnet18"), "fc")
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        before = network(images)
        with torch.enable_grad():
            train_a_step(network, images, rate=0.0)
        assert torch.equal(network(images), before)


def test_heads_without_auxiliaries_give_one_output_in_training():
    for name in ("googlenet", "inception_v3"):
        network = replace_head(build(name), "fc").train()
        assert isinstance(network(torch.randn(2, 3, 299, 299)), torch.Tensor)
        assert not any("aux" in parameter.lower() for parameter, _ in network.named_parameters())


def test_new_head_keeps_type_and_mode():
    network = build("squeezenet1_1").double()
    head = replace_head(network, "classifier.1", 3).get_submodule("classifier.1")
    assert head.weight.dtype == torch.float64 and not head.training


def test_registry_then_timm_then_the_last_layer_that_runs():
    own = nn.Sequential(nn.Conv2d(3, 30, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(30, 40), nn.Linear(40, 7))
    spec = ModelSpec("own", "factory", "package:function")
    assert find_classifiers(own, spec, 8) == ("4",)
    assert find_classifiers(own, spec_of("densenet121"), 8) == ("classifier",)
    timm = ModelSpec("net", "timm", "mobilenetv3_small_050", weights="random")
    assert find_classifiers(build(timm), timm, 224) == ("classifier",)
    with pytest.raises(ValueError, match="no linear layer or 1x1 convolution runs"):
        find_classifiers(nn.Sequential(nn.Conv2d(3, 4, 3)), spec, 8)
    with pytest.raises(ValueError, match="'1' runs last, but does not give as many values"):
        find_classifiers(
            nn.Sequential(nn.Flatten(), nn.Linear(192, 7), nn.Unflatten(1, (7, 1)), nn.Flatten(0)), spec, 8
        )


def test_classifier_of_a_factory_that_scores_each_position_before_they_are_averaged():
    class PerPosition(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = nn.Linear(3, 7)

        def forward(self, images):
            return self.head(images.movedim(1, -1)).mean((1, 2))

    network, images = PerPosition(), torch.randn(2, 3, 8, 8)
    assert find_classifiers(network, ModelSpec("own", "factory", "package:function"), 8) == ("head",)
    with PenultimateTap(network, "head") as tap:
        scores = network(images)
    torch.testing.assert_close(tap.output, images.mean((2, 3)))
    torch.testing.assert_close(scores, network.head(tap.output))


# The ways in which timm's networks add up several classifiers: evenly, or with weights that they learnt.
SUMS = ["levit_128s", "crossvit_tiny_240", "deit_tiny_distilled_patch16_224", "repvit_m0_9", "efficientvim_m1_dist"]


@pytest.mark.parametrize("name", SUMS)
def test_several_classifiers_are_one_linear_function_of_the_penultimate_representation(name):
    spec = ModelSpec("net", "timm", name, weights="random")
    network, size = build(spec), resolve_preprocessing(spec).size
    classifiers, images = find_classifiers(network, spec, size), torch.randn(4, 3, size, size)
    replace_head(network, classifiers, 20)
    heads = [network.get_submodule(name) for name in classifiers]
    with PenultimateTap(network, classifiers) as tap, torch.no_grad():
        scores = network(images)
        received = tap.output.split([head.in_features for head in heads], 1)
        terms = torch.stack([head(values).flatten() for head, values in zip(heads, received, strict=True)], 1)
        for head in heads:
            head.weight.neg_()
            head.bias.neg_()
        torch.testing.assert_close(network(images), -scores)
    weights = np.linalg.lstsq(terms.numpy(), scores.flatten().numpy(), rcond=None)[0]
    assert (weights > 0).all()
    np.testing.assert_allclose(terms.numpy() @ weights, scores.flatten().numpy(), atol=1e-4)
    if len(weights) == 2:
        np.testing.assert_allclose(weights, [0.5, 0.5], atol=1e-4)


@pytest.mark.parametrize(
    ("name", "stated"),
    [
        ("volo_d1_224", "head, aux_head"),  # the largest over the positions of the second is added
        ("levit_384_s8", r"head\.linear"),  # a second one is there, but not stated
    ],
)
def test_classifiers_that_are_not_simply_added_up_are_refused(name, stated):
    spec = ModelSpec("net", "timm", name, weights="random")
    with pytest.raises(ValueError, match=f"timm states {stated} as the classifier of '{name}', but .* no fixed sum"):
        find_classifiers(build_empty(spec), spec, 224)


def test_what_is_no_classifier():
    network = build("squeezenet1_1")
    with pytest.raises(ValueError, match=r"no module 'clasifier.1': did you mean classifier.1"):
        replace_head(network, "clasifier.1")
    with pytest.raises(ValueError, match="no module ''"):
        PenultimateTap(network, "")
    with pytest.raises(ValueError, match="is ReLU, not a linear layer or a 1x1 convolution"):
        replace_head(network, "classifier.2")
    with pytest.raises(ValueError, match="is Conv2d, not a linear layer"):
        replace_head(network, "features.0")
    with pytest.raises(ValueError, match="1 output or more, not 0"):
        replace_head(network, "classifier.1", 0)


def test_hook_is_taken_away():
    network = build("squeezenet1_1")
    with PenultimateTap(network, "classifier.1"):
        pass
    assert not network.get_submodule("classifier.1")._forward_pre_hooks
