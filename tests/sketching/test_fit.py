"""The quick mode against scikit-learn on sketches of its own, and against the exact mode."""

import logging
import weakref
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from sklearn.cross_decomposition import PLSRegression
from torch import nn

from layerwise.interfaces import DegenerateWarning, RatedImages
from layerwise.layers import LayerTap, list_layers
from layerwise.models.normalisation import normalise
from layerwise.sketching import Sketched, sketch_pls
from layerwise.sketching.count import CountSketch
from layerwise.sketching.rows import FileRows, MemoryRows
from layerwise.streaming import Streamed, stream_pls

SIZE = 24  # of the images
ATTRIBUTES = {"model": "mine", "weights": "a", "code": "b"}
HOW = Sketched(n_components=10, dimensions=256)


@pytest.fixture(params=["memory", "file"])
def place(request, tmp_path):
    return None if request.param == "memory" else tmp_path / "rows.h5"


def collect(network, layers, images, preprocessing):
    with torch.inference_mode(), LayerTap(network.cpu(), [layer.name for layer in layers]) as tap:
        network(normalise(torch.from_numpy(images.array), preprocessing))
    return {layer.name: tap.outputs[layer.name].clone() for layer in layers}


def rho(predictions, scores, splits):
    """Spearman's rho of [image, split] in each split."""
    pairs = enumerate(zip(splits, scores, strict=True))
    return np.array([spearmanr(predictions[split.test, i], one[split.test])[0] for i, (split, one) in pairs])


def test_equals_scikit_learn_on_the_same_sketches(network, layers, study, preprocessing, place):
    images, scores, splits = study()
    predicted = sketch_pls(
        network, layers, RatedImages(images, preprocessing, scores, splits), replace(HOW, file=place), ATTRIBUTES
    )
    activations = collect(network, layers, images, preprocessing)
    for layer, ours in zip(layers, predicted, strict=True):
        values = activations[layer.name]
        if layer.name == "dead":
            continue
        if layer.units > HOW.dimensions:
            hashing = CountSketch.draw(layer.name, layer.units, HOW.dimensions, HOW.seed, torch.device("cpu"))
            rows = torch.empty(len(values), HOW.dimensions)
            hashing.reduce(values, torch.zeros(HOW.dimensions), 1.0, rows)
            rows -= rows[: HOW.batch_size].mean(0)
            scale = 2.0 ** torch.floor(8 - torch.log2(rows[: HOW.batch_size].abs().max()))
            values = (rows * scale).half().double()
        for index, split in enumerate(splits):
            train, test = split.train, split.test
            fit = PLSRegression(HOW.n_components, scale=False).fit(values[train], scores[index, train])
            expected = fit.predict(values[test]).ravel()
            # Numbers half-way between two of float16 may be rounded to the other one.
            tolerance = 1e-3 if layer.units > HOW.dimensions else 1e-8
            assert np.abs(ours[test, index] - expected).max() < tolerance * expected.std(), layer.name
            assert np.isnan(np.delete(ours[:, index], test)).all()


def test_with_enough_dimensions_it_is_the_exact_mode(network, layers, study, preprocessing, device, place):
    images, scores, splits = study(n=300)
    how = Sketched(dimensions=10**6, device=device, tf32=False, file=place)
    sketched = sketch_pls(network, layers, RatedImages(images, preprocessing, scores, splits), how, ATTRIBUTES)
    exact = Streamed(device=device, tf32=False)
    streamed = stream_pls(
        network, layers, layers, RatedImages(images, preprocessing, scores, splits), exact, ATTRIBUTES
    )
    for layer, ours, theirs in zip(layers, sketched, streamed, strict=True):
        for index, split in enumerate(splits if layer.name != "dead" else ()):
            test = split.test
            # Predictions, since rho of 68 images moves by up to .003 where two neighbours change places.
            difference = np.abs(ours[test, index] - theirs[test, index]).max()
            assert difference < 2e-3 * theirs[test, index].std(), layer.name


