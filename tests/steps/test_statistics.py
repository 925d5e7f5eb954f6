"""Steps over all layers: what the config says of them reaches them, and all their tables are written."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from layerwise.config import validate_study
from layerwise.files.tables import read_table, write_table
from layerwise.interfaces import DegenerateWarning
from layerwise.steps.statistics import analyse_layers, compare_finetuning, correlate_layers
from layerwise.study import ANALYSES, FINETUNING_ANALYSES, Layout, accuracies_of, families_of

CONTENT = {
    "study": "s",
    "models": [
        "vgg11",
        "vgg16_bn",
        "resnet18",
        {"name": "control", "model": "resnet50", "weights": "random"},
        {"name": "mine", "factory": "package.module:build"},
        "efficientnet_b0",
    ],
    "recordings": [{"name": "movies", "file": "movies.nc", "regions": ["V1", "IT"]}],
    "ratings": [{"name": "rated", "images": "photos", "scores": "scores.csv"}],
}


def study(**statistics):
    return validate_study(CONTENT | {"statistics": {"draws": 100, **statistics}})


@pytest.fixture
def layers(tmp_path, rng):
    names = [one["name"] if isinstance(one, dict) else one for one in CONTENT["models"]]
    size = len(names) * 12
    shared = rng.standard_normal(size)
    table = pd.DataFrame(
        {
            "model": np.repeat(names, 12),
            "class": np.tile(["Conv2d", "ReLU"], size // 2),
            "units": rng.integers(25, 10**5, size),
            "depth": np.tile(np.arange(1, 13), len(names)),
            **{name: shared + rng.standard_normal(size) for name in ("V1", "IT", "memorability")},
        }
    )
    table.attrs["simulated"] = "simulated"
    write_table(table, tmp_path / "layers.parquet")
    return tmp_path / "layers.parquet"


def test_families_are_known_given_or_the_network_itself():
    known = {"vgg11": "VGG", "vgg16_bn": "VGG", "resnet18": "ResNet", "control": "ResNet", "mine": "mine"}
    assert families_of(study()) == {**known, "efficientnet_b0": "EfficientNet"}
    assert families_of(study(families={"mine": "VGG", "vgg11": "old"}))["mine"] == "VGG"
    assert families_of(study(families={"vgg11": "old"}))["vgg11"] == "old"


def test_networks_and_splits_that_are_missing_are_named(layers, tmp_path):
    table = read_table(layers)
    write_table(table[~table["model"].isin(["mine", "vgg11"])], layers)
    with pytest.warns(DegenerateWarning, match="2 of 6 networks are not in the table: vgg11, mine"):
        correlate_layers(study(), layers, tmp_path / "correlations.parquet")
    rows = [("vgg11", "1"), ("vgg11", "2"), ("mine", "1"), ("resnet18", "1"), ("resnet18", "2")]
    tuned = pd.DataFrame(rows, columns=["model", "split"])
    columns = {f"{region}_{when}": np.arange(5.0) for region in ("V1", "IT") for when in ("before", "after")}
    write_table(tuned.assign(**columns), tmp_path / "finetuned.parquet")
    with pytest.warns(DegenerateWarning, match=r"1 of 3 networks have fewer than 2 splits: mine \(1\)"):
        compare_finetuning(study(), tmp_path / "finetuned.parquet", tmp_path)


def test_accuracies_are_those_of_official_weights():
    # Of EfficientNet-B0 none is published for these weights, and one is stated.
    assert accuracies_of(study()) == {"vgg11": 69.02, "vgg16_bn": 73.36, "resnet18": 69.758, "efficientnet_b0": 76.3}


def test_what_the_config_says_reaches_the_correlations(layers, tmp_path):
    def correlate(**statistics):
        correlate_layers(study(**statistics), layers, tmp_path / "c.parquet")
        return read_table(tmp_path / "c.parquet").iloc[0]

    first, wider = correlate(), correlate(level=0.99)
    assert (first.n_networks, first.n_families, first.level, first.cluster) == (6, 4, 0.95, "network")
    assert wider.low < first.low and wider.level == 0.99
    assert correlate(cluster="family").low == first.family_low != first.low
    assert correlate(interval="percentile").low == first.percentile_low
    drawn = ["percentile_low", "percentile_high", "p_permutation"]  # of six networks, samples are alike now and then
    assert any(correlate(seed=1)[drawn] != first[drawn]) and any(correlate(draws=101)[drawn] != first[drawn])
    assert correlate(families={"mine": "ResNet"}).n_families == 3


@pytest.mark.filterwarnings("ignore::layerwise.interfaces.DegenerateWarning")
def test_all_tables_are_written_in_both_formats_and_marked(layers, tmp_path):
    analyse_layers(study(), layers, tmp_path)
    layout = Layout(str(tmp_path))
    assert {Path(path).name for path in layout.analyses()} == {path.name for path in (tmp_path / "tables").iterdir()}
    for name in ANALYSES:
        table = read_table(layout.table(name))
        assert table.attrs["simulated"] == "simulated" and len(table)
        assert list(pd.read_csv(layout.table(name, "csv"), comment="#").columns) == list(table.columns)
    partial = read_table(layout.table("partial")).set_index("held_fixed")
    assert set(partial.loc["accuracy", "n_networks"]) == {4} and set(partial.loc["depth", "n_networks"]) == {6}
    assert set(read_table(layout.table("families"))["family"]) == {"VGG", "ResNet", "mine", "EfficientNet"}


def test_changes_by_fine_tuning_are_written(tmp_path, rng):
    rows = pd.DataFrame(
        rng.random((4, 4)), columns=[f"{region}_{when}" for region in ("V1", "IT") for when in ("before", "after")]
    ).assign(model=["vgg11", "vgg11", "resnet18", "resnet18"], split=["1", "2", "1", "2"])
    write_table(rows, tmp_path / "finetuned.parquet")
    compare_finetuning(study(), tmp_path / "finetuned.parquet", tmp_path)
    change, own = (read_table(Layout(str(tmp_path)).table(name)) for name in FINETUNING_ANALYSES)
    assert list(change["region"]) == ["V1", "IT"] and list(own["model"]) == ["vgg11", "resnet18"] * 2


def test_a_family_of_a_network_that_is_not_in_the_study_is_refused():
    with pytest.raises(ValueError, match="no model 'vgg12' in the study; there are: vgg11, vgg16_bn"):
        study(families={"vgg12": "VGG"})
    with pytest.raises(ValueError, match="draws"):
        study(draws=10)


def test_of_one_region_there_is_nothing_to_compare(layers, tmp_path):
    only = validate_study(CONTENT | {"recordings": [{"name": "movies", "file": "movies.nc", "regions": ["V1"]}]})
    analyse_layers(only, layers, tmp_path)
    table = read_table(Layout(str(tmp_path)).table("comparisons"))
    assert len(table) == 0 and "p_bootstrap" in table
