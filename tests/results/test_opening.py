"""`layerwise.open`: numbers as they were written, by name; and sentences for what is not there."""

import dataclasses
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from small_results import LAYERS, NEUROIDS, STIMULI, configure

import layerwise
from layerwise.files.tables import write_table

GIVING = {layer.name: layer.same_as or layer.name for layer in LAYERS}


def test_scores_have_names_and_repeated_layers_those_of_the_one_they_repeat(made):
    scores = layerwise.open(made.folder).scores("V1", "alexnet")
    assert scores.dims == ("layer", "split", "neuroid") and list(scores.neuroid.values) == NEUROIDS
    assert list(scores.layer.values) == list(GIVING)
    for layer, giving in GIVING.items():
        np.testing.assert_array_equal(scores.sel(layer=layer), made.r["alexnet", "V1"][giving])
    assert list(scores.depth.values) == [1, 2, 3] and list(scores.units.values) == [32, 32, 5]


@pytest.mark.parametrize(("measure", "column"), [("pls", "IT"), ("ridge", "IT_ridge")])
def test_the_mean_over_splits_of_medians_is_the_column_of_layers(made, measure, column):
    study = layerwise.open(made.folder)
    scores = study.scores("IT", measure=measure)
    np.testing.assert_allclose(scores.median("neuroid").mean("split"), study.layers[column], rtol=1e-12)
    assert list(scores.model.values) == list(study.layers["model"]) == ["alexnet"] * 3 + ["other"] * 3


def test_a_measure_of_one_number_has_one_a_layer(made):
    study = layerwise.open(made.folder)
    found = study.scores("V1", measure="rsa")
    assert found.dims == ("layer",)
    np.testing.assert_array_equal(found, study.layers["V1_rsa"])


def test_accuracies_and_ceilings(made):
    study = layerwise.open(made.folder)
    rho = study.accuracies("rated", "other")
    assert rho.dims == ("layer", "split")
    np.testing.assert_array_equal(rho.sel(layer="drop"), made.rho["other"]["conv"])
    np.testing.assert_array_equal(study.ceilings("IT").sel(neuroid=["n1", "n3"]), made.ceilings[:, [1, 0]])


def test_activations_are_units_or_the_gram_matrix_of_centred_ones(made):
    kept = layerwise.open(made.folder).activations("alexnet", "movies")
    assert list(kept) == list(GIVING) and kept.stimuli == tuple(STIMULI)
    assert kept["a/b"].dims == ("stimulus", "unit") and kept["a/b"].attrs["kind"] == "activations"
    np.testing.assert_array_equal(kept["a/b"], made.values["a/b"])
    for layer, giving in GIVING.items():
        centred = made.values[giving] - made.values[giving].astype(float).mean(axis=0)
        np.testing.assert_allclose(kept.gram(layer), centred @ centred.T, rtol=1e-6, atol=1e-5)
    gram = kept["drop"]
    assert gram.dims == ("stimulus", "other") and gram.attrs["units"] == 32 and gram.name == "drop"
    assert float(gram.sel(stimulus="3.png", other="7.png")) == float(gram.sel(stimulus="7.png", other="3.png"))


def test_recordings_that_share_their_images_share_activations(made):
    study = layerwise.open(made.folder)
    assert study.activations("other", "again").store.path == study.activations("other", "movies").store.path


def test_tables_predictions_and_names(made):
    study = layerwise.open(str(made.folder))
    assert dict(study.tables).keys() == {"layers", "correlations"} and study.tables["correlations"].loc[0, "rho"] == 0.5
    assert (study.models, study.regions, study.ratings) == (("alexnet", "other"), ("V1", "IT"), ("rated",))
    assert study.config.brain.measures == ["pls", "ridge", "rsa"] and "V1, IT" in repr(study)
    for split in ("1", "2"):
        path = made.folder / f"models/other/finetuned/{split}/predictions.parquet"
        path.parent.mkdir(parents=True)
        rows = {"stimulus": ["x"], "split": [split], "part": ["test"], "score": [0.5], "predicted": [0.25]}
        write_table(pd.DataFrame(rows), path)
    predicted = study.predictions
    assert list(predicted.columns) == ["model", "split", "part", "stimulus", "score", "predicted"]
    assert list(predicted["model"]) == ["other", "other"] and list(predicted["split"]) == ["1", "2"]


