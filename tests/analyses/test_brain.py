from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from damage import edited
from scipy.stats import pearsonr
from sklearn.cross_decomposition import PLSRegression
from sklearn.decomposition import PCA
from sklearn.model_selection import ShuffleSplit, StratifiedShuffleSplit

from layerwise.activations.store import ActivationStore
from layerwise.analyses import brain
from layerwise.analyses.brain import BrainSimilarity, SplitPlan
from layerwise.interfaces import DegenerateWarning, LayerSpec, Recordings
from layerwise.regression import score_gram

CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


def record(rng, stimuli, activations, n_neuroids=5):
    """Noisy read-outs of the small layer, three repetitions, some trials missing."""
    small = next(iter(activations.values()))
    signal = small @ rng.standard_normal((small.shape[1], n_neuroids))
    responses = signal + 0.5 * signal.std() * rng.standard_normal((3, *signal.shape))
    responses[2, ::7] = np.nan
    columns = {"object_name": np.repeat(["a", "b", "c"], len(stimuli) // 3), "movie": np.arange(len(stimuli)) // 6}
    names = tuple(f"neuroid{index}" for index in range(n_neuroids))
    return Recordings(responses, stimuli, names, ("IT",) * n_neuroids, columns)


def test_rows_are_what_a_plain_loop_over_scikit_learn_gives(rng, store, activations, stimuli):
    recordings = record(rng, stimuli, activations)
    similarity = BrainSimilarity(recordings, "IT", SplitPlan(by="object_name"), n_components=10, solver="scikit-learn")
    layers = list(activations)[:2]
    table = similarity.score(store, layers)
    responses = np.nanmean(recordings.responses, axis=0)
    draws = StratifiedShuffleSplit(n_splits=10, train_size=0.9, random_state=1)
    for split, (train, test) in enumerate(draws.split(responses, recordings.columns["object_name"])):
        for layer in layers:
            fit = PLSRegression(10, scale=False).fit(activations[layer][np.sort(train)], responses[np.sort(train)])
            predicted = fit.predict(activations[layer][test])
            expected = [pearsonr(predicted[:, i], responses[test, i])[0] for i in range(5)]
            row = table[(table["layer"] == layer.name) & (table["split"] == split)].iloc[0]
            np.testing.assert_allclose(row["r_neuroids"], expected, atol=1e-7)
            assert row["r"] == pytest.approx(np.median(expected), abs=1e-7)
    assert list(table.columns) == ["model", "layer", "region", "split", "r", "neuroids", "r_neuroids"]
    assert len(table) == 20


def test_shuffled_responses_are_not_predicted(rng, store, activations, stimuli):
    recordings = record(rng, stimuli, activations, n_neuroids=40)
    layers, null = list(activations)[:1], []
    for _ in range(20):
        responses = recordings.responses[:, rng.permutation(len(stimuli))]
        shuffled = Recordings(responses, stimuli, recordings.neuroids, recordings.regions)
        null.append(BrainSimilarity(shuffled, "IT", n_components=10).score(store, layers)["r"].mean())
    # r of 6 test images has a standard deviation of 1 / sqrt(5) = .45 where nothing is predicted. The median over
    # neuroids has no more, the mean of ten splits .45 / sqrt(10) = .14, that of twenty shuffles .032: five of these.
    assert abs(np.mean(null)) < 0.16
    assert BrainSimilarity(recordings, "IT", n_components=10).score(store, layers)["r"].mean() > 0.7


def test_a_constant_layer_has_no_score_and_the_study_goes_on(rng, store, activations, stimuli):
    similarity = BrainSimilarity(record(rng, stimuli, activations), "IT", n_components=10)
    with pytest.warns(DegenerateWarning, match="constant"):
        table = similarity.score(store, list(activations))
    undefined = table.groupby("layer", sort=False)["r"].apply(lambda r: r.isna().all())
    assert undefined.to_dict() == {"small": False, "large": False, "constant": True}
    assert (table.loc[table["layer"] == "constant", "neuroids"] == 0).all()


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=CUDA)])
def test_layers_taken_together_have_the_scores_of_each_alone(rng, fill_store, stimuli, device, monkeypatch):
    values = {
        LayerSpec(f"layer{index}", "Conv2d", (units,), units, index): rng.standard_normal((len(stimuli), units))
        for index, units in enumerate([200, 90, 150, 20, 80, 300], start=1)
    }
    store, recordings = fill_store(values, "several.h5"), record(rng, stimuli, values)
    alone = BrainSimilarity(recordings, "IT", n_components=10).score(store, list(values))
    with monkeypatch.context() as patch:
        if device == "cpu":
            patch.setattr(brain._Fit, "_at_once", lambda fit: 2)
        together = BrainSimilarity(recordings, "IT", n_components=10, device=device).score(store, list(values))
    assert together["layer"].tolist() == alone["layer"].tolist()
    np.testing.assert_allclose(np.stack(together["r_neuroids"]), np.stack(alone["r_neuroids"]), atol=1e-8)


