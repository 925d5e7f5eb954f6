"""What is said of a network as a whole."""

import numpy as np
import pandas as pd
import pytest

from layerwise.analyses.dictionary import describe_table
from layerwise.analyses.networks import describe_networks, scored_columns
from layerwise.files.tables import MEASURED
from layerwise.statistics.folds import average_folds


def test_a_network_after_fine_tuning_has_the_numbers_that_figure_3_draws():
    layers = pd.DataFrame({"model": list("abc"), "layer": "one", "IT": 0.1, "memorability": 0.2})
    tuned = pd.DataFrame(
        {
            "model": ["a"] * 3 + ["b"] * 3,
            "split": ["1", "2", "3"] * 2,
            "rho": [0.1, 0.2, 0.6, np.nan, np.nan, 0.4],  # one of three splits is too few
            "IT_before": [0.3] * 6,
            "IT_after": [0.1, np.nan, 0.3, 0.2, 0.2, 0.2],
        }
    )
    found = describe_networks(layers, ["IT"], ["memorability"], tuned).set_index("model")
    drawn = average_folds(tuned, ["rho", "IT_after"]).set_index("model")
    for column, name in (("finetuned", "rho"), ("IT_after", "IT_after")):
        pd.testing.assert_series_equal(found.loc[["a", "b"], column], drawn[name], check_names=False)
    assert found.loc["a", "finetuned"] == pytest.approx(0.3)
    assert found.loc["a", "finetuned_error"] == pytest.approx(np.std([0.1, 0.2, 0.6], ddof=1) / np.sqrt(3))
    assert np.isnan(found.loc["b", "finetuned"]) and found.loc["b", "splits"] == 1
    assert found.loc["c", ["finetuned", "IT_after", "IT_before"]].isna().all()


def test_what_is_a_region_and_what_a_measure_is_told_by_the_table_and_by_no_name():
    names = ["IT", "IT_rsa", "V1_cka", "liking_rsa"]
    table = pd.DataFrame({"model": ["a"]} | {name: [0.5] for name in names})
    table[["IT_splits", "V1_cka_splits", "liking_rsa_splits"]] = 10
    table[["IT_ceiled_2020", "V1_cka_ceiled_2020"]] = 0.5  # V1_cka is a region of that name, scored by PLS
    table.attrs[MEASURED] = {"IT_rsa": "rsa"}
    assert scored_columns(table) == (["IT", "IT_rsa", "V1_cka"], ["liking_rsa"])
    units = describe_table("layers", table).set_index("column")["unit"]
    assert units["V1_cka"] == units["IT"] == "Pearson's r" and units["IT_rsa"] != "Pearson's r"
