from itertools import product

import numpy as np
import pandas as pd
import pytest
from nested_studies import SCENARIOS, simulate
from scipy import stats
from scipy.stats import rankdata

from layerwise.interfaces import DegenerateWarning
from layerwise.statistics import Sampling, correlate_layers
from layerwise.statistics.clusters import Clusters, draw_clusters
from layerwise.statistics.correlation import bound_rho, correlate_points
from layerwise.statistics.intervals import UNDEFINED, bootstrap_shrinkage, degrees_of_freedom, jackknife, percentile
from layerwise.statistics.permutation import permute_clusters

FEW = Sampling(draws=200)


def layers(rng, networks=8, n=10):
    v1 = rng.standard_normal(networks * n)
    return pd.DataFrame(
        {
            "model": np.repeat([f"n{one}" for one in range(networks)], n),
            "family": np.repeat([f"f{one // 2}" for one in range(networks)], n),
            "V1": v1,
            "IT": rng.standard_normal(len(v1)),
            "memorability": v1 + rng.standard_normal(len(v1)),
        }
    )


def only(table, region="V1", **given):
    return correlate_layers(table, [region], ["memorability"], Sampling(**{"draws": 200, **given})).iloc[0]


def rho(table):
    return stats.spearmanr(table["V1"], table["memorability"])[0]


def test_rho_is_the_pearson_correlation_of_ranks(rng):
    table = layers(rng)
    result = correlate_layers(table, ["V1", "IT"], ["memorability"], FEW)
    assert list(result["region"]) == ["V1", "IT"]
    for row in result.itertuples():
        expected = np.corrcoef(rankdata(table[row.region]), rankdata(table["memorability"]))[0, 1]
        assert row.rho == pytest.approx(expected, abs=1e-12)
        assert (row.n_layers, row.n_networks, row.n_families, row.n_undefined, row.reason) == (80, 8, 4, 0, "")
        assert row.p_independent == pytest.approx(stats.spearmanr(table[row.region], table["memorability"])[1])


@pytest.mark.parametrize(("cluster", "column"), [("network", "model"), ("family", "family")])
def test_the_jackknife_is_that_of_a_loop_over_networks(rng, cluster, column):
    table, row = (found := layers(rng)), only(found, cluster=cluster, level=0.9)
    z = np.arctanh([rho(table[table[column] != one]) for one in table[column].unique()])
    n = len(z)
    error = np.sqrt((n - 1) * z.var())
    half = stats.t.ppf(0.95, n - 1) * error
    assert (row.low, row.high) == pytest.approx(tuple(np.tanh(np.arctanh(row.rho) + np.array([-half, half]))))
    assert row.p == pytest.approx(2 * stats.t.sf(abs(np.arctanh(row.rho)) / error, n - 1))
    assert (row.error, row.freedom) == (pytest.approx(error), pytest.approx(n - 1))  # all have as many layers
    assert (row.low, row.level) == (row.jackknife_low, 0.9)
    if cluster == "family":
        assert (row.family_low, row.family_high) == (row.low, row.high)


def test_the_percentile_interval_is_that_of_a_loop_over_samples(rng):
    table, row = (found := layers(rng)), only(found, interval="percentile", draws=800)
    parts = [part for _, part in table.groupby("model")]
    counts = draw_clusters(8, 800, Sampling().seed).astype(int)
    drawn = [rho(pd.concat([part for part, n in zip(parts, one, strict=True) for _ in range(n)])) for one in counts]
    tail = stats.norm.sf(np.sqrt(8 / 7) * stats.t.ppf(0.975, 7))  # networks have as many layers as each other
    assert (row.low, row.high) == pytest.approx(tuple(np.quantile(drawn, [tail, 1 - tail])))
    assert (row.low, row.high) == (row.percentile_low, row.percentile_high)


def test_a_result_depends_on_the_seed_alone(rng):
    table = layers(rng)
    first, again, other = (only(table, seed=seed) for seed in (1, 1, 2))
    assert first.equals(again) and first["percentile_low"] != other["percentile_low"]
    shuffled = only(table.sample(frac=1, random_state=0))
    assert shuffled["jackknife_low"] == pytest.approx(first["jackknife_low"])


