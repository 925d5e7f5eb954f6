"""Bad input to the step that fine-tunes, line by line of what can go wrong: a sentence, and nothing half-written."""

import errno
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from small_training import SIZE, STORED

from layerwise.config import validate_study
from layerwise.files.tables import read_table
from layerwise.finetuning import StoppedError, StopRequests
from layerwise.finetuning import state as states
from layerwise.finetuning.training import Trainer
from layerwise.finetuning.weights import load_finetuned
from layerwise.interfaces import DegenerateWarning
from layerwise.steps import finetuning as step
from layerwise.steps.finetuning import finetune_network
from layerwise.steps.stimuli import pack_stimuli
from layerwise.study import FINETUNED_FILES, HISTORY, PREDICTIONS

N = 60
PIXELS = f"crop{STORED}to{STORED}-bilinear"
TRAINING = {"batch_size": 8, "max_epochs": 3, "learning_rate": 0.01, "ratings": "rated"}
CONTENT = {
    "study": "s",
    "models": [
        {"name": name, "factory": "small_training:tiny", "options": {"seed": seed}}
        | {"preprocessing": {"size": SIZE, "resize": STORED}}
        for name, seed in (("tiny", 0), ("other", 1))
    ],
    "ratings": [
        {"name": "rated", "images": "photos", "splits": "splits"},
        {"name": "folded", "images": "photos", "scores": "scores.csv", "folds": 3, "measure": "beauty"},
    ],
    "compute": {"threads": 1, "device": "cpu"},
}
PARTS = {"train": range(36), "val": range(36, 48), "test": range(48, N)}


def write_split(scores, number=1):
    for part, images in PARTS.items():
        lines = (f"{image:02d}.png {scores[image]:.4f}\n" for image in images)
        Path("splits", f"{part}_{number}.txt").write_text("".join(lines))


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Photographs with a split as LaMem's, and in folds of a table without a validation part."""
    folder, rng = tmp_path_factory.mktemp("bad"), np.random.default_rng(8)
    (folder / "photos").mkdir(), (folder / "splits").mkdir()
    names = [f"{index:02d}.png" for index in range(N)]
    for name in names:
        Image.fromarray(rng.integers(0, 255, (24, 30, 3), dtype=np.uint8)).save(folder / "photos" / name)
    scores = rng.uniform(0.4, 0.9, N)
    pd.DataFrame({"image": names, "score": scores}).to_csv(folder / "scores.csv", index=False)
    threads = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_split(scores)
        for name in ("rated", "folded"):
            pack_stimuli(study(), name, PIXELS, folder / f"{name}.h5")
    torch.set_num_threads(threads)
    return folder


@pytest.fixture(autouse=True)
def here(home, tmp_path, monkeypatch):
    """A copy of the folder, in which each test runs."""
    shutil.copytree(home, tmp_path / "study")
    monkeypatch.chdir(tmp_path / "study")
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def study(**training):
    return validate_study(CONTENT | {"finetuning": TRAINING | training})


def train(model="tiny", **training):
    pixels = Path(f"{training.get('ratings', 'rated')}.h5")
    finetune_network(study(**training), model, ["1"], pixels, Path("results"), Path("states"))
    return {name: Path("results/1", name).read_bytes() for name in FINETUNED_FILES}


@pytest.fixture
def whole():
    """What a run gives that nothing disturbs."""
    found = train()
    shutil.rmtree("results"), shutil.rmtree("states")
    return found


def stop_after(monkeypatch, calls):
    """Stop a run when it is asked for the so many-th time, after a step or before a batch of the validation."""
    left = [calls]

    def asked(_):
        left[0] -= 1
        return "" if left[0] else "the test says so"

    with monkeypatch.context() as patch, pytest.raises(StoppedError, match="the test says so"):
        patch.setattr(StopRequests, "__call__", asked)
        train()
    (state,) = Path("states").glob("*.state")
    return state


def nothing_written():
    return not any(Path("results").rglob("*")) if Path("results").exists() else True


def test_of_a_fold_without_validation_images_it_is_said_what_is_watched(caplog):
    caplog.set_level("INFO")
    train(ratings="folded", hold_out=0.2)
    told = "split 1 has no validation images: 8 of its 40 training images are watched by early stopping instead"
    assert told in caplog.text


def test_or_it_is_refused_where_none_may_be_held_out():
    with pytest.raises(ValueError, match=r"split 1 has no validation images for early stopping .* set `hold_out`"):
        train(ratings="folded", hold_out=0)
    assert nothing_written()


def test_test_images_that_are_trained_on_or_watched_under_another_name_are_told(whole, caplog):
    assert "same pixels" not in caplog.text
    tested, trained, watched = (PARTS[part][0] for part in ("test", "train", "val"))
    for image in (tested, tested + 1):
        shutil.copy(f"photos/{(trained, watched)[image - tested]:02d}.png", f"photos/{image:02d}.png")
    pack_stimuli(study(), "rated", PIXELS, Path("rated.h5"))
    train()
    assert f"split 1: of {len(PARTS['test'])} test images, 2 have the same pixels as images" in caplog.text
    assert f"trained on or watched (first: {tested:02d}.png and {trained:02d}.png)" in caplog.text


@pytest.mark.parametrize("line", ["03.png\n", "03.png nan\n", "03.png 0\n"])
def test_scores_that_are_missing_in_a_split_are_told_with_their_file_and_line(line):
    lines = Path("splits/train_1.txt").read_text().splitlines(keepends=True)
    Path("splits/train_1.txt").write_text("".join([*lines[:3], line, *lines[4:]]))
    with pytest.raises(ValueError, match=r"train_1\.txt, line 4"):
        train()
    assert nothing_written()


