"""The streamed fit against the regression room's dense float64 PLS on the same layers."""

import logging
import pickle
from dataclasses import replace
from decimal import Decimal
from zipfile import ZipFile

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from torch import nn

from layerwise.interfaces import DegenerateWarning, RatedImages, counted
from layerwise.layers import LayerTap, list_layers
from layerwise.models.normalisation import normalise
from layerwise.regression import predict_neuroids
from layerwise.streaming import Streamed, stream_pls
from layerwise.streaming import fit as fit_module

SIZE = 24  # of the images in conftest
ATTRIBUTES = {"model": "mine", "weights": "a", "code": "b"}


def dense(network, layers, images, preprocessing, scores, splits):
    """Predictions of the test images from collected activations, {layer: [split]}."""
    network = network.cpu().double()
    with torch.inference_mode(), LayerTap(network, [layer.name for layer in layers]) as tap:
        network(normalise(torch.from_numpy(images.array), preprocessing).double())
    targets = np.nan_to_num(scores)[:, :, None]
    return {
        layer.name: [part[:, 0] for part in predict_neuroids(tap.outputs[layer.name], targets, splits)]
        for layer in layers
        if float(tap.outputs[layer.name].std()) > 0
    }


def compare(streamed, layers, expected, splits):
    """Give the largest deviation over all layers and splits, in standard deviations of the predictions."""
    worst = 0.0
    for layer, predictions in zip(layers, streamed, strict=True):
        for index, split in enumerate(splits if layer.name in expected else ()):
            reference = expected[layer.name][index]
            deviation = np.abs(predictions[split.test, index] - reference).max() / reference.std()
            worst = np.maximum(worst, deviation)  # NaN stays
    return worst


def with_room(how, layers, images, splits, hosted):
    """Settings that leave the device room for all but a byte ("some" hosted), or for nothing that can move ("all")."""
    demand = how.demand(len(images), len(splits), SIZE)
    moved = sum(map(demand.history, layers)) - max(map(demand.staging, layers)) if hosted == "all" else 1
    needed = demand.working(layers) + sum(map(demand.of_layer, layers))
    return replace(how, memory=needed - moved, host=10**9)


@pytest.mark.parametrize("n_splits", [5, 1])
@pytest.mark.parametrize("hosted", ["some", "all"])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 5e-4)])
def test_histories_on_the_host_change_nothing(
    network, layers, study, preprocessing, device, n_splits, hosted, dtype, tolerance, caplog
):
    images, scores, splits = study(n_splits=n_splits)
    how = Streamed(device=device, dtype=dtype, tf32=False)
    data = network, layers, layers, RatedImages(images, preprocessing, scores, splits)
    with caplog.at_level(logging.INFO):
        expected = stream_pls(*data, how, ATTRIBUTES)
        assert "history" not in caplog.text
        found = stream_pls(*data, with_room(how, layers, images, splits, hosted), ATTRIBUTES)
    count = len(layers) if hosted == "all" else 1
    assert f"GB of history of {counted(count, 'layer')} in the host's memory" in caplog.text
    live = [index for index, layer in enumerate(layers) if layer.name != "dead"]
    difference = np.abs(found - expected).max((1, 2))[live] / expected.std((1, 2))[live]
    assert difference.max() < tolerance
    dead = [index for index, layer in enumerate(layers) if layer.name == "dead"]
    np.testing.assert_array_equal(found[dead], expected[dead])


@pytest.mark.parametrize(("n_splits", "batch_size"), [(5, 32), (3, 50)])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 5e-4)])
def test_equals_dense_pls(network, layers, study, preprocessing, device, n_splits, batch_size, dtype, tolerance):
    images, scores, splits = study(n_splits=n_splits)
    how = Streamed(batch_size=batch_size, device=device, dtype=dtype, tf32=False)
    streamed = stream_pls(network, layers, layers, RatedImages(images, preprocessing, scores, splits), how, ATTRIBUTES)
    expected = dense(network, layers, images, preprocessing, scores, splits)
    assert set(expected) == {layer.name for layer in layers} - {"dead"}
    assert streamed.shape == (len(layers), len(images), n_splits)
    deviation = compare(streamed, layers, expected, splits)
    print(f"deviation {deviation:.1e}")
    # Pixels are normalised in float32, which a GPU rounds otherwise than the CPU on which the dense fit runs.
    assert deviation < max(tolerance, 1e-5 if device == "cuda" else 0)


