"""Partial correlations, held against regressions on ranks by statsmodels, network by network."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import stats

from layerwise.statistics import Sampling, correlate_partially
from layerwise.statistics.partial import HELD_FIXED

REGIONS = ["V1", "IT"]
ACCURACY = {f"n{one}": 60.0 + one**2 for one in range(6)}


def table(rng, networks=7, n=24):
    size = networks * n
    shared = rng.standard_normal(size)
    layers = pd.DataFrame(
        {
            "model": np.repeat([f"n{one}" for one in range(networks)], n),
            "class": rng.choice(["Conv2d", "ReLU", "Linear"], size),
            "units": rng.integers(25, 10**5, size),
            "depth": np.tile(np.arange(1, n + 1), networks),
        }
    )
    layers["V1"] = shared + rng.standard_normal(size) + layers["depth"] / 9
    layers["IT"] = shared + rng.standard_normal(size) + (layers["class"] == "ReLU")
    layers["m"] = shared + layers["depth"] / 9 + (layers["class"] == "ReLU") + np.log(layers["units"]) / 5
    return layers


def by_regression(layers, region, fixed):
    """Correlate the residuals of two regressions on ranks."""
    own = layers.dropna(subset=["accuracy"]) if "accuracy" in fixed else layers
    ranks = own[["V1", "IT", "m", "depth", "units", "accuracy"]].rank()
    names = [
        *(set(fixed) & {"depth", "units", "accuracy"}),
        *(set(REGIONS) - {region} if "other regions" in fixed else ()),
    ]
    controls = [ranks[names], *([pd.get_dummies(own["class"], dtype=float)] if "class" in fixed else [])]
    table = pd.concat(controls, axis=1)
    exog = table if "class" in fixed else sm.add_constant(table, has_constant="add")  # classes add up to a constant
    left = [sm.OLS(ranks[name], exog).fit().resid for name in (region, "m")]
    return np.corrcoef(*left)[0, 1]


@pytest.fixture
def found(rng):
    layers = table(rng)
    result = correlate_partially(layers, REGIONS, ["m"], ACCURACY)
    relative = layers.assign(depth=layers["depth"] / 24, accuracy=layers["model"].map(ACCURACY))
    return relative, result.set_index(["region", "held_fixed"])


@pytest.mark.parametrize("fixed", HELD_FIXED, ids=lambda fixed: ", ".join(fixed) or "nothing")
@pytest.mark.parametrize("region", REGIONS)
def test_rho_and_its_jackknife_are_those_of_regressions(found, region, fixed):
    layers, result = found
    row = result.loc[(region, ", ".join(fixed))]
    assert row.rho == pytest.approx(by_regression(layers, region, fixed), abs=1e-9)
    networks = [one for one in layers["model"].unique() if "accuracy" not in fixed or one in ACCURACY]
    z = np.arctanh([by_regression(layers[layers["model"] != one], region, fixed) for one in networks])
    error = np.sqrt((len(z) - 1) * z.var())
    half = stats.t.ppf(0.975, len(z) - 1) * error
    assert (row.low, row.high) == pytest.approx(tuple(np.tanh(np.arctanh(row.rho) + np.array([-half, half]))), abs=1e-9)
    assert (row.n_networks, row.n_undefined) == ((6, 24) if "accuracy" in fixed else (7, 0))


def test_nothing_left_is_nan_with_a_reason(rng):
    layers = table(rng).assign(V1=lambda one: one["IT"] * 2)
    result = correlate_partially(layers, REGIONS, ["m"], ACCURACY).set_index(["region", "held_fixed"])
    row = result.loc[("V1", "other regions")]
    assert np.isnan([row.rho, row.low, row.p]).all() and "leaves nothing" in row.reason
    assert np.isfinite(result.loc[("V1", "depth"), "rho"])


def test_without_any_accuracy_only_that_is_undefined(rng):
    result = correlate_partially(table(rng), REGIONS, ["m"])
    with_accuracy = result["held_fixed"].str.contains("accuracy")
    assert result.loc[with_accuracy, "rho"].isna().all() and result.loc[~with_accuracy, "rho"].notna().all()
    assert result.loc[with_accuracy, "reason"].str.startswith("fewer than three layers").all()


def test_one_network_has_no_interval(rng):
    result = correlate_partially(table(rng, networks=1), ["V1"], ["m"], sampling=Sampling())
    row = result.set_index("held_fixed").loc["depth"]
    assert np.isfinite(row.rho) and np.isnan(row.low) and "one network only" in row.reason


def test_a_region_without_a_value_leaves_the_others_as_they_are_without_it(rng):
    layers = table(rng)
    alone = correlate_partially(layers, REGIONS, ["m"], ACCURACY)
    found = correlate_partially(layers.assign(V4=np.nan), [*REGIONS, "V4"], ["m"], ACCURACY)
    empty = found["region"] == "V4"
    pd.testing.assert_frame_equal(found[~empty].reset_index(drop=True), alone)
    assert found.loc[empty, "rho"].isna().all() and set(found.loc[empty, "reason"]) == {"no layer has a value of V4"}


def test_layers_of_no_known_class_are_a_class_of_their_own(rng):
    layers = table(rng)
    named = correlate_partially(layers.replace({"class": {"Linear": "unknown"}}), REGIONS, ["m"], ACCURACY)
    unnamed = correlate_partially(layers.replace({"class": {"Linear": None}}), REGIONS, ["m"], ACCURACY)
    pd.testing.assert_frame_equal(named, unnamed)
