"""Planted studies: what was planted can be measured again, and the files are those of real data."""

import json

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.cross_decomposition import PLSRegression
from sklearn.decomposition import PCA
from sklearn.model_selection import cross_val_predict

from layerwise.data.drawing import CATEGORIES
from layerwise.data.images import load_image
from layerwise.data.ratings import read_ratings
from layerwise.data.recordings import average_repetitions, list_regions, read_recordings, stimuli_of
from layerwise.data.simulate import (
    Planted,
    draw_stimuli,
    read_out,
    read_truth,
    simulate_recordings,
    simulate_scores,
    simulate_study,
)


def layer(rng: np.random.Generator, n_stimuli: int = 120, n_units: int = 300) -> np.ndarray:
    """Activations whose components fall off as those of networks do."""
    decay = np.arange(1, n_units + 1) ** -0.7
    turn = np.linalg.qr(rng.normal(size=(n_units, n_units)))[0]
    return rng.normal(size=(n_stimuli, n_units)) * decay @ turn + rng.normal(size=n_units)


def median_r(activations: np.ndarray, responses: np.ndarray) -> float:
    predicted = cross_val_predict(PLSRegression(12, scale=False), activations, responses, cv=5)
    columns = zip(predicted.T, responses.T, strict=True)
    return float(np.median([np.corrcoef(one, other)[0, 1] for one, other in columns]))