def test_a_sum_that_vanishes_on_the_first_image_is_seen(study, preprocessing, rng):
    """Of a black image, this block adds nothing to its batch normalisation."""

    class Gated(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.norm, self.relu = nn.Conv2d(3, 6, 3, stride=2), nn.BatchNorm2d(6), nn.ReLU()

        def forward(self, x):
            out = self.norm(self.conv(x))
            out += (x[:, :1, 1:-1:2, 1:-1:2] + 1.5).clamp(min=0)
            return self.relu(out)

    torch.manual_seed(int(rng.integers(2**31)))
    network = Gated().eval()
    images, scores, splits = study()
    images.array[0] = 0
    layers = list_layers(network, SIZE)
    how = Streamed(dtype=torch.float64)
    streamed = stream_pls(network, layers, layers, RatedImages(images, preprocessing, scores, splits), how, ATTRIBUTES)
    expected = dense(network, layers, images, preprocessing, scores, splits)
    assert compare(streamed, layers, expected, splits) < 1e-5


class Between(nn.Module):
    """An operation that is no layer between a convolution and what seems to follow from it, or between these."""

    def __init__(self, change, where):
        super().__init__()
        self.conv, self.norm, self.relu = nn.Conv2d(3, 6, 3, stride=2), nn.BatchNorm2d(6), nn.ReLU()
        self.where, self.change = where, change

    def forward(self, x):
        for name in ("conv", "norm", "relu"):
            x = getattr(self, name)(x)
            if name == self.where:
                x = self.change(x)
        return x


CHANGES = {
    "clamp": lambda level: lambda x: x.clamp_(max=1.02 * level),
    "some images": lambda level: lambda x: x.mul_(1 - 0.5 * (x.amax((1, 2, 3), keepdim=True) > 1.1 * level)),
    "single values": lambda level: lambda x: x.copy_(x.where(x <= 1.02 * level, x + 1.0)),
}


def between(change, where, images, preprocessing):
    """A network whose relations hold for the images that are looked at first, and not for a few of the others."""
    images.array[0] = 110 + images.array[0] // 20  # dull, as many first images are
    network = Between(lambda x: x, where).eval()
    likes = (network.conv.weight > 0).byte() * 255  # what each of its filters answers to most
    images.array[100:106, :3, :3] = likes.permute(0, 2, 3, 1).numpy()
    probes = fit_module._probes(torch.from_numpy(images.array))
    with torch.inference_mode(), LayerTap(network, [where]) as tap:
        network(normalise(probes, preprocessing))
    network.change = CHANGES[change](float(tap.outputs[where].max()))
    return network


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("where", ["conv", "norm"])
def test_what_no_probe_shows_is_seen_in_the_other_images(study, preprocessing, device, rng, change, where, caplog):
    """Two images propose what follows from what; the others may reach what these do not."""
    torch.manual_seed(int(rng.integers(2**31)))
    images, scores, splits = study()
    network = between(change, where, images, preprocessing)
    layers = list_layers(network, SIZE)
    how = Streamed(dtype=torch.float64, device=device, tf32=False)
    with caplog.at_level(logging.INFO):
        streamed = stream_pls(
            network, layers, layers, RatedImages(images, preprocessing, scores, splits), how, ATTRIBUTES
        )
    expected = dense(network, layers, images, preprocessing, scores, splits)
    assert compare(streamed, layers, expected, splits) < 1e-5
    assert "for some images only: " + ("norm, relu" if where == "conv" else "relu") in caplog.text


def test_values_that_one_image_alone_makes_infinite_are_no_relation(study, preprocessing, device):
    """Between the layers a clamp makes them finite again: the later layers can be predicted from, the first cannot."""
    images, scores, splits = study()
    images.array[0] = images.array[1]
    images.array[40], images.array[41:] = 255, images.array[41:].clip(0, 250)
    network = Between(lambda x: x.clamp_(-5, 5), "conv").eval()
    network.conv.register_forward_hook(
        lambda _m, given, out: out / (given[0].amin((1, 2, 3)) < 2.2)[:, None, None, None]
    )
    white = normalise(torch.full((1, 2, 2, 3), 255, dtype=torch.uint8), preprocessing).min()
    assert white > 2.2
    layers = list_layers(network, SIZE)
    how = Streamed(dtype=torch.float64, device=device, tf32=False, n_components=5)
    with pytest.warns(DegenerateWarning, match="1 layer of mine: NaN or infinite.*: conv"):
        streamed = stream_pls(
            network, layers, layers, RatedImages(images, preprocessing, scores, splits), how, ATTRIBUTES
        )
    assert np.isnan(streamed[0]).all() and np.isfinite(streamed[1:]).all()


def test_layers_that_run_for_some_images_only_are_refused(study, preprocessing):
    images, scores, splits = study()

    class Moody(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.more = nn.Conv2d(3, 6, 3), nn.Conv2d(6, 6, 1)

        def forward(self, x):
            x = self.conv(x)
            return self.more(self.more(x)) if not self.seen(x) else self.more(x)

        def seen(self, x):
            return bool((x.amax((2, 3)) - x.amin((2, 3))).max() < 1e-3)

    images.array[-1] = 0
    network = Moody().eval()
    layers = list_layers(network, SIZE)
    how = Streamed(batch_size=1, n_components=3)
    with pytest.raises(ValueError, match="layer 'more' ran 1 times for some images and 2 times for the first"):
        stream_pls(network, layers, layers, RatedImages(images, preprocessing, scores, splits), how, ATTRIBUTES)


def test_float32_keeps_the_order_of_predictions(network, layers, study, preprocessing):
    images, scores, splits = study(n=600)
    streamed = stream_pls(
        network, layers, layers, RatedImages(images, preprocessing, scores, splits), Streamed(), ATTRIBUTES
    )
    expected = dense(network, layers, images, preprocessing, scores, splits)
    for layer, predictions in zip(layers, streamed, strict=True):
        for index, split in enumerate(splits if layer.name in expected else ()):
            ours, truth = predictions[split.test, index], scores[index, split.test]
            reference = expected[layer.name][index]
            # Of 143 images, neighbours that change places move this by 4e-6, and rho by up to 6e-4.
            assert spearmanr(ours, reference)[0] > 1 - 5e-5
            assert spearmanr(ours, truth)[0] == pytest.approx(spearmanr(reference, truth)[0], abs=2e-3)


def test_constant_layers_predict_the_training_mean(network, layers, study, preprocessing):
    images, scores, splits = study()
    streamed = stream_pls(
        network, layers, layers, RatedImages(images, preprocessing, scores, splits), Streamed(), ATTRIBUTES
    )
    dead = [layer.name for layer in layers].index("dead")
    for index, split in enumerate(splits):
        np.testing.assert_allclose(streamed[dead, :, index], scores[index, split.train].mean(), rtol=1e-12)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-8), (torch.float32, 1e-3)])
