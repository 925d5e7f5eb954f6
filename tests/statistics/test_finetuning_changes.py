import numpy as np
import pandas as pd
import pytest
from scipy import stats

from layerwise.statistics import Sampling, compare_finetuned
from layerwise.statistics.intervals import degrees_of_freedom


def table(rng, networks=10, splits=5):
    size = networks * splits
    before = np.repeat(rng.random(networks), splits)
    return pd.DataFrame(
        {
            "model": np.repeat([f"n{one}" for one in range(networks)], splits),
            "family": np.repeat([f"f{one // 3}" for one in range(networks)], splits),
            "split": np.tile(list("12345")[:splits], networks),
            "IT_before": before,
            "IT_after": before + 0.05 + 0.05 * rng.standard_normal(size),
        }
    )


def test_the_change_over_networks_is_a_paired_t_test(rng):
    rows = table(rng)
    change, own = (one.set_index("region") for one in compare_finetuned(rows, ["IT"]))
    means = rows.groupby("model", sort=False)[["IT_before", "IT_after"]].mean()
    expected = stats.ttest_rel(means["IT_after"], means["IT_before"])
    found = change.loc["IT"]
    assert found.p == pytest.approx(expected.pvalue)
    assert (found.low, found.high) == pytest.approx(tuple(expected.confidence_interval(0.95)))
    assert found.p_wilcoxon == pytest.approx(stats.wilcoxon(means["IT_after"], means["IT_before"]).pvalue)
    assert (found.before, found.after) == pytest.approx((means["IT_before"].mean(), means["IT_after"].mean()))
    assert (found.n_networks, found.n_larger) == (10, (means["IT_after"] > means["IT_before"]).sum())
    first = rows.iloc[:5]
    one = stats.ttest_rel(first["IT_after"], first["IT_before"]).confidence_interval(0.95)
    assert (own.iloc[0].low, own.iloc[0].high) == pytest.approx(tuple(one)) and list(own["n_splits"]) == [5] * 10


def test_families_may_be_what_is_independent(rng):
    rows = table(rng)
    found = compare_finetuned(rows, ["IT"], Sampling(cluster="family"))[0].iloc[0]
    changes = (rows["IT_after"] - rows["IT_before"]).groupby([rows["family"], rows["model"]], sort=False).mean()
    without = np.array([changes.drop(one, level=0).mean() for one in ["f0", "f1", "f2", "f3"]])
    freedom = degrees_of_freedom(rows.groupby("family", sort=False)["model"].nunique().to_numpy())
    half = stats.t.ppf(0.975, freedom) * np.sqrt(3 * without.var())
    assert (found.change, found.high - found.low) == (pytest.approx(changes.mean()), pytest.approx(2 * half))


def test_splits_without_values_and_single_networks_are_told(rng):
    rows = table(rng, networks=2)
    rows.loc[:4, "IT_after"] = np.nan
    change, own = compare_finetuned(rows, ["IT"])
    assert (change.loc[0, "n_networks"], change.loc[0, "n_undefined"]) == (1, 5) and list(own["model"]) == ["n1"]
    assert np.isfinite(change.loc[0, "change"]) and np.isnan(change.loc[0, "low"]) and change.loc[0, "reason"]
    single = compare_finetuned(table(rng, splits=1), ["IT"])[1]
    assert single["change"].notna().all() and single["low"].isna().all()
    none = compare_finetuned(rows.assign(IT_after=np.nan), ["IT"])[0].iloc[0]
    assert np.isnan(none.change) and none.n_networks == 0
