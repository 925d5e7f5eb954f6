import numpy as np
import pandas as pd
import pytest
from nested_studies import SCENARIOS, simulate
from scipy import stats

from layerwise.statistics import Sampling, compare_correlations
from layerwise.statistics.clusters import draw_clusters
from layerwise.statistics.comparison import difference_of_rho


def study(rng, networks=9, n=14):
    values, clusters = simulate(SCENARIOS["like IT"], np.full(networks, n), rng)
    return pd.DataFrame(values, columns=["V2", "IT", "m"]).assign(model=[f"n{one}" for one in clusters.codes])


def z(table, region):
    return np.arctanh(stats.spearmanr(table[region], table["m"])[0])


def test_every_two_regions_are_compared(rng):
    table = study(rng).assign(V4=lambda one: one["V2"] ** 2)
    found = compare_correlations(table, ["V2", "V4", "IT"], ["m"], Sampling(draws=200))
    assert list(zip(found["region"], found["other"], strict=True)) == [("V4", "V2"), ("IT", "V2"), ("IT", "V4")]


def test_the_difference_is_that_of_loops_over_networks_and_samples(rng):
    table = study(rng)
    row = compare_correlations(table, ["V2", "IT"], ["m"], Sampling(draws=800)).iloc[0]
    without = [table[table["model"] != one] for one in table["model"].unique()]
    differences = np.array([z(one, "IT") - z(one, "V2") for one in without])
    error = np.sqrt(8 * differences.var())
    assert row.z_difference == pytest.approx(z(table, "IT") - z(table, "V2"))
    assert row.p == pytest.approx(2 * stats.t.sf(abs(row.z_difference) / error, 8))
    assert row.z_high - row.z_low == pytest.approx(2 * stats.t.ppf(0.975, 8) * error)
    parts = [part for _, part in table.groupby("model", sort=False)]
    counts = draw_clusters(9, 800, Sampling().seed).astype(int)
    drawn = [pd.concat([part for part, n in zip(parts, one, strict=True) for _ in range(n)]) for one in counts]
    spread = np.array([np.tanh(z(one, "IT")) - np.tanh(z(one, "V2")) for one in drawn])
    tail = stats.norm.sf(np.sqrt(9 / 8) * stats.t.ppf(0.975, 8))  # the expanded percentile interval
    assert (row.difference_low, row.difference_high) == pytest.approx(tuple(np.quantile(spread, [tail, 1 - tail])))
    share = min(1, 2 * (1 + min((spread <= 0).sum(), (spread >= 0).sum())) / 801)
    assert row.p_bootstrap == pytest.approx(2 * stats.t.sf(stats.norm.isf(share / 2) * np.sqrt(8 / 9), 8))


def test_a_region_does_not_differ_from_itself(rng):
    values, clusters = simulate(SCENARIOS["within"], np.full(6, 9), rng)
    rho, jack, drawn = difference_of_rho(values[:, [0, 0, 2]], clusters, Sampling(draws=100))
    assert rho[0] == rho[1] and (jack.low, jack.high, jack.p, drawn.low, drawn.p) == (0, 0, 1, 0, 1)


def test_what_is_undefined_says_why(rng):
    table = study(rng)
    table.loc[:4, "IT"] = np.nan
    row = compare_correlations(table, ["V2", "IT"], ["m"], Sampling(draws=100)).iloc[0]
    assert (row.n_layers, row.n_undefined) == (121, 5)
    one = compare_correlations(table.assign(model="a"), ["V2", "IT"], ["m"], Sampling(draws=100)).iloc[0]
    assert (
        np.isfinite(one.difference) and np.isnan([one.p, one.z_low, one.difference_low]).all() and "one" in one.reason
    )
    flat = compare_correlations(table.assign(V2=1.0), ["V2", "IT"], ["m"], Sampling(draws=100)).iloc[0]
    assert np.isnan([flat.rho, flat.difference, flat.p]).all() and flat.reason == "V2 does not vary"
