"""`layerwise show`, `cite` and `tables`."""

import pandas as pd
import pytest
import yaml
from typer.testing import CliRunner

from layerwise.cli.app import app
from layerwise.files.tables import write_table


@pytest.fixture
def study(tmp_path):
    content = {
        "study": "small",
        "models": ["alexnet"],
        "recordings": [{"name": "movies", "file": "movies.nc", "regions": ["V1"]}],
        "ratings": [{"name": "mine", "images": "photos", "scores": "scores.csv", "measure": "beauty"}],
        "storage": {"results": str(tmp_path)},
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(content))
    return tmp_path


def run(*words):
    return CliRunner().invoke(app, list(map(str, words)))


def test_results_that_are_there_are_printed_and_the_others_named(study):
    row = {"region": "V1", "measure": "beauty", "rho": 0.512, "low": 0.4, "high": 0.6, "n_layers": 16862}
    write_table(pd.DataFrame([row]), study / "small/tables/correlations.parquet")
    scores = pd.DataFrame({"model": ["[red]a[/red]", "b"], "beauty": [0.1, 0.2], "beauty_layer": ["x", "y"]})
    write_table(scores, study / "small/tables/network_scores.parquet")
    done = run("show", "--config", study / "config.yaml")
    assert done.exit_code == 0, done.output
    assert "0.512 [0.400, 0.600]" in done.output and "16,862" in done.output
    assert done.output.index("│ b ") < done.output.index("[red]a[/red]")  # the highest first, and no markup
    assert "not there yet: network_correlations, reproduction" in done.output
    assert "simulated" not in done.output


def test_simulated_results_are_marked_and_the_papers_numbers_say_why_they_are_not_there(study):
    table = pd.DataFrame({"quantity": ["a"], "paper": 0.4, "ours": float("nan"), "reason": "its tables are simulated"})
    table.attrs["simulated"] = "by a test"
    write_table(table, study / "small/tables/reproduction.parquet")
    done = run("show", "--config", study / "config.yaml")
    assert "(simulated data)" in done.output and "its tables are simulated" in done.output


def test_a_study_without_ratings_lists_its_best_layers_and_misses_no_table_that_it_never_makes(study):
    content = yaml.safe_load((study / "config.yaml").read_text())
    (study / "config.yaml").write_text(yaml.safe_dump({key: content[key] for key in content if key != "ratings"}))
    (study / "small").mkdir()
    assert "not there yet: models;" in run("show", "--config", study / "config.yaml").output
    models, layers = ["a", "b", "c", "a"], ["x", "y", None, "z"]
    rows = {"model": models, "target": ["V1"] * 3 + ["V1_rsa"], "best_layer": layers, "value": [0.1, 0.2, None, -0.3]}
    write_table(pd.DataFrame(rows), study / "small/tables/models.parquet")
    shown = run("show", "--config", study / "config.yaml").output
    first, second = shown.split("Highest V1_rsa of a layer")
    assert "Highest V1 of a layer" in first and first.index("│ y ") < first.index("│ x ")
    assert "│ c " not in first and "-0.300" in second
    assert "not there yet" not in shown


def test_a_study_without_recordings_says_what_its_training_reached(study):
    content = yaml.safe_load((study / "config.yaml").read_text()) | {"recordings": [], "finetuning": {}}
    (study / "config.yaml").write_text(yaml.safe_dump(content))
    (study / "small").mkdir()
    assert "not there yet: models, finetuned;" in run("show", "--config", study / "config.yaml").output
    rows = {"model": ["alexnet"] * 2, "split": ["1", "2"], "rho": [0.3, 0.5]}
    write_table(pd.DataFrame(rows), study / "small/finetuned.parquet")
    shown = run("show", "--config", study / "config.yaml").output
    assert "after fine-tuning" in shown and "│ alexnet │ 0.400 │" in shown and "not there yet: models;" in shown


@pytest.mark.parametrize("kept_in", ["studies", "results/small"])
def test_a_command_outside_of_the_folder_of_the_run_is_told_where_results_are(study, tmp_path, monkeypatch, kept_in):
    content = yaml.safe_load((study / "config.yaml").read_text())
    config = tmp_path / "a run" / kept_in / "config.yaml"
    config.parent.mkdir(parents=True)
    config.write_text(yaml.safe_dump({key: content[key] for key in content if key != "storage"}))
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    looked = f"no folder {tmp_path}/other/results/small: results count from the working folder of Snakemake; "
    there = tmp_path / "a run/results/small"
    if not there.is_dir():
        assert str(run("show", "--config", config).exception) == looked + "go to where it ran, or run it first"
        there.mkdir(parents=True)
    advice = f"there is one in {tmp_path}/a run, so `cd '{tmp_path}/a run'` first"
    assert str(run("show", "--config", config).exception) == looked + advice
    assert run("status", "--config", config).output.splitlines()[0] == looked + advice
    monkeypatch.chdir(tmp_path / "a run")
    assert "not there yet: correlations" in run("show", "--config", config).output
    assert run("status", "--config", config).output.startswith("stage")


def test_bibtex_is_printed_and_what_has_no_entry_told(study):
    done = run("cite", "--config", study / "config.yaml")
    assert done.stdout.startswith("@misc{layerwise,") and "krizhevsky2014" in done.stdout
    assert "no entry is known for the recordings movies: cite its source yourself" in done.stderr


def test_tables_are_described():
    assert run("tables").stdout.startswith("# Tables of a study")
