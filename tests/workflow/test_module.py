"""The workflow as a module of another one whose config lies elsewhere, and as the workflow catalog finds it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from small_study import CONFIG, ROOT

pytestmark = pytest.mark.workflow
SNAKEFILE = """
configfile: "elsewhere/study.yaml"

onstart:
    print("of its own")

module layerwise:
    snakefile: "{snakefile}"
    config: config

use rule * from layerwise

rule everything:
    default_target: True
    input: rules.all.input
"""


def snakemake(folder, *arguments):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), str(ROOT / "src")])}
    command = [sys.executable, "-m", "snakemake", "--cores", "1", *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def mine(study):
    """A study whose Snakefile and config are of another workflow."""
    (study.folder / "config.yaml").unlink()
    (study.folder / "elsewhere").mkdir()
    exported = {"name": "public", "file": "data/public.nc", "images": "data/public", "regions": ["V4"]}
    exported |= {"brainscore": "MajajHong2015.public", "visual_degrees": 8}
    recordings = [*CONFIG["recordings"], exported]
    config = CONFIG | {"models": ["alexnet"], "recordings": recordings}
    (study.folder / "elsewhere/study.yaml").write_text(yaml.safe_dump(config))
    (study.folder / "Snakefile").write_text(SNAKEFILE.format(snakefile=ROOT / "Snakefile"))
    return study


def test_all_jobs_are_planned_and_run_as_a_module(mine):
    planned = snakemake(mine.folder, "--dry-run", "--printshellcmds")
    assert "everything" in planned and "score_brain" in planned
    assert str(ROOT / "workflow/scripts/export_brainscore.py") in planned
    assert not (mine.results / "config.yaml").exists()
    ceiling = "results/small/ceilings/IT.parquet"
    said = snakemake(mine.folder, ceiling)
    assert (mine.folder / ceiling).is_file() and (mine.results / "config.yaml").is_file()
    assert "of its own" in said


def test_what_the_catalog_asks_for_is_there(study):
    about = yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text())["usage"]
    assert about.keys() == {"mandatory-flags", "software-stack-deployment"}
    assert {type(value) for value in about["software-stack-deployment"].values()} == {bool}
    assert (ROOT / "config/README.md").is_file()
    study.configure(models=["alexnet"])
    planned = snakemake(
        study.folder, "--dry-run", "--snakefile", str(ROOT / "workflow/Snakefile"), "--configfile", "config.yaml"
    )
    assert "score_brain" in planned
