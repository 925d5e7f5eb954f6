"""Ordering of presentations against a loop over a dictionary."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from layerwise.data.presentations import arrange, properties_of, property_of


@settings(max_examples=100, deadline=None)
@given(
    shown=st.lists(st.tuples(st.sampled_from("cab"), st.sampled_from([7, 2, 30])), min_size=1, unique=True),
    seed=st.integers(0, 2**32 - 1),
)
def test_labelled_repetitions_equal_a_dictionary(shown, seed):
    responses = np.random.default_rng(seed).normal(size=(len(shown), 3))
    stimuli = np.array([stimulus for stimulus, _ in shown])
    labels = np.array([label for _, label in shown])
    cube, ids = arrange(responses, stimuli, labels)
    assert ids == tuple(sorted(set(stimuli.tolist())))
    found = dict(zip(shown, responses, strict=True))
    for layer, label in enumerate(sorted(set(labels.tolist()))):
        for row, stimulus in enumerate(ids):
            np.testing.assert_array_equal(cube[layer, row], found.get((stimulus, label), np.full(3, np.nan)))


@settings(max_examples=100, deadline=None)
@given(stimuli=st.lists(st.sampled_from(["b", "a", "10", "9"]), min_size=1, max_size=30))
def test_unlabelled_presentations_are_numbered_in_order(stimuli):
    responses = np.arange(len(stimuli), dtype=float)[:, None]
    cube, ids = arrange(responses, np.array(stimuli), None)
    assert len(cube) == max(stimuli.count(stimulus) for stimulus in stimuli)
    for row, stimulus in enumerate(ids):
        expected = [index for index, other in enumerate(stimuli) if other == stimulus]
        column = cube[:, row, 0]
        np.testing.assert_array_equal(column[: len(expected)], expected)
        assert np.isnan(column[len(expected) :]).all()


def test_order_of_presentations_does_not_matter(rng):
    stimuli, repetitions = np.repeat(["x", "y", "z"], 4), np.tile(np.arange(4), 3)
    responses = rng.normal(size=(12, 5))
    order = rng.permutation(12)
    expected, _ = arrange(responses, stimuli, repetitions)
    shuffled, _ = arrange(responses[order], stimuli[order], repetitions[order])
    np.testing.assert_array_equal(shuffled, expected)


def test_sessions_complete_each_other(rng):
    both = rng.normal(size=(1, 4))
    first, second = both.copy(), both.copy()
    first[:, 2:] = np.nan
    second[:, :1] = np.nan
    cube, _ = arrange(np.concatenate([first, second]), np.array(["a", "a"]), np.array([0, 0]))
    np.testing.assert_array_equal(cube[0], both)


def test_contradiction_is_named():
    with pytest.raises(ValueError, match="stimulus 'a' was presented twice in repetition 5"):
        arrange(np.array([[1.0], [2.0]]), np.array(["a", "a"]), np.array([5, 5]))


def trials(n_stimuli, n_repetitions, n_neuroids):
    """Presentations in blocks, and what they are if each has a number of its own; they take no memory."""
    stimuli = np.tile(np.array([f"{number:04d}" for number in range(n_stimuli)]), n_repetitions)
    responses = np.broadcast_to(np.float32(1), (len(stimuli), n_neuroids))
    return responses, stimuli, np.arange(len(stimuli))


def test_cells_are_counted_before_they_take_memory(monkeypatch):
    responses, stimuli, numbers = trials(3200, 20, 52)
    monkeypatch.setattr(np, "full", None)  # nothing is allocated
    message = (
        r"64000 repetitions of 3200 stimuli, each shown 20 to 20 times: .* would take 42\.6 GB, of which 0\.03% are "
        r"responses; .* not the number of the trial: .* leave `repetition` out"
    )
    with pytest.raises(ValueError, match=message):  # 64000 * 3200 * 52 * 4 bytes
        arrange(responses, stimuli, numbers)


def test_trials_are_numbered_for_each_stimulus_without_repetitions():
    responses, stimuli, numbers = trials(3200, 20, 1)
    cube, _ = arrange(numbers.astype(np.float64)[:, None], stimuli, None)
    np.testing.assert_array_equal(cube[..., 0], np.arange(64000).reshape(20, 3200))
    cube, _ = arrange(responses[:, :1], stimuli, numbers // 3200)
    assert cube.shape == (20, 3200, 1)


def test_one_stimulus_that_was_shown_far_more_often_is_named():
    responses, stimuli, _ = trials(3000, 1, 300)
    often = np.concatenate([stimuli, np.repeat("0007", 999)])
    message = (
        r"1000 repetitions of 3000 stimuli, each shown 1 to 1000 times: .* 3\.6 GB.*; leave presentations of '0007'"
    )
    with pytest.raises(ValueError, match=message):
        arrange(np.broadcast_to(responses[:1], (len(often), 300)), often, None)


def test_property_follows_the_sorted_ids():
    values = property_of("object", np.array(["dog", "cat", "dog"]), np.array(["b", "a", "b"]))
    assert values.tolist() == ["cat", "dog"]


def test_missing_number_equals_itself():
    values = property_of("size", np.array([np.nan, 1.0, np.nan]), np.array(["b", "a", "b"]))
    np.testing.assert_array_equal(values, [1.0, np.nan])


@pytest.mark.parametrize("values", [np.array(["dog", "cat"]), np.array([1.0, np.nan])])
def test_property_of_two_values_is_named(values):
    expected = r"of 1 of 2 stimuli differs in 'object' \(stimulus 'a': .* in presentation 1, .* in presentation 3\)"
    with pytest.raises(ValueError, match=expected):
        property_of("object", values[[0, 0, 1]], np.array(["a", "b", "a"]))


def test_properties_of_stimuli_are_parted_from_those_of_presentations():
    stimuli = np.array(["b", "a", "b"])
    kept, varying = properties_of({"object": np.array(["x", "y", "x"]), "session": np.array([1, 1, 2])}, stimuli)
    assert {name: values.tolist() for name, values in kept.items()} == {"object": ["y", "x"]}
    assert varying == {
        "session": "presentations of 1 of 2 stimuli differs in 'session' (stimulus 'b': 1 in presentation 1, 2 in "
        "presentation 3)"
    }
