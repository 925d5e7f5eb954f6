from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import pearsonr
from sklearn.model_selection import ShuffleSplit

from layerwise.analyses.reliability import keep_reliable
from layerwise.interfaces import DegenerateWarning, Recordings


def record(rng, noise, n_repetitions=8, n_stimuli=40):
    signal = rng.normal(size=(1, n_stimuli, len(noise)))
    responses = signal + np.asarray(noise) * rng.normal(size=(n_repetitions, n_stimuli, len(noise)))
    names = tuple(f"n{index}" for index in range(len(noise)))
    return Recordings(responses, tuple(f"s{index:02d}" for index in range(n_stimuli)), names, ("V4",) * len(noise))


def plain(responses):
    """Split-half reliability of each neuroid, by a loop."""
    r = np.empty((10, responses.shape[2]))
    draws = ShuffleSplit(10, train_size=0.5, random_state=1).split(np.arange(len(responses)))
    for half, (first, second) in enumerate(draws):
        for neuroid in range(responses.shape[2]):
            one, two = (responses[part, :, neuroid].mean(axis=0) for part in (first, second))
            r[half, neuroid] = pearsonr(one, two)[0]
    return (2 * r / (1 + r)).mean(axis=0)


def test_neuroids_below_the_minimum_are_left_out(rng):
    recordings = replace(record(rng, rng.uniform(0.5, 6, 30)), animals=tuple("AB" * 15))
    reliability = plain(recordings.responses)
    minimum = float(np.median(reliability))
    with pytest.warns(DegenerateWarning, match=r"15 of 30 neuroids have a reliability below"):
        kept = keep_reliable(recordings, minimum)
    expected = np.flatnonzero(reliability >= minimum)
    assert kept.neuroids == tuple(recordings.neuroids[place] for place in expected)
    assert len(kept.regions) == 15
    assert kept.animals == tuple("AB"[place % 2] for place in expected)
    np.testing.assert_array_equal(kept.responses, recordings.responses[:, :, expected])
    assert kept.stimuli == recordings.stimuli


def test_neuroids_that_never_change_are_left_out(rng):
    recordings = record(rng, [0.1, 0.1, 0.1])
    recordings.responses[:, :, 1] = 3
    with pytest.warns(DegenerateWarning, match="1 of 3 neuroids"):
        assert keep_reliable(recordings, 0.5).neuroids == ("n0", "n2")


@pytest.mark.filterwarnings("error")
def test_all_reliable_neuroids_stay_without_a_word(rng):
    assert keep_reliable(record(rng, [0.1] * 4), 0.5).neuroids == ("n0", "n1", "n2", "n3")


def test_nothing_left_and_one_repetition_are_refused(rng):
    with pytest.raises(ValueError, match=r"none of 3 neuroids has a reliability of 0.99 \(the best has"):
        keep_reliable(record(rng, [9, 9, 9]), 0.99)
    with pytest.raises(ValueError, match="one repetition"):
        keep_reliable(record(rng, [1, 1], n_repetitions=1), 0.5)
