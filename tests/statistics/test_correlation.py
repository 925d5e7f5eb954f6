import numpy as np
import pandas as pd
import pytest
from nested_studies import SCENARIOS, simulate
from scipy import stats
from scipy.stats import rankdata

from layerwise.interfaces import DegenerateWarning
from layerwise.statistics import Sampling, correlate_layers
from layerwise.statistics.clusters import Clusters
from layerwise.statistics.correlation import bound_rho
from layerwise.statistics.intervals import jackknife, percentile
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
    assert (row.error, row.low, row.level) == (pytest.approx(error), row.jackknife_low, 0.9)
    if cluster == "family":
        assert (row.family_low, row.family_high) == (row.low, row.high)


def test_the_percentile_interval_is_that_of_a_loop_over_samples(rng):
    table, row = (found := layers(rng)), only(found, interval="percentile", draws=3000)
    parts = [part for _, part in table.groupby("model")]
    drawn = [rho(pd.concat([parts[one] for one in rng.integers(0, 8, 8)])) for _ in range(1500)]
    assert (row.low, row.high) == pytest.approx(tuple(np.quantile(drawn, [0.025, 0.975])), abs=0.03)
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
    values = rng.standard_normal(12) + 1
    without = (values.sum() - values) / 11
    found, expected = jackknife(values.mean(), without, 0.95), stats.ttest_1samp(values, 0)
    assert (found.low, found.high) == pytest.approx(tuple(expected.confidence_interval(0.95)))
    assert (found.p, found.error) == (pytest.approx(expected.pvalue), pytest.approx(stats.sem(values)))


def test_percentiles_need_nearly_all_draws():
    drawn = np.arange(100.0)
    assert percentile(drawn, 0.9).low == pytest.approx(np.quantile(drawn, 0.05))
    assert np.isfinite(percentile(np.where(drawn < 5, np.nan, drawn), 0.9).low)
    assert np.isnan(percentile(np.where(drawn < 6, np.nan, drawn), 0.9).low)


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