def test_a_clamp_that_cuts_nearly_all_values_equals_dense_pls(study, preprocessing, device, rng, dtype, tolerance):
    images, scores, splits = study()
    torch.manual_seed(int(rng.integers(2**31)))
    network = nn.Sequential(nn.Conv2d(3, 8, 5, stride=2), nn.ReLU6()).eval()
    with torch.inference_mode():
        given = network[0](normalise(torch.from_numpy(images.array), preprocessing))
        network[0].bias += 6 - given.quantile(0.05)  # the lowest twentieth of the values stays below 6
    layers = list_layers(network, SIZE)
    how = Streamed(device=device, dtype=dtype, tf32=False)
    streamed = stream_pls(network, layers, layers, RatedImages(images, preprocessing, scores, splits), how, ATTRIBUTES)
    expected = dense(network, layers, images, preprocessing, scores, splits)
    assert len(expected) == 2
    assert compare(streamed, layers, expected, splits) < max(tolerance, 1e-5 if device == "cuda" else 0)


def test_a_clamp_that_cuts_all_values_predicts_the_training_mean(study, preprocessing):
    images, scores, splits = study()
    network = nn.Sequential(nn.Conv2d(3, 8, 5, stride=2), nn.ReLU6()).eval()
    nn.init.constant_(network[0].bias, 3000.0)
    layers, how = list_layers(network, SIZE), Streamed(dtype=torch.float64)
    streamed = stream_pls(network, layers, layers, RatedImages(images, preprocessing, scores, splits), how, ATTRIBUTES)
    for index, split in enumerate(splits):
        np.testing.assert_allclose(streamed[1, :, index], scores[index, split.train].mean(), rtol=1e-12)


