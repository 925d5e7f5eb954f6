"""The step that trains a network on: its results, its stops, and what goes wrong."""

import shutil
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from scipy.stats import spearmanr

from layerwise.config import validate_study
from layerwise.data.pixels import PixelCache
from layerwise.files import locked
from layerwise.files.tables import read_table, write_table
from layerwise.finetuning import folds
from layerwise.finetuning.weights import load_finetuned, read_about
from layerwise.interfaces import StoppedError
from layerwise.steps import finetuning as step
from layerwise.steps.cluster import END
from layerwise.steps.finetuning import finetune_network
from layerwise.steps.stimuli import pack_stimuli
from layerwise.study import FINETUNED_FILES

N, SIDE = 60, 36
TRAINING = {"batch_size": 8, "max_epochs": 4, "learning_rate": 0.01, "hold_out": 0.25}
CONTENT = {
    "study": "s",
    "models": [{"name": "tiny", "factory": "tiny_networks:build", "preprocessing": {"size": 32, "resize": SIDE}}],
    "ratings": [{"name": "rated", "images": "photos", "scores": "scores.csv", "folds": 3}],
    "compute": {"threads": 1, "device": "cpu"},
}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Photographs whose score is how red they are, and their pixels."""
    folder, rng = tmp_path_factory.mktemp("trained"), np.random.default_rng(5)
    (folder / "photos").mkdir()
    scores = rng.uniform(0.4, 0.9, N)
    for index, score in enumerate(scores):
        pixels = rng.integers(60, 120, (40, 50, 3))
        pixels[..., 0] += int(120 * score)
        Image.fromarray(pixels.astype(np.uint8)).save(folder / "photos" / f"{index:02d}.png")
    table = {"image": [f"{index:02d}.png" for index in range(N)], "score": scores}
    pd.DataFrame(table).to_csv(folder / "scores.csv", index=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for geometry in (f"crop{SIDE}to{SIDE}-bilinear", f"crop{SIDE}to32-bilinear"):
            pack_stimuli(study(), "rated", geometry, folder / f"{geometry}.h5")
    return folder


@pytest.fixture(autouse=True)
def here(home, monkeypatch):
    monkeypatch.chdir(home)
    monkeypatch.delenv(END, raising=False)
    before = torch.get_num_threads()
    torch.manual_seed(0)  # the factory keeps the weights that it was built with
    yield
    torch.set_num_threads(before)


def study(**training):
    return validate_study(CONTENT | {"finetuning": TRAINING | training})


def train(folder, splits=("2",), pixels=f"crop{SIDE}to{SIDE}-bilinear.h5", show=step.show_nothing, **training):
    folders = folder / "results", folder / "states"
    finetune_network(study(**training), "tiny", splits, Path(pixels), *folders, show=show)
    return folder / "results"


def contents(folder, split="2"):
    return {name: (folder / split / name).read_bytes() for name in FINETUNED_FILES}


@pytest.fixture(scope="module")
def whole(home, tmp_path_factory):
    """The files of a run that nothing stopped."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        return train(tmp_path_factory.mktemp("whole"))


def test_history_and_predictions_have_a_row_for_each_epoch_and_each_image_not_trained_on(whole):
    history = read_table(whole / "2/history.parquet")
    assert list(history) == [
        "model", "split", "epoch", "learning_rate", "training_loss", "validation_loss", "rho", "accumulate", "compiled",
        "best",
    ]  # fmt: skip
    assert set(history["model"]) == {"tiny"} and set(history["split"]) == {"2"}
    assert list(history["epoch"]) == [1, 2, 3, 4]
    (best,) = history.index[history["best"]]
    assert history["rho"][best] == history["rho"].max()
    predictions = read_table(whole / "2/predictions.parquet")
    assert list(predictions) == ["stimulus", "split", "part", "score", "predicted"]
    assert predictions["part"].value_counts().to_dict() == {"test": 20, "val": 10}
    assert predictions["stimulus"].is_unique
    given = pd.read_csv("scores.csv").set_index("image")["score"]
    np.testing.assert_array_equal(predictions["score"], given[predictions["stimulus"]])
    held = predictions[predictions["part"] == "val"]
    assert spearmanr(held["score"], held["predicted"]).statistic == pytest.approx(history["rho"][best], abs=1e-9)


def test_the_weights_give_the_predictions_of_images_cropped_at_the_centre(whole):
    network, about = load_finetuned(whole / "2/weights.safetensors")
    predictions = read_table(whole / "2/predictions.parquet")
    cache = PixelCache(f"crop{SIDE}to{SIDE}-bilinear.h5")
    images = cache.read(0, N)[:, 2:34, 2:34].astype(np.float64) / 255
    images = (images - about.preprocessing.mean) / about.preprocessing.std
    with torch.inference_mode():
        given = network(torch.tensor(images, dtype=torch.float32).permute(0, 3, 1, 2)).flatten()
    places = [cache.ids.index(name) for name in predictions["stimulus"]]
    np.testing.assert_allclose(predictions["predicted"], given[places], atol=1e-5)


