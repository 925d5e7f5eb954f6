import numpy as np
import pytest
from scipy.stats import spearmanr

from layerwise.analyses.ceiling import estimate_consistency, rating_consistency
from layerwise.interfaces import DegenerateWarning


def test_many_normal_raters_have_the_consistency_that_their_noise_leaves(rng):
    n_raters, noise = 20, 3.0
    raters = rng.normal(size=4000) + noise * rng.normal(size=(n_raters, 4000))
    pearson = n_raters / (n_raters + noise**2)  # between the mean of all and that of as many others
    half = (n_raters / 2) / (n_raters / 2 + noise**2)
    rho = 6 / np.pi * np.arcsin(half / 2)  # Spearman's of two normal variables
    found = rating_consistency(raters, n_halves=20).mean()
    assert found == pytest.approx(2 * rho / (1 + rho), abs=0.03)
    assert found == pytest.approx(pearson, abs=0.05)


def test_two_raters_have_one_halving(rng):
    raters = rng.normal(size=50) + rng.normal(size=(2, 50))
    rho = spearmanr(*raters).statistic
    np.testing.assert_allclose(rating_consistency(raters, 7), 2 * rho / (1 + rho), rtol=0, atol=1e-14)


def test_images_that_a_half_did_not_see_are_left_out(rng):
    raters = rng.normal(size=50) + rng.normal(size=(2, 50))
    raters[0, ::3] = np.nan
    seen = ~np.isnan(raters[0])
    rho = spearmanr(raters[0, seen], raters[1, seen]).statistic
    np.testing.assert_allclose(rating_consistency(raters, 3), 2 * rho / (1 + rho), rtol=0, atol=1e-14)


def test_nothing_to_correlate_is_nan_and_one_rater_is_refused():
    assert np.isnan(rating_consistency(np.ones((3, 10)))).all()
    apart = np.full((2, 6), np.nan)
    apart[0, :3], apart[1, 3:] = [1, 2, 3], [4, 5, 6]
    assert np.isnan(rating_consistency(apart)).all()
    with pytest.raises(ValueError, match="two or more, and there are 1"):
        rating_consistency(np.ones((1, 10)))


def test_a_table_of_halvings_counts_the_undefined_ones(rng):
    raters = rng.normal(size=(4, 9))
    raters[2:, 4:] = raters[:2, :6] = np.nan  # halves of one and one of them share three images, others none
    with pytest.warns(DegenerateWarning, match="hit: in [1-9][0-9]? of 100 halvings") as caught:
        table = estimate_consistency(raters, "hit")
    assert len(caught) == 1
    np.testing.assert_array_equal(table["ceiling"], rating_consistency(raters))
    assert list(table.columns) == ["measure", "half", "ceiling"]
