"""Measures beside PLS, of stored layers, against scikit-learn and scipy on the activations themselves."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.spatial.distance import pdist
from scipy.stats import pearsonr, spearmanr
from sklearn.linear_model import Ridge, RidgeCV

from layerwise.activations import store as store_module
from layerwise.activations.packing import packed_size
from layerwise.analyses import brain
from layerwise.analyses.brain import BrainSimilarity, SplitPlan
from layerwise.interfaces import DegenerateWarning, LayerSpec, MeasureSettings, Recordings
from layerwise.regression import ALPHAS

ALL = ("pls", "ridge", "rsa", "cka", "debiased_cka")
PLAN = SplitPlan(n_splits=2)
CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


def record(rng, stimuli, activations, n_neuroids=5):
    small = next(iter(activations.values()))
    signal = small @ rng.standard_normal((small.shape[1], n_neuroids))
    responses = signal + 2 * signal.std() * rng.standard_normal((3, *signal.shape))
    names = tuple(f"neuroid{index}" for index in range(n_neuroids))
    return Recordings(responses, stimuli, names, ("IT",) * n_neuroids)


def centred(values):
    values = values.astype(np.float64)
    return values - values.mean(0)


def cka(X, Y, debiased=False):
    K, L = X @ X.T, Y @ Y.T
    if debiased:
        K, L, n = K - np.diag(np.diag(K)), L - np.diag(np.diag(L)), len(K)

        def hsic(K, L):  # Song et al. 2012, equation 5
            crossed = K.sum() * L.sum() / (n - 1) / (n - 2) - 2 / (n - 2) * (K @ L).sum()
            return (np.trace(K @ L) + crossed) / (n * (n - 3))

        return hsic(K, L) / np.sqrt(hsic(K, K) * hsic(L, L))
    return (K * L).sum() / np.sqrt((K * K).sum() * (L * L).sum())


def values_of(table, layer, measure):
    column = "IT" if measure == "pls" else f"IT_{measure}"
    return table[(table["layer"] == layer) & (table["region"] == column)]


@pytest.mark.parametrize("shown", [60, 45])
def test_each_measure_is_what_is_computed_from_the_activations(rng, store, activations, stimuli, shown):
    recordings = record(rng, stimuli, activations)
    recordings.responses[:, shown:] = np.nan
    layers, rows = list(activations)[:2], np.arange(shown)
    similarity = BrainSimilarity(recordings, "IT", PLAN, n_components=10, measures=ALL)
    if shown < 60:
        with pytest.warns(DegenerateWarning, match="15 of 60 stimuli have no response"):
            table = similarity.score(store, layers)
    else:
        table = similarity.score(store, layers)
    responses = recordings.responses[:, rows].mean(0)
    splits = PLAN.make(replace(recordings, stimuli=stimuli[:shown]))
    for layer in layers:
        X = activations[layer][rows].astype(np.float64)
        ridge = values_of(table, layer.name, "ridge")
        for split, (_, row) in zip(splits, ridge.iterrows(), strict=True):
            fit = RidgeCV(alphas=ALPHAS).fit(X[split.train], responses[split.train])
            predicted, measured = fit.predict(X[split.test]), responses[split.test]
            expected = [pearsonr(*pair).statistic for pair in zip(predicted.T, measured.T, strict=True)]
            np.testing.assert_allclose(row["r_neuroids"], expected, atol=1e-9)
            assert row["r"] == pytest.approx(np.median(expected), abs=1e-9)
            assert row["alpha"] == fit.alpha_
        distances = spearmanr(pdist(X, "correlation"), pdist(responses, "correlation")).statistic
        pair = centred(X), centred(responses)
        expected = {"rsa": distances, "cka": cka(*pair), "debiased_cka": cka(*pair, debiased=True)}
        for measure, value in expected.items():
            (row,) = values_of(table, layer.name, measure).to_dict("records")
            assert row["r"] == pytest.approx(value, abs=1e-10)
            assert (row["split"], row["neuroids"], len(row["r_neuroids"])) == (0, 5, 0)


@pytest.mark.parametrize("alpha", [None, 2.0])
@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=CUDA)])
def test_layers_taken_together_have_the_values_of_each_alone(rng, fill_store, stimuli, device, alpha, monkeypatch):
    sizes = enumerate([200, 90, 150, 20, 80, 300], start=1)
    values = {
        LayerSpec(f"layer{depth}", "Conv2d", (units,), units, depth): rng.standard_normal((60, units))
        for depth, units in sizes
    }
    store, settings = fill_store(values, "several.h5"), MeasureSettings(alpha=alpha)
    alone = BrainSimilarity(record(rng, stimuli, values), "IT", PLAN, 10, measures=ALL, settings=settings)
    monkeypatch.setattr(brain._Fit, "_at_once", lambda fit: 2)
    found = replace(alone, device=device).score(store, list(values))
    monkeypatch.undo()
    expected = alone.score(store, list(values))
    for column in ("layer", "region", "split", "neuroids", "alpha"):
        assert found[column].equals(expected[column])
    np.testing.assert_allclose(found["r"], expected["r"], atol=1e-8)


def test_pls_is_the_same_to_the_bit_beside_other_measures(rng, store, activations, stimuli):
    recordings, layers = record(rng, stimuli, activations), list(activations)[:2]
    alone = BrainSimilarity(recordings, "IT", PLAN, n_components=10).score(store, layers)
    beside = BrainSimilarity(recordings, "IT", PLAN, n_components=10, measures=ALL).score(store, layers)
    rows = beside[beside["region"] == "IT"]
    assert np.stack(rows["r_neuroids"]).tobytes() == np.stack(alone["r_neuroids"]).tobytes()
    assert "alpha" not in alone


@pytest.mark.parametrize("comparison", ["pearson", "cosine"])
@pytest.mark.parametrize("distance", ["euclidean", "cosine"])
def test_the_settings_of_rsa_and_ridge_are_used(rng, store, activations, stimuli, distance, comparison):
    recordings, layer = record(rng, stimuli, activations), list(activations)[1]
    settings = MeasureSettings(alpha=30.0, distance=distance, comparison=comparison)
    similarity = BrainSimilarity(recordings, "IT", PLAN, measures=("rsa", "ridge"), settings=settings)
    table, responses = similarity.score(store, [layer]), recordings.responses.mean(0)
    X = activations[layer].astype(np.float64)
    a, b = pdist(X, distance), pdist(responses, distance)
    expected = pearsonr(a, b).statistic if comparison == "pearson" else a @ b / np.linalg.norm(a) / np.linalg.norm(b)
    assert values_of(table, layer.name, "rsa")["r"].item() == pytest.approx(expected, abs=1e-10)
    split = PLAN.make(recordings)[0]
    predicted = Ridge(30.0).fit(X[split.train], responses[split.train]).predict(X[split.test])
    ridge = values_of(table, layer.name, "ridge").iloc[0]
    assert ridge["alpha"] == 30
    assert ridge["r_neuroids"][2] == pytest.approx(pearsonr(predicted[:, 2], responses[split.test, 2])[0], abs=1e-9)
    assert set(table["region"]) == {"IT_rsa", "IT_ridge"}


def test_layers_too_small_for_pls_have_other_measures(rng, fill_store, stimuli):
    values = {LayerSpec("tiny", "Linear", (6,), 6, 1): rng.standard_normal((60, 6)).astype(np.float32)}
    similarity = BrainSimilarity(record(rng, stimuli, values), "IT", PLAN, n_components=10, measures=ALL)
    with pytest.warns(DegenerateWarning, match="fewer"):
        table = similarity.score(fill_store(values), list(values))
    undefined = table.groupby("region")["r"].apply(lambda r: r.isna().any())
    assert undefined.to_dict() == {"IT": True} | {f"IT_{name}": False for name in ALL[1:]}


def test_a_constant_layer_has_no_value_and_is_counted(rng, store, activations, stimuli):
    similarity = BrainSimilarity(record(rng, stimuli, activations), "IT", PLAN, n_components=10, measures=ALL)
    with pytest.warns(DegenerateWarning) as told:
        table = similarity.score(store, list(activations))
    assert table[table["layer"] == "constant"]["r"].isna().all()
    assert table[table["layer"] != "constant"]["r"].notna().all()
    said = " ".join(str(one.message) for one in told)
    assert "activations are constant" in said
    for measure in ALL[2:]:
        assert f"1 of 3 layers has no {measure}" in said


def test_layers_that_are_not_finite_have_no_value(rng, fill_store, activations, stimuli):
    layer = next(iter(activations))
    store = fill_store(activations)
    stored = store.read(layer.name)
    broken = replace(stored, nonfinite=True)
    store.read = lambda name, packed=False: broken
    similarity = BrainSimilarity(record(rng, stimuli, activations), "IT", PLAN, n_components=10, measures=ALL)
    with pytest.warns(DegenerateWarning, match="not finite"):
        assert similarity.score(store, [layer])["r"].isna().all()


def test_neuroids_with_gaps_are_left_out(rng, store, activations, stimuli):
    recordings, layer = record(rng, stimuli, activations, 6), next(iter(activations))
    fewer = replace(recordings, responses=recordings.responses[..., 1:].copy(), neuroids=recordings.neuroids[1:])
    recordings.responses[:, 3, 0] = np.nan
    others = {"measures": ALL[1:]}
    with pytest.warns(DegenerateWarning, match="1 of 6 neuroids lacks responses to some stimuli: left out of RSA"):
        found = BrainSimilarity(recordings, "IT", PLAN, **others).score(store, [layer])
    expected = BrainSimilarity(fewer, "IT", PLAN, **others).score(store, [layer])
    np.testing.assert_allclose(found["r"], expected["r"], atol=1e-12)
    assert found["neuroids"].tolist() == [5] * 5


def test_what_cannot_be_measured_is_refused_in_a_sentence(rng, store, activations, stimuli):
    two, layer = record(rng, stimuli, activations, 2), next(iter(activations))
    with pytest.raises(ValueError, match=r"2 neuroids have .* needs 3 or more: set brain\.rsa\.distance to euclidean"):
        BrainSimilarity(two, "IT", PLAN, measures=("rsa",)).score(store, [layer])
    euclidean = MeasureSettings(distance="euclidean")
    assert BrainSimilarity(two, "IT", PLAN, measures=("rsa",), settings=euclidean).score(store, [layer])["r"].item() < 1
    silent = record(rng, stimuli, activations)
    silent.responses[:, 4] = 0
    with pytest.warns(DegenerateWarning) as told:
        assert BrainSimilarity(silent, "IT", PLAN, measures=("rsa",)).score(store, [layer])["r"].isna().all()
    assert "all neuroids respond alike" in str(told[0].message)


def test_equal_distances_between_responses_are_told(rng, store, activations, stimuli):
    alike = replace(record(rng, stimuli, activations, 60), responses=np.eye(60)[None] * np.ones((2, 1, 1)))
    with pytest.warns(DegenerateWarning, match="all pairs of stimuli are equally distant"):
        table = BrainSimilarity(alike, "IT", PLAN, measures=("rsa",)).score(store, list(activations)[:2])
    assert table["r"].isna().all()


def test_too_few_stimuli_are_refused(rng, store, activations, stimuli):
    recordings = record(rng, stimuli, activations)
    recordings.responses[:, 3:] = np.nan
    similarity = BrainSimilarity(recordings, "IT", SplitPlan(train_size=0.5), measures=("cka",))
    with (
        pytest.warns(DegenerateWarning, match="57 of 60"),
        pytest.raises(ValueError, match="3 stimuli are given, and cka needs 4 or more"),
    ):
        similarity.score(store, list(activations)[:1])


def test_activations_of_the_former_version_say_what_they_lack(rng, fill_store, activations, stimuli, monkeypatch):
    monkeypatch.setattr(store_module, "kept_size", packed_size)
    put = store_module.StoreWriter.put_gram
    n = packed_size(60)
    monkeypatch.setattr(store_module.StoreWriter, "put_gram", lambda self, layer, kept: put(self, layer, kept[:n]))
    old = fill_store(activations, "old.h5")
    monkeypatch.undo()
    recordings, layer = record(rng, stimuli, activations), list(activations)[1]
    similarity = BrainSimilarity(recordings, "IT", PLAN, measures=("rsa", "cka"))
    with pytest.raises(ValueError, match=r"old\.h5 was written by a version .* delete it, and run the step"):
        similarity.score(old, [layer])
    euclidean = replace(similarity, settings=MeasureSettings(distance="euclidean"))
    assert euclidean.score(old, [layer])["r"].notna().all()
