import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from layerwise.layers import LayerTap, list_layers
from layerwise.models import build, registry
from layerwise.models.states import load_state, read_state

NAMES = ("cornet_z", "cornet_r", "cornet_rt", "cornet_s")
AREAS = ("V1", "V2", "V4", "IT")


@pytest.fixture
def images():
    return torch.randn(2, 3, 64, 64)


def shuffled(name):
    """A network whose every parameter and statistic is drawn, group norms' shifts too."""
    network = build(name, seed=int(torch.randint(1000, ())))
    with torch.no_grad():
        for key, value in network.state_dict().items():
            if value.ndim == 1:
                value.uniform_(0.5, 1.5) if "var" in key or "weight" in key else value.normal_(0, 0.3)
    return network


def outputs_at_each_step(network, images):
    """[step][area]: what each area gave."""
    seen = {area: [] for area in AREAS}
    with LayerTap(network, [f"{area}.output" for area in AREAS], lambda n, x: seen[n[:2]].append(x.clone())):
        scores = network(images)
    return seen, scores


@pytest.mark.parametrize(
    ("name", "parameters", "keys", "layers"),
    [
        ("cornet_z", 2_071_656, 10, 20),
        ("cornet_r", 5_208_936, 30, 31),
        ("cornet_rt", 5_208_936, 30, 31),
        ("cornet_s", 53_416_616, 164, 66),
    ],
)
def test_size_of_the_published_networks(name, parameters, keys, layers):
    network = build(name)
    assert sum(parameter.numel() for parameter in network.parameters()) == parameters
    assert len(network.state_dict()) == keys
    found = list_layers(network, 224)
    assert len(found) == layers == len([m for m in network.modules() if not list(m.children())])


@pytest.mark.parametrize("name", NAMES)
def test_each_area_gives_a_layer_of_the_published_shape(name):
    shapes = {layer.name: layer.shape for layer in list_layers(build(name), 224)}
    expected = [(64, 56, 56), (128, 28, 28), (256, 14, 14), (512, 7, 7)]
    assert [shapes[f"{area}.output"] for area in AREAS] == expected
    assert shapes["decoder.linear"] == (1000,)
    assert registry.find(name).classifier == "decoder.linear"


def test_parameters_are_named_as_in_the_checkpoints():
    z = build("cornet_z").state_dict()
    assert list(z)[:2] == ["V1.conv.weight", "V1.conv.bias"] and "decoder.linear.bias" in z
    assert z["V1.conv.weight"].shape == (64, 3, 7, 7) and z["IT.conv.weight"].shape == (512, 256, 3, 3)
    r, rt = build("cornet_r").state_dict(), build("cornet_rt").state_dict()
    assert r.keys() == rt.keys()
    assert {name.removeprefix("V4.") for name in r if name.startswith("V4.")} == {
        "conv_input.weight", "conv_input.bias", "norm_input.weight", "norm_input.bias",
        "conv1.weight", "norm1.weight", "norm1.bias",
    }  # fmt: skip
    s = build("cornet_s").state_dict()
    assert [s[f"V4.{name}.weight"].shape for name in ("conv_input", "skip", "conv1", "conv2", "conv3")] == [
        (256, 128, 1, 1), (256, 256, 1, 1), (1024, 256, 1, 1), (1024, 1024, 3, 3), (256, 1024, 1, 1),
    ]  # fmt: skip
    assert {name.split(".")[1] for name in s if name.startswith("V2.norm")} == {
        "norm_skip", "norm1_0", "norm2_0", "norm3_0", "norm1_1", "norm2_1", "norm3_1",
    }  # fmt: skip
    assert "V4.norm3_3.running_var" in s and "V4.norm3_4.running_var" not in s
    assert not any(name.endswith("bias") and "conv" in name for name in s)


def drawn_weights(name, seed):
    """Each convolution and linear layer of an untrained network: its name, weight, bias, inputs of an output, outputs
    of an input."""
    for key, module in build(name, seed=seed).named_modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            area = module.weight[0, 0].numel()
            yield key, module.weight, module.bias, module.weight.shape[1] * area, module.weight.shape[0] * area


