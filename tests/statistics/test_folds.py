import numpy as np
import pandas as pd
import pytest

from layerwise.statistics.folds import average_folds


def test_means_and_standard_deviations_of_the_folds_that_have_a_value():
    table = pd.DataFrame(
        {
            "model": ["a"] * 3 + ["b"] + ["c"] * 3,
            "rho": [0.1, 0.2, 0.6, 0.5, np.nan, np.nan, 0.4],
            "IT": [1.0, np.nan, 2.0, 3.0, 1.0, 1.0, 1.0],
        }
    )
    averaged = average_folds(table, ["rho", "IT"]).set_index("model")
    assert list(averaged.index) == ["a", "b", "c"]
    assert list(averaged["folds"]) == [3, 1, 3]
    assert list(averaged["rho_lacking"]) == [0, 0, 2] and list(averaged["IT_lacking"]) == [1, 0, 0]
    assert averaged.loc["a", "rho"] == pytest.approx(0.3)
    assert averaged.loc["a", "rho_sd"] == pytest.approx(np.std([0.1, 0.2, 0.6], ddof=1))
    assert averaged.loc["a", "IT"] == 1.5
    assert averaged.loc["b", "rho"] == 0.5 and np.isnan(averaged.loc["b", "rho_sd"])
    assert np.isnan(averaged.loc["c", "rho"]) and averaged.loc["c", "IT_sd"] == 0  # one of three folds is too few
