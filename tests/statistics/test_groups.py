import numpy as np
import pandas as pd
import pytest
from scipy import stats

from layerwise.statistics import Sampling, correlate_groups, correlate_layers, correlate_networks
from layerwise.statistics.groups import effective_layers


def table(rng, networks=6, n=30):
    v1 = rng.standard_normal(networks * n)
    return pd.DataFrame(
        {
            "model": np.repeat([f"n{one}" for one in range(networks)], n),
            "family": np.repeat([f"f{one // 3}" for one in range(networks)], n),
            "class": np.tile(["Conv2d", "ReLU"], networks * n // 2),
            "V1": v1,
            "m": v1 + rng.standard_normal(len(v1)),
        }
    )


def test_each_network_has_its_own_rho(rng):
    layers = table(rng)
    found = correlate_networks(layers, ["V1"], ["m"])
    assert list(found["model"]) == list(layers["model"].unique()) and list(found["family"])[:4] == ["f0"] * 3 + ["f1"]
    for row in found.itertuples():
        own = layers[layers["model"] == row.model]
        assert row.rho == pytest.approx(stats.spearmanr(own["V1"], own["m"])[0])
        assert row.low < row.rho < row.high and 3 < row.n_effective <= row.n_layers == 30


def test_independent_layers_count_nearly_in_full_and_the_interval_is_fishers(rng):
    layers = table(rng, networks=40, n=200)
    found = correlate_networks(layers, ["V1"], ["m"])
    # Chance autocorrelations of two variables that go together are alike, and take off a tenth.
    assert 150 < found["n_effective"].median() <= 200
    row = found.loc[found["n_effective"].idxmax()]
    half = stats.norm.ppf(0.975) / np.sqrt(row.n_effective - 3)
    assert (row.low, row.high) == pytest.approx(tuple(np.tanh(np.arctanh(row.rho) + np.array([-half, half]))))


def test_layers_that_resemble_their_neighbours_count_less(rng):
    """Two AR(1) series: n (1 - ab) / (1 + ab) by Bartlett."""

    def series(a):
        values, noise = np.zeros(4000), rng.standard_normal(4000)
        for step in range(1, 4000):
            values[step] = a * values[step - 1] + noise[step]
        return values

    found = np.mean([effective_layers(series(0.8), series(0.7)) for _ in range(40)])
    assert found == pytest.approx(4000 * (1 - 0.56) / (1 + 0.56), rel=0.15)


@pytest.mark.parametrize("column", ["family", "class"])
def test_groups_are_correlated_alone_and_left_out(rng, column):
    layers = table(rng)
    found = correlate_groups(layers, column, ["V1"], ["m"])
    assert list(found[column]) == list(layers[column].unique())
    for row in found.to_dict("records"):
        for inside, ending in ((True, ""), (False, "_without")):
            own = layers[(layers[column] == row[column]) == inside]
            expected = correlate_layers(own, ["V1"], ["m"], Sampling(draws=0)).iloc[0]
            assert row[f"rho{ending}"] == pytest.approx(expected.rho)
            assert row[f"low{ending}"] == pytest.approx(expected.low)


def test_a_family_of_one_network_has_no_interval(rng):
    layers = table(rng, networks=4)
    found = correlate_groups(layers, "family", ["V1"], ["m"]).set_index("family")
    assert np.isnan(found.loc["f1", "low"]) and "one network only" in found.loc["f1", "reason"]
    assert np.isfinite([found.loc["f1", "rho"], found.loc["f0", "low"]]).all()


def test_networks_without_values_are_told(rng):
    layers = table(rng)
    layers.loc[layers["model"] == "n0", "V1"] = np.nan
    layers.loc[layers["model"] == "n1", "V1"] = 3.0
    found = correlate_networks(layers, ["V1"], ["m"]).set_index("model")
    assert found["rho"].isna().to_dict() == {f"n{one}": one < 2 for one in range(6)}
    assert found.loc["n0", "n_undefined"] == 30 and found.loc["n1", "reason"] == "V1 does not vary"
