"""Distances against scipy's, of the patterns themselves; comparisons against scipy's and numpy's."""

import itertools

import numpy as np
import pytest
import torch
from scipy.spatial.distance import pdist
from scipy.stats import pearsonr, rankdata, spearmanr

from layerwise.regression import PatternProducts, Reference, distances, linear_cka
from layerwise.regression.rsa import average_ranks, upper

DISTANCES = ["correlation", "euclidean", "cosine"]


def tensor(values):
    return torch.as_tensor(np.asarray(values, np.float64))


@pytest.fixture
def patterns(rng):
    return rng.normal(size=(40, 300)) * rng.uniform(0.5, 3, 300) + rng.normal(2, 1, 300)


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("kept", [40, 23])
def test_distances_equal_scipys(rng, patterns, distance, kept):
    rows = np.sort(rng.permutation(40)[:kept])
    products = PatternProducts.of(tensor(patterns)).keep(torch.as_tensor(rows))
    np.testing.assert_allclose(distances(products, distance), pdist(patterns[rows], distance), rtol=1e-10)


@pytest.mark.parametrize("distance", DISTANCES)
def test_stimuli_that_are_given_twice_tie_as_in_scipys_distances(rng, patterns, distance):
    patterns[25:] = patterns[:15]
    other = rng.normal(size=(40, 20))
    oracle = spearmanr(np.round(pdist(patterns, distance), 13), pdist(other, distance)).statistic
    reference = Reference.of(distances(PatternProducts.of(tensor(other)), distance))
    found = reference.similarity(distances(PatternProducts.of(tensor(patterns)), distance))
    assert found == pytest.approx(oracle, abs=1e-12)


def naive(patterns, distance):
    """Distances of unit vectors that are apart, pair by pair, in more digits than float64 has where there are any."""
    wide = patterns.astype(np.longdouble)
    wide -= wide.mean(1, keepdims=True) if distance == "correlation" else 0
    wide /= np.sqrt((wide**2).sum(1, keepdims=True))
    return np.array([((one - other) ** 2).sum() / 2 for one, other in itertools.combinations(wide, 2)])


@pytest.mark.parametrize("distance", ["correlation", "cosine"])
@pytest.mark.parametrize("mean", [1, 100, 1000])
@pytest.mark.parametrize("alike", [False, True], ids=["units differ", "units alike"])
def test_what_all_patterns_share_hides_neither_distances_nor_ties(rng, distance, mean, alike):
    shared = mean if alike else mean * rng.normal(size=300)
    patterns, other = rng.normal(size=(24, 300)) + shared, rng.normal(size=(32, 20))
    given = np.r_[np.arange(24), np.arange(8)]  # eight are there twice
    found = distances(PatternProducts.of(tensor(patterns[given])), distance)
    square = np.zeros((24, 24), np.longdouble)
    square[np.triu_indices(24, 1)] = naive(patterns, distance)
    exact = (square + square.T)[given][:, given][np.triu_indices(32, 1)]  # so that ties are ties
    # What float64 rounds of products of that size, over the squares that are wanted; fifty times that
    rounding = 50 * 2.0**-52 * (mean**2 if alike and distance == "correlation" else mean)
    np.testing.assert_allclose(found, exact.astype(float), rtol=0, atol=rounding * float(exact.max()))
    ranks = np.unique(exact, return_inverse=True)[1]
    reference = tensor(pdist(other, "euclidean"))
    oracle = spearmanr(ranks, reference).statistic
    assert Reference.of(reference).similarity(found) == pytest.approx(oracle, abs=1e-12)


def test_products_add_up_over_slices_of_units(patterns):
    whole, first, second = (
        PatternProducts.of(tensor(part)) for part in (patterns, patterns[:, :130], patterns[:, 130:])
    )
    for name in ("gram", "sums", "products", "mean_sum", "mean_square", "units"):
        joined = getattr(first, name) + getattr(second, name)
        np.testing.assert_allclose(joined, getattr(whole, name), rtol=1e-12, atol=1e-9)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize(
    ("comparison", "oracle"),
    [
        ("spearman", lambda a, b: spearmanr(a, b).statistic),
        ("pearson", lambda a, b: pearsonr(a, b).statistic),
        ("cosine", lambda a, b: a @ b / np.linalg.norm(a) / np.linalg.norm(b)),
    ],
)
def test_comparisons_equal_scipys(rng, comparison, oracle, ties):
    a, b = rng.normal(3, 1, (2, 435))
    b = b + a
    if ties:
        a, b = np.round(a, 0), np.round(b, 1)
    found = Reference.of(tensor(a), comparison).similarity(tensor(b))
    assert found == pytest.approx(oracle(a, b), rel=1e-12)