def assert_drawn(values, spread, uniform):
    """Values of a zero mean and a spread: uniform, or normal. Six standard errors are allowed."""
    values, n = values.detach().double().flatten() / spread, values.numel()
    kurtosis = 1.8 if uniform else 3.0
    assert abs(values.mean()) < 6 / n**0.5
    assert abs(values.square().mean() - 1) < 6 * ((kurtosis - 1) / n) ** 0.5
    if uniform:  # within the bounds, and up to them
        bound = 3**0.5
        assert bound * (1 - 20 / n) < values.abs().max() < bound * 1.000001
    eighth = 9.0 if uniform else 105.0
    assert abs(values.pow(4).mean() - kurtosis) < 6 * ((eighth - kurtosis**2) / n) ** 0.5


@pytest.mark.parametrize("name", ["cornet_r", "cornet_rt"])
def test_untrained_r_and_rt_are_drawn_as_pytorch_draws(name, rng):
    """Uniform up to the inverse root of the inputs (which PyTorch documents for convolutions and linear layers)."""
    for key, weight, bias, inputs, _ in drawn_weights(name, int(rng.integers(10**6))):
        assert_drawn(weight, (1 / (3 * inputs)) ** 0.5, uniform=True)
        assert (bias is None) == key.endswith("conv1")
        if bias is not None:
            assert 0 < bias.abs().max() <= inputs**-0.5


def test_untrained_z_is_drawn_as_glorot_and_bengio_draw(rng):
    """Uniform of the variance 2 / (inputs + outputs), convolutions and decoder alike, and without a bias."""
    for _, weight, bias, inputs, outputs in drawn_weights("cornet_z", int(rng.integers(10**6))):
        assert_drawn(weight, (2 / (inputs + outputs)) ** 0.5, uniform=True)
        assert not bias.any()


def test_untrained_s_is_drawn_as_he_and_others_draw(rng):
    """Normal of the variance 2 / outputs; its decoder as PyTorch draws."""
    seed = int(rng.integers(10**6))
    for key, weight, bias, inputs, outputs in drawn_weights("cornet_s", seed):
        if key == "decoder.linear":
            assert_drawn(weight, (1 / (3 * inputs)) ** 0.5, uniform=True)
            assert 0 < bias.abs().max() <= inputs**-0.5
        else:
            assert_drawn(weight, (2 / outputs) ** 0.5, uniform=False)


@pytest.mark.parametrize("name", NAMES)
def test_norms_of_untrained_networks_change_nothing(name):
    norms = [m for m in build(name).modules() if isinstance(m, nn.GroupNorm | nn.BatchNorm2d)]
    assert len(norms) == {"cornet_z": 0, "cornet_r": 8, "cornet_rt": 8, "cornet_s": 29}[name]
    assert all(bool((norm.weight == 1).all()) and not norm.bias.any() for norm in norms)


@pytest.mark.parametrize("name", NAMES)
def test_checkpoint_of_a_data_parallel_training_loads(name, tmp_path):
    trained = shuffled(name)
    state = {f"module.{key}": value for key, value in trained.state_dict().items()}
    torch.save({"state_dict": state, "epoch": 20}, tmp_path / "a.pth")
    network = build(name)
    load_state(network, read_state(tmp_path / "a.pth"), tmp_path / "a.pth")
    assert all(
        torch.equal(a, b) for a, b in zip(network.state_dict().values(), trained.state_dict().values(), strict=True)
    )


