"""Layers in which some units are far larger than others, against scikit-learn on the same float32 activations."""

import logging
import warnings
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
from layerwise.passes.degenerate import LOST, STOPPED
from layerwise.streaming import Streamed, stream_pls, stream_pls_on
from layerwise.streaming import fit as fit_module

SIZE, UNITS, BATCH = 24, 200, 50
ATTRIBUTES = {"model": "mine", "weights": "a", "code": "b"}
AGAIN = "fitted again with products in float64"
MOST = 1e-3  # standard deviations of the predictions


class Loud(nn.Module):
    """Units of which the first few are many times as large as the others."""

    def __init__(self, count, factor):
        super().__init__()
        self.units = nn.Linear(SIZE * SIZE * 3, UNITS)
        with torch.no_grad():
            self.units.weight[:count] *= factor
            self.units.bias[:count] *= factor

    def forward(self, x):
        return self.units(x.flatten(1))


def loud(rng, count, factor):
    torch.manual_seed(int(rng.integers(2**31)))
    network = Loud(count, factor).eval()
    return network, list_layers(network, SIZE)


def collect(network, images, preprocessing, device):
    """Activations of the layer, float32, in the same batches as the fit, as float64."""
    network, rows = network.float().to(device), []
    with torch.inference_mode(), LayerTap(network, ["units"]) as tap:
        for start in range(0, len(images), BATCH):
            part = images.array[start : start + BATCH]
            network(normalise(torch.from_numpy(part).to(device), preprocessing))
            rows.append(tap.outputs["units"].double().cpu())
    return torch.cat(rows).numpy()


def check(found, activations, scores, splits):
    for index, split in enumerate(splits):
        fit = PLSRegression(25, scale=False).fit(activations[split.train], scores[index, split.train])
        expected = fit.predict(activations[split.test]).ravel()
        ours = found[split.test, index]
        assert np.abs(ours - expected).max() < MOST * expected.std()
        assert spearmanr(ours, expected)[0] > 1 - 1e-4


@pytest.mark.parametrize("n_splits", [5, 1])
@pytest.mark.parametrize(
    ("count", "factor", "again"),
    [(0, 1, False), (UNITS, 1e5, False), (1, 10, False)]
    + [(40, factor, True) for factor in (3e3, 1e4, 1e5)]
    + [(1, 1e4, True), (1, 1e5, True), (3, 3e3, True), (5, 1e4, True)]
    + [(40, 100, None), (40, 300, None), (100, 1e4, None)],  # float32 may do, or not
)
def test_many_units_that_outweigh_all_others(study, preprocessing, device, rng, n_splits, count, factor, again, caplog):
    images, scores, splits = study(n=400, n_splits=n_splits)
    network, layers = loud(rng, count, factor)
    how = Streamed(device=device, batch_size=BATCH, tf32=False)
    data = RatedImages(images, preprocessing, scores, splits)
    with caplog.at_level(logging.INFO):
        (found,) = stream_pls(network, layers, layers, data, how, ATTRIBUTES)
    assert again is None or (AGAIN in caplog.text) == again
    check(found, collect(network, images, preprocessing, device), scores, splits)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.filterwarnings("ignore::layerwise.interfaces.DegenerateWarning")
def test_no_number_of_units_of_any_size_gives_a_wrong_result(study, preprocessing, device, seed):
    """Those that are spoilt in float64 too, as 1e7 times the others, are NaN."""
    rng = np.random.default_rng(seed)
    images, scores, splits = study(n=400, n_splits=5)
    network, layers = loud(rng, int(rng.integers(1, UNITS)), 10 ** rng.uniform(1, 7.5))
    how = Streamed(device=device, batch_size=BATCH, tf32=False)
    (found,) = stream_pls(network, layers, layers, RatedImages(images, preprocessing, scores, splits), how, ATTRIBUTES)
    if not np.isnan(found).all():
        check(found, collect(network, images, preprocessing, device), scores, splits)


@pytest.mark.parametrize("count", [1, 3])
def test_units_beyond_float64_are_nan_and_counted(study, preprocessing, device, rng, count):
    images, scores, splits = study(n=400)
    network, layers = loud(rng, count, 1e12)
    how = Streamed(device=device, batch_size=BATCH)
    with pytest.warns(DegenerateWarning, match="1 layer of mine: some directions vary so much more") as caught:
        found = stream_pls(network, layers, layers, RatedImages(images, preprocessing, scores, splits), how, ATTRIBUTES)
    assert len(caught) == 1
    assert np.isnan(found).all()


def test_where_float64_has_no_room_nothing_is_predicted(study, preprocessing, device, rng, caplog):
    images, scores, splits = study(n=400)
    network, layers = loud(rng, 40, 1e4)
    how = Streamed(device=device, batch_size=BATCH)
    demand = how.demand(len(images), len(splits), SIZE)
    how = replace(how, memory=demand.working(layers) + 2 * demand.of_layer(layers[0]) - 1)
    data = network, layers, layers, RatedImages(images, preprocessing, scores, splits)
    with caplog.at_level(logging.INFO), pytest.warns(DegenerateWarning, match="1 layer of mine: some directions vary"):
        assert np.isnan(stream_pls(*data, how, ATTRIBUTES)).all()
    assert "1 have no room for that" in caplog.text
    assert np.isfinite(stream_pls(*data, replace(how, memory=how.memory + 1), ATTRIBUTES)).all()


