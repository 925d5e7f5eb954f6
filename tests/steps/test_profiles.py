"""Every layer of a fine-tuned network: scored as of any other, and on no split whose test images it has seen."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from small_training import CPU, SIZE, STORED, small_settings

from layerwise.config import validate_study
from layerwise.data.pixels import PixelCache
from layerwise.files.tables import read_table, write_table
from layerwise.finetuning import fine_tune, make_fold
from layerwise.finetuning.weights import FineTunedModel, load_finetuned, write_weights
from layerwise.interfaces import Geometry
from layerwise.models import build, resolve_preprocessing
from layerwise.steps.activations import extract_activations
from layerwise.steps.inputs import rated_images
from layerwise.steps.memorability import score_memorability, sketch_memorability, stream_memorability
from layerwise.steps.networks import list_layers
from layerwise.steps.profiles import gather_finetuned_layers
from layerwise.steps.stimuli import pack_stimuli
from layerwise.steps.tables import gather_model
from layerwise.study import Layout, layout_of

N, BLOCK = 40, "001-006"
TRAINED = Geometry("crop", STORED, STORED, "bilinear")
SHOWN = f"crop{STORED}to{SIZE}-bilinear"
EXPECTED = {"size": SIZE, "resize": STORED}
CONTENT = {
    "study": "s",
    "models": [{"name": "tiny", "factory": "small_training:tiny", "preprocessing": EXPECTED}],
    "ratings": [
        {"name": "rated", "images": "photos", "scores": "scores.csv", "folds": 3},
        {"name": "second", "images": "photos", "scores": "scores.csv", "measure": "beauty"},
    ],
    "finetuning": {"ratings": "rated", "splits": [1, 3], "profile": True, "batch_size": 8},
    "regression": {"components": 3},
    "compute": {"threads": 1},
}
LAYOUT = Layout("results/s")


def train(study, split):
    """Train the network of the study on a split, and write its weights where they belong."""
    entry = study.model_entry("tiny")
    spec, expected, pixels = entry.spec(), resolve_preprocessing(entry.spec()), PixelCache("trained.h5")
    rated, settings = rated_images(study, "rated")[0], small_settings(max_epochs=1)
    parts = rated.splits[split - 1]
    fold = make_fold(split - 1, rated.scores[split - 1], parts.train, parts.validation, parts.test, settings)
    result = fine_tune(build(spec), "fc", pixels, expected, fold, settings, CPU)
    about = FineTunedModel(spec, ("fc",), expected, TRAINED, "rated", "memorability", str(split), settings, {})
    write_weights(weights(split), result.weights, about)


def weights(split):
    return Path(LAYOUT.finetuned("tiny", str(split), "weights.safetensors"))


def profile(study, model, block=BLOCK):
    """Run all steps of a network's profile, as rules do."""
    manifest = Path(LAYOUT.manifest(model))
    activations, scores = Path(LAYOUT.activations(model, "rated")), Path(LAYOUT.memorability(model, "rated", block))
    list_layers(study, model, manifest, Path(LAYOUT.preprocessing(model)))
    extract_activations(study, model, Path("shown.h5"), activations, manifest=manifest)
    score_memorability(study, model, "rated", block, activations, scores, manifest)
    return read_table(scores)


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """The study's folder, with both fine-tuned networks trained and profiled."""
    folder, rng = tmp_path_factory.mktemp("profiles"), np.random.default_rng(2)
    (folder / "photos").mkdir()
    names = [f"{index:02d}.png" for index in range(N)]
    for name in names:
        Image.fromarray(rng.integers(0, 255, (24, 30, 3), dtype=np.uint8)).save(folder / "photos" / name)
    pd.DataFrame({"image": names, "score": rng.random(N)}).to_csv(folder / "scores.csv", index=False)
    threads = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        study = validate_study(CONTENT)
        for path, key in (("trained.h5", TRAINED.key), ("shown.h5", SHOWN)):
            pack_stimuli(study, "rated", key, Path(path))
        for split in (1, 3):
            train(study, split)
            profile(study, f"tiny.finetuned-{split}")
    torch.set_num_threads(threads)
    return folder