# What the authors' code (https://github.com/dicarlolab/CORnet) gives for the parameters and images of the two formulas
# below: measured, in float32. Scores 0-5 of the first image, scores 0-2 of the second, and the spread of all.
MEASURED = {
    "cornet_z": (
        [-1.513625, 1.499707, -1.436138, 0.817683, -0.043778, -0.255782], [-1.513387, 1.499516, -1.435999], 1.718688,
    ),
    "cornet_r": (
        [2.403978, -2.31548, 2.15494, -2.434743, 2.766254, -2.533789], [2.366797, -2.285418, 2.132955], 1.785827,
    ),
    "cornet_rt": (
        [2.38837, -2.301619, 2.143271, -2.425636, 2.76, -2.530589], [2.402263, -2.314299, 2.154332], 1.786632,
    ),
    "cornet_s": (
        [-3.537675, 3.105321, -2.572103, 1.447763, -0.147877, -0.680985], [-3.537676, 3.105321, -2.572102], 3.805768,
    ),
}  # fmt: skip


def by_formula(name, shape):
    """A tensor of a network, from its name: cosines, as large as its kind needs."""
    phase = sum(name.encode()) % 97
    waves = (1.7 * torch.arange(math.prod(shape), dtype=torch.float64) + phase).cos().view(shape)
    if len(shape) > 1:
        return waves * math.sqrt(2 / math.prod(shape[1:]))
    offset, size = {"weight": (1, 0.1), "running_var": (1, 0.5)}.get(name.rpartition(".")[2], (0, 0.3))
    return offset + size * waves


@pytest.mark.parametrize("name", NAMES)
def test_scores_are_those_of_the_authors(name):
    network = build(name)
    state = network.state_dict()
    floating = {key: by_formula(key, value.shape) for key, value in state.items() if value.is_floating_point()}
    network.load_state_dict(state | floating)
    images = (0.37 * torch.arange(2 * 3 * 224**2, dtype=torch.float64)).sin().float().view(2, 3, 224, 224)
    with torch.inference_mode():
        scores = network(images)
    first, second, spread = MEASURED[name]
    torch.testing.assert_close(scores[0, :6], torch.tensor(first), rtol=0, atol=1e-5 * spread)
    torch.testing.assert_close(scores[1, :3], torch.tensor(second), rtol=0, atol=1e-5 * spread)
    assert float(scores.std()) == pytest.approx(spread, rel=1e-5)


@pytest.mark.parametrize("name", ["cornet_r", "cornet_rt"])
def test_areas_without_input_do_not_see_their_input_stage(name, images):
    """At the first step V2, V4 and IT get plain zeros: neither the norm nor the ReLU of their input is run on them."""
    network = shuffled(name)
    with torch.inference_mode():
        before, _ = outputs_at_each_step(network, images)
        for area in AREAS[1:]:
            network.get_submodule(area).norm_input.bias += 1
        after, _ = outputs_at_each_step(network, images)
    for area in AREAS[1:]:
        shift = network.get_submodule(area).norm1.bias.clamp(min=0)
        first = after[area][0].view(2, len(shift), -1)
        torch.testing.assert_close(first, shift[None, :, None].expand_as(first), rtol=0, atol=0)
        assert torch.equal(before[area][0], after[area][0])
        assert not torch.equal(before[area][-1], after[area][-1])


def input_stage(p, area, below):
    """The input stage of an area of R and RT, in plain functions, for its parameters p."""
    stride, padding = (4, 3) if area == "V1" else (2, 1)
    x = functional.conv2d(below, p[f"{area}.conv_input.weight"], p[f"{area}.conv_input.bias"], stride, padding)
    return functional.group_norm(x, 32, p[f"{area}.norm_input.weight"], p[f"{area}.norm_input.bias"]).clamp(min=0)


def recurrent_stage(p, area, x):
    x = functional.conv2d(x, p[f"{area}.conv1.weight"], padding=1)
    return functional.group_norm(x, 32, p[f"{area}.norm1.weight"], p[f"{area}.norm1.bias"]).clamp(min=0)


