"""Steps over all layers: what the config says of them reaches them, and all their tables are written."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

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
            "layer": [f"layer{number}" for number in range(size)],
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
    with pytest.warns(DegenerateWarning, match="not in the table, of 6 networks: vgg11, mine"):
        correlate_layers(study(), layers, tmp_path / "correlations.parquet")
    rows = [("vgg11", "1"), ("vgg11", "2"), ("mine", "1"), ("resnet18", "1"), ("resnet18", "2")]
    tuned = pd.DataFrame(rows, columns=["model", "split"])
    columns = {f"{region}_{when}": np.arange(5.0) for region in ("V1", "IT") for when in ("before", "after")}
    write_table(tuned.assign(**columns), tmp_path / "finetuned.parquet")
    with pytest.warns(DegenerateWarning, match=r"fewer than 2 splits of 1 of 3 networks: mine \(1\)"):
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
    # Of six networks there are few samples, so that one value alone may come out the same.
    sampled = ["percentile_low", "percentile_high", "p_permutation"]
    for changed in (correlate(seed=1), correlate(draws=163)):
        assert (changed[sampled] != first[sampled]).any()
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


def test_samples_of_neuroids_widen_the_intervals_and_are_asked_for_by_name(tmp_path, layers, rng):
    table, layout = read_table(layers), Layout(str(tmp_path))
    drawn = {name: table[name].to_numpy() + 0.3 * rng.standard_normal((50, len(table))) for name in ("V1", "IT")}
    for model, rows in table.groupby("model"):
        parts = [
            pd.DataFrame({"layer": rows["layer"], "region": name, "drawn": list(values[:, rows.index].T)})
            for name, values in drawn.items()
        ]
        write_table(pd.concat(parts), layout.drawn(model))
    with pytest.raises(ValueError, match="}` is set: give --folder"):
        correlate_layers(study(neuroids=50), layers, tmp_path / "c.parquet")
    correlate_layers(study(neuroids=50), layers, tmp_path / "c.parquet", folder=tmp_path)
    correlate_layers(study(), layers, tmp_path / "plain.parquet")
    wide, plain = (read_table(tmp_path / f"{name}.parquet").set_index("region") for name in ("c", "plain"))
    new = ["wide_low", "wide_high", "neuroid_error"]
    assert plain[new].isna().all(axis=None)
    pd.testing.assert_frame_equal(wide.drop(columns=new), plain.drop(columns=new))
    for region, row in wide.iterrows():
        rho = [stats.spearmanr(sample, table["memorability"]).statistic for sample in drawn[region]]
        assert row["neuroid_error"] == pytest.approx(np.arctanh(rho).std(ddof=1))
        half = stats.t.ppf(0.975, 5) * np.hypot(row["error"], row["neuroid_error"])
        z = np.arctanh(row["rho"])
        assert (row["wide_low"], row["wide_high"]) == pytest.approx((np.tanh(z - half), np.tanh(z + half)))
        assert row["wide_low"] < row["jackknife_low"] < row["jackknife_high"] < row["wide_high"]