def test_read_out_lies_in_the_leading_components(rng):
    activations = layer(rng)
    targets = read_out(activations, 7, rng, n_components=5)
    np.testing.assert_allclose(targets.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(targets.std(axis=0), 1, rtol=1e-12)
    scores = PCA(5).fit_transform(activations)
    weights, *_ = np.linalg.lstsq(scores, targets, rcond=None)
    np.testing.assert_allclose(scores @ weights, targets, atol=1e-8)
    assert np.all(np.sum(np.abs(weights) > 1e-8 * np.abs(weights).max(axis=0), axis=0) == 3)  # half, rounded up


def test_read_out_of_a_layer_wider_than_a_block(rng, monkeypatch):
    activations = layer(rng)
    whole = read_out(activations, 3, np.random.default_rng(1))
    monkeypatch.setattr("layerwise.data.simulate._BLOCK", 77)
    parts = read_out(activations, 3, np.random.default_rng(1))
    np.testing.assert_allclose(np.abs(np.diag(whole.T @ parts)) / len(whole), 1, rtol=1e-6)


@pytest.mark.parametrize("shape", [(50, 11), (12, 50)])
def test_layer_with_too_few_components_is_refused(rng, shape):
    with pytest.raises(ValueError, match=r"has 11 principal components .* needs 12"):
        read_out(rng.normal(size=shape), 2, rng)


def test_layer_that_says_nothing_is_refused(rng):
    with pytest.raises(ValueError, match="has 0 principal components"):
        read_out(np.ones((30, 40)), 2, rng)
    with pytest.raises(ValueError, match="not finite"):
        read_out(np.full((30, 40), np.inf), 2, rng)


@pytest.mark.parametrize(("ceiling", "n_repetitions"), [(0.8, 10), (0.5, 6)])
def test_split_halves_agree_as_planted(rng, ceiling, n_repetitions):
    stimuli = [f"{index:03d}" for index in range(400)]
    recordings = simulate_recordings(
        {"IT": layer(rng, 400)}, stimuli, rng, 60, n_repetitions=n_repetitions, ceiling=ceiling
    )
    half = n_repetitions // 2
    first, second = recordings.responses[:half].mean(axis=0), recordings.responses[half:].mean(axis=0)
    r = np.array([np.corrcoef(a, b)[0, 1] for a, b in zip(first.T, second.T, strict=True)])
    assert np.mean(2 * r / (1 + r)) == pytest.approx(ceiling, abs=0.03)


def test_own_layer_predicts_best(rng):
    layers = {"V1": layer(rng), "IT": layer(rng)}
    stimuli = [f"{index:03d}" for index in range(120)]
    recordings = simulate_recordings(layers, stimuli, rng, n_neuroids=15, columns={"n": np.arange(120)})
    assert recordings.responses.shape == (10, 120, 30)
    assert recordings.responses.dtype == np.float32
    assert recordings.stimuli == tuple(stimuli)
    assert len(set(recordings.neuroids)) == 30
    responses = average_repetitions(recordings.responses)
    for region, activations in layers.items():
        own = np.array(recordings.regions) == region
        assert median_r(activations, responses[:, own]) > 0.5
        assert median_r(activations, responses[:, ~own]) < 0.3


def test_scores_follow_their_layer_within_their_range(rng):
    activations = layer(rng, 800, 40)
    seed = int(rng.integers(2**32))
    scores = simulate_scores(activations, np.random.default_rng(seed), 0.8)
    assert 0 < scores.min() < scores.max() < 1
    assert 0.6 < scores.mean() < 0.85
    signal = read_out(activations, 1, np.random.default_rng(seed))[:, 0]
    assert spearmanr(signal, scores)[0] == pytest.approx(np.sqrt(0.8), abs=0.06)


@pytest.mark.parametrize("reliability", [0, 1, -0.2, 1.5, float("nan")])
def test_impossible_reliability_is_refused(rng, reliability):
    with pytest.raises(ValueError, match="must be between 0 and 1"):
        simulate_scores(layer(rng), rng, reliability)
    with pytest.raises(ValueError, match="must be between 0 and 1"):
        simulate_recordings({"V1": layer(rng)}, ["a"], rng, ceiling=reliability)


def test_categories_are_drawn_equally_often(tmp_path, rng):
    stimuli, categories = draw_stimuli(tmp_path / "drawn", 24, rng, 32)
    assert stimuli.name == "drawn"
    assert stimuli.ids == tuple(sorted(path.name for path in (tmp_path / "drawn").iterdir()))
    assert sorted(categories.tolist()) == sorted([*CATEGORIES] * 3)
    assert load_image(stimuli.paths[3]).shape == (32, 32, 3)


def teacher(stimuli, layers):
    """A network of two layers: coarse colours, and random features of them."""
    images = np.stack([load_image(path)[::4, ::4].ravel() for path in stimuli.paths]) / 255.0
    weights = np.random.default_rng(0).normal(size=(images.shape[1], 80)) / 10
    outputs = {"early": images, "late": np.maximum(0, images @ weights) ** 2}
    return {name: outputs[name].astype("float32") for name in layers}


def test_study_is_read_like_real_data(tmp_path):
    truth = simulate_study(
        tmp_path,
        teacher,
        {"V1": "early", "IT": "late"},
        "late",
        n_recorded=64,
        n_rated=40,
        n_neuroids=6,
        size=32,
    )
    assert read_truth(tmp_path / "truth.json") == truth
    assert truth["V1"] == Planted("early", 0.8, pytest.approx(np.sqrt(0.8)))
    assert truth["memorability"].layer == "late"
    assert set(json.loads((tmp_path / "truth.json").read_text())) == {"V1", "IT", "memorability"}
    assert list_regions(tmp_path / "recordings.nc") == ("V1", "IT")
    recordings, recorded = read_recordings(tmp_path / "recordings.nc"), stimuli_of(tmp_path / "recordings.nc")
    assert recordings.responses.shape == (10, 64, 12)
    assert recordings.stimuli == recorded.ids
    assert set(recordings.columns["object_name"].tolist()) == set(CATEGORIES)
    signal = teacher(recorded, ["early"])["early"]
    scores = PCA(12).fit_transform(signal)
    average = average_repetitions(recordings.responses)[:, :6]
    explained = scores @ np.linalg.lstsq(scores, average, rcond=None)[0]
    assert 1 - np.var(average - explained) / np.var(average) > 0.7  # planted: .8, and some of the noise is fitted
    ratings, rated = read_ratings(tmp_path / "scores.csv", tmp_path / "rated")
    assert ratings.scores.shape == (5, 40)
    assert len(rated.paths) == 40


def test_study_repeats_with_its_seed(tmp_path):
    for name, seed in [("a", 1), ("b", 1), ("c", 2)]:
        simulate_study(tmp_path / name, teacher, {"V1": "early"}, "late", 16, 16, 2, 3, size=32, seed=seed)
    first, second, other = (read_recordings(tmp_path / name / "recordings.nc") for name in "abc")
    np.testing.assert_array_equal(first.responses, second.responses)
    assert not np.allclose(first.responses, other.responses)
    scores = [(tmp_path / name / "scores.csv").read_text() for name in "abc"]
    assert scores[0] == scores[1] != scores[2]
