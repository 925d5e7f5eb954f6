"""Splits drawn on an order other than that of the ids."""

import numpy as np
import pytest
from sklearn.model_selection import ShuffleSplit, StratifiedShuffleSplit

from layerwise.analyses.brain import SplitPlan
from layerwise.interfaces import Recordings


def recordings_of(rng, n_stimuli=60):
    stimuli = tuple(f"stimulus{index:03d}" for index in range(n_stimuli))
    columns = {
        "rank": rng.permutation(n_stimuli),
        "object_name": rng.permutation(np.resize(["a", "b", "c"], n_stimuli)),
    }
    return Recordings(np.zeros((1, n_stimuli, 1)), stimuli, ("n",), ("IT",), columns)


@pytest.mark.parametrize("by", [None, "object_name"])
def test_splits_are_those_of_scikit_learn_on_the_stimuli_in_that_order(rng, by):
    recordings = recordings_of(rng)
    found = SplitPlan(by=by, order="rank").make(recordings)
    ordered = sorted(range(60), key=lambda stimulus: recordings.columns["rank"][stimulus])
    draws = (ShuffleSplit if by is None else StratifiedShuffleSplit)(10, train_size=0.9, random_state=1)
    labels = None if by is None else recordings.columns[by][ordered]
    for split, (train, test) in zip(found, draws.split(np.zeros(60), labels), strict=True):
        assert split.train.tolist() == sorted(ordered[place] for place in train)
        assert split.test.tolist() == sorted(ordered[place] for place in test)


@pytest.mark.parametrize("method", ["grouped", "kfold"])
def test_groups_stay_whole_in_any_order(rng, method):
    recordings = recordings_of(rng)
    groups = np.arange(60) // 5
    recordings.columns["movie"] = groups
    for split in SplitPlan(method=method, by="movie", n_splits=4, order="rank").make(recordings):
        assert not set(groups[split.train]) & set(groups[split.test])
        assert sorted([*split.train, *split.test]) == list(range(60))


def test_an_order_that_is_not_there_is_named(rng):
    with pytest.raises(ValueError, match="no property 'brainscore_rank'"):
        SplitPlan(order="brainscore_rank").make(recordings_of(rng))
