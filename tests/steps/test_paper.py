"""Tables of networks and of what was published, on a small gathered study and on simulated tables; their dictionary."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from layerwise.analyses.dictionary import CLASSES, TABLES, describe_table, documented, write_dictionary
from layerwise.config import load_study, validate_study
from layerwise.files.tables import read_table, write_table
from layerwise.layers.manifest import read_manifest, shipped_manifest
from layerwise.models import registry
from layerwise.steps import paper, statistics, tables
from layerwise.steps.dictionary import describe_tables
from layerwise.steps.figures import (
    plot_depth,
    plot_figure2,
    plot_figure4,
    plot_figure_s1,
    plot_forest,
    plot_profiles,
    plot_regions,
)
from layerwise.steps.simulated import simulate_tables
from layerwise.study import ANALYSES, FINETUNING_ANALYSES, Layout, described_tables, final_results, layout_of

ROOT = Path(__file__).parents[2]


def small(folder, models=("alexnet", "squeezenet1_0", "vgg11"), regions=("V1", "IT"), **changes):
    content = {
        "study": "small",
        "models": list(models),
        "recordings": [{"name": "movies", "file": "movies.nc", "regions": list(regions)}],
        "ratings": [{"name": "mine", "images": "photos", "scores": "scores.csv", "measure": "beauty"}],
        "storage": {"results": str(folder)},
        "statistics": {"draws": 100},
    }
    return validate_study(content | changes)


def gathered(study, rng, undefined=0):
    """Write the tables of a study's layers as gather-study does, of random scores."""
    rows = []
    for entry in study.models:
        for one in read_manifest(shipped_manifest(entry.registered)):
            shape = "x".join(map(str, one.shape))
            rows.append((entry.name, one.name, one.kind, shape, one.units, one.depth))
    table = pd.DataFrame(rows, columns=["model", "layer", "class", "shape", "units", "depth"])
    for region in (region for recording in study.recordings for region in recording.regions):
        table[region], table[f"{region}_error"], table[f"{region}_splits"] = rng.random(len(table)), 0.01, 10
        for ending in ("ceiling", "ceiled_2020", "ceiled_2026"):
            table[f"{region}_{ending}"] = 0.9
    for rating in study.ratings:
        table[rating.measure] = rng.random(len(table))
        table[f"{rating.measure}_error"], table[f"{rating.measure}_splits"] = 0.01, 5
    table.loc[: undefined - 1, ["V1", "beauty"]] = np.nan
    table.attrs = {"data": {entry.name: {"V1": {"weights": f"hash of {entry.name}"}} for entry in study.models}}
    write_table(table, layout_of(study).layers)


def make_all(study, finetuned=None):
    """All tables and figures of a study whose layers are gathered."""
    layout = layout_of(study)
    layers, folder = Path(layout.layers), Path(layout.folder)

    def both(name):
        return Path(layout.table(name)), Path(layout.table(name, "csv"))

    statistics.correlate_layers(study, layers, *both("correlations"))
    statistics.analyse_layers(study, layers, folder)
    tables.summarise_models(study, layers, *both("models"))
    paper.tabulate_networks(study, layers, *both("networks"))
    paper.score_networks(study, layers, both("networks")[0], folder, finetuned)
    paper.correlate_regions(study, layers, *both("regions"))
    names = ("correlations", "network_correlations", "network_scores")
    paper.compare_paper(study, layers, *[both(name)[0] for name in names], folder)
    if finetuned:
        statistics.compare_finetuning(study, finetuned, folder)
    describe_tables(list(map(Path, described_tables(study, layout))), both("dictionary")[1])
    return layout