@pytest.mark.parametrize("size", [1e-150, 1e-40, 1e-25, 1e25, 1e36, 1e60])
def test_the_size_of_scores_does_not_matter(network, layers, study, preprocessing, size):
    """Correlations are the same in any unit of measurement, though float32 holds few of these sizes."""
    images, scores, splits = study()
    rated, settings = RatedImages(images, preprocessing, scores, splits), Streamed(n_components=5)
    expected = stream_pls(network, layers, layers, rated, settings, ATTRIBUTES)
    larger = replace(rated, scores=scores * size)
    found = stream_pls(network, layers, layers, larger, settings, ATTRIBUTES) / size
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * expected.std())


def test_a_group_gives_what_all_layers_give(network, layers, study, preprocessing):
    images, scores, splits = study()
    how = Streamed(dtype=torch.float64)
    arguments = RatedImages(images, preprocessing, scores, splits), how, ATTRIBUTES
    everything = stream_pls(network, layers, layers, *arguments)
    for start, stop in [(0, 2), (1, 3), (2, 4)]:  # wherever a fusion is cut
        part = stream_pls(network, layers, layers[start:stop], *arguments)
        np.testing.assert_allclose(part, everything[start:stop], atol=1e-8)


def test_layers_after_the_last_wanted_one_do_not_run(network, layers, study, preprocessing):
    images, scores, splits = study()
    runs = []
    network.last.register_forward_hook(lambda *_: runs.append(1))
    stream_pls(network, layers, layers[:2], RatedImages(images, preprocessing, scores, splits), Streamed(), ATTRIBUTES)
    assert len(runs) == 2  # of the first image, which shows fusions, and of the first batch, which counts runs


class Killed(BaseException):
    """Ends a fit as a signal does."""


def interrupt(monkeypatch, fit, component):
    """Kill a fit at a component, and run it again: its result, and the components that the second run began."""
    find, started = fit_module.LayerVectors.find_direction, []

    def die(self, number):
        if number == component:
            raise Killed
        return find(self, number)

    monkeypatch.setattr(fit_module.LayerVectors, "find_direction", die)
    with pytest.raises(Killed):
        fit()
    again = fit_module.LayerVectors, "find_direction", lambda self, number: started.append(number) or find(self, number)
    monkeypatch.setattr(*again)
    return fit(), started


@pytest.mark.parametrize("where", ["device", "host"])
def test_an_interrupted_fit_goes_on_with_the_same_result(
    network, layers, study, preprocessing, device, where, tmp_path, monkeypatch
):
    images, scores, splits = study()
    how = Streamed(device=device, state=tmp_path / "state.pt", save_every=0, n_components=8)
    how = with_room(how, layers, images, splits, "all") if where == "host" else how
    arguments = network, layers, layers, RatedImages(images, preprocessing, scores, splits)
    whole = stream_pls(*arguments, replace(how, state=None), ATTRIBUTES)
    resumed, started = interrupt(monkeypatch, lambda: stream_pls(*arguments, how, ATTRIBUTES), 5)
    assert min(started) == 5
    np.testing.assert_array_equal(resumed, whole)


