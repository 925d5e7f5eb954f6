"""Scores in samples of neuroids, against loops that repeat the neuroids of each sample."""

import numpy as np
import pandas as pd
import pytest

from layerwise.analyses.gather import gather_model
from layerwise.analyses.neuroids import add_errors, align_drawn, draw_neuroids
from layerwise.interfaces import LayerSpec
from layerwise.statistics.clusters import draw_clusters

LAYERS = [LayerSpec("a", "Conv2d", (4, 3, 3), 36, 1), LayerSpec("b", "Linear", (50,), 50, 2)]
NEUROIDS = {"V1": 7, "IT": 9}


def tables(rng, splits=4, halves=3):
    r = {(layer, region): rng.random((splits, n)) for region, n in NEUROIDS.items() for layer in "ab"}
    rows = [
        ("m", layer, region, split, float(np.median(row)), row)
        for (layer, region), scores in r.items()
        for split, row in enumerate(scores)
    ]
    brain = pd.DataFrame(rows, columns=["model", "layer", "region", "split", "r", "r_neuroids"])
    cubes = {region: 0.5 + rng.random((halves, n)) for region, n in NEUROIDS.items()}
    ceilings = [
        pd.DataFrame(
            [(region, half, f"n{i}", value) for (half, i), value in np.ndenumerate(cube)],
            columns=["region", "half", "neuroid", "ceiling"],
        )
        for region, cube in cubes.items()
    ]
    return brain, ceilings, r, cubes


def drawn_of(rng):
    brain, ceilings, _, _ = tables(rng)
    return draw_neuroids([brain], ceilings, 50, 0)


def samples(region, draws, seed):
    numbers = np.arange(NEUROIDS[region])
    return [np.repeat(numbers, one.astype(int)) for one in draw_clusters(len(numbers), draws, seed)]


def test_each_sample_is_scored_as_the_neuroids_that_it_repeats(rng):
    brain, ceilings, r, cubes = tables(rng)
    pieces = [brain.iloc[::-1].iloc[:6], brain.iloc[::-1].iloc[6:]]  # blocks and splits come in any order
    drawn = draw_neuroids(pieces, ceilings, 60, seed=3).set_index(["layer", "region"])
    for (layer, region), scores in r.items():
        repeated = samples(region, 60, 3)
        raw = np.array([np.median(scores[:, sample], axis=1).mean() for sample in repeated])
        ceiling = np.array([np.median(cubes[region][:, sample], axis=1).mean() for sample in repeated])
        row = drawn.loc[(layer, region)]
        np.testing.assert_allclose(row["drawn"], raw)
        assert row["neuroid_error"] == pytest.approx(raw.std(ddof=1))
        assert row["ceiled_2020_neuroid_error"] == pytest.approx(((raw / ceiling) ** 2).std(ddof=1))
        assert row["ceiled_2026_neuroid_error"] == pytest.approx((raw**2 / ceiling).std(ddof=1))


def test_errors_stand_beside_the_scores_of_their_layer(rng):
    brain, ceilings, _, _ = tables(rng)
    behaviour = pd.DataFrame({"layer": list("ab"), "measure": "m", "split": 0, "rho": 0.5})
    layers = gather_model("m", LAYERS, [brain], [behaviour], ceilings)
    drawn = draw_neuroids([brain], ceilings, 60, 0)
    layers.loc[1, "V1"] = np.nan  # too few splits
    add_errors(layers, drawn)
    of = drawn.set_index(["region", "layer"])
    assert layers["IT_neuroid_error"].to_list() == [of.loc[("IT", layer), "neuroid_error"] for layer in "ab"]
    assert layers["V1_ceiled_2026_neuroid_error"].isna().to_list() == [False, True]
    assert not [name for name in layers if name.startswith("m_neuroid")]


def test_a_split_without_a_value_is_left_out_of_the_mean(rng):
    brain, ceilings, r, _ = tables(rng)
    place = brain[(brain["layer"] == "a") & (brain["region"] == "IT") & (brain["split"] == 2)].index[0]
    brain.at[place, "r_neuroids"] = np.full(NEUROIDS["IT"], np.nan)
    drawn = draw_neuroids([brain], ceilings, 50, 0).set_index(["layer", "region"]).loc[("a", "IT"), "drawn"]
    kept = r["a", "IT"][[0, 1, 3]]
    np.testing.assert_allclose(drawn, [np.median(kept[:, one], axis=1).mean() for one in samples("IT", 50, 0)])


def test_drawn_scores_come_in_the_order_of_the_layers(rng):
    drawn = {name: drawn_of(rng) for name in ("one", "two")}
    layers = pd.DataFrame({"model": ["two", "one", "two", "one"], "layer": ["b", "a", "a", "b"]})
    found = align_drawn(layers, drawn.items(), ["IT"])["IT"]
    assert found.shape == (50, 4)
    for number, (model, layer) in enumerate(layers.itertuples(index=False)):
        of = drawn[model].set_index(["region", "layer"])["drawn"]
        np.testing.assert_array_equal(found[:, number], of["IT", layer])


@pytest.mark.parametrize("wrong", ["another layer", "other samples"])
def test_draws_that_do_not_fit_are_a_sentence(rng, wrong):
    drawn = {"one": drawn_of(rng), "two": drawn_of(rng)}
    layers = pd.DataFrame({"model": ["one", "two"], "layer": ["a", "c" if wrong == "another layer" else "a"]})
    drawn["two"].attrs["seed"] = 1 if wrong == "other samples" else 0
    told = "IT two c has none" if wrong == "another layer" else "networks have 2 kinds of samples"
    with pytest.raises(ValueError, match=told):
        align_drawn(layers, drawn.items(), ["IT"])


def test_ceilings_of_other_neuroids_are_a_sentence(rng):
    brain, ceilings, _, _ = tables(rng)
    ceilings[1] = ceilings[1][ceilings[1]["neuroid"] != "n0"]
    with pytest.raises(ValueError, match="IT: its ceilings are of 8 neuroids, and its scores of 9"):
        draw_neuroids([brain], ceilings, 50, 0)


def test_a_network_without_regions_has_an_empty_table():
    table = draw_neuroids([], [], 50, 0)
    assert len(table) == 0 and {"layer", "region", "drawn", "neuroid_error"} <= set(table)
