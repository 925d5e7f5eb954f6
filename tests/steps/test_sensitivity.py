"""The tool that tries other settings, on a small study whose activations are written here."""

from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy import stats

from layerwise.activations import ActivationStore
from layerwise.activations.parts import Part
from layerwise.activations.store import write_store
from layerwise.config import validate_study
from layerwise.data.recordings import write_recordings
from layerwise.files.tables import read_table, write_table
from layerwise.interfaces import LayerSpec, Recordings, StimulusSet
from layerwise.layers.manifest import write_manifest
from layerwise.steps.brain import similarity_with
from layerwise.steps.sensitivity import try_settings
from layerwise.study import layout_of

N, MODELS = 60, ("first", "second", "third")
LAYERS = [LayerSpec(f"layer{depth}", "Linear", (30 + depth,), 30 + depth, depth) for depth in range(1, 6)]


@pytest.fixture
def study(tmp_path, rng):
    (tmp_path / "photos").mkdir()
    names = tuple(f"{number:02d}.png" for number in range(N))
    for name in names:
        Image.new("RGB", (8, 8)).save(tmp_path / "photos" / name)
    images = StimulusSet("photos", names, tuple(tmp_path / "photos" / name for name in names))
    recordings = Recordings(rng.standard_normal((2, N, 4)), names, tuple("abcd"), ("V1", "V1", "IT", "IT"))
    write_recordings(recordings, tmp_path / "movies.nc", images)
    pd.DataFrame({"image": names, "score": rng.random(N)}).to_csv(tmp_path / "scores.csv", index=False)
    study = validate_study(
        {
            "study": "s",
            "models": [{"name": name, "factory": "package.module:build"} for name in MODELS],
            "recordings": [
                {"name": "movies", "file": f"{tmp_path}/movies.nc", "regions": ["V1", "IT"], "splits": {"n_splits": 2}}
            ],
            "ratings": [
                {
                    "name": "mine",
                    "images": f"{tmp_path}/photos",
                    "scores": f"{tmp_path}/scores.csv",
                    "measure": "beauty",
                    "folds": 2,
                }
            ],
            "regression": {"components": 10},
            "statistics": {"draws": 100},
            "storage": {"results": f"{tmp_path}/results"},
            "compute": {"threads": 1, "device": "cpu"},
        }
    )
    layout = layout_of(study)
    for model in MODELS:
        write_manifest(LAYERS, Path(layout.manifest(model)))
        keep(layout, model, "movies", names, rng)
        keep(layout, model, "mine", names, rng)
    return study


def keep(layout, model, stimuli, names, rng):
    path = Path(layout.activations(model, stimuli))
    attributes = dict.fromkeys(("weights", "preprocessing", "stimuli", "code"), "hash") | {"model": model}
    path.parent.mkdir(parents=True, exist_ok=True)
    with write_store(path, LAYERS, names, attributes) as writer:
        for layer in LAYERS:
            writer.put_activations(Part(layer, 0, layer.units), rng.standard_normal((N, layer.units)).astype("f4"))


def test_each_setting_has_the_correlation_of_its_own_scores(study, tmp_path):
    table = try_settings(study, tmp_path / "out", n_layers=3)
    plt.close("all")
    assert {path.suffix for path in (tmp_path / "out").iterdir()} == {".parquet", ".csv", ".pdf", ".svg", ".png"}
    pd.testing.assert_frame_equal(read_table(tmp_path / "out/sensitivity.parquet"), table)
    scores = read_table(tmp_path / "out/scores.parquet")
    # One region with five components, asked for directly.
    five = scores[(scores["n_components"] == 5) & scores["some"].isna()]
    layout = layout_of(study)
    similarity = replace(similarity_with(study, "IT", "cpu", 10**9), n_components=5)
    for model in MODELS:
        direct = similarity.score(ActivationStore(layout.activations(model, "movies"), model), LAYERS)
        expected = direct.groupby("layer", sort=False)["r"].mean()
        assert five.loc[five["model"] == model, "IT"].to_list() == expected.to_list()
    row = table[(table["setting"] == "components") & (table["value"] == "5") & (table["region"] == "IT")].iloc[0]
    assert row["rho"] == pytest.approx(stats.spearmanr(five["IT"], five["beauty"]).statistic)
    assert (row["n_layers"], row["n_networks"], row["layers"], row["studys"]) == (15, 3, "all", False)
    solvers = table[table["setting"] == "solver"]
    assert set(solvers["layers"]) == {"3 of each network"} and set(solvers["n_layers"]) == {9}
    left = table[table["layers"] == "none"]
    assert set(left["setting"]) == {"pca", "geometry"} and left["rho"].isna().all()
    assert left.loc[left["setting"] == "geometry", "reason"].str.contains("another extraction").all()
    # No layer has 50 units.
    fifty = table[(table["setting"] == "components") & (table["value"] == "50")]
    assert fifty["rho"].isna().all() and (fifty["n_undefined"] == 15).all() and fifty["reason"].str.len().gt(0).all()