@pytest.fixture
def study(ran, tmp_path, monkeypatch):
    """The study, in a copy of its folder."""
    shutil.copytree(ran, tmp_path / "study")
    monkeypatch.chdir(tmp_path / "study")
    return validate_study(CONTENT)


def scores_of(split):
    return read_table(LAYOUT.memorability(f"tiny.finetuned-{split}", "rated", BLOCK))


@pytest.mark.parametrize("split", [1, 3])
def test_layers_have_the_scores_of_a_plain_network_with_these_weights_on_this_split(study, split):
    plain = {"name": "plain", "factory": "trained_factory:build", "options": {"path": str(weights(split))}}
    as_own = validate_study(CONTENT | {"models": [plain | {"preprocessing": EXPECTED}], "finetuning": None})
    expected = profile(as_own, "plain")
    assert set(expected["split"]) == {0, 1, 2}
    expected, found = expected[expected["split"] == split - 1], scores_of(split)
    assert set(found["split"]) == {split - 1} and len(found) == 6
    assert list(found["layer"]) == list(expected["layer"])
    np.testing.assert_allclose(found["rho"], expected["rho"], atol=1e-9)
    assert found["rho"].notna().sum() >= 5 and found["rho"].nunique() >= 3


def test_chosen_layers_of_a_trained_network_have_the_scores_of_a_plain_network_with_its_weights(study):
    content = CONTENT | {"layers": ["stem", "block"]}  # containers
    plain = {"name": "plain", "factory": "trained_factory:build", "options": {"path": str(weights(1))}}
    as_own = validate_study(content | {"models": [plain | {"preprocessing": EXPECTED}], "finetuning": None})
    expected = profile(as_own, "plain", "001-002")
    with_head = validate_study(content | {"layers": ["stem", "block", "fc"]})  # which has one unit after training
    found = profile(with_head, "tiny.finetuned-1", "001-002")
    assert list(found["layer"]) == ["stem", "block"] and set(found["split"]) == {0}
    np.testing.assert_allclose(found["rho"], expected.loc[expected["split"] == 0, "rho"], atol=1e-9)


def test_they_are_layers_of_the_trained_network(study):
    untrained = profile(study, "tiny")
    untrained = untrained[untrained["split"] == 0]["rho"].to_numpy()
    assert np.nanmax(np.abs(untrained - scores_of(1)["rho"].to_numpy())) > 1e-3


@pytest.mark.parametrize(("step", "method"), [(stream_memorability, "exact"), (sketch_memorability, "sketch")])
def test_fits_of_many_images_are_on_the_own_split_alone_too(study, step, method):
    many, model = validate_study(CONTENT | {"memorability": {"small": 10, "method": method}}), "tiny.finetuned-3"
    step(many, model, "rated", BLOCK, Path("shown.h5"), Path("scores.parquet"), manifest=Path(LAYOUT.manifest(model)))
    found, expected = read_table("scores.parquet"), scores_of(3)
    assert set(found["split"]) == {2}
    np.testing.assert_allclose(found["rho"], expected["rho"], atol=0.02)


def test_it_cannot_be_held_against_other_ratings_of_the_images(study):
    model = "tiny.finetuned-1"
    with pytest.raises(ValueError, match="held against rated alone"):
        score_memorability(
            study, model, "second", BLOCK, Path(LAYOUT.activations(model, "rated")), Path("x.parquet"),
            Path(LAYOUT.manifest(model)),
        )  # fmt: skip
    assert not Path("x.parquet").exists()


def relabel(path, **changes):
    network, about = load_finetuned(path)
    write_weights(path, network.state_dict(), replace(about, **changes))


def extract(study, model):
    manifest = Path(LAYOUT.manifest(model))
    extract_activations(study, model, Path("shown.h5"), Path("again.h5"), manifest=manifest)


