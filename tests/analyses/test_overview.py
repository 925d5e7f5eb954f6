"""What `layerwise show` prints of a study of one's own."""

import numpy as np
import pandas as pd

from layerwise.analyses.overview import summarise_results
from layerwise.files.tables import write_table


def test_what_no_network_has_is_left_out_and_reasons_are_one_text(tmp_path):
    rows = [("figure4a", "top1", "V4_before", np.nan, 0), ("figure3a", "IT", "finetuned", 0.5, 4)]
    networks = pd.DataFrame(rows, columns=["figure", "x", "y", "rho", "networks"])
    compared = pd.DataFrame({"ours": [np.nan] * 3, "reason": ["of other scores", "5 components", "5 components"]})
    tables = {"network_correlations": networks, "reproduction": compared}
    for name, table in tables.items():
        write_table(table, tmp_path / f"{name}.parquet")
    over, paper = summarise_results({name: tmp_path / f"{name}.parquet" for name in tables})
    assert over[2] == [("figure3a", "IT", "finetuned", "0.500", "4")]
    assert paper == ("The paper's numbers", ("",), [("not compared, since of other scores; 5 components",)])


def test_networks_that_were_trained_on_are_ranked_by_the_mean_over_their_splits(tmp_path):
    rows = [("one", "1", 0.25), ("one", "2", 0.75), ("two", "1", 0.625), ("two", "2", np.nan)]
    write_table(pd.DataFrame(rows, columns=["model", "split", "rho"]), tmp_path / "finetuned.parquet")
    (section,) = summarise_results({"finetuned": tmp_path / "finetuned.parquet"})
    found = [("two", "0.625"), ("one", "0.500")]
    assert section == ("Highest accuracy after fine-tuning", ("network", "value"), found)
