"""The workflow as a module of another one whose config lies elsewhere, and as the workflow catalog finds it."""

import os
import re
import shutil
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

# What snakedeploy 0.17.1 writes (`snakedeploy deploy-workflow URL . --tag TAG`), but for a space at the end of a line.
DEPLOYED = """
from snakemake.utils import min_version


min_version("6.10.0")


configfile: "config/config.yaml"


# declare https://github.com/someone/layerwise as a module
module layerwise:
    snakefile:
        github("someone/layerwise", path="workflow/Snakefile", tag="v0")
    config:
        config


# use all rules from https://github.com/someone/layerwise
use rule * from layerwise
"""


def snakemake(folder, *arguments, **changes):
    path = os.pathsep.join([str(Path(__file__).parent), str(ROOT / "src")])
    environment = os.environ | {"PYTHONPATH": path} | changes
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
    beside = yaml.safe_dump(config).replace("data/", "../data/")  # its paths count from its folder
    (study.folder / "elsewhere/study.yaml").write_text(beside)
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
    written = yaml.safe_load((mine.results / "config.yaml").read_text())
    assert written["ratings"][0]["scores"] == "../../data/scores.csv"


@pytest.fixture
def host(tmp_path):
    """Variables by which git takes the files of this checkout for a repository of a host."""
    listed = ["git", "ls-files", "-z", "--", "Snakefile", "workflow", "envs"]
    files = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    repository = tmp_path / "host/someone/layerwise"
    for name in filter(None, files.split("\0")):
        (repository / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, repository / name)
    for command in ("init --quiet", "add .", "commit --quiet --message all", "tag v0"):
        own = ["git", "-C", repository, "-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
        subprocess.run([*own, *command.split()], check=True)
    here = {"KEY_0": f"url.{(tmp_path / 'host').as_uri()}/.insteadOf", "VALUE_0": "https://github.com/", "COUNT": "1"}
    return {f"GIT_CONFIG_{name}": value for name, value in here.items()} | {"XDG_CACHE_HOME": str(tmp_path / "cache")}


def test_all_jobs_are_planned_where_snakedeploy_put_the_workflow(mine, host):
    (mine.folder / "elsewhere").rename(mine.folder / "config")
    (mine.folder / "config/study.yaml").rename(mine.folder / "config/config.yaml")
    (mine.folder / "Snakefile").unlink()
    (mine.folder / "workflow").mkdir()
    (mine.folder / "workflow/Snakefile").write_text(DEPLOYED)
    planned = snakemake(mine.folder, "--dry-run", "--printshellcmds", **host)
    assert "make_study" in planned and "score_brain" in planned
    exported = re.search(r"python (\S*) MajajHong2015.public", planned)
    script = (ROOT / "workflow/scripts/export_brainscore.py").read_text()
    assert Path(exported[1]).read_text() == script.rstrip()  # git gives it to Snakemake so


# Python runs it when it starts.
WITHOUT = """
import sys

class Finder:
    def find_spec(name, *_):
        if name == "layerwise":
            raise ModuleNotFoundError("No module named 'layerwise'", name=name)

sys.meta_path.insert(0, Finder)
"""


def test_where_layerwise_is_not_installed_a_sentence_says_so(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(WITHOUT)
    command = [sys.executable, "-m", "snakemake", "--dry-run", "--snakefile", str(ROOT / "workflow/Snakefile")]
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode
    said = done.stdout + done.stderr
    assert f"layerwise is not installed where Snakemake is, and the rules plan with it: {sys.executable}" in said
    assert "Traceback" not in said


def test_what_snakedeploy_copies_holds_a_config():
    """It follows links, and its Snakefile names that file."""
    assert (ROOT / "config/config.yaml").read_text() == (ROOT / "config.yaml").read_text()
    assert (ROOT / "profiles/slurm/config.yaml").is_file()


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
