import numpy as np
import pandas as pd
import pytest

from layerwise.analyses.ceiling import estimate_consistency, rating_consistency
from layerwise.analyses.gather import gather_model, median_ceilings, tell_versions
from layerwise.config.base import check_column
from layerwise.files import hash_arrays
from layerwise.interfaces import DegenerateWarning, LayerSpec

LAYERS = [LayerSpec("a", "Conv2d", (4, 3, 3), 36, 1), LayerSpec("b", "Linear", (50,), 50, 2)]


def tables(rng):
    brain = pd.DataFrame(
        [("m", layer, region, split, rng.random()) for layer in "ab" for region in ("V1", "IT") for split in range(4)],
        columns=["model", "layer", "region", "split", "r"],
    )
    behaviour = pd.DataFrame(
        [("m", layer, "memorability", split, rng.random()) for layer in "ab" for split in range(3)],
        columns=["model", "layer", "measure", "split", "rho"],
    )
    ceilings = pd.DataFrame(
        [(region, half, f"n{i}", rng.random()) for region in ("V1", "IT") for half in range(3) for i in range(5)],
        columns=["region", "half", "neuroid", "ceiling"],
    )
    return brain, behaviour, ceilings


def test_a_row_a_layer_with_mean_error_and_ceilings(rng):
    brain, behaviour, ceilings = tables(rng)
    halves = [brain.iloc[:7], brain.iloc[7:]]  # blocks come in any pieces
    table = gather_model("m", LAYERS, halves, [behaviour], [ceilings])
    assert list(table["layer"]) == ["a", "b"]
    assert list(table["shape"]) == ["4x3x3", "50"]
    r = brain[(brain["layer"] == "b") & (brain["region"] == "IT")]["r"].to_numpy()
    cube = ceilings[ceilings["region"] == "IT"]["ceiling"].to_numpy().reshape(3, 5)
    ceiling = np.median(cube, axis=1).mean()
    row = table.iloc[1]
    assert row["IT"] == pytest.approx(r.mean())
    assert row["IT_error"] == pytest.approx(r.std() / 2)
    assert (row["IT_splits"], row["memorability_splits"]) == (4, 3)
    assert row["IT_ceiling"] == pytest.approx(ceiling)
    assert row["IT_ceiled_2020"] == pytest.approx((r.mean() / ceiling) ** 2)
    assert row["IT_ceiled_2026"] == pytest.approx(r.mean() ** 2 / ceiling)
    assert row["memorability"] == pytest.approx(behaviour[behaviour["layer"] == "b"]["rho"].mean())


def test_measures_of_several_raters_have_their_consistency(rng):
    brain, behaviour, ceilings = tables(rng)
    raters = rng.normal(size=30) + rng.normal(size=(4, 30))
    consistency = estimate_consistency(raters, "memorability")
    table = gather_model("m", LAYERS, [brain], [behaviour], [ceilings], [consistency])
    np.testing.assert_allclose(table["memorability_ceiling"], rating_consistency(raters).mean())
    assert table.attrs["data"]["memorability"]["raters"] == hash_arrays(raters)
    assert "memorability_ceiling" not in gather_model("m", LAYERS, [brain], [behaviour], [ceilings])


def test_the_error_of_sketches_is_handed_on(rng):
    brain, behaviour, ceilings = tables(rng)
    assert "sketch_error" not in gather_model("m", LAYERS, [brain], [behaviour], [ceilings]).attrs
    behaviour.attrs["sketch_error"] = {"memorability": "median 1e-3"}
    table = gather_model("m", LAYERS, [brain], [behaviour], [ceilings])
    assert table.attrs["sketch_error"] == {"memorability": "median 1e-3"}


def test_undefined_splits_and_ceilings_stay_undefined_or_are_left_out(rng):
    brain, behaviour, ceilings = tables(rng)
    brain.loc[(brain["layer"] == "a") & (brain["region"] == "V1"), "r"] = np.nan
    ceilings["ceiling"] = np.nan  # one repetition only
    with pytest.warns(DegenerateWarning, match="V1: 1 of 2 layers"):
        table = gather_model("m", LAYERS, [brain], [behaviour], [ceilings])
    assert np.isnan(table.loc[0, "V1"])
    assert table["IT"].notna().all()
    assert table["IT_ceiled_2020"].isna().all()
    assert np.isnan(median_ceilings([ceilings])["V1"])


