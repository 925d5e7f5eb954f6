"""The page of a folder of results."""

import pandas as pd
import pytest
from pages import small_layers

from layerwise.files.tables import write_table
from layerwise.steps.report import make_report


@pytest.fixture
def results(tmp_path, rng):
    folder = tmp_path / "study"
    layers = small_layers(rng, models=("alexnet", "own"))
    layers.attrs = {
        "data": {model: {"V1": {"recordings": f"hash of {model}", "splits": "10"}} for model in ("alexnet", "own")}
    }
    write_table(layers, folder / "layers.parquet")
    write_table(pd.DataFrame({"what": ["of a study"]}), folder / "tables/other.parquet")
    return folder


def test_a_page_shows_what_the_folder_has(results):
    (results / "config.yaml").write_text("study: study\n")
    make_report(results, results / "report.html")
    page = (results / "report.html").read_text()
    assert "<title>study: layers, brain and memorability</title>" in page
    for shown in ("of a study", "hash of alexnet", "study: study\n", "<td>own</td>"):
        assert shown in page
    assert page.count("<td>all</td>") == 1  # the setting that both networks share


def test_without_a_config_it_says_so(results):
    make_report(results, results / "report.html")
    assert "The folder of results has no config.yaml." in (results / "report.html").read_text()


def test_a_folder_without_layers_is_told_and_leaves_no_page(tmp_path):
    with pytest.raises(ValueError, match=r"layers\.parquet does not exist: run the step that makes it first"):
        make_report(tmp_path, tmp_path / "report.html")
    assert list(tmp_path.iterdir()) == []