@pytest.mark.parametrize("memory", [13 * 10**9, 75 * 10**9])
@pytest.mark.parametrize(("n_stimuli", "n_neuroids"), [(3200, 168), (3200, 1000), (3200, 9000), (10_000, 100)])
def test_layers_taken_together_fit_the_gpu_and_are_read_into_little_memory(memory, n_stimuli, n_neuroids):
    recordings = Recordings(np.empty((1, 0, 0)), (), (), ())
    similarity = BrainSimilarity(recordings, "IT", device="cuda", memory=memory)
    store = SimpleNamespace(stimuli=range(n_stimuli))
    responses, splits = np.empty((n_stimuli, n_neuroids)), [()] * 10
    layers = brain._Fit(similarity, store, np.arange(n_stimuli), responses, splits)._at_once()
    m = min(n_stimuli, n_neuroids)
    # A Gram matrix as it was read and in the stack; of each split X'Y, Y'X'XY and two powers of it.
    assert layers * 8 * (2 * n_stimuli**2 + 10 * (n_stimuli * m + 3 * m**2)) <= memory
    assert layers * 4 * n_stimuli**2 <= 1.5e9
    assert layers == 32 or memory < 75e9 or max(n_stimuli, n_neuroids) > 3200


def test_fewer_layers_are_taken_together_when_memory_runs_out(rng, fill_store, stimuli, monkeypatch, caplog):
    values = {
        LayerSpec(f"layer{index}", "Conv2d", (90,), 90, index): rng.standard_normal((len(stimuli), 90))
        for index in range(1, 6)
    }
    store, recordings = fill_store(values, "several.h5"), record(rng, stimuli, values)
    alone = BrainSimilarity(recordings, "IT", n_components=10).score(store, list(values))
    monkeypatch.setattr(brain._Fit, "_at_once", lambda fit: 5)

    def score_two_at_most(grams, *how):
        if len(grams) > 2:
            raise torch.OutOfMemoryError("out of memory")
        return score_gram(grams, *how)

    monkeypatch.setattr(brain, "score_gram", score_two_at_most)
    together = BrainSimilarity(recordings, "IT", n_components=10).score(store, list(values))
    np.testing.assert_allclose(np.stack(together["r_neuroids"]), np.stack(alone["r_neuroids"]), atol=1e-8)
    assert [record.getMessage()[-16:] for record in caplog.records] == ["3 layers at once", "2 layers at once"]


def test_a_layer_with_fewer_units_than_components_has_no_score_and_the_others_go_on(rng, store, activations, stimuli):
    similarity = BrainSimilarity(record(rng, stimuli, activations), "IT", n_components=35)
    with pytest.warns(
        DegenerateWarning, match=r"1 of 3 layers .* the 35 components .*: constant \(30 units\)"
    ) as caught:
        table = similarity.score(store, list(activations))
    assert len(caught) == 1
    undefined = table.groupby("layer", sort=False)["r"].apply(lambda values: values.isna().all())
    assert undefined.to_dict() == {"small": False, "large": False, "constant": True}


def test_a_layer_that_is_not_finite_has_no_score(rng, tmp_path, store, activations, stimuli):
    with edited(store.path) as file:
        file["layers/small"].attrs["nonfinite"] = True
    similarity = BrainSimilarity(record(rng, stimuli, activations), "IT", n_components=10)
    with pytest.warns(DegenerateWarning, match="not finite"):
        table = similarity.score(ActivationStore(store.path), list(activations)[:1])
    assert table["r"].isna().all()


def test_stimuli_without_any_response_are_left_out(rng, store, activations, stimuli):
    recordings = record(rng, stimuli, activations)
    recordings.responses[:, 10:20] = np.nan
    with pytest.warns(DegenerateWarning, match="10 of 60 stimuli"):
        table = BrainSimilarity(recordings, "IT", n_components=10).score(store, list(activations)[:2])
    assert table["r"].notna().all()