def test_an_image_in_two_parts_of_a_split_is_refused():
    path = Path("splits/test_1.txt")
    path.write_text(path.read_text() + "03.png 0.5\n")
    with pytest.raises(ValueError, match=r"03\.png"):
        train()
    assert nothing_written()


def test_images_that_no_file_of_pixels_holds_are_refused():
    path = Path("splits/test_1.txt")
    path.write_text("".join(path.read_text().splitlines(keepends=True)[1:]))
    with pytest.raises(ValueError, match="holds other images than the ratings 'rated'"):
        train()


def test_a_loss_that_is_not_finite_stops_at_the_last_good_state_and_names_step_and_images(monkeypatch, caplog):
    train_epoch, calls = Trainer._train_epoch, [0]

    def spoilt(trainer, *arguments):
        calls[0] += 1
        if calls[0] == 3:
            with torch.no_grad():
                next(iter(trainer.network.parameters())).fill_(float("nan"))
        return train_epoch(trainer, *arguments)

    monkeypatch.setattr(Trainer, "_train_epoch", spoilt)
    with pytest.warns(DegenerateWarning, match=r"training of tiny diverged on 1 of 1 splits \(1\)"):
        train()
    (sentence,) = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert sentence.startswith("split 1: the loss of step 1 of epoch 3 is nan, of the images")
    assert sentence.count(".png") == 8 and "training stops with 2 good epochs" in sentence and "\n" not in sentence
    (state,) = Path("states").glob("*.state")
    assert f"{state} is the last good one" in sentence
    kept = torch.load(state, weights_only=True)
    assert len(kept["reached"]["history"]) == 2
    assert all(tensor.isfinite().all() for tensor in kept["network"].values() if tensor.is_floating_point())


def test_a_learning_rate_that_is_far_too_high_gives_results_without_values_and_a_sentence(whole, caplog):
    with pytest.warns(DegenerateWarning, match="their weights and predictions are NaN"):
        lost = train(learning_rate=1e30)
    assert "set a lower `learning_rate`" in caplog.text
    history, predictions = (read_table(f"results/1/{name}") for name in (HISTORY, PREDICTIONS))
    assert not history["best"].any() and history[["training_loss", "validation_loss", "rho"]].iloc[-1].isna().all()
    assert predictions["predicted"].isna().all() and predictions["score"].notna().all()
    assert list(predictions["part"].value_counts()[["val", "test"]]) == [12, 12]
    why = history.attrs["origins"]["diverged"]
    assert why == predictions.attrs["origins"]["diverged"] and "state" not in why
    with pytest.warns(DegenerateWarning, match=f"training on split 1 diverged .{why}"):
        network, about = load_finetuned("results/1/weights.safetensors")
    assert about.diverged == why and all(weight.isnan().all() for weight in network.parameters())
    with pytest.warns(DegenerateWarning):
        assert train(learning_rate=1e30) == lost  # to the byte: it is a result like any other
    assert train() == whole


def test_results_of_a_split_that_diverged_are_put_back_too(caplog):
    with pytest.warns(DegenerateWarning):
        lost = train(learning_rate=1e30)
    Path("states/finished").mkdir(parents=True)
    Path("results/1").rename("states/finished/1")
    caplog.set_level("INFO")
    assert train(learning_rate=1e30) == lost and "it was trained before" in caplog.text


def test_of_a_corrupt_state_the_one_before_is_used_and_it_is_said(whole, monkeypatch, caplog):
    state = stop_after(monkeypatch, 10)
    state.write_bytes(state.read_bytes()[:-100])
    assert train() == whole
    assert f"{state} is damaged" in caplog.text and "the state before it is used" in caplog.text


def test_a_state_of_another_network_is_refused_whatever_it_is_called(monkeypatch):
    state = stop_after(monkeypatch, 10)
    content = torch.load(state, weights_only=True)
    content["key"]["network"] = "of something else"
    torch.save(content, state)
    kept = state.read_bytes()
    with pytest.raises(ValueError, match=r"is the state of a fine-tuning with another network: delete it"):
        train()
    assert state.read_bytes() == kept and nothing_written()


def test_a_network_never_goes_on_from_the_state_of_another(monkeypatch):
    alone = train("other")
    shutil.rmtree("results")
    stop_after(monkeypatch, 10)
    assert train("other") == alone


def test_on_a_full_disk_the_old_state_stays_and_training_goes_on(whole, monkeypatch, caplog):
    state = stop_after(monkeypatch, 10)
    before = state.read_bytes()

    def full(content, file):
        file.write(b"half of it")
        raise OSError(errno.ENOSPC, "No space left on device")

    removed = []
    with monkeypatch.context() as patch:
        patch.setattr(states.torch, "save", full)
        patch.setattr(step._States, "remove", lambda self, but: removed.append(state.read_bytes()))
        assert train() == whole
    assert removed == [before] and "could not be saved" in caplog.text


@pytest.mark.parametrize("name", ["write_table", "write_weights"])
def test_a_disk_that_is_full_when_results_are_written_loses_no_training(name, whole, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space left"):
        patch.setattr(step, name, full)
        train()
    assert not Path("results/1/weights.safetensors").exists()
    (state,) = Path("states").glob("*.state")
    assert len(torch.load(state, weights_only=True)["reached"]["history"]) == 3
    assert train() == whole
