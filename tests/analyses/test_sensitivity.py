"""Other settings on kept activations, against the same scores asked for directly."""

from dataclasses import replace

import numpy as np
import pytest

from layerwise.analyses.brain import BrainSimilarity, SplitPlan
from layerwise.analyses.memorability import BehaviouralAccuracy
from layerwise.analyses.sensitivity import LeadingStore, Method, list_methods, score_layers, spread_layers
from layerwise.interfaces import LayerSpec, Ratings, Recordings
from layerwise.regression import make_kfold_splits, score_neuroids

N_SHOWN = 50  # of 60 stimuli; principal components are fitted on the others


@pytest.fixture
def kept(activations):
    return {layer: values for layer, values in activations.items() if layer.name != "constant"}


def held_against(rng, stimuli, **settings):
    names = tuple("abc")
    recordings = Recordings(rng.standard_normal((2, len(stimuli), 3)), tuple(stimuli), names, ("IT",) * 3)
    return BrainSimilarity(recordings, "IT", SplitPlan(n_splits=3), **settings)


def rated(rng, stimuli):
    splits = make_kfold_splits(len(stimuli), n_splits=3, seed=1)
    return BehaviouralAccuracy(Ratings(tuple(stimuli), rng.random((3, len(stimuli))), splits), "beauty")


def means(rows, value):
    return rows.groupby("layer", sort=False)[value].mean()


@pytest.mark.parametrize("solver", ["exact", "scikit-learn"])
@pytest.mark.parametrize("n_components", [5, 10])
def test_scores_are_those_of_direct_calls_with_the_setting(rng, fill_store, kept, stimuli, solver, n_components):
    store = fill_store(kept)
    similarity, accuracy = held_against(rng, stimuli), rated(rng, stimuli)
    method = Method(n_components, solver, None)
    found = score_layers(method, list(kept), [(similarity, store)], [(accuracy, store)]).set_index("layer")
    settings = {"n_components": n_components, "solver": solver}
    brain = means(replace(similarity, **settings).score(store, list(kept)), "r")
    behaviour = means(replace(accuracy, **settings).score(store, list(kept)), "rho")
    assert found["IT"].to_dict() == brain.to_dict() and found["beauty"].to_dict() == behaviour.to_dict()
    assert found["IT"].to_dict() != means(similarity.score(store, list(kept)), "r").to_dict()  # of 25 components


@pytest.mark.parametrize("pca", [None, 7])
def test_without_principal_components_the_images_they_are_fitted_on_are_left_out(
    rng, fill_store, kept, stimuli, tmp_path, pca
):
    between = LayerSpec("between", "Linear", (55,), 55, 9)  # more units than stimuli that are shown, fewer than all
    kept = kept | {between: rng.standard_normal((60, 55)).astype(np.float32)}
    whole, similarity = fill_store(kept), held_against(rng, stimuli[:N_SHOWN], pca=3)
    found = score_layers(Method(4, "exact", pca), list(kept), [(similarity, whole)], []).set_index("layer")["IT"]
    direct = replace(similarity, n_components=4, pca=pca)
    if pca is not None:
        assert found.to_dict() == means(direct.score(whole, list(kept)), "r").to_dict()
        return
    # Scores of the activations to the shown stimuli alone, which a file of their own would hold.
    responses = similarity.recordings.responses.mean(axis=0)
    splits = similarity.splits.make(similarity.recordings)
    for layer, values in kept.items():
        r = score_neuroids(values[:N_SHOWN].astype(float), responses, splits, 4)
        assert found[layer.name] == pytest.approx(np.median(r, axis=1).mean(), abs=1e-5)


def test_a_store_of_the_first_stimuli_gives_what_a_file_of_them_would(rng, fill_store, kept, stimuli):
    whole = fill_store(kept)
    part = LeadingStore(whole.path, "network", N_SHOWN)
    assert part.stimuli == stimuli[:N_SHOWN]
    small, large = kept
    np.testing.assert_array_equal(part.read("small").array, kept[small][:N_SHOWN])
    gram, centring = part.read("large").array, np.eye(N_SHOWN) - 1 / N_SHOWN
    values = kept[large][:N_SHOWN].astype(float)
    values -= values.mean(axis=0)
    np.testing.assert_allclose(centring @ gram @ centring, values @ values.T, atol=1e-3)
    packed = part.read("large", packed=True).array
    np.testing.assert_array_equal(packed, gram[np.triu_indices(N_SHOWN)])


def test_each_setting_is_changed_by_itself_and_the_studys_is_marked():
    own = Method(12, "exact", 100)
    tried = list(list_methods(own, 100, 4))
    assert [(setting, value) for setting, value, _, _ in tried] == [
        *(("components", value) for value in ("5", "10", "12", "25", "50")),
        *(("solver", value) for value in ("exact", "scikit-learn")),
        *(("pca", value) for value in ("none", "100")),
    ]
    assert [value for _, value, studys, _ in tried if studys] == ["12", "exact", "100"]
    for setting, _, _, method in tried:
        changed = {name for name in ("n_components", "solver", "pca") if getattr(method, name) != getattr(own, name)}
        assert changed <= {{"components": "n_components"}.get(setting, setting)}
        assert method.n_layers == (4 if setting == "solver" else None)
    assert {setting for setting, *_ in list_methods(Method(25, "exact", None), None, 4)} == {"components", "solver"}


def test_some_layers_are_spread_over_the_depth():
    layers = [LayerSpec(str(number), "Linear", (30,), 30, number) for number in range(1, 12)]
    assert [layer.depth for layer in spread_layers(layers, 3)] == [1, 6, 11]
    assert spread_layers(layers, None) == spread_layers(layers, 99) == layers
