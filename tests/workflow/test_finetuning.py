"""Fine-tuning in the workflow, run for real on a tiny network and two of three splits."""

import shutil
from base64 import urlsafe_b64encode

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from small_study import CONFIG, Study, make_data

from layerwise.files.tables import read_table
from layerwise.finetuning.weights import load_finetuned

pytestmark = pytest.mark.workflow

TRAINING = {"models": ["tiny"], "splits": [1, 3], "batch_size": 8, "max_epochs": 2, "learning_rate": 0.01}
MODELS = CONFIG["models"][:1]


def target(split, file="weights.safetensors"):
    return f"results/small/models/tiny/finetuned/{split}/{file}"


def configure(study, finetuning=TRAINING, **changes):
    study.configure(**{"models": MODELS, "recordings": [], "finetuning": finetuning, **changes})


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Study:
    """The study, trained on its splits 1 and 3; tests may plan in it, but make nothing."""
    folder = tmp_path_factory.mktemp("trained")
    make_data(folder / "data")
    done = Study(folder)
    configure(done)
    done.snakemake(target(1), target(3))
    return done


@pytest.fixture
def as_trained(trained):
    """The same; its config is put back afterwards."""
    yield trained
    configure(trained)


def test_each_split_has_its_results_and_no_state_is_left(trained):
    for split in ("1", "3"):
        history = read_table(trained.folder / target(split, "history.parquet"))
        assert list(history["epoch"]) == [1, 2] and set(history["split"]) == {split}
        assert len(read_table(trained.folder / target(split, "predictions.parquet"))) > 13  # of 40 images
        _, about = load_finetuned(trained.folder / target(split))
        assert (about.split, about.settings.batch_size) == (split, 8)
    assert not any(path.is_file() for path in (trained.results / "scratch").rglob("*"))
    assert not (trained.folder / target(2)).exists()
    told = (trained.results / "logs/finetune_network/tiny/3.log").read_text()
    assert "tiny, split 3: epoch 2 of at most 2: loss" in told and "are watched by early stopping" in told


def test_a_second_run_does_nothing(trained):
    assert trained.planned(target(1), target(3)) == {}


@pytest.mark.parametrize(
    ("changes", "jobs"),
    [
        ({"finetuning": TRAINING | {"learning_rate": 0.02}}, {"finetune_network": 2}),
        ({"finetuning": TRAINING | {"splits": None, "ratings": "rated"}, "regression": {"components": 3}}, {}),
    ],
)
def test_what_is_edited_reruns_what_it_must(as_trained, changes, jobs):
    configure(as_trained, **changes)
    assert as_trained.planned(target(1), target(3)) == jobs


def test_one_network_on_one_split_is_one_job_or_shares_it(as_trained):
    configure(as_trained, TRAINING | {"splits": None})
    assert as_trained.planned(target(2)) == {"finetune_network": 1}
    configure(as_trained, TRAINING | {"splits": None, "folds_per_job": 2, "learning_rate": 0.02})
    assert as_trained.planned(target(2), target(3)) == {"finetune_network_1_2": 1, "finetune_network_3": 1}


def test_another_number_of_splits_in_a_job_makes_nothing_stale(as_trained):
    configure(as_trained, TRAINING | {"folds_per_job": 2})
    assert as_trained.planned(target(1), target(3)) == {}


@pytest.mark.slow
def test_of_a_job_that_lacks_a_split_this_one_alone_is_trained(trained, tmp_path):
    copy = Study(shutil.copytree(trained.folder, tmp_path / "copy"))
    files = {path: path.read_bytes() for split in (1, 3) for path in (copy.folder / target(split)).parent.iterdir()}
    (copy.folder / target(1)).unlink()
    configure(copy, TRAINING | {"folds_per_job": 2})
    assert copy.planned(target(1), target(3)) == {"finetune_network": 1}
    copy.snakemake(target(1), target(3))
    told = (copy.results / "logs/finetune_network/tiny/1-3.log").read_text()
    assert "tiny, split 3: it was trained before, and its results are kept" in told
    assert "split 1: epoch 2" in told and "split 3: epoch" not in told
    assert {path: path.read_bytes() for path in files} == files
    assert not any(path.is_file() for path in (copy.results / "scratch").rglob("*"))
    assert copy.planned(target(1), target(3)) == {}
    # Back to a job a split, of which a killed Snakemake did not see one end: its marks are all that tells.
    configure(copy)
    assert copy.planned(target(1), target(3)) == {}
    mark = urlsafe_b64encode(target(3).encode()).decode()
    (copy.folder / ".snakemake/incomplete" / mark).write_text('{"external_jobid": null}')
    assert copy.planned(target(1), target(3)) == {"finetune_network": 1}
    copy.snakemake(target(1), target(3))
    assert "split 3: it was trained before" in (copy.results / "logs/finetune_network/tiny/3.log").read_text()
    assert {path: path.read_bytes() for path in files} == files
    # What is forced is trained, and nothing is set aside.
    configure(copy, TRAINING | {"folds_per_job": 2})
    copy.snakemake(target(1), target(3), "--forcerun", "finetune_network")
    told = (copy.results / "logs/finetune_network/tiny/1-3.log").read_text()
    assert "split 1: epoch 2" in told and "split 3: epoch 2" in told


