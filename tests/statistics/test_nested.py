"""Within, between and total rank correlation, held against theory for Gaussian variables and against loops."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from layerwise.statistics import Sampling, divide_correlations
from layerwise.statistics.clusters import Clusters
from layerwise.statistics.nested import between_rho, rank_icc, within_residuals, within_rho

NONE = Sampling(draws=0)


def of_gaussians(rho):
    """Spearman's rho of two Gaussian variables whose Pearson correlation is rho."""
    return 6 / np.pi * np.arcsin(rho / 2)


def gaussian(rng, networks, n, within, between, share):
    """Two variables of unit variance, `share` of it between networks."""

    def pair(size, rho):
        first = rng.standard_normal(size)
        return np.stack([first, rho * first + np.sqrt(1 - rho**2) * rng.standard_normal(size)])

    codes = np.repeat(np.arange(networks), n)
    values = np.sqrt(share) * pair(networks, between)[:, codes] + np.sqrt(1 - share) * pair(len(codes), within)
    return values, Clusters(codes, tuple(map(str, range(networks))))


@pytest.mark.parametrize(("within", "between", "share"), [(0.7, -0.5, 0.4), (0.0, 0.8, 0.6), (0.5, 0.5, 0.2)])
def test_of_gaussian_variables_all_parts_are_those_of_theory(rng, within, between, share):
    (x, y), clusters = gaussian(rng, 600, 40, within, between, share)
    total = share * between + (1 - share) * within
    # Tolerances are five standard errors, and the finite number of layers behind a median.
    assert within_rho(x, y, clusters, NONE)[0] == pytest.approx(of_gaussians(within), abs=0.04)
    assert between_rho(x, y, clusters, NONE)[0] == pytest.approx(of_gaussians(between), abs=0.2)
    assert stats.spearmanr(x, y)[0] == pytest.approx(of_gaussians(total), abs=0.15)
    assert rank_icc(x, clusters) == pytest.approx(of_gaussians(share), abs=0.15)


def test_the_authors_approximation_gives_nearly_the_total(rng):
    (x, y), clusters = gaussian(rng, 100, 40, 0.7, -0.5, 0.4)
    table = pd.DataFrame({"model": clusters.codes.astype(str), "V1": x, "m": y})
    parts = divide_correlations(table, ["V1"], ["m"], NONE).set_index("part")
    assert parts.loc["total", "combined"] == pytest.approx(parts.loc["total", "rho"], abs=0.08)


def test_residuals_are_the_probability_below_less_that_above(rng):
    values, clusters = rng.integers(0, 4, 30).astype(float), Clusters.of(rng.permutation(np.repeat(list("abc"), 10)))
    for index, residual in enumerate(within_residuals(values, clusters)):
        own = values[clusters.codes == clusters.codes[index]]
        assert residual == pytest.approx(np.mean(own < values[index]) - np.mean(own > values[index]))


def test_the_within_correlation_and_its_jackknife_are_those_of_a_loop(rng):
    (x, y), clusters = gaussian(rng, 9, 12, 0.5, 0.0, 0.5)
    a, b = (within_residuals(values, clusters) for values in (x, y))

    def rho(kept):
        return (a[kept] @ b[kept]) / np.sqrt((a[kept] @ a[kept]) * (b[kept] @ b[kept]))

    found, jack, drawn = within_rho(x, y, clusters, Sampling(draws=500))
    z = np.arctanh([rho(clusters.codes != one) for one in range(9)])
    assert found == pytest.approx(rho(np.full(len(x), True)))
    assert jack.error == pytest.approx(np.sqrt(8 * z.var()))
    assert jack.low < found < jack.high and drawn.low < found < drawn.high


def test_the_between_correlation_is_that_of_medians(rng):
    (x, y), clusters = gaussian(rng, 12, 7, 0.5, 0.5, 0.5)
    table = pd.DataFrame({"x": x, "y": y}).groupby(clusters.codes).median()
    assert between_rho(x, y, clusters, NONE)[0] == pytest.approx(stats.spearmanr(table["x"], table["y"])[0])


def test_the_rank_icc_is_that_of_all_pairs(rng):
    sizes = (2, 5, 1, 7)
    clusters = Clusters(np.repeat(np.arange(4), sizes), tuple("abcd"))
    values = rng.standard_normal(15) + clusters.codes
    ranks = stats.rankdata(values) - 8
    pairs = []
    for code in range(4):
        own = ranks[clusters.codes == code]
        if len(own) > 1:
            pairs.append(
                (len(own), np.mean([own[i] * own[j] for i in range(len(own)) for j in range(len(own)) if i != j]))
            )
    expected = np.average([mean for _, mean in pairs], weights=[n for n, _ in pairs]) / np.mean(ranks**2)
    assert rank_icc(values, clusters) == pytest.approx(expected)


def test_what_is_undefined_says_why(rng):
    x, y = rng.standard_normal((2, 12))
    table = pd.DataFrame({"model": "a", "V1": x, "flat": 1.0, "m": y})
    alone = divide_correlations(table, ["V1"], ["m"], Sampling(draws=100)).set_index("part")
    assert np.isfinite(alone.loc[["total", "within"], "rho"]).all() and np.isnan(alone["low"]).all()
    assert "one network" in alone.loc["within", "reason"] and "three networks" in alone.loc["between", "reason"]
    flat = divide_correlations(table, ["flat"], ["m"])
    assert flat["rho"].isna().all() and set(flat["reason"]) == {"flat does not vary"}
    levels = table.assign(model=np.repeat(list("abc"), 4), V1=np.repeat([1.0, 2.0, 3.0], 4))
    parts = divide_correlations(levels, ["V1"], ["m"]).set_index("part")
    assert np.isnan(parts.loc["within", "rho"]) and "within networks" in parts.loc["within", "reason"]
    assert np.isfinite(parts.loc["between", "rho"])
