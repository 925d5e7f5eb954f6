"""The recipe of an image and the command that runs jobs within one; no image is built here."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RECIPE = ROOT / "envs/container/Containerfile"
APPTAINER = """#!/bin/sh
printf '%s\\n' "$PYTHONPATH" "$PYTHONNOUSERSITE" "$@"
exit 7
"""


def test_what_the_recipe_copies_is_enough_to_install_from(tmp_path):
    copied = re.findall(r"^COPY (.*) (\S+)$", RECIPE.read_text().replace("${LOCK}", "layerwise"), re.MULTILINE)
    assert copied[0] == ("envs/layerwise.lock", "envs/") and (ROOT / copied[0][0]).is_file()
    for sources, target in copied[1:]:
        for source in map(ROOT.joinpath, sources.split()):
            place = tmp_path / "image" / target
            if source.is_dir():  # whose content is copied
                shutil.copytree(source, place, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                place.mkdir(parents=True, exist_ok=True)
                shutil.copy(source, place)
    install = ["install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation", "--target", tmp_path / "there"]
    subprocess.run([sys.executable, "-m", "pip", *install, tmp_path / "image"], check=True)
    assert (tmp_path / "there/bin/layerwise").is_file()
    assert (tmp_path / "there/layerwise/models/models.tsv").is_file()


def test_packages_of_the_image_are_those_of_the_lock():
    lines = RECIPE.read_text().splitlines()
    installs = [line for line in lines if line.startswith("RUN pip install")]
    assert "--require-hashes --requirement envs/${LOCK}.lock" in installs[0]
    assert len(installs) == 2 and "--no-deps" in installs[1]
    bases = [line for line in lines if line.startswith(("ARG BASE", "FROM "))]
    assert bases == ["ARG BASE=docker.io/library/python:3.11-slim", "FROM ${BASE}"]


def test_a_job_within_the_image_runs_the_code_of_the_checkout(tmp_path):
    apptainer = tmp_path / "apptainer"
    apptainer.write_text(APPTAINER)
    apptainer.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "LAYERWISE_IMAGE": "/shared/with space.sif"}
    command = [ROOT / "envs/container/layerwise", "score-brain", "--model", "a b"]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True)
    within = ["exec", "--nv", "--bind", str(ROOT), "/shared/with space.sif", "layerwise"]
    assert done.stdout.splitlines() == [str(ROOT / "src"), "1", *within, "score-brain", "--model", "a b"]
    assert done.returncode == 7