@pytest.fixture
def undrawn(monkeypatch):
    monkeypatch.setattr("layerwise.steps.sensitivity.plot_sensitivity", lambda table: None)
    monkeypatch.setattr("layerwise.steps.sensitivity.save_figure", lambda figure, paths: None)


@pytest.mark.usefixtures("undrawn")
def test_accuracies_of_images_without_activations_are_the_studys(study, tmp_path, rng):
    layout = layout_of(study)
    for model in MODELS:
        Path(layout.activations(model, "mine")).unlink()
        known = pd.DataFrame({"layer": [layer.name for layer in LAYERS], "beauty": rng.random(len(LAYERS))})
        write_table(known, layout.model_layers(model))
    table = try_settings(study, tmp_path / "out", n_layers=3)
    assert set(table.loc[table["n_layers"] > 0, "accuracy"]) == {"as in the study"}
    scores = read_table(tmp_path / "out/scores.parquet")
    third = scores[(scores["model"] == "third") & scores["some"].isna()]
    assert all(np.array_equal(rows["beauty"], known["beauty"]) for _, rows in third.groupby("n_components"))


@pytest.mark.usefixtures("undrawn")
def test_networks_without_activations_are_left_out_or_a_sentence(study, tmp_path):
    layout = layout_of(study)
    Path(layout.activations("second", "movies")).unlink()
    (tmp_path / "file").touch()
    with pytest.raises((ValueError, OSError), match="file"):
        try_settings(study, tmp_path / "file", ["first"])
    with pytest.raises(ValueError, match="no activations of second are kept: set `storage"):
        try_settings(study, tmp_path / "out", ["second"])
    table = try_settings(study, tmp_path / "out", n_layers=3)
    assert set(table.loc[table["value"] == "10", "n_networks"]) == {2}
    for name in ("first", "third"):
        Path(layout.activations(name, "movies")).unlink()
    with pytest.raises(ValueError, match="no activations of first, second, third are kept"):
        try_settings(study, tmp_path / "none")
    assert not (tmp_path / "none").exists()


def cut(study, name, geometry="crop", **more):
    """The same study of images that are cut otherwise."""
    given = study.model_dump(mode="json", exclude_none=True) | {"study": name} | more
    for entry in (*given["recordings"], *given["ratings"]):
        entry["geometry"] = geometry
    return validate_study(given)


@pytest.mark.usefixtures("undrawn")
def test_another_geometry_is_read_from_a_study_that_had_it(study, tmp_path, rng):
    study, other = cut(study, study.study, "square"), cut(study, "cropped")
    for one in (study, other):
        values = rng.random((15, 3))
        rows = pd.DataFrame(values, columns=["V1", "IT", "beauty"]).assign(model=np.repeat(MODELS, 5))
        write_table(rows, layout_of(one).layers)
    table = try_settings(study, tmp_path / "out", n_layers=3, cut_otherwise=other)
    rows = table[table["setting"] == "geometry"].set_index(["value", "region"])
    assert rows.loc["square", "studys"].all() and not rows.loc["crop", "studys"].any()
    layers = read_table(layout_of(other).layers)
    expected = stats.spearmanr(layers["IT"], layers["beauty"]).statistic
    assert rows.loc[("crop", "IT"), "rho"] == pytest.approx(expected)


def test_a_study_that_differs_in_more_is_refused(study, tmp_path):
    with pytest.raises(ValueError, match=r"cut as here \(square \(recordings\), crop \(ratings\)\)"):
        try_settings(study, tmp_path / "out", cut_otherwise=study.model_copy(update={"study": "same"}))
    with pytest.raises(ValueError, match="differs in regression, too"):
        try_settings(study, tmp_path / "out", cut_otherwise=cut(study, "few", "square", regression={"components": 5}))
    with pytest.raises(ValueError, match=r"layers\.parquet"):
        try_settings(study, tmp_path / "out", cut_otherwise=cut(study, "unrun", "crop"))
    assert not (tmp_path / "out").exists()