@pytest.mark.parametrize(("name", "lag"), [("cornet_r", 0), ("cornet_rt", 1)])
def test_each_area_gives_at_each_step_what_plain_functions_give(name, lag, images):
    """The scores of RT do not tell what V1 to V4 give at the last step, which is what is kept of them."""
    network = shuffled(name)
    p = network.state_dict()
    with torch.inference_mode():
        seen, _ = outputs_at_each_step(network, images)
        expected = {area: [] for area in AREAS}
        for step in range(5):
            for index, area in enumerate(AREAS):
                if index == 0:
                    x = input_stage(p, area, images)
                elif step > 0:
                    x = input_stage(p, area, expected[AREAS[index - 1]][step - lag])
                else:
                    x = torch.zeros(2, (64, 128, 256, 512)[index], (16, 8, 4, 2)[index], (16, 8, 4, 2)[index])
                expected[area].append(recurrent_stage(p, area, x + expected[area][-1] if step else x))
        for area in AREAS:
            assert len(seen[area]) == 5
            for found, wanted in zip(seen[area], expected[area], strict=True):
                torch.testing.assert_close(found, wanted.flatten(1), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("name", "first_step_that_sees"), [("cornet_r", 1), ("cornet_rt", 3)])
def test_image_reaches_it_at_the_right_step(name, first_step_that_sees, images):
    network = shuffled(name)
    with torch.inference_mode():
        one, _ = outputs_at_each_step(network, images)
        other, _ = outputs_at_each_step(network, images.flip(0) + 1)
    differs = [not torch.equal(a, b) for a, b in zip(one["IT"], other["IT"], strict=True)]
    assert differs == [step >= first_step_that_sees for step in range(5)]


def test_cornet_z_equals_plain_functions(images):
    network = shuffled("cornet_z")
    p = network.state_dict()
    x = images
    for area, stride in zip(AREAS, (2, 1, 1, 1), strict=True):
        weight = p[f"{area}.conv.weight"]
        x = functional.conv2d(x, weight, p[f"{area}.conv.bias"], stride, weight.shape[-1] // 2)
        x = functional.max_pool2d(x.clamp(min=0), 3, 2, 1)
    with torch.inference_mode():
        torch.testing.assert_close(network(images), network.decoder.linear(x.mean((2, 3))))


def norm(p, name, x):
    return functional.batch_norm(
        x, p[f"{name}.running_mean"], p[f"{name}.running_var"], p[f"{name}.weight"], p[f"{name}.bias"]
    )


def test_cornet_s_equals_plain_functions(images):
    network = shuffled("cornet_s")
    p = network.state_dict()
    x = norm(p, "V1.norm1", functional.conv2d(images, p["V1.conv1.weight"], stride=2, padding=3)).clamp(min=0)
    x = functional.conv2d(functional.max_pool2d(x, 3, 2, 1), p["V1.conv2.weight"], padding=1)
    x = norm(p, "V1.norm2", x).clamp(min=0)
    for area, steps in (("V2", 2), ("V4", 4), ("IT", 2)):
        weights = {n: p[f"{area}.{n}.weight"] for n in ("conv_input", "skip", "conv1", "conv2", "conv3")}
        x = functional.conv2d(x, weights["conv_input"])
        for step in range(steps):
            skip = x
            if step == 0:
                skip = norm(p, f"{area}.norm_skip", functional.conv2d(x, weights["skip"], stride=2))
            x = norm(p, f"{area}.norm1_{step}", functional.conv2d(x, weights["conv1"])).clamp(min=0)
            x = functional.conv2d(x, weights["conv2"], stride=2 if step == 0 else 1, padding=1)
            x = norm(p, f"{area}.norm2_{step}", x).clamp(min=0)
            x = norm(p, f"{area}.norm3_{step}", functional.conv2d(x, weights["conv3"]))
            x = (x + skip).clamp(min=0)
    with torch.inference_mode():
        torch.testing.assert_close(network(images), network.decoder.linear(x.mean((2, 3))), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_can_be_trained_through_its_recurrence(name, images):
    network = build(name).train()
    network(images).square().mean().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())
    assert all(isinstance(module, nn.Module) for module in network.children())


def test_steps_can_be_chosen(images):
    from layerwise.models.cornet import cornet_rt

    with torch.inference_mode():
        seen, _ = outputs_at_each_step(cornet_rt(times=7).eval(), images)
    assert len(seen["IT"]) == 7
    with pytest.raises(ValueError, match="times must be 1 or more"):
        cornet_rt(times=0)
