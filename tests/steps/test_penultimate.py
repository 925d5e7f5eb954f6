"""The step that scores the penultimate layer, against the ordinary steps where a layer gives the same."""

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn

from layerwise.activations import ActivationStore
from layerwise.config import validate_study
from layerwise.data.recordings import write_recordings
from layerwise.files.tables import read_table
from layerwise.finetuning.weights import FineTunedModel, write_weights
from layerwise.interfaces import DegenerateWarning, FinetuneSettings, Geometry, Recordings, StimulusSet
from layerwise.models import build, replace_head, resolve_preprocessing
from layerwise.steps.activations import extract_activations
from layerwise.steps.brain import score_brain
from layerwise.steps.networks import list_layers
from layerwise.steps.penultimate import score_penultimate
from layerwise.steps.stimuli import pack_stimuli

N, FLATTEN = 40, "5"  # the pooling of tiny_networks, which is flattened before the last layer


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Images and a recording of two regions."""
    folder, rng = tmp_path_factory.mktemp("study"), np.random.default_rng(4)
    ids = tuple(f"{index:02d}.png" for index in range(N))
    for name in ids:
        Image.fromarray(rng.integers(0, 255, (40, 40, 3), dtype=np.uint8)).save(folder / name)
    recordings = Recordings(rng.standard_normal((3, N, 6)), ids, tuple("abcdef"), ("V1",) * 3 + ("IT",) * 3)
    images = StimulusSet("photos", ids, tuple(folder / name for name in ids))
    write_recordings(recordings, folder / "recorded.nc", images)
    return folder


@pytest.fixture
def study(home, monkeypatch, tmp_path):
    """A study of two recordings, with its pixels; tests run in a folder of their own."""
    monkeypatch.chdir(tmp_path)
    made = make(home)
    pack_stimuli(made, "recorded", "square32-bilinear", tmp_path / "pixels.h5")
    return made


def make(home, **changes):
    recorded = {"name": "recorded", "file": str(home / "recorded.nc"), "splits": {"n_splits": 3}}
    entry = {"name": "tiny", "factory": "tiny_networks:build", "weights": "built", "seed": 3}
    return validate_study(
        {
            "study": "s",
            "models": [entry | {"preprocessing": {"size": 32, "resize": 36}}, "alexnet"],
            "recordings": [recorded, recorded | {"name": "again", "regions": {"V1": "V1_again"}}],
            "regression": {"components": 4},
            "compute": {"threads": 1},
            **changes,
        }
    )


def score(study, folder, *weights, **arguments):
    """Score, and return the table before training or, with weights of split 2, after it."""
    score_penultimate(study, "tiny", [folder / "pixels.h5"] * 2, folder / "kept", weights, **arguments)
    return read_table(folder / "kept" / ("2" if weights else "pretrained") / "scores.parquet")


def weights_of(study, folder, network, name="tiny", **changes):
    spec = study.model_entry("tiny").spec()
    about = FineTunedModel(
        spec, ("7",), resolve_preprocessing(spec), Geometry("crop", 36, 36, "bilinear"), "rated", "memorability", "2",
        FinetuneSettings(), {"network": "n", "weights": "w"},
    )  # fmt: skip
    about = FineTunedModel(**{**vars(about), **changes})
    write_weights(folder / f"{name}.safetensors", replace_head(network, ["7"]).state_dict(), about)
    return folder / f"{name}.safetensors"


def test_scores_are_those_of_the_layer_that_gives_the_same(study, tmp_path):
    table = score(study, tmp_path)
    list_layers(study, "tiny", tmp_path / "manifest.tsv", tmp_path / "preprocessing.json")
    manifest = tmp_path / "manifest.tsv"
    extract_activations(study, "tiny", tmp_path / "pixels.h5", tmp_path / "all.h5", manifest=manifest)
    assert list(table["region"].unique()) == ["V1", "IT", "V1_again"]
    for region in ("V1", "IT", "V1_again"):
        score_brain(study, "tiny", region, "001-007", tmp_path / "all.h5", tmp_path / "brain.parquet", manifest)
        ordinary = read_table(tmp_path / "brain.parquet")
        expected = np.stack(ordinary.loc[ordinary["layer"] == FLATTEN, "r_neuroids"])
        np.testing.assert_array_equal(np.stack(table.loc[table["region"] == region, "r_neuroids"]), expected)
    kept = ActivationStore(tmp_path / "kept/pretrained/again.h5", "tiny")
    ordinary = ActivationStore(tmp_path / "all.h5", "tiny")
    assert [layer.name for layer in kept.layers] == ["penultimate"]
    np.testing.assert_array_equal(kept.read("penultimate").array, ordinary.read(FLATTEN).array)
    same = ("network", "weights", "preprocessing", "stimuli")
    assert {key: kept.attributes[key] for key in same} == {key: ordinary.attributes[key] for key in same}


def test_principal_components_are_those_of_the_layer_that_gives_the_same(home, study, tmp_path):
    reduced = make(home, brain={"pca": {"images": str(home), "components": 8}})
    drawn, manifest = tmp_path / "drawn.h5", tmp_path / "manifest.tsv"
    pack_stimuli(reduced, "pca_images", "square32-bilinear", drawn)
    table = score(reduced, tmp_path, pca_pixels=[drawn, drawn])
    list_layers(reduced, "tiny", manifest, tmp_path / "preprocessing.json")
    extract_activations(reduced, "tiny", tmp_path / "pixels.h5", tmp_path / "all.h5", drawn, manifest)
    score_brain(reduced, "tiny", "IT", "006", tmp_path / "all.h5", tmp_path / "brain.parquet", manifest)
    ordinary = read_table(tmp_path / "brain.parquet")
    assert set(ordinary["layer"]) == {FLATTEN}
    expected = np.stack(ordinary["r_neuroids"])
    np.testing.assert_array_equal(np.stack(table.loc[table["region"] == "IT", "r_neuroids"]), expected)
    assert not np.allclose(table["r"], score(study, tmp_path)["r"])
    with pytest.raises(ValueError, match="--pca-pixels is given 0 times"):
        score(reduced, tmp_path)


def test_of_fine_tuned_weights_it_is_what_these_give(study, tmp_path):
    network = build(study.model_entry("tiny").spec())
    with torch.no_grad():
        network[3].weight.mul_(-1.5)
    before = score(study, tmp_path)
    after = score(study, tmp_path, weights_of(study, tmp_path, network))
    stored = ActivationStore(tmp_path / "kept/2/recorded.h5", "tiny")
    assert (stored.attributes["started from"], stored.attributes["split"]) == ("w", "2")
    assert stored.attributes["weights"] != "w"
    assert not np.allclose(after["r"], before["r"])
    # The same network before its head was replaced: the head is no part of what it receives.
    again = score(study, tmp_path, weights_of(study, tmp_path, network, "again"))
    pd.testing.assert_series_equal(again["r"], after["r"])
    with torch.no_grad():
        nn.init.ones_(network[7].weight)
    other = score(study, tmp_path, weights_of(study, tmp_path, network, "head"))
    pd.testing.assert_series_equal(other["r"], after["r"])


def test_weights_of_a_training_that_diverged_have_no_scores_and_leave_the_others_theirs(study, tmp_path):
    network, lost = (build(study.model_entry("tiny").spec()) for _ in range(2))
    with torch.no_grad():
        for tensor in [*lost.parameters(), *lost.buffers()]:
            tensor.mul_(float("nan")) if tensor.is_floating_point() else None
    origins = {"network": "n", "weights": "w"}
    other = weights_of(study, tmp_path, network, "other", split="1", origins=origins)
    score_penultimate(study, "tiny", [tmp_path / "pixels.h5"] * 2, tmp_path / "kept", [other])
    alone = read_table(tmp_path / "kept/1/scores.parquet")
    path = weights_of(study, tmp_path, lost, "lost", origins=origins | {"diverged": "the loss is inf"})
    with pytest.warns(DegenerateWarning, match=r"lost.safetensors: training on split 2 diverged .the loss is inf."):
        table = score(study, tmp_path, path, other)
    assert table["r"].isna().all() and (table["neuroids"] == 0).all() and list(table["region"]) == list(alone["region"])
    pd.testing.assert_frame_equal(read_table(tmp_path / "kept/1/scores.parquet"), alone)


def test_files_that_do_not_fit_the_study_are_refused_in_a_sentence(study, tmp_path):
    one, out = tmp_path / "pixels.h5", tmp_path / "kept"
    with pytest.raises(ValueError, match=r"--pixels is given 1 times, and the study has 2 .* order: recorded, again"):
        score_penultimate(study, "tiny", [one], out)
    with pytest.raises(ValueError, match="--pca-pixels is given 1 times"):
        score_penultimate(study, "tiny", [one, one], out, pca_pixels=[one])
    network = build(study.model_entry("tiny").spec())
    weights = weights_of(study, tmp_path, network)
    with pytest.raises(ValueError, match=r"holds 'tiny', and scores of 'alexnet' were asked for"):
        score_penultimate(study, "alexnet", [one, one], out, [weights])
    other = resolve_preprocessing(study.model_entry("alexnet").spec())
    weights = weights_of(study, tmp_path, network, "other", preprocessing=other)
    with pytest.raises(ValueError, match="holds the same network with another preprocessing"):
        score(study, tmp_path, weights)
    same = [weights_of(study, tmp_path, network, name) for name in ("first", "second")]
    with pytest.raises(ValueError, match=r"first\.safetensors and .*second\.safetensors are both of split 2: give one"):
        score(study, tmp_path, *same)
    assert not out.exists()
    out.touch()
    with pytest.raises(ValueError, match="kept"):
        score(study, tmp_path)


def test_each_of_several_weights_gives_what_it_gives_alone(study, tmp_path):
    network = build(study.model_entry("tiny").spec())
    files = []
    for split in ("1", "2", "3"):
        with torch.no_grad():
            network[3].weight.mul_(-1.5)
        files.append(weights_of(study, tmp_path, network, split, split=split))
    score(study, tmp_path, *files)
    folders = {path.name: path for path in (tmp_path / "kept").iterdir()}
    assert set(folders) == {"pretrained", "1", "2", "3"}
    together = {name: read_results(folder) for name, folder in folders.items()}
    for name, file in zip("123", files, strict=True):
        score(study, tmp_path, file)
        pd.testing.assert_frame_equal(read_results(folders[name])[0], together[name][0])
        for found, wanted in zip(read_results(folders[name])[1:], together[name][1:], strict=True):
            assert found[0] == wanted[0]
            np.testing.assert_array_equal(found[1], wanted[1])
    assert len({tuple(one[0]["r"]) for one in together.values()}) == 4


def read_results(folder):
    """Scores, and attributes and activations to each recording."""
    stores = [ActivationStore(folder / f"{name}.h5", "tiny") for name in ("recorded", "again")]
    kept = [(dict(store.attributes), store.read("penultimate").array) for store in stores]
    return [read_table(folder / "scores.parquet"), *kept]