def test_it_is_frozen_and_quick_to_import(made):
    with pytest.raises(dataclasses.FrozenInstanceError):
        layerwise.open(made.folder).folder = Path()
    loaded = "import layerwise, sys; print([one for one in ('numpy', 'xarray', 'torch') if one in sys.modules])"
    assert subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True).stdout == "[]\n"


@pytest.mark.parametrize(
    ("ask", "sentence"),
    [
        (lambda study: study.scores("V2"), "no region 'V2'; there are: V1, IT"),
        (lambda study: study.scores("V1", "alexnt"), "no network 'alexnt': did you mean 'alexnet'?"),
        (lambda study: study.scores("V1", measure="cka"), "V1 has no scores by 'cka'; there are: pls, ridge, rsa"),
        (lambda study: study.scores("V1", measure="rdige"), "no measure 'rdige': did you mean 'ridge'?"),
        (lambda study: study.accuracies("beauty"), "no set of ratings 'beauty'; there are: rated"),
        (lambda study: study.ceilings("it"), "no region 'it': did you mean 'IT'?"),
        (lambda study: study.tables["correlation"], "no table 'correlation': did you mean 'correlations'?"),
        (lambda study: study.predictions, "was fine-tuned: no predictions are there"),
        (lambda study: study.activations("other", "movie"), "no recording or set of ratings 'movie': did you mean"),
        (
            lambda study: study.activations("other", "movies")["cnv"],
            "no layer of other 'cnv': did you mean 'conv'?",
        ),
        (lambda study: study.activations("other", "rated"), "never kept of ratings of more than 10,000 images"),
    ],
)
def test_what_is_not_there_is_told_with_the_nearest(made, ask, sentence):
    with pytest.raises(ValueError) as caught:
        ask(layerwise.open(made.folder))
    assert sentence in str(caught.value)


def test_temporary_activations_that_are_gone(made):
    configure(made.folder, storage={"activations": "temporary"})
    study = layerwise.open(made.folder)
    assert len(study.activations("alexnet", "movies")) == 3  # not scored by all yet
    shutil.rmtree(made.folder / "models/alexnet/activations")
    with pytest.raises(ValueError, match="they were temporary, and removed once its layers were scored"):
        study.activations("alexnet", "movies")


def test_blocks_of_an_earlier_run_do_not_count_and_missing_ones_are_told(made):
    folder = made.folder / "models/alexnet/brain/V1"
    rows = pd.read_parquet(folder / "002.parquet")
    write_table(rows.assign(r=0.0), folder / "001-002.parquet")
    with pytest.raises(ValueError, match=r"not those that layers\.parquet was gathered from"):
        layerwise.open(made.folder).scores("V1", "alexnet")
    write_table(rows, folder / "002.parquet")  # newer than the block that was cut otherwise
    layerwise.open(made.folder).scores("V1", "alexnet")
    (folder / "001.parquet").unlink()
    with pytest.raises(ValueError, match="files are missing"):
        layerwise.open(made.folder).scores("V1", "alexnet")


def test_ceilings_of_other_recordings_are_told(made):
    path = made.folder / "ceilings/V1.parquet"
    table = pd.read_parquet(path)
    write_table(table[table["neuroid"] != "n3"], path)
    with pytest.raises(ValueError, match="of 3 neuroids, and ceilings of 2"):
        layerwise.open(made.folder).scores("V1", "alexnet")


def test_folders_that_are_no_results(made, tmp_path):
    sentences = {
        tmp_path / "smal": "did you mean 'small'?",
        tmp_path: "the folders in it that do: small",
        made.folder / "models": "open its folder, results/STUDY",
        tmp_path / "none/at/all": "a study's results are in results/STUDY",
    }
    (tmp_path / "inputs").mkdir()
    shutil.copy(made.folder / "config.yaml", tmp_path / "inputs")
    sentences[tmp_path / "inputs"] = "holds a config and no results"
    for folder, sentence in sentences.items():
        with pytest.raises(ValueError) as caught:
            layerwise.open(folder)
        assert sentence in str(caught.value), folder
