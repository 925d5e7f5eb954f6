import numpy as np
import pandas as pd
import pytest
from scipy.stats import rankdata

from layerwise.interfaces import DegenerateWarning
from layerwise.statistics import correlate_layers


def layers(rng, n=40):
    v1 = rng.standard_normal(n)
    return pd.DataFrame({"V1": v1, "IT": rng.standard_normal(n), "memorability": v1 + rng.standard_normal(n)})


def test_rho_is_the_pearson_correlation_of_ranks(rng):
    table = layers(rng)
    result = correlate_layers(table, ["V1", "IT"], ["memorability"])
    assert list(result["region"]) == ["V1", "IT"]
    for row in result.itertuples():
        expected = np.corrcoef(rankdata(table[row.region]), rankdata(table["memorability"]))[0, 1]
        assert row.rho == pytest.approx(expected, abs=1e-12)
        assert (row.layers, row.undefined) == (40, 0)


def test_p_value_agrees_with_permutations(rng):
    table = layers(rng, 30)
    row = correlate_layers(table, ["V1"], ["memorability"]).iloc[0]
    x, y = rankdata(table["V1"]), rankdata(table["memorability"])
    null = [np.corrcoef(rng.permutation(x), y)[0, 1] for _ in range(4000)]
    assert np.mean(np.abs(null) >= abs(row.rho)) == pytest.approx(row.p, abs=0.03)


def test_undefined_layers_are_left_out_and_counted(rng):
    table = layers(rng)
    whole = correlate_layers(table.iloc[3:], ["V1"], ["memorability"]).iloc[0]
    table.loc[:2, "V1"] = np.nan
    with pytest.warns(DegenerateWarning, match="3 of 40 layers"):
        row = correlate_layers(table, ["V1"], ["memorability"]).iloc[0]
    assert (row.rho, row.layers, row.undefined) == (whole.rho, 37, 3)


@pytest.mark.parametrize("values", [[1.0, 1.0, 1.0, 1.0], [1.0, 2.0, np.nan, np.nan]])
@pytest.mark.filterwarnings("ignore::layerwise.interfaces.DegenerateWarning")
def test_without_variation_or_with_too_few_layers_rho_is_nan(values):
    table = pd.DataFrame({"V1": values, "memorability": [1.0, 2.0, 3.0, 4.0]})
    assert np.isnan(correlate_layers(table, ["V1"], ["memorability"]).loc[0, "rho"])