def test_weights_of_another_split_network_or_ratings_are_refused(study):
    shutil.copy(weights(3), weights(1))
    with pytest.raises(ValueError, match=r"1/weights\.safetensors is of split 3, not 1"):
        extract(study, "tiny.finetuned-1")
    relabel(weights(1), split="1", ratings="second")
    with pytest.raises(ValueError, match="is of ratings second, not rated"):
        extract(study, "tiny.finetuned-1")
    other = validate_study(CONTENT | {"models": [CONTENT["models"][0] | {"seed": 9}]})
    with pytest.raises(ValueError, match="is of another network than tiny"):
        extract(other, "tiny.finetuned-3")
    assert not Path("again.h5").exists()


def test_a_network_that_is_not_trained_yet_is_asked_for(study):
    weights(1).unlink()
    with pytest.raises(ValueError, match=r"no file .*1/weights\.safetensors"):
        extract(study, "tiny.finetuned-1")


def gather_both(study):
    for split in (1, 3):
        model = f"tiny.finetuned-{split}"
        manifest, gathered = Path(LAYOUT.manifest(model)), Path(LAYOUT.model_layers(model))
        gather_model(study, model, Path(LAYOUT.folder), gathered, manifest)
    output, csv = Path(LAYOUT.finetuned_layers), Path("layers.csv")
    gather_finetuned_layers(study, Path(LAYOUT.folder), output, csv)
    return read_table(output)


def test_the_table_has_a_row_for_each_layer_and_split(study):
    table = gather_both(study)
    assert list(table.columns[:3]) == ["model", "split", "layer"]
    assert set(table["model"]) == {"tiny"} and list(table["split"].drop_duplicates()) == ["1", "3"]
    for split in (1, 3):
        rows, scores = table[table["split"] == str(split)], scores_of(split)
        own = rows[rows["same_as"] == ""]
        assert list(own["layer"]) == list(scores["layer"])
        np.testing.assert_array_equal(own["memorability"], scores["rho"])
        (repeated,) = rows[rows["same_as"] != ""].itertuples()
        assert (repeated.layer, repeated.same_as) == ("drop_path", "block.2")
        np.testing.assert_array_equal(repeated.memorability, scores["rho"].iloc[-1])
        assert set(rows["memorability_splits"]) <= {0, 1}
    assert "beauty" not in table
    assert len(pd.read_csv("layers.csv")) == len(table)


def test_scores_on_another_split_are_never_gathered(study):
    path = LAYOUT.memorability("tiny.finetuned-1", "rated", BLOCK)
    leaked = read_table(path)
    both = pd.concat([leaked, leaked.assign(split=2)])
    both.attrs = leaked.attrs
    write_table(both, path)
    with pytest.raises(ValueError, match="scores on split 3 of rated, of which it has seen test images"):
        gather_both(study)
    assert not Path(LAYOUT.finetuned_layers).exists()


def test_networks_held_against_other_ratings_are_not_joined(study):
    gather_both(study)
    path = LAYOUT.model_layers("tiny.finetuned-1")
    table = read_table(path)
    extra = table.copy()
    extra.attrs["data"] = {"V1": {"recordings": "other"}} | table.attrs["data"]
    write_table(extra, path)
    second = read_table(LAYOUT.model_layers("tiny.finetuned-3"))
    second.attrs["data"] = {"V1": {"recordings": "these"}} | second.attrs["data"]
    write_table(second, LAYOUT.model_layers("tiny.finetuned-3"))
    with pytest.raises(ValueError, match="was compared with other recordings"):
        gather_finetuned_layers(study, Path(LAYOUT.folder), Path("joined.parquet"))


def test_a_study_without_profiles_has_no_such_table(study):
    plain = validate_study(CONTENT | {"finetuning": None})
    assert layout_of(plain) == LAYOUT
    with pytest.raises(ValueError, match="profiles no fine-tuned network"):
        gather_finetuned_layers(plain, Path(LAYOUT.folder), Path("none.parquet"))
