"""Ranks of many samples at once, held against scipy on the repeated layers."""

import numpy as np
import pytest
from scipy import stats

from layerwise.statistics.clusters import Clusters, draw_clusters, leave_one_out
from layerwise.statistics.ranks import ClusteredRanks, count_below


def study(rng, sizes=(4, 1, 9, 6, 3), ties=False):
    clusters = Clusters.of(rng.permutation(np.repeat([f"n{one}" for one in range(len(sizes))], sizes)))
    values = rng.standard_normal((sum(sizes), 3)) + rng.standard_normal((len(sizes), 3))[clusters.codes]
    return (np.round(values) if ties else values), clusters


def repeat(values, clusters, weights):
    """The layers of a sample, each as often as its network is in it."""
    return np.repeat(values, weights[clusters.codes].astype(int), axis=0)


@pytest.mark.parametrize("ties", [False, True])
def test_mid_ranks_are_scipys(rng, ties):
    values, clusters = study(rng, ties=ties)
    ranks = count_below(values[:, 0], clusters).sum(axis=1)
    expected = stats.rankdata(values[:, 0])
    assert np.allclose(ranks, expected - expected.mean())


@pytest.mark.parametrize("few", [160, 0], ids=["by clusters", "by layers"])
@pytest.mark.parametrize("ties", [False, True])
def test_rho_of_samples_is_scipys_on_the_repeated_layers(rng, ties, few):
    values, clusters = study(rng, ties=ties)
    weights = np.vstack([draw_clusters(5, 60, seed=3), leave_one_out(5), np.ones(5)])
    found = ClusteredRanks(values, clusters, few).correlate(weights, [(0, 1), (2, 0)])
    for row, one in zip(found, weights, strict=True):
        sample = repeat(values, clusters, one)
        for value, (a, b) in zip(row, [(0, 1), (2, 0)], strict=True):
            if np.ptp(sample[:, a]) == 0 or np.ptp(sample[:, b]) == 0:
                assert np.isnan(value)
            else:
                assert value == pytest.approx(stats.spearmanr(sample[:, a], sample[:, b])[0], abs=1e-12)


def test_ranks_of_a_sample_are_those_of_its_layers(rng):
    values, clusters = study(rng, ties=True)
    weights = np.array([1.0, 0, 1, 1, 1])
    order = np.argsort(clusters.codes, kind="stable")
    kept = weights[clusters.codes[order]] > 0
    found = ClusteredRanks(values, clusters).ranks(weights)[kept]
    expected = stats.rankdata(values[order][kept], axis=0)
    assert np.allclose(found, expected - expected.mean(axis=0))


def test_a_constant_has_no_rho(rng):
    values, clusters = study(rng)
    values[:, 1] = 7
    found = ClusteredRanks(values, clusters).correlate(np.ones((1, 5)), [(0, 1), (0, 2)])[0]
    assert np.isnan(found[0]) and np.isfinite(found[1])


def test_samples_hold_as_many_clusters_as_there_are():
    drawn = draw_clusters(7, 4000, seed=0)
    assert (drawn.sum(axis=1) == 7).all()
    assert drawn.mean(axis=0) == pytest.approx(1, abs=0.06) and drawn.var() == pytest.approx(6 / 7, abs=0.05)
    assert np.array_equal(drawn, draw_clusters(7, 4000, seed=0))


def test_sums_and_means_of_clusters(rng):
    values, clusters = study(rng)
    for number, name in enumerate(clusters.names):
        own = values[clusters.codes == number, 0]
        assert (clusters.sizes[number], clusters.sum(values[:, 0])[number]) == (len(own), pytest.approx(own.sum()))
        assert clusters.mean(values[:, 0])[number] == pytest.approx(own.mean()), name