def test_splits_without_a_value_are_counted_and_do_not_shrink_the_error(rng):
    brain, behaviour, ceilings = tables(rng)
    of_a = (brain["layer"] == "a") & (brain["region"] == "V1")
    brain.loc[of_a & brain["split"].isin([0, 2]), "r"] = np.nan
    defined = brain.loc[of_a & ~brain["split"].isin([0, 2]), "r"].to_numpy()
    table = gather_model("m", LAYERS, [brain], [behaviour], [ceilings])
    assert table.loc[0, "V1"] == pytest.approx(defined.mean())
    assert table.loc[0, "V1_error"] == pytest.approx(defined.std() / np.sqrt(2))
    assert list(table["V1_splits"]) == [2, 4]


def test_fewer_than_half_of_the_splits_give_no_value_and_one_warning(rng):
    brain, behaviour, ceilings = tables(rng)
    brain.loc[(brain["region"] == "V1") & (brain["split"] > 0), "r"] = np.nan
    with pytest.warns(DegenerateWarning, match="V1: 2 of 2 layers") as caught:
        table = gather_model("m", LAYERS, [brain], [behaviour], [ceilings])
    assert len(caught) == 1
    assert table[["V1", "V1_error", "V1_ceiled_2020", "V1_ceiled_2026"]].isna().all(axis=None)
    assert list(table["V1_splits"]) == [1, 1]
    assert table["IT"].notna().all()


def test_a_missing_job_is_named(rng):
    brain, behaviour, ceilings = tables(rng)
    with pytest.raises(ValueError, match="V1: no scores for 1 of 2 layers"):
        gather_model("m", LAYERS, [brain[brain["layer"] == "a"]], [behaviour], [ceilings])


def test_a_study_of_the_brain_alone_or_of_behaviour_alone(rng):
    brain, behaviour, ceilings = tables(rng)
    assert "memorability" not in gather_model("m", LAYERS, [brain], [], [ceilings])
    assert "V1" not in gather_model("m", LAYERS, [], [behaviour], [])


def test_no_region_or_measure_may_be_named_like_any_other_column(rng):
    brain, behaviour, ceilings = tables(rng)
    names = set(gather_model("m", LAYERS, [brain], [behaviour], [ceilings])) - {"V1", "IT", "memorability"}
    assert len(names) == 7 + 2 * 5 + 2
    for name in names:
        with pytest.raises(ValueError, match="choose a name"):
            check_column(name)


def with_versions(table, name, versions):
    table = table.copy()
    table.attrs["data"] = {name: {"weights": "w", "versions": versions}}
    return table


def test_parts_of_other_versions_are_told_and_gathered(rng, caplog):
    brain, behaviour, ceilings = tables(rng)
    parts = [with_versions(brain[brain["region"] == region], region, "torch 2.1, timm 1.0") for region in ("V1", "IT")]
    same = gather_model("m", LAYERS, parts, [with_versions(behaviour, "memorability", "torch 2.1")], [ceilings])
    assert caplog.text == ""
    assert same.attrs["data"]["V1"]["versions"] == "torch 2.1, timm 1.0"
    one, other = (with_versions(behaviour.iloc[part], "memorability", v) for part, v in PARTS)
    mixed = gather_model("m", LAYERS, parts, [one, other], [ceilings])
    assert "different versions of torch (2.1 for m; 2.2 for m)" in caplog.text and "timm" not in caplog.text
    assert mixed.attrs["data"]["memorability"]["versions"] == "torch 2.1 | torch 2.2"
    pd.testing.assert_frame_equal(mixed, same)


PARTS = [(slice(0, 2), "torch 2.1"), (slice(2, None), "torch 2.2")]


def test_networks_of_other_versions_are_told(caplog):
    empty = pd.DataFrame()
    tell_versions(
        {"a": with_versions(empty, "V1", "torch 2.1, timm 1.0"), "b": with_versions(empty, "V1", "torch 2.1")}
    )
    assert caplog.text == ""
    networks = {name: with_versions(empty, "V1", "torch 2.1, timm 1.0") for name in "abcde"}
    tell_versions({**networks, "f": with_versions(empty, "V1", "timm 1.1, torch 2.1")})
    assert "different versions of timm (1.0 for a, b, c and 2 more; 1.1 for f)" in caplog.text
    assert "rerun" in caplog.text
