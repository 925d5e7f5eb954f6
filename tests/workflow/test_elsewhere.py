"""A study file in another folder than the one in which Snakemake runs, and one that is made of several files."""

import subprocess
import sys

import pytest
import yaml
from small_study import CONFIG, ROOT
from typer.testing import CliRunner

from layerwise.cli.app import app
from layerwise.config import load_study

pytestmark = pytest.mark.workflow
NETWORK = {"name": "untrained", "model": "alexnet", "weights": "random"}
RATED = {"name": "rated", "folds": 3, "measure": "beauty"}


@pytest.fixture
def asked(study):
    """A study in the folder of its data, a second file that has the ratings, and another folder to run in."""
    (study.folder / "config.yaml").unlink()
    (study.folder / "study.yaml").write_text(yaml.safe_dump(CONFIG | {"models": [NETWORK]}))
    for name in ("more/deeper", "work"):
        (study.folder / name).mkdir(parents=True)
    rated = RATED | {"images": "../../data/rated", "scores": "../../data/scores.csv"}
    (study.folder / "more/deeper/ratings.yaml").write_text(yaml.safe_dump({"ratings": [rated]}))
    return study


def snakemake(study, *arguments):
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--snakefile", str(ROOT / "Snakefile"), *arguments]
    run = {"cwd": study.folder, "env": study.environment(), "capture_output": True, "text": True}
    done = subprocess.run(command, **run)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.slow
def test_a_study_runs_in_another_folder_than_its_own(asked, monkeypatch):
    ceiling, files = "results/small/ceilings/V1.parquet", ["study.yaml", "more/deeper/ratings.yaml"]
    snakemake(asked, ceiling, "--directory", "work", "--configfile", *files, "--config", "imagenet={labels: l.txt}")
    assert (asked.folder / "work" / ceiling).is_file() and not (asked.folder / "results").exists()
    written = asked.folder / "work/results/small/config.yaml"
    said = yaml.safe_load(written.read_text())
    assert said["recordings"][0]["file"] == "../../../data/recordings.nc"  # no path of this machine is in it
    monkeypatch.chdir(asked.folder / "work")
    study = load_study(written)
    assert str(study.recordings[0].file) == "../data/recordings.nc"
    assert (str(study.ratings[0].images), study.ratings[0].measure) == ("../data/rated", "beauty")
    assert str(study.imagenet.labels) == "l.txt"
    monkeypatch.chdir(asked.folder)
    (asked.folder / "study.yaml").rename(asked.folder / "more/old.yaml")  # as if paths counted from the working folder
    refused = CliRunner().invoke(app, ["check-config", "--quick", "--config", "more/old.yaml"])
    assert "more/data/recordings.nc is not there" in str(refused.exception)
    monkeypatch.chdir(asked.folder / "work")
    checked = CliRunner().invoke(app, ["check-config", "--quick", "--config", str(written)])
    assert checked.exit_code == 0 and "not there" not in checked.output, checked.output


@pytest.mark.slow
def test_a_run_says_what_to_write_where_paths_began_in_the_working_folder(asked):
    entry = CONFIG["recordings"][0] | {"regions": ["V1", "IT"]}
    content = CONFIG | {"models": [NETWORK], "recordings": [entry]}
    (asked.folder / "more/old.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(AssertionError, match=r"cannot start:(.|\n)*write '\.\./data/recordings\.nc'") as told:
        snakemake(asked, "results/small/ceilings/V1.parquet", "--configfile", "more/old.yaml")
    assert "Traceback" not in str(told.value)