def test_a_fit_that_goes_on_knows_what_the_first_pass_found_broken(
    study, preprocessing, device, rng, tmp_path, monkeypatch
):
    torch.manual_seed(int(rng.integers(2**31)))
    images, scores, splits = study()
    network = between("clamp", "conv", images, preprocessing)
    layers = list_layers(network, SIZE)
    how = Streamed(device=device, state=tmp_path / "state.pt", save_every=0, n_components=8, tf32=False)
    arguments = network, layers, layers, RatedImages(images, preprocessing, scores, splits)
    whole = stream_pls(*arguments, replace(how, state=None), ATTRIBUTES)
    resumed, started = interrupt(monkeypatch, lambda: stream_pls(*arguments, how, ATTRIBUTES), 5)
    assert min(started) == 5
    np.testing.assert_array_equal(resumed, whole)


@pytest.mark.parametrize("content", ["other weights", "another PyTorch", "not a state", "a pickle of something"])
@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_a_state_of_something_else_is_not_continued(
    network, layers, study, preprocessing, tmp_path, monkeypatch, caplog, content
):
    images, scores, splits = study()
    how = Streamed(state=tmp_path / "state.pt", save_every=0, n_components=3)
    arguments = network, layers, layers, RatedImages(images, preprocessing, scores, splits)
    whole = stream_pls(*arguments, replace(how, state=None), ATTRIBUTES)
    attributes = {**ATTRIBUTES, "weights": "others"} if content == "other weights" else ATTRIBUTES
    if content in {"other weights", "another PyTorch"}:
        with monkeypatch.context() as patch:
            patch.setattr(type(how.state), "unlink", lambda *_, **__: None)
            if content == "another PyTorch":
                patch.setattr(torch, "__version__", "1.0")
            stream_pls(*arguments, how, attributes)
    if content == "a pickle of something":
        with ZipFile(how.state, "w") as archive:
            archive.writestr("archive/data.pkl", pickle.dumps(Decimal(1)))
            archive.writestr("archive/version", "3")
            archive.writestr("archive/byteorder", "little")
    if content == "not a state":
        how.state.write_bytes(b"PK rubbish")
    assert how.state.is_file()
    with caplog.at_level(logging.WARNING):
        np.testing.assert_array_equal(stream_pls(*arguments, how, ATTRIBUTES), whole)
    assert "starting from the first component" in caplog.text


def test_layers_with_nan_are_reported_and_others_fitted(network, layers, study, preprocessing):
    images, scores, splits = study()
    how = Streamed(n_components=4)
    arguments = layers, layers, RatedImages(images, preprocessing, scores, splits), how, ATTRIBUTES
    before = stream_pls(network, *arguments)
    with torch.no_grad():
        network.head.weight[3] = torch.nan
    with pytest.warns(DegenerateWarning) as caught:
        after = stream_pls(network, *arguments)
    (warning,) = caught
    assert str(warning.message).startswith("2 layers of mine: NaN")
    assert str(warning.message).endswith(": head, last")
    names = [layer.name for layer in layers]
    broken = [names.index("head"), names.index("last")]
    assert np.isnan(after[broken]).all()
    np.testing.assert_array_equal(np.delete(after, broken, 0), np.delete(before, broken, 0))


