"""Unique and common variance, held against scikit-learn on all subsets of regions."""

from itertools import chain, combinations

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.linear_model import LinearRegression

from layerwise.statistics import divide_variance
from layerwise.statistics.commonality import MOST

REGIONS = ["V1", "V4", "IT"]


def table(rng, networks=6, n=20):
    shared = rng.standard_normal((networks * n, 1))
    layers = pd.DataFrame(shared + rng.standard_normal((networks * n, 3)), columns=REGIONS)
    layers["m"] = layers["IT"] + 0.5 * layers["V4"] + rng.standard_normal(len(layers))
    return layers.assign(model=np.repeat([f"n{one}" for one in range(networks)], n))


def r2(layers, names):
    return LinearRegression().fit(layers[names], layers["m"]).score(layers[names], layers["m"]) if names else 0.0


def naive(layers):
    """For three regions, as the textbooks write them out."""
    r = {"".join(some): r2(layers, list(some)) for some in chain(*(combinations(REGIONS, size) for size in range(4)))}
    a, b, c = REGIONS
    whole = r[a + b + c]
    parts = {
        a: whole - r[b + c],
        b: whole - r[a + c],
        c: whole - r[a + b],
        f"{a}+{b}": r[a + c] + r[b + c] - r[c] - whole,
        f"{a}+{c}": r[a + b] + r[b + c] - r[b] - whole,
        f"{b}+{c}": r[a + b] + r[a + c] - r[a] - whole,
    }
    common = r[a] + r[b] + r[c] - r[a + b] - r[a + c] - r[b + c] + whole
    return parts, common, whole


@pytest.mark.parametrize("scale", ["values", "ranks"])
def test_parts_and_their_jackknife_are_those_of_all_subsets(rng, scale):
    layers = table(rng)

    def expected(own):
        ranked = own.assign(**own[[*REGIONS, "m"]].rank()) if scale == "ranks" else own
        parts, common, whole = naive(ranked)
        return np.array([*parts.values(), common, whole])

    found = divide_variance(layers, REGIONS, ["m"], scales=[scale])
    assert found["r2"].to_numpy() == pytest.approx(expected(layers), abs=1e-9)
    assert list(found["part"]) == ["unique"] * 3 + ["common"] * 4 + ["total"]
    assert list(found["regions"]) == [*naive(layers)[0], "V1+V4+IT", "V1+V4+IT"]
    without = np.array([expected(layers[layers["model"] != one]) for one in layers["model"].unique()])
    half = stats.t.ppf(0.975, 5) * np.sqrt(5 * without.var(axis=0))
    assert (found["high"] - found["low"]).to_numpy() == pytest.approx(2 * half, abs=1e-9)
    assert found.iloc[:-1]["r2"].sum() == pytest.approx(found.iloc[-1]["r2"])
    assert found.iloc[:-1]["share"].sum() == pytest.approx(1)


def test_a_region_that_says_the_same_as_another_adds_nothing(rng):
    layers = table(rng).assign(V1=lambda one: one["IT"])
    found = divide_variance(layers, ["V1", "IT"], ["m"], scales=["values"]).set_index("regions")["r2"]
    assert found.iloc[:2].to_numpy() == pytest.approx(0, abs=1e-9)
    assert found.iloc[2] == pytest.approx(found.iloc[3])


def test_of_many_regions_only_unique_parts_are_given(rng):
    names = [f"R{one}" for one in range(MOST + 1)]
    layers = table(rng).assign(**{name: rng.standard_normal(120) for name in names})
    found = divide_variance(layers, names, ["m"], scales=["values"])
    assert list(found["part"]) == ["unique"] * (MOST + 1) + ["total"]
    assert found.iloc[0]["r2"] == pytest.approx(r2(layers, names) - r2(layers, names[1:]))


def test_what_is_undefined_says_why(rng):
    one = divide_variance(table(rng, networks=1), REGIONS, ["m"])
    assert one["r2"].notna().all() and one["low"].isna().all() and "one network only" in one["reason"][0]
    flat = divide_variance(table(rng).assign(m=1.0), REGIONS, ["m"])
    assert flat["r2"].isna().all() and set(flat["reason"]) == {"m does not vary"}
    lacking = table(rng)
    lacking.loc[:2, "V4"] = np.nan
    assert set(divide_variance(lacking, REGIONS, ["m"])["n_undefined"]) == {3}


def test_a_region_without_a_value_leaves_the_parts_of_the_others_and_is_named(rng):
    layers = table(rng)
    alone = divide_variance(layers, REGIONS, ["m"])
    found = divide_variance(layers.assign(V2=np.nan), [*REGIONS, "V2"], ["m"])
    assert set(found.pop("reason")) == {"without V2, of which no layer has a value"}
    pd.testing.assert_frame_equal(found, alone.drop(columns="reason"))


def test_what_is_undefined_without_one_network_says_so(rng):
    layers = table(rng, networks=3)
    layers.loc[layers["model"] != "n0", "m"] = 1 / 3  # whose mean is not quite that
    found = divide_variance(layers, REGIONS, ["m"])
    assert found["low"].isna().all() and set(found["reason"]) == {"undefined without one of the 3 networks"}
