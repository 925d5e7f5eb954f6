"""The least of many errors, of which only some are measured, against all of them."""

import numpy as np
import pytest
from scipy.linalg import qr

from layerwise.regression import ALPHAS
from layerwise.regression.penalties import search

PENALTIES = np.array(ALPHAS)


def curve(rng, spectrum):
    """Errors of ridge regression with each penalty where each stimulus is left out, from the singular vectors."""
    n, m = int(rng.choice([30, 80])), int(rng.choice([1, 5, 30]))
    scale, rank = 10 ** rng.uniform(0, 9), np.arange(1, n)
    variances = (
        scale
        * {
            "power": rank ** -rng.uniform(0.3, 3),
            "exponential": np.exp(-rank / n * rng.uniform(1, 40)),
            "steps": np.where(rank < n * rng.uniform(0.02, 0.6), 1, 10 ** -rng.uniform(2, 6)),
            "any": 10 ** rng.uniform(-9, 0, n - 1),
        }[spectrum]
    )
    vectors = qr(np.c_[np.ones(n), rng.normal(size=(n, n - 1))])[0][:, 1:]
    shares = np.sqrt(variances / scale)[:, None] * 10 ** rng.uniform(-2, 3)
    signal = shares * rng.normal(size=(n - 1, m)) + 10 * (rng.random((n - 1, 1)) < 0.03) * rng.normal(size=(n - 1, m))
    along = signal + 10 ** rng.uniform(-4, 1) * rng.normal(size=(n - 1, m))
    shrunk = 1 / (variances + PENALTIES[:, None])
    residuals = vectors @ (shrunk[:, :, None] * along)
    return np.square(residuals / (shrunk @ np.square(vectors).T)[:, :, None]).mean((1, 2))


def counted(errors):
    """Errors [split, penalty] to be asked for, and the penalties that were."""
    asked = []

    def measure(penalties):
        asked.extend(penalties)
        return errors[:, np.searchsorted(PENALTIES, penalties)]

    return measure, asked


@pytest.mark.parametrize("spectrum", ["power", "exponential", "steps", "any"])
def test_it_finds_the_least_of_all(spectrum):
    rng, tried = np.random.default_rng(0), []  # the same curves each time: what lies between penalties is no theorem
    for _ in range(15):
        errors = np.stack([curve(rng, spectrum) for _ in range(2)])
        measure, asked = counted(errors)
        found = search(PENALTIES, 2, measure)
        np.testing.assert_array_equal(found.argmin(1), errors.argmin(1))
        measured = np.isin(PENALTIES, asked)
        np.testing.assert_array_equal(found[:, measured], errors[:, measured])
        assert np.isinf(found[:, ~measured]).all()
        assert len(set(asked)) == len(asked)
        tried.append(len(asked))
    assert np.median(tried) < 40


def test_few_penalties_are_all_tried(rng):
    errors = rng.uniform(1, 2, (3, 99))
    measure, asked = counted(errors)
    found = search(PENALTIES[:16], 3, measure)
    np.testing.assert_array_equal(found, errors[:, :16])
    assert len(asked) == 16


@pytest.mark.parametrize("odd", [np.inf, 0.0])
def test_all_are_tried_where_an_error_is_no_positive_number(rng, odd):
    errors = np.exp(rng.normal(size=(2, 1)) + 0.1 * np.square(np.log(PENALTIES) - 7))
    errors[1, 0] = odd
    measure, asked = counted(errors)
    np.testing.assert_array_equal(search(PENALTIES, 2, measure), errors)
    assert len(asked) == 99


def test_there_may_be_none():
    assert search(np.zeros(0), 3, lambda _: np.zeros((3, 0))).shape == (3, 0)
