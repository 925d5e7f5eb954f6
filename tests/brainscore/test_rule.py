"""The workflow plans the export of recordings that are not there, and of no others."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

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
    (tmp_path / "majajhong.nc").write_bytes(b"")
    assert plan(tmp_path) == []


@pytest.mark.parametrize("key", ["images", "regions", "visual_degrees"])
def test_the_config_must_say_what_the_plan_needs(key):
    from layerwise.config.data import RecordingEntry

    entry = {"name": "it", "brainscore": "MajajHong2015.public", "file": "x.nc"}
    rest = {"images": "images", "regions": ["IT"], "visual_degrees": 8}
    assert RecordingEntry.model_validate(entry | rest).brainscore == "MajajHong2015.public"
    del rest[key]
    with pytest.raises(ValueError, match="need `images`, `regions` and `visual_degrees`"):
        RecordingEntry.model_validate(entry | rest)
