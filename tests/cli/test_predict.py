"""Scores of photographs, predicted by fine-tuned networks: those that training stored are the oracle."""

import errno
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from small_training import CPU, PREPROCESSING, STORED, divided, small_settings
from torchvision.transforms import v2
from typer.testing import CliRunner

from layerwise.cli.app import app
from layerwise.data.drawing import draw_image
from layerwise.data.folders import images_in
from layerwise.data.pixels import PixelCache, pack_pixels
from layerwise.finetuning import fine_tune, make_fold
from layerwise.finetuning.weights import FineTunedModel, load_finetuned, read_about, write_weights
from layerwise.interfaces import Geometry, ModelSpec
from layerwise.models import build

SPEC = ModelSpec("mine", "factory", "small_training:tiny", "built", preprocessing=PREPROCESSING)
GEOMETRY = Geometry("crop", STORED, STORED, "bilinear")
COUNT = 40


def save_image(path, rng):
    path.parent.mkdir(parents=True, exist_ok=True)
    sides = rng.integers(30, 60, 2)
    Image.fromarray(draw_image(rng, 60)[: sides[0], : sides[1]]).save(path)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A folder of images, and a network trained on two splits of them, with its stored predictions."""
    folder, rng = tmp_path_factory.mktemp("study"), np.random.default_rng(3)
    for index in range(COUNT):
        save_image(folder / f"images/{index:02d}.png", rng)
    pack_pixels(images_in(folder / "images", "rated"), GEOMETRY, folder / "pixels.h5")
    pixels, scores, settings = PixelCache(folder / "pixels.h5"), rng.uniform(size=COUNT), small_settings(max_epochs=1)
    stored = {}
    for split in (1, 2):
        fold = make_fold(split - 1, scores, *divided(COUNT, rng), settings)
        result = fine_tune(build(SPEC), "fc", pixels, PREPROCESSING, fold, settings, CPU)
        about = FineTunedModel(
            SPEC, ("fc",), PREPROCESSING, GEOMETRY, "rated", "memorability", str(split), settings, {}
        )
        write_weights(folder / f"finetuned/{split}/weights.safetensors", result.weights, about)
        stored[split] = result.test
    return folder, stored


@pytest.fixture
def weights(study):
    return [study[0] / f"finetuned/{split}/weights.safetensors" for split in (1, 2)]


def run(*arguments):
    return CliRunner().invoke(app, ["predict", "--threads", "1", *map(str, arguments)])


def table_of(*arguments, output):
    result = run(*arguments, "--output", output)
    assert result.exit_code == 0, result.output or result.exception
    return pd.read_csv(output)


def refused(*arguments):
    result = run(*arguments)
    assert result.exit_code == 1 and isinstance(result.exception, ValueError), result.output
    return str(result.exception)


def test_what_a_folder_holds_besides_images_is_told(study, tmp_path, caplog):
    folder, _ = study
    shutil.copy(folder / "images/00.png", tmp_path / "one.png")
    for name in ("phone.HEIC", "below/notes.txt", ".hidden.jpg", ".thumbnails/one.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "gone.jpg").symlink_to("nowhere.jpg")
    caplog.set_level("INFO")
    assert run("--weights", folder / "finetuned", tmp_path).exit_code == 0
    told = "not ending as images do or leading nowhere: below/notes.txt, gone.jpg, phone.HEIC"
    assert f"3 files of {tmp_path} are left out, {told}" in caplog.text


def test_a_name_that_is_no_utf8_is_written_as_the_disk_has_it(study, tmp_path):
    folder, _ = study
    named = os.fsdecode(b"photo\xff,.png")
    try:
        shutil.copy(folder / "images/00.png", tmp_path / named)
    except OSError:
        pytest.skip("this disk has no such names")
    result = run("--weights", folder / "finetuned", tmp_path / named, "--output", tmp_path / "scores.csv")
    assert result.exit_code == 0, result.output or result.exception
    assert f'\n"{tmp_path}/'.encode() + b'photo\xff,.png",' in (tmp_path / "scores.csv").read_bytes()


def test_scores_of_test_images_are_those_that_training_stored(study, tmp_path):
    folder, stored = study
    table = table_of("--weights", folder / "finetuned", folder / "images", output=tmp_path / "scores.csv")
    assert list(table.columns) == ["image", "mean", "spread", "split_1", "split_2"]
    assert list(table["image"]) == [str(folder / f"images/{index:02d}.png") for index in range(COUNT)]
    for split, test in stored.items():
        assert np.ptp(test.predicted) > 1e-3  # or any wrong geometry would do
        np.testing.assert_allclose(table[f"split_{split}"][test.images], test.predicted, atol=1e-5)
    folds = table[["split_1", "split_2"]].to_numpy()
    np.testing.assert_allclose(table["mean"], folds.mean(1), atol=2e-6)
    np.testing.assert_allclose(table["spread"], abs(folds[:, 0] - folds[:, 1]) / np.sqrt(2), atol=2e-6)


def test_scores_are_those_of_torchvision_s_transforms(study, weights, tmp_path):
    folder, _ = study
    network, _ = load_finetuned(weights[0])
    shown = v2.Compose(
        [
            v2.Resize(STORED), v2.CenterCrop(STORED), v2.CenterCrop(PREPROCESSING.size), v2.PILToTensor(),
            v2.ToDtype(torch.float32, scale=True), v2.Normalize(PREPROCESSING.mean, PREPROCESSING.std),
        ]
    )  # fmt: skip
    files = sorted((folder / "images").iterdir())
    with torch.inference_mode():
        expected = [float(network(shown(Image.open(file))[None])) for file in files]
    table = table_of("--weights", weights[0], *files, "--batch-size", "7", output=tmp_path / "scores.csv")
    np.testing.assert_allclose(table["split_1"], expected, atol=1e-5)
    assert table["spread"].isna().all()  # of a single fold there is none


def test_a_fold_that_diverged_is_left_out_and_of_such_alone_nothing_is_predicted(study, weights, tmp_path):
    folder, stored = study
    shutil.copytree(folder / "finetuned", tmp_path / "finetuned")
    network, about = load_finetuned(weights[0])
    lost = {name: tensor * float("nan") for name, tensor in network.state_dict().items() if tensor.is_floating_point()}
    path = tmp_path / "finetuned/1/weights.safetensors"
    write_weights(path, network.state_dict() | lost, replace(about, origins={"diverged": "the loss is inf"}))
    output = tmp_path / "scores.csv"
    result = run("--weights", tmp_path / "finetuned", folder / "images", "--output", output)
    assert (
        "warning: training of mine diverged on 1 of 2 folds, which are left out (1: the loss is inf)" in result.output
    )
    table = pd.read_csv(output)
    assert list(table.columns) == ["image", "mean", "spread", "split_2"]
    np.testing.assert_allclose(table["mean"][stored[2].images], stored[2].predicted, atol=1e-5)
    message = "diverged on 1 of 1 folds, so that none is left to predict with: give other weights (1: the loss is inf)"
    assert message in refused("--weights", path, folder / "images")


def test_printed_as_csv_with_six_digits(study, weights):
    result = run("--weights", weights[1], study[0] / "images/03.png")
    head, line = result.stdout.splitlines()
    assert head == "image,mean,spread,split_2"
    cells = line.split(",")
    assert cells[0].endswith("03.png") and cells[2] == "" and cells[1] == cells[3]
    assert len(cells[1].split(".")[1]) == 6
    assert "predicting: 1 done" in result.stderr


def test_equal_names_in_two_folders_stay_apart_and_an_image_counts_once(study, weights, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for place, source in (("a/holiday, 1.png", "00"), ("b/holiday, 1.png", "01"), ("b/below/x.PNG", "02")):
        Path(place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(study[0] / f"images/{source}.png", place)
    Path("b/notes.txt").write_text("no image")
    table = table_of("--weights", weights[0], "b", "a/holiday, 1.png", "./a", output="scores.csv")
    assert list(table["image"]) == ["b/below/x.PNG", "b/holiday, 1.png", "a/holiday, 1.png"]
    original = table_of("--weights", weights[0], study[0] / "images", output="all.csv")
    assert list(table["mean"]) == list(original["mean"][[2, 1, 0]])


def test_an_image_that_cannot_be_read_is_named_and_the_others_are_done(study, weights, tmp_path):
    broken, output = tmp_path / "broken.png", tmp_path / "scores.csv"
    broken.write_bytes((study[0] / "images/00.png").read_bytes()[:200])
    message = refused("--weights", weights[0], study[0] / "images/01.png", broken, "--output", output)
    assert "1 of 2 images cannot be read" in message and str(broken) in message
    table = pd.read_csv(output)
    assert list(table["mean"].isna()) == [False, True] and list(table["split_1"].isna()) == [False, True]
    assert "cannot be read, and no other is given" in refused(
        "--weights", weights[0], broken, "--output", tmp_path / "none.csv"
    )
    assert not (tmp_path / "none.csv").exists()


def test_without_images_or_weights_it_says_so(study, weights, tmp_path):
    (tmp_path / "empty").mkdir()
    assert "holds no images" in refused("--weights", weights[0], tmp_path / "empty")
    assert "gone.png is not there" in refused("--weights", weights[0], tmp_path / "gone.png")
    assert "holds no weights" in refused("--weights", tmp_path / "empty", study[0] / "images")
    assert "no file" in refused("--weights", tmp_path / "gone.safetensors", study[0] / "images")
    assert run("--weights", weights[0]).exit_code == 2
    assert run(study[0] / "images").exit_code == 2


def test_a_device_that_is_not_there_is_named_as_it_was_asked_for(study, weights, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    told = refused("--device", "cuda", "--weights", weights[0], study[0] / "images")
    assert "--device is cuda, but torch sees no GPU: run it where there is one, or set it to auto" in told
    told = refused("--device", "gpu", "--weights", weights[0], study[0] / "images")
    assert "--device is 'gpu': it must be auto, cpu or cuda" in told


def test_other_files_are_no_weights(study, tmp_path):
    images = study[0] / "images"
    assert "no file of a fine-tuned network" in refused("--weights", images / "00.png", images)
    assert "no file of a fine-tuned network" in refused("--weights", study[0] / "pixels.h5", images)


def changed(weights, path, **changes):
    """The same weights, said to be others."""
    network, about = load_finetuned(weights)
    write_weights(path, network.state_dict(), replace(about, **changes))
    return path


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"spec": replace(SPEC, name="yours")}, "the network's name is mine in one and yours in the other"),
        ({"spec": replace(SPEC, weights="random")}, "the network's weights is built"),
        ({"measure": "beauty"}, "the measure is memorability in one and beauty"),
        ({"ratings": "others"}, "the ratings is rated"),
        ({"geometry": Geometry("square", STORED, STORED, "bilinear")}, "the geometry is"),
    ],
)
def test_folds_of_several_networks_or_scores_are_refused(changes, sentence, study, weights, tmp_path):
    other = changed(weights[1], tmp_path / "w.safetensors", **changes)
    message = refused("--weights", weights[0], "--weights", other, study[0] / "images")
    assert sentence in message and str(other) in message and "no folds of one network" in message


def test_a_fold_counts_once(study, weights, tmp_path):
    copy = tmp_path / "copy.safetensors"
    shutil.copy(weights[0], copy)
    for twice in (weights[0], copy, weights[0].parent):
        assert "both of split 1" in refused("--weights", weights[0], "--weights", twice, study[0] / "images")


def test_splits_stand_in_their_order(study, weights, tmp_path):
    for split in ("10", "2"):
        changed(weights[0], tmp_path / f"finetuned/{split}/weights.safetensors", split=split)
    table = table_of("--weights", tmp_path / "finetuned", study[0] / "images/00.png", output=tmp_path / "scores.csv")
    assert list(table.columns)[3:] == ["split_2", "split_10"]


def test_a_batch_that_does_not_fit_is_halved(study, weights, tmp_path, monkeypatch):
    expected = table_of("--weights", weights[0], study[0] / "images", output=tmp_path / "whole.csv")
    forward = torch.nn.Linear.forward

    def short(module, inputs):
        if len(inputs) > 5:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(module, inputs)

    monkeypatch.setattr(torch.nn.Linear, "forward", short)
    table = table_of("--weights", weights[0], study[0] / "images", output=tmp_path / "halved.csv")
    pd.testing.assert_frame_equal(table, expected, atol=2e-6)


def test_a_full_disk_leaves_the_old_file(study, weights, tmp_path, monkeypatch):
    output = tmp_path / "scores.csv"
    output.write_text("old")

    def full(path, content):
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(Path, "write_bytes", full)
    result = run("--weights", weights[0], study[0] / "images", "--output", output)
    assert isinstance(result.exception, OSError) and output.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["scores.csv"]


def test_no_study_is_needed(study, weights, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert not Path("config.yaml").exists()
    assert run("--weights", weights[0], study[0] / "images/00.png").exit_code == 0
    assert read_about(weights[0]).split == "1"