class Two(nn.Module):
    """A usual layer, then one with large units and its clamp, which is read for itself when it is fitted again."""

    def __init__(self):
        super().__init__()
        self.first, self.loud, self.relu = nn.Linear(SIZE * SIZE * 3, 60), nn.Linear(60, UNITS), nn.ReLU()
        with torch.no_grad():
            self.loud.weight[:40] *= 1e4

    def forward(self, x):
        return self.relu(self.loud(self.first(x.flatten(1))))


@pytest.fixture
def two(rng):
    torch.manual_seed(int(rng.integers(2**31)))
    network = Two().eval()
    return network, list_layers(network, SIZE)


def test_only_lost_layers_are_fitted_again_and_others_stay_bit_by_bit(two, study, preprocessing, device):
    images, scores, splits = study(n=400)
    network, layers = two
    how = Streamed(device=device, batch_size=BATCH)
    data = RatedImages(images, preprocessing, scores, splits)
    everything = stream_pls(network, layers, layers, data, how, ATTRIBUTES)
    alone = stream_pls(network, layers, layers[:1], data, how, ATTRIBUTES)
    np.testing.assert_array_equal(everything[:1], alone)
    assert np.isfinite(everything).all()


def test_several_devices_fit_again_what_each_has_lost(two, study, preprocessing, tmp_path):
    images, scores, splits = study(n=400)
    network, layers = two
    how = Streamed(batch_size=BATCH, state=tmp_path / "some.state", save_every=0)
    data = RatedImages(images, preprocessing, scores, splits)
    one = stream_pls(network, layers, layers, data, replace(how, state=None), ATTRIBUTES)
    several = stream_pls_on(["cpu", "cpu"], network, layers, layers[::-1], data, how, ATTRIBUTES)
    np.testing.assert_allclose(several[::-1], one, rtol=0, atol=2e-5 * one.std())
    assert list(tmp_path.iterdir()) == []


def test_a_job_killed_while_it_fits_again_goes_on(two, study, preprocessing, device, tmp_path, monkeypatch):
    images, scores, splits = study(n=400)
    network, layers = two
    how = Streamed(device=device, batch_size=BATCH, state=tmp_path / "some.state", save_every=0)
    data = network, layers, layers, RatedImages(images, preprocessing, scores, splits)
    whole = stream_pls(*data, replace(how, state=None), ATTRIBUTES)

    class Killed(BaseException):
        pass

    find, started = fit_module.LayerVectors.find_direction, []

    def die(self, component):
        if component == 2 and self.total.dtype == torch.float64:
            raise Killed
        return find(self, component)

    monkeypatch.setattr(fit_module.LayerVectors, "find_direction", die)
    with pytest.raises(Killed):
        stream_pls(*data, how, ATTRIBUTES)

    def note(self, component):
        started.append((self.total.dtype, component))
        return find(self, component)

    monkeypatch.setattr(fit_module.LayerVectors, "find_direction", note)
    np.testing.assert_array_equal(stream_pls(*data, how, ATTRIBUTES), whole)
    assert min(component for dtype, component in started if dtype == torch.float64) == 2
    assert min(component for dtype, component in started if dtype == torch.float32) == 24


def test_numbers_whose_squares_vanish_are_guarded_too(study, preprocessing, rng, device):
    """In float32, the squares of such small activations are nothing."""
    images, scores, splits = study(n=400)
    network, layers = loud(rng, 40, 1e4)
    with torch.no_grad():
        for part in network.units.parameters():
            part *= 1e-27
    how = Streamed(device=device, batch_size=BATCH, tf32=False)
    (found,) = stream_pls(network, layers, layers, RatedImages(images, preprocessing, scores, splits), how, ATTRIBUTES)
    check(found, 2.0**80 * collect(network, images, preprocessing, device), scores, splits)


class Shared(nn.Module):
    """Units that all share one direction, many times as large as what each adds of its own."""

    def __init__(self, factor):
        super().__init__()
        self.units = nn.Linear(SIZE * SIZE * 3, UNITS)
        with torch.no_grad():
            self.units.weight += factor * torch.randn(SIZE * SIZE * 3) / SIZE

    def forward(self, x):
        return self.units(x.flatten(1))


@pytest.mark.parametrize("factor", [1e4, 1e6])
def test_directions_that_rounding_hides_are_never_left_out_without_a_word(study, preprocessing, device, rng, factor):
    images, scores, splits = study(n=400, n_splits=2)
    torch.manual_seed(int(rng.integers(2**31)))
    network = Shared(factor).eval()
    layers, how = list_layers(network, SIZE), Streamed(device=device, batch_size=BATCH, tf32=False)
    rated = RatedImages(images, preprocessing, scores, splits)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", DegenerateWarning)
        (found,) = stream_pls(network, layers, layers, rated, how, ATTRIBUTES)
    told = " ".join(str(one.message) for one in caught)
    if STOPPED not in told and LOST not in told:
        check(found, collect(network, images, preprocessing, device), scores, splits)


def test_a_layer_with_all_its_components_is_not_warned_of(study, preprocessing, device, rng):
    images, scores, splits = study(n=400, n_splits=2)
    network, layers = loud(rng, 0, 1)
    rated = RatedImages(images, preprocessing, scores, splits)
    with warnings.catch_warnings():
        warnings.simplefilter("error", DegenerateWarning)
        stream_pls(network, layers, layers, rated, Streamed(device=device, batch_size=BATCH, tf32=False), ATTRIBUTES)
