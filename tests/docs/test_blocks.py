"""Every block of code in README.md and docs: commands and options are there, YAML is a study's, Python compiles.

Shell blocks are parsed and not run: `make demo` takes five minutes, and most need data. Python of results and of MEG is
run whole, on a small study and on made-up epochs.
"""

import ast
import os
import re
import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import typer
import yaml
from small_results import make_results
from snakemake.cli import get_argument_parser
from written import PAGES, ROOT, blocks, commands

from layerwise.cli.app import app
from layerwise.config.load import validate_study

COMMANDS = typer.main.get_command(app)
NO_CODE = {"", "text"}  # what commands print, and pictures of text
TARGET = re.compile(r"^([\w./-]+):", re.MULTILINE)
RATED = {"ratings": [{"name": "rated", "images": "photographs", "scores": "scores.csv"}]}


def test_languages_are_those_that_are_checked():
    known = {"sh", "python", "yaml", *NO_CODE}
    assert languages() <= known and len(blocks("sh")) > 20 and len(blocks("yaml")) > 5 and len(blocks("python")) > 3


def languages():
    return {language for page in PAGES for language in re.findall(r"^```([^`\n]*)$", page.read_text(), re.MULTILINE)}


@pytest.mark.parametrize("block", blocks("sh"), ids=str)
def test_commands_and_their_options_are_there(block):
    lines = commands(block.text)
    assert lines
    for line in lines:
        check_line(shlex.split(line))


def check_line(words):
    program, *rest = words if "=" not in words[0] else words[1:]  # a variable before the command
    program = Path(program).name
    if program == "srun":
        check_line(rest[next(place for place, word in enumerate(rest) if not word.startswith("--")) :])
    elif program == "source":
        assert rest == [".venv/bin/activate"]
    elif program == "make":
        assert all(word in targets() for word in rest if "=" not in word), rest
    elif program == "podman":
        assert "--file" not in rest or (ROOT / rest[rest.index("--file") + 1]).is_file(), rest
    elif program == "apptainer":
        assert rest[0] == "build" or check_line(rest[rest.index("layerwise.sif") + 1 :]) is None
    elif program == "python":
        assert (ROOT / rest[0]).is_file(), rest[0]
    elif program == "layerwise":
        check_layerwise(rest)
    else:
        assert program == "snakemake", f"no test knows {program}"
        check_snakemake(rest)


def targets():
    text = (ROOT / "Makefile").read_text()
    return {name for venv in (".venv", ".venv-v100") for name in TARGET.findall(text.replace("$(VENV)", venv))}


def check_layerwise(words):
    command, name = COMMANDS, "layerwise"
    while words and words[0] in getattr(command, "commands", {}):
        name, *words = words
        command = command.commands[name]
    assert command is not COMMANDS or words == ["--help"], f"no command {words}"
    if words == ["--help"]:
        return
    given, _, _ = command.make_parser(typer.Context(command, info_name=name)).parse_args(args=list(words))
    lacking = [one.name for one in command.params if one.required and not given.get(one.name)]
    assert lacking == [], f"{name} needs {lacking}"


def check_snakemake(words):
    known = get_argument_parser()
    given, unknown = known.parse_known_args(words)
    assert unknown == [], unknown
    profile = words[words.index("--profile") + 1] if "--profile" in words else "slurm"
    assert profile == "slurm" or (ROOT / profile / "config.yaml").is_file(), profile  # `profile install` makes that one
    assert all("/" in target for target in given.targets), given.targets


def test_commands_that_are_named_in_the_text_are_there():
    named = {
        (page.name, word)
        for page in PAGES
        for word in re.findall(r"`layerwise\s+([a-z][\w-]*(?:\s+[a-z][\w-]*)?)", page.read_text())
    }
    known = {*COMMANDS.commands, *(f"{name} {inner}" for name, inner in groups())}
    assert {(page, word) for page, word in named if not {word.split()[0], " ".join(word.split())} & known} == set()
    assert len(named) > 30


def groups():
    found = COMMANDS.commands.items()
    return [(name, inner) for name, command in found for inner in getattr(command, "commands", {})]


@pytest.mark.parametrize("block", blocks("yaml"), ids=str)
def test_yaml_is_valid_in_a_study(block):
    content = yaml.safe_load(block.text)
    needed = {} if {"recordings", "ratings"} & content.keys() and "finetuning" not in content else RATED
    validate_study({"study": "written", "models": ["resnet18"], **needed, **content}, str(block))


@pytest.mark.parametrize("block", blocks("python"), ids=str)
def test_python_compiles(block):
    ast.parse(block.text, str(block))


def test_results_in_python_run_whole(tmp_path, rng, monkeypatch):
    made = make_results(tmp_path / "results/demo", rng)
    monkeypatch.chdir(tmp_path)
    space = run("docs/python.md")
    assert space["r"].dims == ("layer", "split", "neuroid") and space["kind"] == "activations"
    np.testing.assert_allclose(space["column"][0], np.median(made.r["alexnet", "V1"]["conv"], axis=1).mean())
    assert space["gram"].shape == (12, 12)
    start = next(block for block in blocks("python") if block.page == "docs/start.md")
    exec(compile(start.text, str(start), "exec"), space)
    assert len(space["best"]) == 2


def run(page):
    space = {}
    for block in blocks("python"):
        if block.page == page and block.run:
            exec(compile(block.text, str(block), "exec"), space)
    return space


def test_meg_runs_whole(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    block = next(block for block in blocks("python") if block.page == "docs/own-data.md")
    epochs, times = np.arange(2 * 3 * 50.0).reshape(2, 3, 50), np.linspace(0, 0.3, 50)
    given = {"np": np, "pd": pd, "epochs": epochs, "times": times, "sensors": "abc"}
    exec(compile(block.text, str(block), "exec"), given)
    assert np.load("meg.npy").shape == (2, 6) and len(pd.read_csv("sensors.csv")) == 6


def test_what_shows_no_code_holds_none():
    for block in blocks(*NO_CODE):
        first = block.text.split()[0]
        assert first not in ("snakemake", "make", "python") or os.sep in first, block
