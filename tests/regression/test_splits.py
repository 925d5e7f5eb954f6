import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedShuffleSplit

from layerwise.interfaces import DegenerateWarning
from layerwise.regression import make_grouped_splits, make_kfold_splits, make_splits


def check(splits, n_stimuli, whole=True):
    for split in splits:
        train, test = split.train, split.test
        assert not split.validation.size
        assert train.dtype == test.dtype == np.int64
        assert (np.diff(train) > 0).all() and (np.diff(test) > 0).all()
        assert not np.intersect1d(train, test).size
        if whole:
            assert len(train) + len(test) == n_stimuli


def test_strata_are_divided_as_scikit_learn_does(rng):
    strata = rng.permutation(np.repeat([f"object {i}" for i in range(8)], 16))
    splits = make_splits(strata)
    drawn = StratifiedShuffleSplit(10, train_size=0.9, random_state=1).split(strata, strata)
    for split, (train, test) in zip(splits, drawn, strict=True):
        np.testing.assert_array_equal(split.train, np.sort(train))
        np.testing.assert_array_equal(split.test, np.sort(test))


@settings(max_examples=30, deadline=None)
@given(n=st.integers(4, 300), seed=st.integers(0, 5), train_size=st.floats(0.3, 0.9))
def test_unstratified_splits_partition_the_stimuli(n, seed, train_size):
    splits = make_splits(n, 4, train_size=0.5 if n < 12 else train_size, seed=seed)
    assert len(splits) == 4
    check(splits, n)


def test_same_seed_same_splits_and_other_seed_others():
    one, same, other = make_splits(50), make_splits(50), make_splits(50, seed=2)
    assert all((a.test == b.test).all() for a, b in zip(one, same, strict=True))
    assert any((a.test != b.test).any() for a, b in zip(one, other, strict=True))


def test_the_only_member_of_a_stratum_is_always_trained_on():
    strata = np.array(["a"] * 20 + ["alone"] + ["b"] * 20 + ["single"])
    with pytest.warns(DegenerateWarning, match="2 of 4 strata") as caught:
        splits = make_splits(strata)
    assert len(caught) == 1
    check(splits, 42)
    assert all({20, 41} <= set(split.train) for split in splits)


@pytest.mark.parametrize("strata", [1, 0, ["a"], list("abcdef"), ["a", "a", "b", "b", "c", "c"]])
def test_too_few_stimuli_are_refused_in_plain_words(strata):
    with pytest.raises(ValueError, match="too few"):
        make_splits(strata)


@pytest.mark.parametrize("train_size", [0, 1, 1.5, -0.1])
def test_a_share_outside_of_0_to_1_is_refused(train_size):
    with pytest.raises(ValueError, match="train_size"):
        make_splits(30, train_size=train_size)


def test_no_splits_are_refused():
    with pytest.raises(ValueError, match="0 splits"):
        make_splits(30, n_splits=0)


@settings(max_examples=30, deadline=None)
@given(labels=st.lists(st.integers(0, 12), min_size=20, max_size=80).filter(lambda x: len(set(x)) > 4))
def test_no_group_is_ever_on_both_sides(labels):
    groups = np.array(labels)
    for splits in (
        make_grouped_splits(groups, 5, train_size=0.7),
        make_kfold_splits(len(groups), 3, groups=groups),
    ):
        check(splits, len(groups))
        for split in splits:
            assert not set(groups[split.train]) & set(groups[split.test])


@pytest.mark.parametrize("grouped", [False, True])
def test_each_stimulus_is_tested_once_in_folds(grouped):
    groups = np.repeat(np.arange(9), 4) if grouped else None
    splits = make_kfold_splits(36, 5, groups=groups)
    check(splits, 36)
    np.testing.assert_array_equal(np.sort(np.concatenate([s.test for s in splits])), np.arange(36))


def test_more_folds_than_stimuli_or_groups_are_refused():
    with pytest.raises(ValueError, match="3 stimuli for 5 folds"):
        make_kfold_splits(3, 5)
    with pytest.raises(ValueError, match="2 groups"):
        make_kfold_splits(20, 5, groups=np.repeat([0, 1], 10))
    with pytest.raises(ValueError, match="1 groups"):
        make_grouped_splits(np.zeros(20))
