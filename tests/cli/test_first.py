"""`layerwise init`, `--version` and `-h`, as a user types them."""

import re
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image
from typer.testing import CliRunner

from layerwise.cli.app import app
from layerwise.config import load_study
from layerwise.data.recordings import read_recordings
from layerwise.study.foreseen import find_absences, find_problems

N = 36


def run(*arguments):
    return CliRunner().invoke(app, [*map(str, arguments)])


def init(*arguments):
    done = run("init", "--images", "photos", *arguments)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        return str(done.exception)
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.fixture
def home(tmp_path, rng, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    names = [f"{index:02d}.png" for index in range(N)]
    for name in names:
        Image.new("RGB", (8, 8)).save(f"photos/{name}")
    pd.DataFrame({"what": names[2:], "beauty": rng.random(N - 2)}).to_csv("rated.csv", index=False)
    table = pd.DataFrame(rng.random((2 * N, 3)), columns=["n1", "n2", "n3"])
    table.assign(image=names * 2).to_csv("responses.csv", index=False)
    return names


def test_a_first_study_of_scores_and_responses_is_sound(home):
    told = init(
        "--scores", "rated.csv", "--responses", "responses.csv", "--model", "alexnet", "--output", "my study.yaml"
    )
    assert told.splitlines() == [
        "my study.yaml is written",
        "my study-responses.nc is written",
        "look it over, then: layerwise check-config --config 'my study.yaml'",
    ]
    study = load_study("my study.yaml")
    assert (find_problems(study), find_absences(study)) == ([], [])
    assert (study.study, [entry.name for entry in study.models]) == ("my-study", ["alexnet"])
    (rated,) = study.ratings
    assert (rated.image_column, rated.score_column, rated.measure) == ("what", "beauty", "beauty")
    assert rated.unscored_images == "ignore" and study.regression.components == 25
    recorded = read_recordings("my study-responses.nc")
    table = pd.read_csv("responses.csv")
    np.testing.assert_array_equal(recorded.responses[0], table[["n1", "n2", "n3"]][:N].astype(np.float64))
    assert recorded.responses.shape == (2, N, 3)
    assert run("check-config", "--config", "my study.yaml").stdout.startswith(
        "my study.yaml is valid: study 'my-study'"
    )


def test_a_first_study_in_another_folder_is_the_same_from_any(home, monkeypatch):
    Path("my").mkdir()
    images = str(Path("photos").resolve())
    init("--images", images, "--scores", "rated.csv", "--responses", "responses.csv", "--output", "my/study.yaml")
    written = yaml.safe_load(Path("my/study.yaml").read_text())
    assert (written["recordings"][0]["file"], written["ratings"][0]["scores"]) == ("study-responses.nc", "../rated.csv")
    assert written["ratings"][0]["images"] == images  # as it was given
    monkeypatch.chdir("my")
    study = load_study("study.yaml")
    assert (find_problems(study), find_absences(study)) == ([], [])
    monkeypatch.chdir("/")
    told = run("check-config", "--quick", "--config", f"{images}/../my/study.yaml").stdout
    assert "is valid" in told and "not there" not in told


def test_an_array_is_sent_to_the_import(home):
    np.save("responses.npy", np.zeros((N, 3)))
    assert "an array of responses becomes one by `layerwise data import`" in init("--responses", "responses.npy")
    assert not Path("study.yaml").exists()


def test_what_is_not_there_yet_is_told_beside_what_is_wrong(home):
    init("--scores", "rated.csv", "--model", "alexnet", "--output", "one.yaml")
    text = Path("one.yaml").read_text()
    absent = "\nrecordings: [{name: gone, file: gone.nc, regions: [V1]}]\n"
    Path("one.yaml").write_text(f"{text}{absent}")
    lines = run("check-config", "--quick", "--config", "one.yaml").stdout.splitlines()
    assert lines == [
        "one.yaml is valid: study 'one', 1 network, 1 region, 1 set of ratings",
        "note: recording 'gone': its file gone.nc is not there",
    ]
    Path("one.yaml").write_text(f"{text.replace('alexnet', '{name: own, factory: gone_here:build}')}{absent}")
    told = str(run("check-config", "--quick", "--config", "one.yaml").exception).splitlines()
    assert told[0] == "one.yaml has 1 problem:" and "no module or package 'gone_here'" in told[1]
    assert told[2:] == lines[1:]


def test_recordings_are_taken_as_they_are_and_networks_from_anywhere(home):
    init("--responses", "responses.csv", "--output", "one.yaml", "--visual-degrees", "5")
    init(
        "--responses", "one-responses.nc", "--timm", "convnext_tiny.fb_in1k", "--factory", "os.path:join", "--name", "n"
    )
    study = load_study("study.yaml")
    assert [(entry.name, entry.timm, entry.factory) for entry in study.models] == [
        ("convnext_tiny.fb_in1k", "convnext_tiny.fb_in1k", None),
        ("os.path-join", None, "os.path:join"),
    ]
    assert (study.study, str(study.recordings[0].file)) == ("n", "one-responses.nc")
    assert [entry.name for entry in load_study("one.yaml").models] == ["resnet18"]


def test_few_images_lower_the_components_and_the_folds(home):
    pd.read_csv("rated.csv")[:12].to_csv("few.csv", index=False)
    init("--scores", "few.csv")
    study = load_study("study.yaml")
    assert (study.ratings[0].folds, study.regression.components) == (4, 4)  # 9 are trained on
    assert find_problems(study) == []


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "give --scores, --responses, or both"),
        (("--scores", "none.csv"), r"no table of scores none\.csv"),
        (("--scores", "responses.csv"), r"3 columns of numbers \(n1, n2, n3\): say which is scored"),
        (("--scores", "rated.csv", "--score-column", "beuty"), "no column 'beuty': did you mean 'beauty'"),
        (("--scores", "rated.csv", "--model", "resnet81"), "no network 'resnet81': did you mean resnet18"),
        (("--scores", "rated.csv", "--factory", "nowhere_at_all:build"), "'nowhere_at_all:build' cannot be imported"),
        (("--responses", "responses.csv", "--model", "resnet81"), "no network 'resnet81'"),
        (("--scores", "rated.csv", "--output", "there.yaml"), r"there\.yaml is there already: remove it, or give"),
        (("--scores", "rated.csv", "--images", "nowhere"), "there is no folder nowhere: check --images"),
    ],
)
def test_mistakes_are_told_and_leave_nothing(home, arguments, told):
    Path("there.yaml").write_text("mine")
    before = sorted(Path().iterdir())
    assert re.search(told, init(*arguments))
    assert sorted(Path().iterdir()) == before and Path("there.yaml").read_text() == "mine"


def test_the_version_and_help_are_told():
    assert run("--version").stdout == f"layerwise {version('layerwise')}\n"
    for command in ([], ["check-config"], ["data", "check"], ["models", "list"], ["simulate", "tables"]):
        assert run(*command, "-h").stdout == run(*command, "--help").stdout != ""


@pytest.mark.parametrize(
    "command", [["models", "list"], ["models", "show", "resnet18", "dpn92"], ["layers", "alexnet"]]
)
def test_tables_of_networks_fit_eighty_columns(command, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    lines = run(*command).stdout.splitlines()
    assert len(lines) > 20
    assert [line for line in lines if len(line) > 80 and " " in line.strip()[17:]] == []
