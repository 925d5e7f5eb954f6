"""What docs/data-sets.md and the study files in examples/ say of recipes."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from layerwise.cli.app import app
from layerwise.config import load_study
from layerwise.data.recipes import RECIPES, find_recipe
from layerwise.data.recipes.recipe import check_output

ROOT = Path(__file__).parents[3]
COMMAND = re.compile(r"layerwise data recipe ([\w-]+) --from (\S+) --output (\S+)")
STUDIES = [
    *("tvsd", "triple-n", "things-fmri", "memcat", "figrim", "isola2011", "lnsim"),
    "brainscore-things",
]


def test_the_documents_commands_are_the_recipes():
    text = (ROOT / "docs/data-sets.md").read_text()
    assert {recipe.name for recipe in RECIPES} <= set(re.findall(r"`([\w-]+)`", text))
    commands = COMMAND.findall(text)
    assert len(commands) > 7
    for name, _, output in (command for command in commands if command[0] != "NAME"):
        check_output(find_recipe(name), Path(output))


@pytest.mark.parametrize("name", STUDIES)
def test_a_study_file_takes_what_its_commands_make(name):
    path = ROOT / f"examples/{name}/config.yaml"
    text, study = path.read_text(), load_study(path)
    assert study.study == name
    made = {output: recipe for recipe, _, output in COMMAND.findall(text)}
    taken = {str(entry.file) for entry in study.recordings if not entry.brainscore}
    taken |= {str(entry.scores) for entry in study.ratings}
    assert taken <= set(made) and (made or name == "brainscore-things")
    for output, recipe in made.items():
        check_output(find_recipe(recipe), Path(output))
    assert f"--configfile examples/{name}/config.yaml" in text


def test_what_a_study_file_shows_and_leaves_out_is_valid_too(tmp_path):
    text = (ROOT / "examples/tvsd/config.yaml").read_text()
    head, body = text.split("study: tvsd\n")
    shown = re.sub(r"^  # (- name| +\w+:)", r"  \1", body, flags=re.MULTILINE)
    (tmp_path / "config.yaml").write_text(f"{head}study: tvsd\n{shown}")
    assert [entry.name for entry in load_study(tmp_path / "config.yaml").recordings] == ["tvsd", "tvsd-all"]
    assert len(yaml.safe_load(shown)["recordings"]) == 2


def test_check_config_says_what_is_not_there_yet(monkeypatch):
    monkeypatch.chdir(ROOT)
    done = CliRunner().invoke(app, ["check-config", "--quick", "--config", "examples/triple-n/config.yaml"])
    assert done.exit_code == 0, done.output
    assert "data/triple-n.nc is not there" in done.output and "data/nsd-recognition.csv is not there" in done.output


@pytest.mark.slow
@pytest.mark.parametrize("name", STUDIES)
def test_jobs_are_planned_before_the_data_are_there(tmp_path, name):
    command = [
        sys.executable,
        "-m",
        "snakemake",
        "-n",
        "--quiet",
        "rules",
        "--configfile",
        f"examples/{name}/config.yaml",
    ]
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "gather_study" in done.stdout
