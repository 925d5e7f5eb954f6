"""The workflow plans the export of recordings that are not there, and of no others."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from layerwise.data.recordings import write_recordings
from layerwise.interfaces import Recordings, StimulusSet

ROOT = Path(__file__).resolve().parents[2]
CONFIG = """\
study: exported
models: [alexnet]
recordings:
  - {{name: v4, brainscore: MajajHong2015.public, file: {file}, images: images, regions: [V4], visual_degrees: 8}}
  - {{name: it, brainscore: MajajHong2015.public, file: {file}, images: images, regions: [IT], visual_degrees: 8}}
storage: {{results: {results}}}
"""


def plan(folder):
    config = folder / "config.yaml"
    config.write_text(CONFIG.format(file=folder / "majajhong.nc", results=folder / "results"))
    command = [sys.executable, "-m", "snakemake", "-n", "--quiet", "rules", "--configfile", config]
    environment = os.environ | {"XDG_CACHE_HOME": str(folder)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return [line.split()[0] for line in done.stdout.splitlines() if line.startswith("export_recordings")]


def test_a_file_that_two_recordings_share_is_exported_once(tmp_path):
    assert set(plan(tmp_path)) == {"export_recordings_it"}


def test_a_file_that_is_there_is_not_exported(tmp_path):
    record(tmp_path / "majajhong.nc", tmp_path)
    assert plan(tmp_path) == []


def record(path, folder):
    """Write a file of recordings as an export does."""
    (folder / "images").mkdir(exist_ok=True)
    names = tuple(f"{number}.png" for number in range(40))
    for name in names:
        Image.new("RGB", (4, 4)).save(folder / "images" / name)
    images = StimulusSet("shown", names, tuple(folder / "images" / name for name in names))
    responses = np.random.default_rng(0).normal(size=(2, 40, 2))
    write_recordings(Recordings(responses, names, ("a", "b"), ("V4", "IT")), path, images)


STUB = """
import shutil
import sys

NAME = "one"
shutil.copy("recorded.nc", sys.argv[sys.argv.index("--output") + 1])
open("exported", "a").write(NAME)
"""


def test_a_file_that_other_code_exported_is_exported_again(tmp_path):
    """In a copy of the workflow, whose script is replaced by one that needs no network."""
    for name in ("Snakefile", "workflow", "envs"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / name)
    file, script = tmp_path / "majajhong.nc", tmp_path / "workflow/scripts/export_brainscore.py"
    script.write_text(STUB)
    record(tmp_path / "recorded.nc", tmp_path)
    (tmp_path / "config.yaml").write_text(CONFIG.format(file=file, results=tmp_path / "results"))

    def snakemake(*arguments):
        environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path), "PYTHONPATH": str(ROOT / "src")}
        command = [sys.executable, "-m", "snakemake", str(file), "--cores", "1", *arguments]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    snakemake()
    assert (tmp_path / "exported").read_text() == "one"
    script.write_text(f"# other prose\n{STUB}")
    assert "Nothing to be done" in snakemake("-n")
    script.write_text(STUB.replace("one", "two"))
    snakemake()
    assert (tmp_path / "exported").read_text() == "onetwo"


@pytest.mark.parametrize("key", ["images", "regions", "visual_degrees"])
def test_the_config_must_say_what_the_plan_needs(key):
    from layerwise.config.data import RecordingEntry

    entry = {"name": "it", "brainscore": "MajajHong2015.public", "file": "x.nc"}
    rest = {"images": "images", "regions": ["IT"], "visual_degrees": 8}
    assert RecordingEntry.model_validate(entry | rest).brainscore == "MajajHong2015.public"
    del rest[key]
    with pytest.raises(ValueError, match="need `images`, `regions` and `visual_degrees`"):
        RecordingEntry.model_validate(entry | rest)