def test_ranks_equal_scipys(rng):
    values = rng.integers(0, 60, 500).astype(float)
    np.testing.assert_array_equal(average_ranks(tensor(values)), rankdata(values))


def test_the_upper_triangle_is_row_by_row():
    np.testing.assert_array_equal(upper(torch.arange(9).reshape(3, 3)), [1, 2, 5])


@pytest.mark.parametrize("comparison", ["spearman", "pearson"])
def test_equal_distances_have_no_similarity_though_they_round(rng, comparison):
    flat, other = 1 + 1e-16 * rng.integers(0, 9, 45), rng.normal(size=45)
    assert np.isnan(Reference.of(tensor(flat), comparison).similarity(tensor(other)))
    assert np.isnan(Reference.of(tensor(other), comparison).similarity(tensor(flat)))


def test_a_pattern_without_variation_has_no_angle(patterns):
    patterns[3] = 0
    found = {name: distances(PatternProducts.of(tensor(patterns)), name) for name in DISTANCES}
    pairs = np.array([3 in pair for pair in itertools.combinations(range(40), 2)])
    assert found["euclidean"].isfinite().all()
    for name in ("correlation", "cosine"):
        np.testing.assert_array_equal(found[name].isnan(), pairs)
    patterns[3] = 7
    assert distances(PatternProducts.of(tensor(patterns)), "cosine").isfinite().all()
    alike = distances(PatternProducts.of(tensor(patterns)), "correlation")
    np.testing.assert_array_equal(alike.isnan(), pairs)
    for comparison in ("spearman", "pearson", "cosine"):
        assert np.isnan(Reference.of(alike, comparison).similarity(found["euclidean"]))
        assert np.isnan(Reference.of(found["euclidean"], comparison).similarity(alike))


def hsic(K, L):
    """Song et al. 2012, their definition: the mean over all four different stimuli."""
    terms = [K[i, j] * (L[i, j] + L[q, r] - 2 * L[i, q]) for i, j, q, r in itertools.permutations(range(len(K)), 4)]
    return np.mean(terms)


def test_debiased_cka_equals_its_definition(rng):
    X, Y = rng.normal(size=(8, 30)), rng.normal(size=(8, 4))
    K, L = X @ X.T, Y @ Y.T
    expected = hsic(K, L) / np.sqrt(hsic(K, K) * hsic(L, L))
    assert linear_cka(tensor(K), tensor(L), debiased=True) == pytest.approx(expected, rel=1e-10)
    X, Y = X - X.mean(0), Y - Y.mean(0)  # no value depends on where the origin is
    assert linear_cka(tensor(X @ X.T), tensor(Y @ Y.T), debiased=True) == pytest.approx(expected, rel=1e-10)


def test_cka_equals_that_of_the_patterns(rng):
    X, Y = rng.normal(2, 1, (50, 300)), rng.normal(size=(50, 9))
    x, y = X - X.mean(0), Y - Y.mean(0)
    expected = np.linalg.norm(x.T @ y) ** 2 / (np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y))
    assert linear_cka(tensor(X @ X.T), tensor(y @ y.T)) == pytest.approx(expected, rel=1e-12)


def test_of_unrelated_patterns_only_the_debiased_value_is_near_zero(rng):
    X, Y = rng.normal(size=(60, 2000)), rng.normal(size=(60, 2000))
    assert linear_cka(tensor(X @ X.T), tensor(Y @ Y.T)) > 0.9
    # Its standard deviation is about sqrt(2) / n = 0.024 (n (n - 1) / 2 products of independent entries); ten of these
    assert abs(linear_cka(tensor(X @ X.T), tensor(Y @ Y.T), debiased=True)) < 0.24


@pytest.mark.parametrize("debiased", [False, True])
def test_cka_does_not_see_rotation_or_scale(rng, debiased):
    X = rng.normal(size=(30, 12))
    turned = 1e-200 * X @ np.linalg.qr(rng.normal(size=(12, 12))).Q
    scaled = (turned * 1e100) @ (turned * 1e100).T
    assert linear_cka(tensor(X @ X.T), tensor(scaled), debiased) == pytest.approx(1, rel=1e-12)


@pytest.mark.parametrize("debiased", [False, True])
def test_constant_patterns_have_no_cka(rng, debiased):
    X = rng.normal(size=(30, 12))
    assert np.isnan(linear_cka(tensor(X @ X.T), tensor(np.full((30, 30), 0.1)), debiased))


def test_cka_needs_four_of_the_same_stimuli():
    with pytest.raises(ValueError, match="3 stimuli are given: CKA needs 4"):
        linear_cka(torch.eye(3), torch.eye(3))
    with pytest.raises(ValueError, match="5 and 4 stimuli"):
        linear_cka(torch.eye(5), torch.eye(4))
