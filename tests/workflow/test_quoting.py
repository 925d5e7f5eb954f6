"""Names with blanks and with what a shell would run reach the commands as they are."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
EVIL = "my $(touch ran) `touch ran`; touch ran 'x"
PYTHON = """\
#!{python}
import json, sys
open("given.json", "w").write(json.dumps(sys.argv[1:]))
open(sys.argv[sys.argv.index("--output") + 1], "w").close()
"""
SHLEX = "manifest pca outputs finetuned tables scores files regions histories splits"  # which has quoted these
QUOTED = {"threads", *(f"params.{name}" for name in SHLEX.split())}


@pytest.fixture
def copied(tmp_path):
    """The workflow in a folder with a blank, where no environment lies beside it."""
    place = tmp_path / "the workflow"
    shutil.copytree(ROOT / "workflow", place / "workflow")
    shutil.copytree(ROOT / "envs", place / "envs")
    shutil.copy(ROOT / "Snakefile", place)
    return place / "Snakefile"


def snakemake(folder, *arguments, **environment):
    command = [sys.executable, "-m", "snakemake", "--cores", "1", *arguments, "--configfile", "config.yaml"]
    known = os.environ | {"PYTHONPATH": str(ROOT / "src"), "XDG_CACHE_HOME": str(folder)} | environment
    done = subprocess.run(command, cwd=folder, env=known, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout
    return done.stdout


def configure(folder):
    recordings = [{"name": "it", "brainscore": "MajajHong2015.public", "file": f"{EVIL}.nc", "images": f"im {EVIL}"}]
    recordings[0] |= {"regions": ["IT"], "visual_degrees": 8}
    ratings = [{"name": "rated", "images": f"{EVIL} rated", "scores": f"{EVIL}.csv"}]
    config = {"study": "quoted", "models": ["alexnet"], "recordings": recordings, "storage": {"results": f"{EVIL} out"}}
    (folder / "config.yaml").write_text(yaml.safe_dump(config | {"ratings": ratings}))
    (folder / f"{EVIL} rated").mkdir()
    images = [f"{index}.png" for index in range(40)]
    for image in images:
        (folder / f"{EVIL} rated" / image).touch()
    rows = [f"{image},{index / 40}\n" for index, image in enumerate(images)]
    (folder / f"{EVIL}.csv").write_text("image,score\n" + "".join(rows))


def test_the_export_of_recordings_runs_with_such_names(copied, tmp_path):
    configure(tmp_path)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").write_text(PYTHON.format(python=sys.executable))
    (tmp_path / "bin" / "python").chmod(0o755)
    environment = {"PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    snakemake(tmp_path, f"{EVIL}.nc", "--snakefile", str(copied), **environment)
    script = str(copied.parent / "workflow/scripts/export_brainscore.py")
    given = yaml.safe_load((tmp_path / "given.json").read_text())
    assert given == [script, "MajajHong2015.public", "--output", f"{EVIL}.nc", "--images", f"im {EVIL}"]
    assert not (tmp_path / "ran").exists()


def test_every_command_that_is_planned_has_such_names_as_one_word(copied, tmp_path):
    configure(tmp_path)
    output = snakemake(tmp_path, "--dry-run", "--printshellcmds", "--snakefile", str(copied))
    shown = re.findall(r"^(?:Shell command: |\s*)((?:layerwise|\S*python) .* > .*)$", output, re.MULTILINE)
    commands = [command for command in shown if "Command:" not in command]
    steps = {command.split()[1] for command in commands}
    assert {
        "estimate-ceiling",
        "pack-stimuli",
        "extract-activations",
        "score-brain",
        "gather-model",
        "plot-figure2",
        "make-report",
    } <= steps
    for command in commands:
        words = shlex.split(command)
        assert any(word.startswith(f"{EVIL} out/") for word in words), command
        assert not {"touch", "ran)", "$(touch"} & set(words), command
    assert not (tmp_path / "ran").exists()


def test_nothing_in_a_command_of_a_rule_is_without_quotes():
    found = {}
    for path in [ROOT / "Snakefile", *(ROOT / "workflow/rules").glob("*.smk")]:
        for lines in re.findall(r'(?:shell:\s*|\bshell\()((?:\s*f?"[^"\n]*"\n?)+)', path.read_text()):
            found[path.name] = found.get(path.name, []) + re.findall(r"\{([^}]+)\}", lines)
    assert len(found) > 6
    names = [name for names in found.values() for name in names]
    assert [name for name in names if not name.endswith(":q") and name not in QUOTED] == []
