"""What is told of a study once its tables are read whole, and libraries of networks imported."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from layerwise.config import validate_study
from layerwise.data.recordings import write_recordings
from layerwise.interfaces import DegenerateWarning, Recordings, StimulusSet
from layerwise.steps.foreseen import find_deeper_problems
from layerwise.study.foreseen import Problem, find_problems

N = 40


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    names = tuple(f"{index:02d}.png" for index in range(N))
    for name in names:
        Image.new("RGB", (8, 8)).save(tmp_path / "photos" / name)
    images = StimulusSet("photos", names, tuple(tmp_path / "photos" / name for name in names))
    responses = np.random.default_rng(1).normal(size=(2, N, 2)).astype(np.float32)
    responses[:, 24:, 1] = np.nan  # IT has seen 24 stimuli
    columns = {"movie": np.repeat([0, 1, 2, 3, 4], [2, 2, 2, 2, 32])}
    write_recordings(Recordings(responses, names, ("a", "b"), ("V1", "IT"), columns), tmp_path / "movies.nc", images)
    pd.DataFrame({"image": names, "score": np.linspace(0, 1, N)}).to_csv(tmp_path / "scores.csv", index=False)
    pd.DataFrame({"image": names, "score": 0.5}).to_csv(tmp_path / "same.csv", index=False)
    pd.DataFrame({"image": names[1:], "score": np.linspace(0, 1, N - 1)}).to_csv(tmp_path / "less.csv", index=False)
    (tmp_path / "broken_networks_of_mine.py").write_text("raise RuntimeError('no licence')\n\ndef build(): ...\n")
    return tmp_path


def study(models=("alexnet",), regions=("V1",), splits=None, scores="scores.csv", **changes):
    recordings = [{"name": "movies", "file": "movies.nc", "regions": list(regions), "splits": splits or {}}]
    ratings = [{"name": "rated", "images": "photos", "scores": scores}]
    given = {"study": "s", "models": list(models), "recordings": recordings, "ratings": ratings}
    return validate_study(given | changes)


def told(wrong):
    assert find_problems(wrong) == []
    return [str(problem) for problem in find_deeper_problems(wrong, [])]


def test_a_sound_study_has_no_problem(home):
    models = [{"name": "own", "factory": "os.path:join"}, {"name": "tim", "timm": "resnet18.a1_in1k"}]
    assert told(study(models)) == []


def test_networks_that_do_not_exist_are_named(home, monkeypatch):
    monkeypatch.syspath_prepend(str(home))
    models = [
        {"name": "tim", "timm": "checkpoint_filter_fn"},  # a function in timm's text, and no network
        {"name": "own", "factory": "os.path:jion"},
        {"name": "broken", "factory": "broken_networks_of_mine:build"},
    ]
    first, second, third = told(study(models))
    assert first.startswith("model 'tim': timm has no network 'checkpoint_filter_fn'")
    assert second == "model 'own': os.path has no 'jion': did you mean 'join'?"
    assert "model 'broken': " in third and "no licence" in third


NETWORKS = """\
from torch import nn

def build():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
"""


def test_layers_that_give_nothing_are_told_as_the_job_tells_them(home, monkeypatch):
    (home / "networks_with_layers.py").write_text(NETWORKS)
    monkeypatch.syspath_prepend(str(home))
    models = [
        {"name": "right", "timm": "test_vit", "layers": {"which": ["blocks.*"], "tokens": "cls"}},
        {"name": "near", "timm": "test_vit", "layers": ["blocks.*", "blcks.*.attn"]},
        {"name": "own", "factory": "networks_with_layers:build", "layers": ["1", "conv", "relu"]},
        {"name": "few", "model": "squeezenet1_1", "layers": {"which": ["features.3.squeeze"], "pooling": "mean"}},
        {"name": "known", "model": "alexnet", "layers": ["features.0", "dropout"]},
    ]
    known = find_problems(study(models))
    assert [one.name for one in known] == ["known"]
    near, own, few = map(str, find_deeper_problems(study(models), known))
    assert near.startswith("model 'near': layers: no module matches 'blcks.*.attn': the nearest are blocks.")
    told_of = "no module matches {!r}: the nearest are 0, 1"
    assert own == f"model 'own': layers: {told_of.format('conv')}; {told_of.format('relu')}"
    assert few.startswith("model 'few': layers: 'features.3.squeeze' gives no layer") and "gives 16 values" in few


def test_the_smallest_split_is_counted_as_it_is_drawn(home):
    # Of five movies one has 32 frames: quick counts allow for its being trained on, and one draw of ten holds it out.
    splits = {"method": "grouped", "by": "movie", "train_size": 0.8, "seed": 0}
    (problem,) = told(study(splits=splits))
    assert problem.startswith("recording 'movies': the smallest split of V1 trains on 8 stimuli, and 25")


def test_stimuli_that_a_region_has_not_seen_do_not_count(home):
    with pytest.warns(DegenerateWarning, match="16 of 40 stimuli have no response"):
        (problem,) = told(study(regions=["V1", "IT"]))
    assert problem.startswith("recording 'movies': the smallest split of IT trains on 21 stimuli, and 25")


@pytest.mark.parametrize(("distance", "n_problems"), [("correlation", 1), ("euclidean", 0)])
def test_too_few_neuroids_for_rsa_are_told(home, distance, n_problems):
    brain = {"measures": ["pls", "rsa"], "rsa": {"distance": distance}}
    found = told(study(brain=brain))
    assert len(found) == n_problems
    sentence = "recording 'movies': V1: 1 neuroid has a response to every stimulus, and RSA by correlation over"
    assert all(problem.startswith(sentence) for problem in found)


@pytest.mark.parametrize(
    ("scores", "sentence"), [("same.csv", "which have no rank correlation"), ("less.csv", "has no score")]
)
def test_scores_are_read_as_jobs_read_them(home, scores, sentence):
    (problem,) = told(study(scores=scores))
    assert problem.startswith("ratings 'rated': ") and sentence in problem


def test_what_is_known_to_be_wrong_or_not_there_is_left_out(home):
    wrong = study([{"name": "tim", "timm": "checkpoint_filter_fn"}], scores="same.csv")
    known = [Problem("model", "tim", "it is wrong"), Problem("rating", "rated", "it is wrong")]
    assert find_deeper_problems(wrong, known) == []
    (home / "movies.nc").unlink()
    (home / "same.csv").unlink()
    assert find_deeper_problems(study(scores="same.csv"), []) == []