def test_a_network_whose_weights_are_nan_as_after_a_diverged_training_has_no_scores(
    network, layers, study, preprocessing, caplog
):
    images, scores, splits = study()
    with torch.no_grad():
        for tensor in network.state_dict().values():
            tensor.fill_(torch.nan) if tensor.is_floating_point() else None
    arguments = layers, layers, RatedImages(images, preprocessing, scores, splits), Streamed(n_components=4), ATTRIBUTES
    with pytest.warns(DegenerateWarning, match="layers of mine: NaN") as caught:
        predictions = stream_pls(network, *arguments)
    assert len(caught) == 1 and np.isnan(predictions).all() and "fitted again" not in caplog.text


def test_out_of_memory_halves_the_batch(network, layers, study, preprocessing, caplog):
    images, scores, splits = study()

    class Hungry(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = network

        def forward(self, x):
            if len(x) > 10:
                raise torch.OutOfMemoryError("too much")
            return self.inner(x)

    hungry = Hungry().eval()
    wanted = list_layers(network, SIZE)
    wanted = [replace(layer, name=f"inner.{layer.name}") for layer in wanted]
    arguments = RatedImages(images, preprocessing, scores, splits)
    with caplog.at_level(logging.WARNING):
        halved = stream_pls(hungry, wanted, wanted, arguments, Streamed(batch_size=32), ATTRIBUTES)
    assert "8 images a batch" in caplog.text
    plain = stream_pls(network, layers, layers, arguments, Streamed(batch_size=8), ATTRIBUTES)
    np.testing.assert_array_equal(halved, plain)


def test_too_few_units_or_targets_do_not_blow_up(study, preprocessing, rng):
    """A layer of rank 3: what cannot be explained is left alone, also by the components that find nothing."""
    images, scores, splits = study(n=120)

    class Narrow(nn.Module):
        def __init__(self):
            super().__init__()
            self.down = nn.Linear(SIZE * SIZE * 3, 3)
            self.up = nn.Linear(3, 40)

        def forward(self, x):
            return self.up(self.down(x.flatten(1)))

    torch.manual_seed(int(rng.integers(2**31)))
    network = Narrow().eval()
    layers = list_layers(network, SIZE)
    streamed = stream_pls(
        network, layers, layers, RatedImages(images, preprocessing, scores, splits), Streamed(), ATTRIBUTES
    )
    expected = dense(network, layers, images, preprocessing, scores, splits)
    assert compare(streamed, layers, expected, splits) < 1e-3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda layers, scores: (layers, scores[:, :-1]), "scores have shape"),
        (lambda layers, scores: ([], scores), "0 layers"),
        (lambda layers, scores: ([replace(layers[0], name="nothing")], scores), "no layer 'nothing'"),
        (lambda layers, scores: ([replace(layers[0], units=5)], scores), "list the layers again"),
        (lambda layers, scores: (layers, np.full_like(scores, np.nan)), "training images have no score"),
    ],
)
def test_mistakes_are_named(network, layers, study, preprocessing, change, message):
    images, scores, splits = study(n=60)
    wanted, values = change(layers, scores)
    with pytest.raises(ValueError, match=message):
        stream_pls(network, layers, wanted, RatedImages(images, preprocessing, values, splits), Streamed(), ATTRIBUTES)


def test_more_components_than_training_images(network, layers, study, preprocessing):
    images, scores, splits = study(n=30)
    with pytest.raises(ValueError, match="22 training images are too few for 25"):
        stream_pls(network, layers, layers, RatedImages(images, preprocessing, scores, splits), Streamed(), ATTRIBUTES)


def test_images_without_padding_and_single_batches(network, layers, study, preprocessing):
    images, scores, splits = study(n=64)
    arguments = layers, layers, RatedImages(images, preprocessing, scores, splits)
    one = stream_pls(network, *arguments, Streamed(batch_size=64, dtype=torch.float64), ATTRIBUTES)
    larger = stream_pls(network, *arguments, Streamed(batch_size=500, dtype=torch.float64), ATTRIBUTES)
    odd = stream_pls(network, *arguments, Streamed(batch_size=7, dtype=torch.float64), ATTRIBUTES)
    np.testing.assert_array_equal(one, larger)
    np.testing.assert_allclose(odd, one, atol=1e-6)