def test_results_say_what_they_were_made_from(whole):
    about = read_about(whole / "2/weights.safetensors")
    assert (about.split, about.ratings, about.measure, about.spec.name) == ("2", "rated", "memorability", "tiny")
    assert about.settings == study().finetuning.settings() and about.geometry.key == f"crop{SIDE}to{SIDE}-bilinear"
    assert about.origins.keys() >= {"network", "weights", "code", "versions", "stimuli", "settings", "scores"}
    for name in ("history.parquet", "predictions.parquet"):
        assert read_table(whole / "2" / name).attrs["origins"] == about.origins
    assert not any((whole.parent / "states").iterdir())


def test_two_trainings_of_the_same_that_end_otherwise_are_told_apart(whole, tmp_path, monkeypatch):
    """As they may on a GPU."""
    predict = folds.predict

    def otherwise(*arguments, **options):
        return predict(*arguments, **options) + 1e-6

    monkeypatch.setattr(folds, "predict", otherwise)
    other = read_about(train(tmp_path) / "2/weights.safetensors").origins
    first = read_about(whole / "2/weights.safetensors").origins
    assert {name for name in first if first[name] != other[name]} == {"predictions"}


def test_a_job_whose_time_limit_is_near_stops_without_results_and_goes_on_to_the_bit(whole, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setenv(END, str(int(time.time())))
        with pytest.raises(StoppedError, match=r"time limit .* its state is in .*/states/2-[0-9a-f]+\.state"):
            train(tmp_path)
        assert not any(tmp_path.glob("results/2/*"))
        assert len(list((tmp_path / "states").iterdir())) == 1
        with pytest.raises(StoppedError, match="0 epochs and 2 steps"):
            train(tmp_path)
    assert contents(train(tmp_path)) == contents(whole)
    assert not any((tmp_path / "states").iterdir())


def test_other_settings_start_anew_and_their_end_removes_what_was_left(tmp_path, monkeypatch, caplog):
    with monkeypatch.context() as patch:
        patch.setenv(END, str(int(time.time())))
        with pytest.raises(StoppedError):
            train(tmp_path)
    results = train(tmp_path, learning_rate=0.02)
    assert "1 file of states is" in caplog.text and "training starts anew" in caplog.text
    assert read_table(results / "2/history.parquet")["learning_rate"].max() == 0.02
    assert not any((tmp_path / "states").iterdir())


def test_killed_between_two_files_it_leaves_no_weights_and_goes_on_without_training(whole, tmp_path, monkeypatch):
    train(tmp_path, learning_rate=0.02)  # an older result

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(step, "write_weights", killed)
        with pytest.raises(KeyboardInterrupt):
            train(tmp_path)
    assert not (tmp_path / "results/2/weights.safetensors").exists()
    told = []

    @contextmanager
    def show(model, epochs):
        yield lambda *epoch: told.append(epoch)

    assert contents(train(tmp_path, show=show)) == contents(whole)
    assert told == []


def test_what_the_library_of_weights_left_of_a_killed_run_is_removed(whole, tmp_path):
    (tmp_path / "results/2").mkdir(parents=True)
    (tmp_path / "results/2/.tmpa1B2c3").write_bytes(b"half of the weights")
    train(tmp_path)
    assert {path.name for path in (tmp_path / "results/2").iterdir()} == set(FINETUNED_FILES)


def test_several_splits_in_one_job_give_what_each_gives_alone(whole, tmp_path):
    results = train(tmp_path, splits=("1", "2"))
    assert contents(results) == contents(whole)
    assert read_about(results / "1/weights.safetensors").split == "1"
    one, two = (read_table(results / split / "predictions.parquet") for split in ("1", "2"))
    tested = [set(table["stimulus"][table["part"] == "test"]) for table in (one, two)]
    assert not tested[0] & tested[1]


def set_aside(whole, folder, split="2"):
    """As a workflow does that is to train on another split of the same job."""
    return Path(shutil.copytree(whole / split, folder / "states/finished" / split))


@contextmanager
def told(splits):
    """Collect the splits of which epochs are told."""
    yield lambda split, epoch, pace: splits.append(split)


def test_a_split_that_was_set_aside_is_put_back_and_only_the_others_are_trained(whole, tmp_path):
    set_aside(whole, tmp_path)
    splits = []
    results = train(tmp_path, ("1", "2"), show=lambda model, epochs: told(splits))
    assert contents(results) == contents(whole) and set(splits) == {"1"}
    assert not any((tmp_path / "states").iterdir())
    again = tmp_path / "again"
    set_aside(whole, again)
    assert contents(train(again, show=lambda model, epochs: told(splits))) == contents(whole) and set(splits) == {"1"}


@pytest.mark.parametrize("what", ["other settings", "cut", "of two trainings", "incomplete"])
def test_what_was_set_aside_and_is_not_what_training_would_give_is_trained_again(whole, tmp_path, what, caplog):
    folder = set_aside(whole, tmp_path)
    training = {"max_epochs": 1} if what == "other settings" else {}
    if what == "cut":
        (folder / "weights.safetensors").write_bytes(b"cut")
    if what == "of two trainings":
        table = read_table(folder / "history.parquet")
        table.attrs["origins"] = table.attrs["origins"] | {"predictions": "others"}
        write_table(table, folder / "history.parquet")
    if what == "incomplete":
        (folder / "predictions.parquet").unlink()
    splits = []
    results = train(tmp_path, show=lambda model, epochs: told(splits), **training)
    assert splits == ["2"] * training.get("max_epochs", 4)
    assert (contents(results) == contents(whole)) == (not training)
    assert not any((tmp_path / "states").iterdir())


@pytest.mark.parametrize(("versions", "trained"), [("record", []), ("rerun", ["2"] * 4)])
def test_versions_of_libraries_count_where_the_study_says_so(whole, tmp_path, monkeypatch, versions, trained):
    set_aside(whole, tmp_path)
    monkeypatch.setattr("layerwise.steps.origins.versions_of", lambda spec: {"torch": "99"})
    monkeypatch.setitem(CONTENT["compute"], "versions", versions)
    splits = []
    train(tmp_path, show=lambda model, epochs: told(splits))
    assert splits == trained


def test_pixels_that_do_not_fit_are_read_while_it_trains_and_change_nothing(whole, tmp_path, monkeypatch, caplog):
    caplog.set_level("INFO")
    monkeypatch.setattr(step, "pixel_bytes", lambda *_: 10**12)
    assert contents(train(tmp_path)) == contents(whole)
    assert "1000.0 GB of pixels are read while the network is trained" in caplog.text


def test_it_waits_for_another_process_that_trains_on_the_same_split(whole, tmp_path, caplog):
    taken, events = locked(tmp_path / "states/2"), []

    def release():
        time.sleep(0.5)
        events.append("released")
        taken.__exit__(None, None, None)

    taken.__enter__()
    thread = threading.Thread(target=release)
    thread.start()
    results = train(tmp_path)
    assert events == ["released"] and "waiting for another process" in caplog.text
    thread.join()
    assert contents(results) == contents(whole)
    assert not any((tmp_path / "states").iterdir())


@pytest.mark.parametrize("split", ["0", "4", "01", "first"])
def test_a_split_that_is_not_there_is_refused(tmp_path, split):
    with pytest.raises(ValueError, match=f"no split '{split}' of 'rated': give a number from 1 to 3"):
        train(tmp_path, splits=(split,))


@pytest.mark.parametrize("folder", ["states", "results"])
def test_a_file_where_a_folder_is_to_be_is_named(tmp_path, folder):
    (tmp_path / folder).touch()
    with pytest.raises(ValueError, match=f"{folder}/.* cannot be written: one of its folders is a file"):
        train(tmp_path)


def test_pixels_that_leave_nothing_to_crop_are_refused(tmp_path):
    with pytest.raises(ValueError, match=f"crop{SIDE}to32-bilinear, but .* --geometry crop{SIDE}to{SIDE}-bilinear"):
        train(tmp_path, pixels=f"crop{SIDE}to32-bilinear.h5")


def test_a_study_without_fine_tuning_is_refused(tmp_path):
    without = validate_study(CONTENT)
    with pytest.raises(ValueError, match="the study fine-tunes no network"):
        finetune_network(without, "tiny", ["1"], Path("none.h5"), tmp_path / "results", tmp_path / "states")


@pytest.mark.parametrize(
    ("network", "message"),
    [
        ("build_mixing", "depends on the other images of its batch"),
        ("build_softmax", "gives the score 1 whatever 2 gives, so that nothing can be learnt"),
    ],
)
def test_a_network_that_mixes_the_images_of_a_batch_or_hides_its_head_is_refused(network, message, tmp_path):
    content = CONTENT | {"models": [CONTENT["models"][0] | {"factory": f"tiny_networks:{network}"}]}
    refused = validate_study(content | {"finetuning": TRAINING})
    with pytest.raises(ValueError, match=message):
        finetune_network(
            refused, "tiny", ["1"], Path(f"crop{SIDE}to{SIDE}-bilinear.h5"), tmp_path / "results", tmp_path / "states"
        )
