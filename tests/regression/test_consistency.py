import numpy as np
import pytest
from sklearn.model_selection import ShuffleSplit

from layerwise.interfaces import DegenerateWarning
from layerwise.regression import internal_consistency


def test_equals_a_plain_loop(rng):
    responses = rng.standard_normal((40, 5)) + rng.standard_normal((7, 40, 5))
    ceilings = internal_consistency(responses, n_halves=4, seed=3)
    for row, (a, b) in zip(ceilings, ShuffleSplit(4, train_size=0.5, random_state=3).split(np.arange(7)), strict=True):
        for neuroid, ceiling in enumerate(row):
            one, other = responses[a, :, neuroid].mean(0), responses[b, :, neuroid].mean(0)
            r = np.corrcoef(one, other)[0, 1]
            assert ceiling == pytest.approx(2 * r / (1 + r), abs=1e-12)


def test_recovers_the_reliability_that_was_planted(rng):
    signal, noise = rng.standard_normal((4000, 3)), rng.standard_normal((10, 4000, 3))
    ceilings = internal_consistency(signal + 2 * noise)
    np.testing.assert_allclose(ceilings.mean(0), 1 / (1 + 4 / 10), atol=0.04)


def test_missing_repetitions_are_skipped_and_unseen_stimuli_left_out(rng):
    responses = rng.standard_normal((30, 2)) + 0.5 * rng.standard_normal((6, 30, 2))
    responses[:, 4] = np.nan
    kept = np.delete(responses, 4, axis=1)
    np.testing.assert_allclose(internal_consistency(responses), internal_consistency(kept), atol=1e-14)
    responses[0, 7] = np.nan
    ceilings = internal_consistency(responses)
    halves = next(ShuffleSplit(1, train_size=0.5, random_state=1).split(np.arange(6)))
    seen = np.delete(responses, 4, axis=1)
    one, other = (np.nanmean(seen[half], 0)[:, 0] for half in halves)
    r = np.corrcoef(one, other)[0, 1]
    assert ceilings[0, 0] == pytest.approx(2 * r / (1 + r), abs=1e-12)


def test_one_repetition_has_no_ceiling(rng):
    with pytest.warns(DegenerateWarning, match="needs two repetitions"):
        ceilings = internal_consistency(rng.standard_normal((1, 20, 4)))
    assert ceilings.shape == (10, 4) and np.isnan(ceilings).all()


def test_a_constant_neuroid_has_none_and_is_counted(rng):
    responses = rng.standard_normal((5, 20, 3))
    responses[..., 1] = 0.1
    with pytest.warns(DegenerateWarning, match="1 of 3 neuroids") as caught:
        ceilings = internal_consistency(responses)
    assert len(caught) == 1
    assert np.isnan(ceilings[:, 1]).all() and np.isfinite(ceilings[:, [0, 2]]).all()


def test_two_dimensions_are_refused(rng):
    with pytest.raises(ValueError, match=r"repetition, stimulus, neuroid"):
        internal_consistency(rng.standard_normal((20, 3)))


@pytest.mark.parametrize("size", [1e-200, 1e-25, 1e25, 1e200])
def test_the_size_of_responses_does_not_matter(rng, size):
    responses = rng.standard_normal((40, 5)) + rng.standard_normal((6, 40, 5))
    np.testing.assert_allclose(
        internal_consistency(responses * size), internal_consistency(responses), rtol=0, atol=1e-12
    )