def test_sketches_of_units_that_outweigh_all_others_are_solved_in_float64(study, preprocessing, place, rng, caplog):
    """Against scikit-learn on the rows that were kept."""
    images, scores, splits = study(n=400)
    torch.manual_seed(int(rng.integers(2**31)))
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * SIZE**2, 300)).eval()
    with torch.no_grad():
        network[1].weight[:30] *= 5e3
    layers, kept = list_layers(network, SIZE)[-1:], []
    read = (MemoryRows if place is None else FileRows).read

    def keep(self, index):
        kept.append(read(self, index).clone())
        return kept[-1].clone()

    with pytest.MonkeyPatch.context() as patch, caplog.at_level(logging.INFO):
        patch.setattr(MemoryRows if place is None else FileRows, "read", keep)
        how = Sketched(dimensions=256, file=place)
        (found,) = sketch_pls(network, layers, RatedImages(images, preprocessing, scores, splits), how, ATTRIBUTES)
    assert "solved in float64" in caplog.text
    rows = kept[0].double().numpy()
    for index, split in enumerate(splits):
        train, test = split.train, split.test
        expected = PLSRegression(25, scale=False).fit(rows[train], scores[index, train]).predict(rows[test]).ravel()
        assert np.abs(found[test, index] - expected).max() < 1e-3 * expected.std()


def test_a_sketch_of_few_numbers_comes_near(network, layers, study, preprocessing, device):
    images, scores, splits = study(n=600)
    arguments = RatedImages(images, preprocessing, scores, splits)
    how = Streamed(device=device, n_components=10, tf32=False)
    streamed = stream_pls(network, layers, layers, arguments, how, ATTRIBUTES)
    sketched = sketch_pls(network, layers, arguments, replace(HOW, device=device, tf32=False), ATTRIBUTES)
    for layer, ours, theirs in zip(layers, sketched, streamed, strict=True):
        if layer.name != "dead":
            difference = rho(ours, scores, splits).mean() - rho(theirs, scores, splits).mean()
            assert abs(difference) < 0.1, layer.name


def test_the_seed_decides_and_nothing_else(network, layers, study, preprocessing, tmp_path):
    images, scores, splits = study()
    arguments = RatedImages(images, preprocessing, scores, splits)
    first = sketch_pls(network, layers, arguments, HOW, ATTRIBUTES)
    in_file = sketch_pls(network, layers, arguments, replace(HOW, file=tmp_path / "rows.h5"), ATTRIBUTES)
    part = sketch_pls(network, layers[1:3], arguments, HOW, ATTRIBUTES)
    np.testing.assert_array_equal(in_file, first)
    np.testing.assert_array_equal(part, first[1:3])
    other = sketch_pls(network, layers, arguments, replace(HOW, seed=1), ATTRIBUTES)
    kept = [layer.units <= HOW.dimensions for layer in layers]
    np.testing.assert_array_equal(other[kept], first[kept])
    assert np.nanmax(np.abs(other - first)) > 0.01


def test_one_pass_is_enough_and_the_file_is_removed(network, layers, study, preprocessing, place, tmp_path):
    images, scores, splits = study(n=90)
    seen = []
    network.conv.register_forward_hook(lambda _module, inputs, _output: seen.append(len(inputs[0])))
    how = replace(HOW, file=place, batch_size=30)
    sketch_pls(network, layers, RatedImages(images, preprocessing, scores, splits), how, ATTRIBUTES)
    assert seen == [30] * 4  # the first batch counts the runs of each layer, and finds their scale
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("factor", [1e-9, 1e9])
def test_values_beyond_the_range_of_float16(network, layers, study, preprocessing, factor):
    """PLS gives the same at any scale, and so must the sketch."""
    images, scores, splits = study()
    arguments = RatedImages(images, preprocessing, scores, splits), HOW, ATTRIBUTES
    wanted = [layer for layer in layers if layer.name == "conv"]
    before = sketch_pls(network, wanted, *arguments)
    with torch.no_grad():
        network.conv.weight.mul_(factor)
        network.conv.bias.mul_(factor)
    # float16 rounds otherwise where the factor is no power of two.
    np.testing.assert_allclose(sketch_pls(network, wanted, *arguments), before, rtol=0, atol=0.1 * np.nanstd(before))