def test_undefined_layers_are_left_out_and_counted(rng):
    table = layers(rng)
    whole = only(table.iloc[4:])
    table.loc[:2, "V1"] = np.nan
    table.loc[3, "memorability"] = np.inf
    with pytest.warns(DegenerateWarning, match="4 of 80 layers"):
        row = only(table)
    assert (row.rho, row.low, row.n_layers, row.n_undefined) == (whole.rho, whole.low, 76, 4)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ([1.0, 1.0, 1.0, 1.0], "V1 does not vary"),
        ([1.0, 2.0, np.nan, np.nan], "2 layers have all values, and 3 are needed"),
        ([np.nan] * 4, "0 layers have all values"),
    ],
)
@pytest.mark.filterwarnings("ignore::layerwise.interfaces.DegenerateWarning")
def test_without_variation_or_with_too_few_layers_all_is_nan(values, reason):
    table = pd.DataFrame({"model": list("aabb"), "V1": values, "memorability": [1.0, 2.0, 3.0, 4.0]})
    row = only(table)
    numbers = row.drop(["level"]).to_frame().T.filter(regex="rho|low|high|^p|error").iloc[0]
    assert numbers.isna().all() and row.reason.startswith(reason)


def test_one_network_has_no_interval_and_says_so(rng):
    row = only(layers(rng, networks=1))
    assert np.isfinite(row.rho) and np.isnan([row.low, row.high, row.p, row.p_permutation]).all()
    assert row.reason == "one network only: there is no interval between networks"


def test_without_families_each_network_is_its_own(rng):
    row = only(layers(rng).drop(columns="family"))
    assert (row.n_families, row.family_low) == (8, row.jackknife_low)


def test_a_perfect_correlation_has_an_interval_of_no_width(rng):
    table = layers(rng).assign(memorability=lambda one: one["V1"] ** 3)
    row = only(table)
    assert (row.rho, row.low, row.high, row.p) == (1, pytest.approx(1), pytest.approx(1), 0)


def test_the_jackknife_of_a_mean_is_the_t_interval(rng):
    values, alike = rng.standard_normal(12) + 1, np.full(12, 7)
    without = (values.sum() - values) / 11
    found, expected = jackknife(values.mean(), without, alike, 0.95), stats.ttest_1samp(values, 0)
    assert (found.low, found.high) == pytest.approx(tuple(expected.confidence_interval(0.95)))
    assert (found.p, found.error) == (pytest.approx(expected.pvalue), pytest.approx(stats.sem(values)))


def variance_of_mean(means, sizes):
    """The jackknife's variance of the mean of clusters, weighted by their sizes."""
    without = np.array([np.average(np.delete(means, one), weights=np.delete(sizes, one)) for one in range(len(sizes))])
    return jackknife(np.average(means, weights=sizes), without, sizes, 0.95).error ** 2


@pytest.mark.parametrize("sizes", [[3, 7], [20, 30, 1324, 100, 100], [1, 2, 4, 8, 16, 32]])
def test_degrees_of_freedom_are_those_of_the_variance_that_the_jackknife_estimates(sizes):
    """Of x'Ax, x being normal, the mean is tr A and the variance 2 tr A^2; A is read from what the jackknife gives."""
    one, sizes = np.eye(len(sizes)), np.array(sizes)
    own = np.array([variance_of_mean(row, sizes) for row in one])
    both = np.array([[variance_of_mean(a + b, sizes) for a in one] for b in one])
    form = (both - own - own[:, None]) / 2
    expected = 2 * np.trace(form) ** 2 / (2 * np.trace(form @ form))
    assert degrees_of_freedom(sizes) == pytest.approx(expected)


def test_degrees_of_freedom_are_clusters_less_one_where_they_weigh_the_same_and_else_fewer():
    assert degrees_of_freedom(np.full(64, 200)) == pytest.approx(63)
    assert degrees_of_freedom(np.array([1, 10**6])) == pytest.approx(1)
    # The effective number of clusters, of many of which none weighs much (Carter, Schnepel & Steigerwald 2017).
    sizes = np.tile([1, 2, 3], 200)
    assert degrees_of_freedom(sizes) + 1 == pytest.approx((sizes**2).sum() ** 2 / (sizes**4).sum(), rel=0.01)


@pytest.mark.parametrize("sizes", [[5, 5, 5], [1, 2, 3]])
def test_bootstrapped_means_vary_less_than_the_mean_by_what_all_samples_tell(sizes):
    """The linear part of the weighted mean, in every sample that can be drawn, over the variance of its clusters."""
    n, shares = len(sizes), np.array(sizes) / np.sum(sizes)
    drawn = np.array([np.bincount(one, minlength=n) for one in product(range(n), repeat=n)])
    linear = (drawn * shares) @ (np.eye(n) - shares)  # [sample, cluster]: how it depends on the mean of each cluster
    variance = (linear - linear.mean(axis=0)).var(axis=0).sum()
    assert bootstrap_shrinkage(np.array(sizes)) ** 2 == pytest.approx(variance / (shares**2).sum())


