"""The paper's numbers beside a study's, published accuracies, the penultimate layer, correlations over networks."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from layerwise.analyses.controls import correlate_controls
from layerwise.analyses.last_layers import add_penultimate, find_penultimate
from layerwise.analyses.reproduction import METHODS, compare_paper, compare_published
from layerwise.layers.manifest import read_manifest, shipped_manifest
from layerwise.models import registry

LAYERS = pd.DataFrame({"model": ["a"] * 16_862})
CORRELATIONS = pd.DataFrame(
    {"region": ["V1", "IT"], "measure": "memorability", "rho": [0.30, 0.80], "low": [0.2, 0.7], "high": [0.36, 0.85]}
)
CONTROLS = pd.DataFrame({"figure": ["figure3", "figureS1"], "region": ["IT", ""], "rho": [0.5, 0.4]})
NETWORKS = pd.DataFrame({"model": ["a", "b", "c"], "finetuned": [0.6, np.nan, 0.7], "memorability": [0.5, 0.55, 0.2]})


def test_numbers_of_the_papers_study_are_compared():
    table = compare_paper(LAYERS, CORRELATIONS, CONTROLS, NETWORKS, "").set_index("where")
    assert len(table) == 10
    by_region = table.loc["figure 2"]
    np.testing.assert_array_equal(by_region["paper"], [0.37, 0.76, 0.21, 0.82])
    np.testing.assert_array_equal(by_region["ours"], [0.30, np.nan, np.nan, 0.80])
    assert list(by_region["inside"]) == ["no", "", "", "yes"]
    assert list(by_region["reason"] != "") == [False, True, True, False]
    np.testing.assert_allclose(table.loc["figure 3", "difference"], 0.5 - 0.56)
    assert table.loc["figure 3", "inside"] == ""  # no interval
    assert table.loc["figure S1", "ours"] == 0.4
    assert (table.loc["table S2", "ours"], table.loc["methods", "ours"]) == (0.7, 16_862)


def test_numbers_of_another_study_are_not():
    table = compare_paper(LAYERS, CORRELATIONS, CONTROLS, NETWORKS, "it is another")
    assert table[["ours", "low", "high", "difference"]].isna().all(axis=None)
    assert set(table["reason"]) == {"it is another"}


def test_published_accuracies_stand_beside_the_best_of_the_study():
    table = compare_published(NETWORKS, "memorability")
    ours = table[table["from"] == "this study"]
    assert list(ours["rho"]) == [0.7, 0.55]
    assert list(ours["method"]) == ["c, fine-tuned: mean over splits", "b, best layer of all networks"]
    assert (table["from"] == "published").sum() == len(METHODS)
    nothing = compare_published(NETWORKS[["model"]], "memorability")
    assert set(nothing["from"]) == {"published"}


def described(name):
    layers = read_manifest(shipped_manifest(name))
    return pd.DataFrame(
        {
            "model": name,
            "layer": [one.name for one in layers],
            "units": [one.units for one in layers],
            "depth": [one.depth for one in layers],
        }
    )


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("resnet18", "avgpool"),
        ("vgg16", "classifier.5"),
        ("googlenet", "dropout"),
        ("cornet_s", "decoder.flatten"),
        ("densenet121", None),  # pooled by a function
        ("squeezenet1_0", None),  # a convolution over 13 x 13 places
        ("unknown", None),
    ],
)
def test_the_penultimate_layer_is_one_with_just_the_units_that_the_classifier_reads(name, layer):
    table = described(name) if name in registry.names() else described("resnet18")
    assert find_penultimate(table, name) == layer
    if layer:
        assert table.set_index("layer").loc[layer, "units"] == registry.find(name).penultimate_dim


def test_its_similarity_is_added_where_fine_tuning_has_not_scored_it():
    layers = pd.concat([described(name) for name in ("resnet18", "densenet121", "vgg16")])
    layers["IT"] = np.arange(len(layers), dtype=float)
    networks = pd.DataFrame({"model": ["resnet18", "densenet121", "vgg16"], "IT_before": [np.nan, np.nan, 0.5]})
    table = add_penultimate(networks, layers, ["resnet18", "densenet121", "vgg16"], ["IT"])
    own = layers[layers["model"] == "resnet18"].set_index("layer").loc["avgpool", "IT"]
    np.testing.assert_array_equal(table["IT_before"], [own, np.nan, 0.5])
    assert list(table["penultimate"]) == ["avgpool", "", "input of the classifier"]


def test_correlations_over_networks_are_scipys_with_intervals_that_hold_them(rng):
    n = 40
    table = pd.DataFrame({"model": [f"n{i}" for i in range(n)], "family": [f"f{i % 9}" for i in range(n)]})
    table["top1"] = rng.random(n)
    for column in ("IT", "IT_before", "IT_after", "finetuned", "memorability"):
        table[column] = table["top1"] + rng.random(n)
    table.loc[:4, "top1"] = np.nan
    found = correlate_controls(table, ["IT"], ["memorability"]).set_index("figure")
    assert list(found.index) == ["figure3", "figure4a", "figure4b", "figureS1"]
    known = table.dropna()
    rho = stats.spearmanr(known["top1"], known["IT_before"]).statistic
    row = found.loc["figure4a"]
    assert row["rho"] == pytest.approx(rho) and row["low"] < rho < row["high"]
    assert row["family_low"] < rho < row["family_high"]
    assert (row["networks"], row["left_out"]) == (35, 5)


def test_correlations_that_are_undefined_say_why():
    table = pd.DataFrame({"model": ["a", "b", "c"], "family": "f", "top1": [1.0, 2, 3], "IT": 0.5, "memorability": 0.1})
    found = correlate_controls(table, ["IT"], ["memorability"])
    assert set(found["reason"]) == {"one of the two does not vary"}
    few = correlate_controls(table.assign(top1=np.nan), ["IT"], ["memorability"])
    assert set(few["reason"]) == {"fewer than three networks have both"}
    assert few["rho"].isna().all() and (few["left_out"] == 3).all()
