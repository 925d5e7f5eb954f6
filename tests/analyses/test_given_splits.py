"""One split, whose training and test stimuli a property of the stimuli names."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.distance import pdist
from scipy.stats import pearsonr, spearmanr
from sklearn.linear_model import RidgeCV

from layerwise.analyses.brain import BrainSimilarity, SplitPlan
from layerwise.analyses.ceiling import estimate_ceiling
from layerwise.analyses.gather import gather_model
from layerwise.config import validate_study
from layerwise.interfaces import DegenerateWarning, Recordings
from layerwise.regression import ALPHAS

GIVEN = SplitPlan(method="given", by="set")


@pytest.fixture
def recordings(rng, activations, stimuli):
    """As Papale2025: training stimuli are shown once, test stimuli often."""
    large = list(activations.values())[1]
    signal = large @ rng.standard_normal((300, 4))
    responses = signal + 0.5 * signal.std() * rng.standard_normal((6, *signal.shape))
    sets = np.where(rng.permutation(60) < 45, "train", "test")
    responses[1:, sets == "train"] = np.nan
    return Recordings(responses, stimuli, tuple("abcd"), ("IT",) * 4, {"set": sets, "numbers": (sets == "test") + 1})


def test_the_parts_are_those_that_are_named(recordings):
    (split,) = GIVEN.make(recordings)
    sets = recordings.columns["set"]
    assert set(sets[split.train]) == {"train"} and set(sets[split.test]) == {"test"}
    assert sorted([*split.train, *split.test]) == list(range(60))
    (other,) = replace(GIVEN, by="numbers", train="1", test="2").make(recordings)
    assert (other.train.tolist(), other.test.tolist()) == (split.train.tolist(), split.test.tolist())
    sets[split.train[:5]] = "practice"
    (fewer,) = GIVEN.make(recordings)
    assert fewer.train.tolist() == split.train[5:].tolist()


def test_scores_are_those_of_scikit_learn_on_these_parts(store, activations, recordings):
    (split,), layer = GIVEN.make(recordings), list(activations)[1]
    similarity = BrainSimilarity(recordings, "IT", GIVEN, n_components=10, measures=("pls", "ridge", "rsa"))
    table = similarity.score(store, [layer]).set_index("region")
    X, Y = activations[layer].astype(np.float64), np.nanmean(recordings.responses, axis=0)
    fit = RidgeCV(alphas=ALPHAS).fit(X[split.train], Y[split.train])
    predicted = fit.predict(X[split.test])
    expected = [pearsonr(*pair).statistic for pair in zip(predicted.T, Y[split.test].T, strict=True)]
    np.testing.assert_allclose(table.loc["IT_ridge", "r_neuroids"], expected, atol=1e-9)
    assert table.loc["IT_ridge", "alpha"] == fit.alpha_
    distances = (pdist(values[split.test], "correlation") for values in (X, Y))
    assert table.loc["IT_rsa", "r"] == pytest.approx(spearmanr(*distances).statistic, abs=1e-10)
    rows, ceiling = table.reset_index(), estimate_ceiling(GIVEN.tested(recordings), "IT", whole=recordings)
    rows.attrs = table.attrs
    gathered = gather_model("network", [layer], [rows], [], [ceiling])
    assert gathered["IT"].item() == table.loc["IT", "r"] and gathered["IT_rsa"].item() == table.loc["IT_rsa", "r"]
    assert gathered["IT_error"].isna().all() and gathered["IT_splits"].item() == 1
    assert gathered["IT_ridge_ceiling"].item() == gathered["IT_ceiling"].item() > 0


def test_ceilings_are_of_the_test_stimuli(recordings):
    tested = GIVEN.tested(recordings)
    assert set(tested.columns["set"]) == {"test"}
    noise = recordings.responses.copy()
    noise[:2, recordings.columns["set"] == "train"] = np.random.default_rng(0).normal(size=(2, 45, 4))
    twice = replace(recordings, responses=noise)  # training stimuli that say nothing, shown twice
    found, expected = (estimate_ceiling(GIVEN.tested(one), "IT")["ceiling"] for one in (twice, recordings))
    np.testing.assert_array_equal(found, expected)
    assert SplitPlan().tested(recordings) is recordings


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        ({"by": "sets"}, "no property 'sets' to split by; the file has: set, numbers"),
        ({"test": "held-out"}, r"no stimulus has 'held-out' as its 'set'.*'test'.*name two of them"),
        ({"train": "learn"}, "no stimulus has 'learn' as its 'set'"),
    ],
)
def test_parts_that_are_not_there_are_told(recordings, plan, said):
    with pytest.raises(ValueError, match=said):
        replace(GIVEN, **plan).make(recordings)


def test_a_property_with_one_value_leaves_no_part_to_test(recordings):
    recordings.columns["set"][:] = "train"
    with pytest.raises(ValueError, match=r"no stimulus has 'test' as its 'set'.* values are, for one: 'train'; name"):
        GIVEN.make(recordings)


def test_fewer_training_stimuli_than_components_are_told(store, activations, recordings):
    sets = recordings.columns["set"]
    sets[np.flatnonzero(sets == "train")[7:]] = "neither"
    with pytest.raises(ValueError, match="7 training stimuli were given, but 10 components need at least 10"):
        BrainSimilarity(recordings, "IT", GIVEN, n_components=10).score(store, list(activations)[:1])


def test_a_single_test_stimulus_has_no_correlation(store, activations, recordings):
    sets = recordings.columns["set"]
    sets[np.flatnonzero(sets == "test")[1:]] = "neither"
    similarity = BrainSimilarity(recordings, "IT", GIVEN, n_components=10, measures=("pls", "ridge"))
    with pytest.warns(DegenerateWarning, match="constant in the training or test stimuli"):
        assert similarity.score(store, list(activations)[:1])["r"].isna().all()


def test_the_config_says_which_property_it_is():
    recording = {"name": "one", "file": "one.nc", "splits": {"method": "given"}}
    content = {"study": "s", "models": ["alexnet"], "recordings": [recording]}
    with pytest.raises(ValueError, match="given splits need `by`"):
        validate_study(content)
    recording["splits"] |= {"by": "set", "train": "test"}
    with pytest.raises(ValueError, match="`train` and `test` are both 'test'"):
        validate_study(content)
    recording["splits"] |= {"train": "training"}
    assert validate_study(content).recordings[0].splits.train == "training"
