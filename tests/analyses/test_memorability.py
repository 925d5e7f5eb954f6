import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.cross_decomposition import PLSRegression
from sklearn.model_selection import KFold

from layerwise.analyses.memorability import BehaviouralAccuracy
from layerwise.interfaces import DegenerateWarning, Ratings, Split


def rate(rng, stimuli, activations):
    """Scores that read the small layer, with other noise in each split, as LaMem's."""
    small = next(iter(activations.values()))
    signal = small @ rng.standard_normal(small.shape[1])
    folds = [Split(train, test) for train, test in KFold(3, shuffle=True, random_state=0).split(signal)]
    scores = signal + 0.3 * signal.std() * rng.standard_normal((3, len(stimuli)))
    return Ratings(stimuli, scores, folds)


def test_rows_are_what_a_plain_loop_over_scikit_learn_gives(rng, store, activations, stimuli):
    ratings = rate(rng, stimuli, activations)
    table = BehaviouralAccuracy(ratings, "memorability", n_components=10).score(store, list(activations)[:2])
    assert list(table.columns) == ["model", "layer", "measure", "split", "rho"]
    for row in table.itertuples():
        train, test = ratings.splits[row.split].train, ratings.splits[row.split].test
        values = next(values for layer, values in activations.items() if layer.name == row.layer)
        fit = PLSRegression(10, scale=False).fit(values[train], ratings.scores[row.split, train])
        expected = spearmanr(fit.predict(values[test]).ravel(), ratings.scores[row.split, test])[0]
        # A rank can only move where two predictions are nearly equal.
        assert row.rho == pytest.approx(expected, abs=1e-8 if row.layer == "small" else 5e-3)


def test_a_split_is_scored_with_its_own_scores(rng, store, activations, stimuli):
    ratings = rate(rng, stimuli, activations)
    changed = ratings.scores.copy()
    changed[1] = rng.permutation(changed[1])
    layers = list(activations)[:1]
    before = BehaviouralAccuracy(ratings, "m", 10).score(store, layers)["rho"].to_numpy()
    other = Ratings(stimuli, changed, ratings.splits)
    after = BehaviouralAccuracy(other, "m", 10).score(store, layers)["rho"].to_numpy()
    np.testing.assert_allclose(before[[0, 2]], after[[0, 2]], atol=1e-10)
    assert before[1] != after[1]


def test_shuffled_scores_are_not_predicted(rng, store, activations, stimuli):
    ratings = rate(rng, stimuli, activations)
    null = []
    for _ in range(20):
        shuffled = np.tile(rng.permutation(ratings.scores[0]), (3, 1))
        accuracy = BehaviouralAccuracy(Ratings(stimuli, shuffled, ratings.splits), "m", 10)
        null.append(accuracy.score(store, list(activations)[:1])["rho"].mean())
    # One shuffle of 60 images has a standard deviation of about .14, the mean of twenty a fifth of it.
    assert abs(np.mean(null)) < 0.16
    assert BehaviouralAccuracy(ratings, "m", 10).score(store, list(activations)[:1])["rho"].mean() > 0.5


def test_a_constant_layer_has_no_score(rng, store, activations, stimuli):
    accuracy = BehaviouralAccuracy(rate(rng, stimuli, activations), "m", n_components=10)
    with pytest.warns(DegenerateWarning, match="constant"):
        table = accuracy.score(store, list(activations)[2:])
    assert table["rho"].isna().all()


def test_a_layer_with_fewer_units_than_components_has_no_score_and_the_others_go_on(rng, store, activations, stimuli):
    accuracy = BehaviouralAccuracy(rate(rng, stimuli, activations), "m", n_components=35)
    with pytest.warns(
        DegenerateWarning, match=r"1 of 3 layers .* the 35 components .*: constant \(30 units\)"
    ) as caught:
        table = accuracy.score(store, list(activations))
    assert len(caught) == 1
    undefined = table.groupby("layer", sort=False)["rho"].apply(lambda values: values.isna().all())
    assert undefined.to_dict() == {"small": False, "large": False, "constant": True}