def test_the_expanded_percentile_interval_of_a_mean_is_the_t_interval(rng):
    """Of normal values; samples of them have quantiles that are known (Hesterberg 2015)."""
    values, alike = rng.standard_normal(12) + 1, np.full(12, 3)
    share = (np.arange(200_000) + 0.5) / 200_000
    drawn = values.mean() + values.std() / np.sqrt(12) * stats.norm.ppf(share)
    found, expected = percentile(drawn, alike, 0.95), stats.ttest_1samp(values, 0)
    assert (found.low, found.high) == pytest.approx(tuple(expected.confidence_interval(0.95)), abs=1e-3)
    null = percentile(drawn - found.low, alike, 0.95)
    assert null.p == pytest.approx(0.05, rel=0.01)


def test_percentiles_need_nearly_all_draws():
    drawn, many = np.arange(100.0), np.full(500, 1)
    assert percentile(drawn, many, 0.9).low == pytest.approx(np.quantile(drawn, 0.05), abs=0.1)
    assert np.isfinite(percentile(np.where(drawn < 5, np.nan, drawn), many, 0.9).low)
    assert np.isnan(percentile(np.where(drawn < 6, np.nan, drawn), many, 0.9).low)
    assert np.isnan(percentile(drawn, np.array([3]), 0.9).low)


def test_samples_that_leave_a_constant_are_told(rng):
    """One network alone varies: without it there is no rho."""
    table = layers(rng, networks=3)
    table.loc[table["model"] != "n0", "V1"] = 2.0
    row = only(table)
    assert np.isfinite(row.rho) and np.isnan(row.low) and row.reason == "undefined without one of the 3 networks"
    row = only(table, interval="percentile")
    assert np.isfinite(row.rho) and np.isnan(row.low) and "undefined in samples" in row.reason


# --- permutation ------------------------------------------------------------------------------------------------------


def test_the_permutation_test_is_that_of_a_loop(rng):
    x, y, clusters = rng.standard_normal(60), rng.standard_normal(60), Clusters.of(np.repeat(list("abcdef"), 10))
    ranks = rankdata(y)
    means = clusters.mean(ranks)
    observed, beyond = abs(stats.spearmanr(x, y)[0]), []
    for _ in range(4000):
        moved = rng.permutation(means)[clusters.codes]
        turned = rng.choice([-1, 1], 6)[clusters.codes] * (ranks - means[clusters.codes])
        beyond.append(abs(np.corrcoef(rankdata(x), moved + turned)[0, 1]) >= observed)
    assert permute_clusters(x, y, clusters, 4000, seed=1) == pytest.approx(np.mean(beyond), abs=0.03)


def test_the_permutation_test_finds_what_is_there_and_is_undefined_without_clusters(rng):
    values, clusters = simulate(SCENARIOS["like IT"], np.full(20, 15), rng)
    assert permute_clusters(values[:, 0], values[:, 2], clusters, 500, seed=0) == pytest.approx(1 / 501)
    alone = Clusters(np.zeros(len(values), int), ("a",))
    assert np.isnan(permute_clusters(values[:, 0], values[:, 2], alone, 500, seed=0))


def test_layers_are_gone_through_once_for_all_samples(rng):
    values, clusters = simulate(SCENARIOS["like IT"], np.full(30, 40), rng)
    few, many = (bound_rho(values[:, 0], values[:, 2], clusters, Sampling(draws=n)) for n in (0, 10_000))
    assert few.jackknife == many.jackknife and np.isnan(few.percentile.low) and np.isfinite(many.percentile.low)


def points(values):
    x, y = np.asarray(values, float)
    return pd.DataFrame({"model": [f"network{index}" for index in range(len(x))], "x": x, "y": y})


@pytest.mark.parametrize("n", [3, 4, 5, 12])
def test_points_in_perfect_order_have_no_interval_of_a_single_point(n):
    for sign in (1, -1):
        rho, interval = correlate_points(points([np.arange(n), sign * np.arange(n) ** 3]), "x", "y")
        assert rho == pytest.approx(sign) and interval == UNDEFINED


@pytest.mark.parametrize("n", [3, 4, 5])
def test_an_interval_of_few_points_holds_the_truth_as_often_as_it_says(rng, n):
    held = []
    for _ in range(300):
        values = rng.normal(size=(2, n))
        rho, interval = correlate_points(points(values), "x", "y")
        assert rho == pytest.approx(stats.spearmanr(*values).statistic)
        if interval != UNDEFINED:
            held.append(interval.low <= 0 <= interval.high)
    # of five 0.95 in 10,000 draws: 300 of them come below 0.87 once in a million times
    assert len(held) > 100 and np.mean(held) > 0.87