def draw_all(layout, region, measure, regions):
    table, figure = (lambda name: Path(layout.table(name))), (lambda name: [Path(layout.figure(name)[2])])
    controls = table("network_scores"), table("network_correlations")
    parts = table("within_between")
    plot_figure2(Path(layout.layers), table("correlations"), figure("figure2"), measure, table("networks"), parts=parts)
    plot_figure4(*controls, figure("figure4"), region)
    plot_figure_s1(*controls, figure("figureS1"), measure)
    plot_profiles(Path(layout.layers), figure("profiles"), regions, [measure], table("networks"))
    plot_depth(Path(layout.layers), figure("depth"), regions, [measure], table("networks"))
    plot_regions(table("regions"), figure("regions"))
    plot_forest(table("per_network"), table("correlations"), figure("forest"), region, measure)
    plt.close("all")


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    """Simulated tables of the paper's study, cut to nine networks of few layers."""
    folder = tmp_path_factory.mktemp("simulated") / "study"
    simulate_tables(folder, seed=2, undefined=11)
    study = load_study(Layout(str(folder)).config)
    few = [entry for entry in study.models if entry.name.startswith(("alexnet", "vgg", "squeezenet"))]
    quick = study.statistics.model_copy(update={"draws": 100})
    study = study.model_copy(update={"models": few, "statistics": quick})
    for path in (Path(layout_of(study).layers), Path(layout_of(study).finetuned_table)):
        table = read_table(path)
        write_table(table[table["model"].isin([entry.name for entry in few])].reset_index(drop=True), path)
    return study, make_all(study, Path(layout_of(study).finetuned_table))


def test_simulated_tables_are_at_full_size_with_a_config(tmp_path):
    simulate_tables(tmp_path / "full")
    layout = Layout(str(tmp_path / "full"))
    study = load_study(layout.config)
    assert layout_of(study).folder == layout.folder
    table = read_table(layout.layers)
    assert (len(table), table["model"].nunique(), len(study.models)) == (16_862, 64, 64)
    assert len(read_table(layout.finetuned_table)) == 320
    assert (
        Path(layout.table("layers", "csv")).read_text().startswith("# simulated by layerwise simulate tables, seed 1")
    )


def test_every_table_of_simulated_data_says_so(simulated):
    _, layout = simulated
    for path in Path(layout.folder).rglob("*.parquet"):
        assert read_table(path).attrs["simulated"].startswith("simulated by"), path


def test_the_dictionary_holds_each_column_of_each_table_of_a_study(simulated, tmp_path, rng):
    bare = small(tmp_path, finetuning=None)
    gathered(bare, rng, undefined=4)
    for study, layout in (simulated, (bare, make_all(bare))):
        dictionary = pd.read_csv(layout.table("dictionary", "csv"), comment="#")
        expected = {
            (path.stem, column)
            for path in map(Path, described_tables(study, layout))
            for column in read_table(path).columns
        }
        assert set(zip(dictionary["table"], dictionary["column"], strict=True)) == expected
        assert dictionary.notna().all(axis=None)
        written = {path.stem for path in Path(layout.folder).rglob("*.parquet")}
        assert set(dictionary["table"]) == written


def test_the_dictionary_describes_all_tables_that_the_workflow_ends_with():
    described = {*TABLES, *CLASSES}
    assert {*ANALYSES, *FINETUNING_ANALYSES} <= described
    study = validate_study({"study": "a", "models": ["alexnet"]})
    assert {Path(path).stem for path in described_tables(study, Layout("r"))} <= described


def test_the_page_of_tables_is_what_the_command_writes():
    assert (ROOT / "docs/tables.md").read_text() == write_dictionary(), "run `layerwise tables > docs/tables.md`"


def test_an_unknown_table_or_column_is_a_sentence():
    with pytest.raises(ValueError, match="no table 'strange' is described; there are: layers"):
        describe_table("strange", pd.DataFrame())
    with pytest.raises(ValueError, match="regions: the column 'colour' is not described"):
        describe_table("regions", pd.DataFrame({"one": ["a"], "colour": ["b"]}))


@pytest.mark.parametrize("name", CLASSES)
def test_the_fields_of_a_table_are_all_in_the_docstring_that_describes_it(name):
    kind = CLASSES[name][1]
    assert set(documented(kind)) == set(kind.__dataclass_fields__)


