"""A real network on real recordings and photographs, beside an independent measurement (see examples/real)."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

from layerwise.activations import ActivationStore, extract_activations
from layerwise.analyses.brain import BrainSimilarity, SplitPlan
from layerwise.analyses.memorability import BehaviouralAccuracy
from layerwise.data.pixels import PixelCache, pack_pixels
from layerwise.data.ratings import read_ratings
from layerwise.data.recordings import read_recordings, stimuli_of, write_recordings
from layerwise.interfaces import Geometry, LayerSpec
from layerwise.layers.manifest import read_manifest, shipped_manifest
from layerwise.models import build
from layerwise.models.registry import find

ROOT = Path(__file__).resolve().parents[2]
LAYERS = ["features.2", "features.5", "features.8", "features.12"]
# The last is a module that joins two leaves. It is no layer by the study's definition, but what was measured elsewhere.
FIRE = LayerSpec("features.12", "Fire", (512, 13, 13), 512 * 13 * 13, 100)

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def prepare():
    """The module examples/real/prepare.py."""
    spec = importlib.util.spec_from_file_location("prepare", ROOT / "examples/real/prepare.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["prepare"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def activations(shared, tmp_path):
    """Extracts the four layers for a stimulus set: activations(stimuli, kind) -> ActivationStore, layers."""
    weights = shared("data", "weights", "squeezenet1_1_caffe_folded.pth")
    row = find("squeezenet1_1")
    leaves = [layer for layer in read_manifest(shipped_manifest("squeezenet1_1")) if layer.name in LAYERS]
    layers = [*leaves, FIRE]

    def extract(stimuli, geometry):
        pack_pixels(stimuli, geometry, tmp_path / "pixels.h5")
        attributes = {"model": "squeezenet1_1", "weights": "given", "code": "test"}
        pixels = PixelCache(tmp_path / "pixels.h5")
        output = tmp_path / "activations.h5"
        network = build("squeezenet1_1", weights=weights)
        extract_activations(network, layers, pixels, row.preprocessing, output, 4 * 10**9, attributes, batch_size=8)
        return ActivationStore(output, "squeezenet1_1"), layers

    return extract


def means(table, value):
    return table.groupby("layer", sort=False)[value].mean().to_dict()


def test_v1_to_movies(shared, prepare, activations, tmp_path):
    folder = shared("data", "v1_natural_movies")
    write_recordings(*_first(prepare.read_movies(folder), tmp_path))
    recordings = read_recordings(tmp_path / "movies.nc", ["V1"])
    stimuli = stimuli_of(tmp_path / "movies.nc", folder / "stimuli")
    store, layers = activations(stimuli, Geometry("square", 224, 224, "bilinear"))
    random = means(BrainSimilarity(recordings, "V1").score(store, layers), "r")
    whole = means(BrainSimilarity(recordings, "V1", SplitPlan("grouped", by="movie")).score(store, layers), "r")
    # An independent measurement gave .67 to .69 for random frames, and .18, .17, .15, .07 for whole movies.
    assert list(random.values()) == pytest.approx([0.68] * 4, abs=0.05)
    # Which of the ten movies a split holds out moves r by .05 to .1, so that means over ten draws differ by half of it.
    assert list(whole.values()) == pytest.approx([0.18, 0.17, 0.15, 0.07], abs=0.1)
    assert max(whole.values()) < 0.4


def _first(recorded, tmp_path):
    recordings, images = recorded
    return recordings, tmp_path / "movies.nc", images


def test_memorability_of_photographs(shared, activations):
    folder = shared("data", "figrim60")
    draws = [read_ratings(folder / "scores.csv", folder / "images", seed=seed) for seed in range(10)]
    store, layers = activations(draws[0][1], Geometry("crop", 224, 256, "bilinear"))
    rho = np.array(
        [list(means(BehaviouralAccuracy(ratings, "m").score(store, layers), "rho").values()) for ratings, _ in draws]
    )
    # With 60 photographs the draw of the folds moves rho by about .1; the independent measurement is one more draw.
    distance = (np.array([0.20, 0.24, 0.44, 0.67]) - rho.mean(axis=0)) / rho.std(axis=0, ddof=1)
    assert np.abs(distance).max() < 3
    assert rho.mean() > 0.3