@pytest.mark.slow
def test_an_edit_trains_again_what_turns_out_otherwise_alone(trained, tmp_path):
    copy = Study(shutil.copytree(trained.folder, tmp_path / "copy"))
    path = copy.folder / target(3)
    before, table = path.read_bytes(), pd.read_csv(copy.folder / "data/scores.csv")
    table.assign(anna=0.5).to_csv(copy.folder / "data/scores.csv", index=False)  # one rater's, which no split trains on
    assert copy.planned(target(3))["finetune_network"] == 1
    copy.snakemake(target(3))
    log = copy.results / "logs/finetune_network/tiny/3.log"
    assert "it was trained before" in log.read_text() and path.read_bytes() == before
    assert copy.planned(target(3)) == {}
    table.assign(score=1 - table["score"]).to_csv(copy.folder / "data/scores.csv", index=False)
    copy.snakemake(target(3))
    assert "split 3: epoch 2" in log.read_text() and path.read_bytes() != before


@pytest.mark.slow
def test_a_split_that_diverges_leaves_the_others_their_scores(study):
    draw_splits(study.folder / "data", white_in="2")
    network = MODELS[0] | {"factory": "tiny_networks:build_exploding"}
    rated = {"name": "rated", "images": "data/rated", "splits": "data/splits"}
    training = TRAINING | {"splits": None}
    study.configure(models=[network], ratings=[rated], finetuning=training)
    figures = [f"results/small/figures/{name}.png" for name in ("figure3", "history/tiny")]
    study.snakemake("results/small/finetuned.parquet", *figures)
    assert all((study.folder / path).is_file() for path in figures)
    table = read_table(study.results / "finetuned.parquet").set_index("split")
    after = [name for name in table if name.endswith("_after")]
    assert len(after) == 2 and table.loc[["1", "3"], ["rho", *after]].notna().all(axis=None)
    assert table.loc["2", ["rho", "rho_validation", *after]].isna().all()
    assert list(table["best_epoch"] == 0) == [False, True, False]
    assert table["reason"]["2"].startswith("training diverged: the loss of step") and set(table["reason"]) > {""}
    told = (study.results / "logs/finetune_network/tiny/2.log").read_text()
    assert "warning: training of tiny diverged on 1 of 1 splits (2)" in told and "Traceback" not in told
    gathered = (study.results / "logs/gather_finetuned/tiny.log").read_text()
    assert "warning: training of tiny diverged on 1 of 3 splits, which have no values (2: the loss of step" in gathered
    assert study.planned("results/small/finetuned.parquet") == {}
    # The other splits are what they are where none diverges.
    before = {split: (study.folder / target(split)).read_bytes() for split in (1, 3)}
    scores = {split: read_table(study.results / f"models/tiny/penultimate/{split}/scores.parquet") for split in (1, 3)}
    study.configure(models=[network], ratings=[rated], finetuning=training | {"splits": [1, 3]})
    assert study.planned(target(1), target(3)) == {}
    study.snakemake("results/small/finetuned.parquet")
    assert {split: (study.folder / target(split)).read_bytes() for split in (1, 3)} == before
    for split, known in scores.items():
        again = read_table(study.results / f"models/tiny/penultimate/{split}/scores.parquet")
        pd.testing.assert_frame_equal(again, known)
    without = read_table(study.results / "finetuned.parquet").set_index("split")
    pd.testing.assert_frame_equal(without, table.loc[["1", "3"]])


def draw_splits(data, white_in):
    """Divide the rated images three times; one of them is white, and trained on in one split alone."""
    table, rng = pd.read_csv(data / "scores.csv"), np.random.default_rng(0)
    white = data / "rated" / table["image"][0]
    Image.new("RGB", Image.open(white).size, "white").save(white)
    scores = table["score"] / (2 * table["score"].max())
    (data / "splits").mkdir()
    for split in "123":
        others = rng.permutation(np.arange(1, len(table)))
        order = np.r_[0, others] if split == white_in else np.r_[others, 0]
        for part, images in (("train", order[:24]), ("val", order[24:32]), ("test", order[32:])):
            lines = (f"{table['image'][image]} {scores[image]}\n" for image in images)
            (data / f"splits/{part}_{split}.txt").write_text("".join(lines))


def test_a_study_asks_for_all_its_splits_or_leaves_fine_tuning_out(as_trained):
    configure(as_trained, TRAINING | {"splits": None})
    assert as_trained.planned()["finetune_network"] == 1  # split 2; the others are there
    configure(as_trained, None)
    without = as_trained.planned()
    assert not any("finetun" in rule for rule in without) and "gather_study" in without


def test_a_split_that_is_not_there_is_told_without_a_traceback(as_trained):
    configure(as_trained, TRAINING | {"splits": [7]})
    with pytest.raises(RuntimeError, match="there is no split 7: rated is divided into 3") as raised:
        as_trained.planned()
    assert "Traceback" not in str(raised.value)
