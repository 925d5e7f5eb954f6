"""Jobs that are known without Snakemake, held against those that Snakemake plans."""

from collections import Counter
from pathlib import Path

import pytest
import yaml
from small_study import CONFIG, ROOT

from layerwise.cli.schedule import rerun_lines
from layerwise.config import load_study
from layerwise.study.plan import Plans
from layerwise.study.tasks import list_tasks

pytestmark = pytest.mark.workflow
TRAINED = {"ratings": "rated", "models": ["first"], "splits": [1, 2, 3], "batch_size": 8, "max_epochs": 1}


def known(folder: Path, monkeypatch) -> Counter[str]:
    monkeypatch.chdir(folder)
    return Counter(task.rule for task in list_tasks(Plans(load_study(Path("config.yaml")))).tasks)


@pytest.mark.parametrize("folds_per_job", [1, 2, 3])
def test_all_jobs_of_a_study_are_known(study, monkeypatch, folds_per_job):
    models = [{"name": "first", "model": "alexnet"}, {"name": "untrained", "model": "resnet18", "weights": "random"}]
    rating = CONFIG["ratings"][0] | {"rater_columns": ["anna", "ben"]}
    profiled = TRAINED | {"folds_per_job": folds_per_job, "profile": folds_per_job == 2}
    study.configure(models=models, ratings=[rating], finetuning=profiled)
    assert known(study.folder, monkeypatch) == study.planned()


def test_of_a_network_of_ones_own_what_follows_its_list_of_layers_is_not(study, monkeypatch):
    jobs = known(study.folder, monkeypatch)
    assert jobs["list_layers"] == study.planned()["list_layers"] == 1
    plans = Plans(load_study(study.folder / "config.yaml"))
    assert list_tasks(plans).unknown == ["tiny: a job lists its layers first, and what runs over them is counted then"]


def test_recordings_on_the_same_images_are_shown_once(study, monkeypatch):
    first = CONFIG["recordings"][0]
    labels = first.get("regions") or ["V1"]
    again = {**first, "name": "again", "regions": {label: f"{label}_again" for label in labels}, "measures": ["rsa"]}
    study.configure(models=["alexnet"], recordings=[first, again], finetuning=None)
    jobs = known(study.folder, monkeypatch)
    assert jobs == study.planned()
    assert jobs["extract_activations"] == jobs["pack_stimuli"] == 1 + len(CONFIG["ratings"])
    assert jobs["estimate_ceiling"] > jobs["extract_activations"]


def test_the_papers_study(study, monkeypatch):
    paper = yaml.safe_load((ROOT / "config.yaml").read_text())
    (study.folder / "config.yaml").write_text(yaml.safe_dump(paper | {"models": ["resnet18", "cornet_s"]}))
    assert known(study.folder, monkeypatch) == study.planned()


def test_what_snakemake_would_run_is_told_with_its_reasons(study, monkeypatch):
    study.configure(models=["alexnet"], recordings=[], finetuning=None)
    monkeypatch.chdir(study.folder)
    lines = list(rerun_lines(Path("config.yaml")))
    planned = study.planned()
    assert planned["plot_depth"] == 1 and planned == known(study.folder, monkeypatch)
    assert lines[1] == "Snakemake would run:"
    assert [line for line in lines if line.startswith("  ")][: len(planned)] == [
        f"  {rule}: {count}" for rule, count in planned.items()
    ]
    assert any(line.startswith("  output files have to be generated: ") for line in lines)
    (study.folder / "config.yaml").write_text("study: [")
    with pytest.raises(ValueError, match="Snakemake cannot plan it: "):
        list(rerun_lines(Path("config.yaml")))