class Sudden(nn.Module):
    """Gives a thousand times as much for images that are brighter than those before."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return self.inner(torch.where(x.mean((1, 2, 3), keepdim=True) > 1.5, 1e3 * x, x))


def test_numbers_that_overflow_float16_are_counted_and_give_nan(study, preprocessing):
    images, scores, splits = study(n=120)
    images.array[:60] = images.array[:60] // 2
    images.array[100] = 255
    network = Sudden(nn.Sequential(nn.Conv2d(3, 8, 3), nn.Flatten(), nn.Linear(8 * 22 * 22, 40))).eval()
    layers = list_layers(network, SIZE)
    with pytest.warns(DegenerateWarning, match=r"2 layers of mine: .* inner\.0, inner\.1$"):
        predicted = sketch_pls(network, layers, RatedImages(images, preprocessing, scores, splits), HOW, ATTRIBUTES)
    undefined = {layer.name: bool(np.isnan(one).all()) for layer, one in zip(layers, predicted, strict=True)}
    assert undefined == {"inner.0": True, "inner.1": True, "inner.2": False}


def test_constant_layers_predict_the_training_mean(network, layers, study, preprocessing):
    images, scores, splits = study()
    how = replace(HOW, dimensions=30)
    with pytest.warns(DegenerateWarning, match=r"^1 layer of mine: constant .*: dead$"):
        predicted = sketch_pls(network, layers, RatedImages(images, preprocessing, scores, splits), how, ATTRIBUTES)
    dead = [layer.name for layer in layers].index("dead")
    for index, split in enumerate(splits):
        expected = scores[index, split.train].mean()
        np.testing.assert_allclose(predicted[dead, split.test, index], expected, rtol=1e-12)


def test_out_of_memory_halves_the_batch_and_keeps_what_is_done(network, layers, study, preprocessing, place, caplog):
    images, scores, splits = study(n=100)

    class Hungry(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.seen = network, []

        def forward(self, x):
            self.seen.append(len(x))
            if len(x) > 10 and len(self.seen) > 3:
                raise torch.OutOfMemoryError("too much")
            return self.inner(x)

    hungry = Hungry().eval()
    wanted = [replace(layer, name=f"inner.{layer.name}") for layer in layers]
    how = replace(HOW, file=place, batch_size=32)
    with caplog.at_level(logging.WARNING):
        halved = sketch_pls(hungry, wanted, RatedImages(images, preprocessing, scores, splits), how, ATTRIBUTES)
    assert [record.getMessage() for record in caplog.records] == [
        f"the device is out of memory: continuing with {size} images a batch" for size in (16, 8)
    ]
    # One batch to count the runs, two that fit, two that do not, one to count again, and the 36 that are left.
    assert hungry.seen == [32, 32, 32, 32, 16, 8, *[8] * 5]
    plain = sketch_pls(
        hungry, wanted, RatedImages(images, preprocessing, scores, splits), replace(how, batch_size=8), ATTRIBUTES
    )
    # The first batch, 32 images or 8, sets the scale, by which float16 rounds; a row of another image is off by 1.
    np.testing.assert_allclose(halved, plain, rtol=0, atol=0.1 * np.nanstd(plain))


def test_memory_that_ends_at_one_image_is_the_end(study, preprocessing):
    images, scores, splits = study(n=100)

    class Greedy(nn.Module):
        def __init__(self):
            super().__init__()
            self.flatten = nn.Flatten()

        def forward(self, x):
            raise torch.OutOfMemoryError("too much")

    layers = [replace(list_layers(nn.Sequential(nn.Flatten()), SIZE)[0], name="flatten")]
    with pytest.raises(torch.OutOfMemoryError):
        sketch_pls(Greedy(), layers, RatedImages(images, preprocessing, scores, splits), HOW, ATTRIBUTES)


class Killed(BaseException):
    pass


def test_a_killed_job_goes_on_with_the_same_result(network, layers, study, preprocessing, tmp_path, monkeypatch):
    images, scores, splits = study()
    how = replace(HOW, file=tmp_path / "rows.h5", save_every=0, batch_size=32)
    arguments = network, layers, RatedImages(images, preprocessing, scores, splits)
    whole = sketch_pls(*arguments, replace(how, file=None), ATTRIBUTES)
    append = FileRows.append

    def die(self, rows, count):
        append(self, rows, count)
        if self.done == 128:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(FileRows, "append", die)
        with pytest.raises(Killed):
            sketch_pls(*arguments, how, ATTRIBUTES)
    assert how.file.is_file()
    seen = []
    network.conv.register_forward_hook(lambda _module, inputs, _output: seen.append(len(inputs[0])))
    resumed = sketch_pls(*arguments, how, ATTRIBUTES)
    assert len(seen) == 1 + 4  # of 230 images 102 are left
    np.testing.assert_array_equal(resumed, whole)
    assert not how.file.exists()


def test_killed_between_two_counts_it_goes_on_from_the_first(
    network, layers, study, preprocessing, tmp_path, monkeypatch
):
    images, scores, splits = study()
    how = replace(HOW, file=tmp_path / "rows.h5", batch_size=32)
    arguments = network, layers, RatedImages(images, preprocessing, scores, splits)
    append = FileRows.append

    def die(self, rows, count):
        if self.done == 128:
            raise Killed
        append(self, rows, count)

    with monkeypatch.context() as patch:
        patch.setattr(FileRows, "append", die)
        with pytest.raises(Killed):
            sketch_pls(*arguments, how, ATTRIBUTES)
    resumed = sketch_pls(*arguments, how, ATTRIBUTES)
    np.testing.assert_array_equal(resumed, sketch_pls(*arguments, replace(how, file=None), ATTRIBUTES))


@pytest.mark.parametrize("content", ["other weights", "not a file of rows"])
def test_a_file_of_something_else_is_not_gone_on_with(
    network, layers, study, preprocessing, tmp_path, monkeypatch, caplog, content
):
    images, scores, splits = study()
    how = replace(HOW, file=tmp_path / "rows.h5")
    arguments = network, layers, RatedImages(images, preprocessing, scores, splits)
    whole = sketch_pls(*arguments, replace(how, file=None), ATTRIBUTES)
    if content == "other weights":
        with monkeypatch.context() as patch:
            patch.setattr(FileRows, "close", lambda _: None)
            sketch_pls(*arguments, how, {**ATTRIBUTES, "weights": "others"})
    else:
        how.file.write_bytes(b"\x89HDF rubbish")
    with caplog.at_level(logging.WARNING):
        np.testing.assert_array_equal(sketch_pls(*arguments, how, ATTRIBUTES), whole)
    assert "starting from the first image" in caplog.text


def test_a_disk_without_room_is_told_before_the_pass(network, layers, study, preprocessing, tmp_path, monkeypatch):
    images, scores, splits = study()
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 10**5})())
    how = replace(HOW, file=tmp_path / "rows.h5")
    with pytest.raises(OSError, match=r"0\.00 GB free, .*set memorability\.disk lower"):
        sketch_pls(network, layers, RatedImages(images, preprocessing, scores, splits), how, ATTRIBUTES)
    assert list(tmp_path.iterdir()) == []


def test_one_layer_at_a_time_is_in_memory(network, layers, study, preprocessing, place, monkeypatch):
    images, scores, splits = study(n=100)
    home = MemoryRows if place is None else FileRows
    read, given = home.read, []

    def watch(self, index):
        assert all(earlier() is None for earlier in given)
        values = read(self, index)
        given.append(weakref.ref(values))
        return values

    monkeypatch.setattr(home, "read", watch)
    sketch_pls(
        network, layers, RatedImages(images, preprocessing, scores, splits), replace(HOW, file=place), ATTRIBUTES
    )
    assert len(given) == len(layers)


def test_training_images_without_a_score_are_told_before_the_pass(network, layers, study, preprocessing):
    images, scores, splits = study()
    scores[3, splits[3].train[5]] = np.nan
    network.conv.register_forward_hook(lambda *_: pytest.fail("the network ran"))
    with pytest.raises(ValueError, match="in 1 of 5 splits training images have no score"):
        sketch_pls(network, layers, RatedImages(images, preprocessing, scores, splits), HOW, ATTRIBUTES)


def test_progress_counts_the_images_then_the_layers(network, layers, study, preprocessing):
    images, scores, splits = study(n=100)
    counts = {}

    def count(items, description, total=None):
        for item in items:
            counts[description, total] = counts.get((description, total), 0) + 1
            yield item

    sketch_pls(network, layers, RatedImages(images, preprocessing, scores, splits), HOW, ATTRIBUTES, count)
    assert counts == {
        (f"sketching {len(layers)} layers of mine", 100): 100,
        (f"predicting from {len(layers)} layers of mine", len(layers)): len(layers),
    }


def test_few_units_have_no_prediction_and_mistakes_are_named(network, layers, study, preprocessing):
    images, scores, splits = study()
    how = replace(HOW, n_components=31)
    predicted = sketch_pls(network, layers, RatedImages(images, preprocessing, scores, splits), how, ATTRIBUTES)
    undefined = [layer.name for layer, one in zip(layers, predicted, strict=True) if np.isnan(one).all()]
    assert undefined == ["last"]  # 30 units
    with pytest.raises(ValueError, match="scores have shape"):
        sketch_pls(network, layers, RatedImages(images, preprocessing, scores[:, 1:], splits), HOW, ATTRIBUTES)