def test_whole_groups_are_held_out(rng, store, activations, stimuli):
    recordings = record(rng, stimuli, activations)
    movie = recordings.columns["movie"]
    for split in SplitPlan("grouped", by="movie").make(recordings):
        assert not set(movie[split.train]) & set(movie[split.test])
    folds = SplitPlan("kfold", by="movie", n_splits=5).make(recordings)
    assert sorted(np.concatenate([split.test for split in folds])) == list(range(len(stimuli)))
    for split in folds:
        assert not set(movie[split.train]) & set(movie[split.test])


def test_a_session_of_single_presentations_cannot_be_held_out(rng, store, activations, stimuli):
    recordings = replace(record(rng, stimuli, activations), varying={"session": "presentations of 3 stimuli differ"})
    with pytest.raises(ValueError, match=r"split by 'session': presentations of 3 .* would be trained on as well"):
        SplitPlan("grouped", by="session").make(recordings)


@pytest.mark.parametrize("empty", ["", np.nan])
@pytest.mark.parametrize("method", ["shuffle", "grouped", "kfold"])
def test_nothing_is_split_by_a_property_that_some_stimuli_lack(rng, store, activations, stimuli, empty, method):
    movies = np.repeat(np.arange(len(stimuli) // 4 + 1), 4)[: len(stimuli)].astype(type(empty))
    movies[[3, 5]] = empty
    recordings = replace(record(rng, stimuli, activations), columns={"movie": movies})
    with pytest.raises(ValueError, match=f"split by 'movie': it is empty for 2 .*'{stimuli[3]}'"):
        SplitPlan(method, by="movie", n_splits=3).make(recordings)


def test_an_unknown_property_is_named_with_those_that_are_there(rng, store, activations, stimuli):
    similarity = BrainSimilarity(record(rng, stimuli, activations), "IT", SplitPlan(by="texture"))
    with pytest.raises(ValueError, match=r"no property 'texture'.*object_name, movie"):
        similarity.score(store, list(activations))


def test_activations_of_other_stimuli_are_refused(rng, store, activations, stimuli):
    recordings = record(rng, stimuli, activations)
    other = Recordings(recordings.responses, ("other", *stimuli[1:]), recordings.neuroids, recordings.regions)
    with pytest.raises(ValueError, match="made from other stimuli"):
        BrainSimilarity(other, "IT").score(store, list(activations))


def fitted_on(recordings, stimuli, n_fitted, **changes):
    """Score against the first stimuli; the last ones stand for the images that components are fitted on."""
    shown = stimuli[: len(stimuli) - n_fitted]
    kept = Recordings(recordings.responses[:, : len(shown)], shown, recordings.neuroids, recordings.regions)
    return BrainSimilarity(kept, "IT", SplitPlan(n_splits=3), n_components=5, solver="scikit-learn", **changes)


def test_layers_are_reduced_to_components_of_the_images_behind_the_stimuli(rng, store, activations, stimuli):
    similarity = fitted_on(record(rng, stimuli, activations), stimuli, 25, pca=20)
    similarity.recordings.responses[:, 4] = np.nan
    with pytest.warns(DegenerateWarning):
        table = similarity.score(store, list(activations))
    rows = np.delete(np.arange(35), 4)
    responses = np.nanmean(similarity.recordings.responses[:, rows], axis=0)
    draws = list(ShuffleSplit(n_splits=3, train_size=0.9, random_state=1).split(rows))
    for layer, values in list(activations.items())[:2]:
        scores = PCA(20, svd_solver="full").fit(values[35:].astype(np.float64)).transform(values[rows])
        for split, (train, test) in enumerate(draws):
            fit = PLSRegression(5, scale=False).fit(scores[np.sort(train)], responses[np.sort(train)])
            expected = [pearsonr(*pair)[0] for pair in zip(fit.predict(scores[test]).T, responses[test].T, strict=True)]
            row = table[(table["layer"] == layer.name) & (table["split"] == split)].iloc[0]
            np.testing.assert_allclose(row["r_neuroids"], expected, atol=1e-8)
    assert table.loc[table["layer"] == "constant", "r"].isna().all()
    assert table.attrs["data"]["IT"]["pca"] == "20 components, fitted on 25 images"


def test_components_need_a_store_with_images_to_fit_them_on(rng, store, activations, stimuli):
    recordings = record(rng, stimuli, activations)
    with pytest.raises(ValueError, match=r"20 principal components .* 0 images"):
        fitted_on(recordings, stimuli, 0, pca=20).score(store, list(activations))
    with pytest.raises(ValueError, match="made from other stimuli"):
        fitted_on(recordings, stimuli, 25).score(store, list(activations))