def test_facts_of_networks_are_those_of_the_registry_and_the_config(tmp_path, rng):
    models = ["alexnet", {"name": "control", "model": "vgg11", "weights": "random"}, "efficientnet_b0"]
    study = small(tmp_path, models)
    gathered(study, rng)
    table = read_table(make_all(study).table("networks")).set_index("model")
    assert list(table["family"]) == ["AlexNet", "VGG", "EfficientNet"]
    assert list(table["layers"]) == [registry.find(name).layers for name in ("alexnet", "vgg11", "efficientnet_b0")]
    assert table.loc["alexnet", ["top1", "top1_is", "parameters", "input_size"]].to_list() == [
        56.522,
        "published",
        61_100_840,
        224,
    ]
    assert table.loc["efficientnet_b0", "top1_is"] == "stated"
    assert np.isnan(table.loc["control", "top1"]) and table.loc["control", "source"] == ""
    assert table.loc["alexnet", "sha256"] == "7be5be79" and table.loc["alexnet", "source"].startswith("https://")
    assert table.loc["alexnet", "weights_hash"] == "hash of alexnet"


def test_a_control_with_random_weights_has_no_accuracy_though_its_name_is_known(tmp_path, rng):
    study = small(tmp_path, [{"name": "resnet18", "weights": "random"}, "alexnet"])
    gathered(study, rng)
    scores = read_table(make_all(study).table("network_scores")).set_index("model")
    assert np.isnan(scores.loc["resnet18", "top1"]) and scores.loc["alexnet", "top1"] == 56.522


@pytest.mark.parametrize(
    ("models", "regions", "undefined"),
    [
        (["alexnet", "squeezenet1_0", "vgg11"], ["V1", "IT"], 30),
        (["alexnet"], ["V1"], 0),  # one network, one region
        ([{"name": "control", "model": "alexnet", "weights": "random"}], ["V1", "IT"], 21),  # a network of NaN alone
    ],
)
def test_tables_and_figures_are_made_of_what_there_is(tmp_path, rng, models, regions, undefined):
    study = small(tmp_path, models, regions)
    gathered(study, rng, undefined)
    with pytest.warns() if undefined else pytest.MonkeyPatch.context():
        layout = make_all(study)
    draw_all(layout, regions[-1], "beauty", regions)
    reproduction = read_table(layout.table("reproduction"))
    assert reproduction["ours"].isna().all()
    assert "the paper's 64 networks are not in it" in reproduction["reason"].iloc[0]
    assert read_table(layout.table("network_scores"))["model"].to_list() == [entry.name for entry in study.models]


def test_two_measures_are_both_correlated(tmp_path, rng):
    ratings = [
        {"name": "mine", "images": "photos", "scores": "scores.csv", "measure": measure, "folds": 5} | {"name": measure}
        for measure in ("beauty", "memory")
    ]
    study = small(tmp_path, ratings=ratings)
    gathered(study, rng)
    layout = make_all(study)
    assert len(read_table(layout.table("regions"))) == 6
    assert set(read_table(layout.table("correlations"))["measure"]) == {"beauty", "memory"}
    for measure in ("beauty", "memory"):
        draw_all(layout, "IT", measure, ["V1", "IT"])


def test_figures_over_networks_are_asked_for_where_three_accuracies_are_known(tmp_path):
    names = [Path(path).name for path in final_results(small(tmp_path), Layout("r"))]
    assert {"figure4.pdf", "figureS1.pdf", "profiles.png", "regions.svg", "dictionary.csv"} <= set(names)
    few = [Path(path).name for path in final_results(small(tmp_path, ["alexnet", "vgg11"]), Layout("r"))]
    assert "figure2.pdf" in few and "figure4.pdf" not in few and "depth.pdf" not in few


def test_recordings_alone_and_ratings_alone_are_drawn_over_depth(tmp_path):
    for alone in ({"ratings": []}, {"recordings": []}):
        names = [Path(path).name for path in final_results(small(tmp_path, **alone), Layout("r"))]
        assert [name for name in names if name.endswith(".pdf")] == ["depth.pdf"]


def test_a_study_without_ratings_is_held_against_nothing_published(tmp_path):
    with pytest.raises(ValueError, match="the study needs `ratings`"):
        paper.compare_paper(small(tmp_path, ratings=[]), *[tmp_path / "none"] * 4, tmp_path)
