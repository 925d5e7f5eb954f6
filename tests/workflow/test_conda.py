"""Jobs in an environment that Snakemake makes with conda, or with a stand-in for it where there is none."""

import hashlib
import importlib.util
import os
import shutil
from pathlib import Path

import pytest
import rattler_conda
from small_study import CONFIG, ROOT

LOCKS = ["layerwise", "v100", "brainscore"]
WITH_CONDA = ("--software-deployment-method", "conda")


@pytest.fixture
def conda(tmp_path):
    """The folder of the command."""
    found = shutil.which("conda")
    if found:
        return Path(found).parent
    if importlib.util.find_spec("rattler") is None:
        pytest.skip("no conda here, and no py-rattler for a stand-in (pip install py-rattler)")
    return rattler_conda.make_conda(tmp_path / "conda")


@pytest.mark.parametrize("name", LOCKS)
def test_an_environment_is_made_anew_when_its_lock_changes(name):
    lock = (ROOT / f"envs/{name}.lock").read_bytes()
    script = (ROOT / f"envs/{name}.post-deploy.sh").read_text()
    assert hashlib.sha256(lock).hexdigest() in script, "make lock"
    assert f"software/{name}.lock" in script
    assert (ROOT / f"envs/{name}.yaml").is_file()


# Python runs it whenever it starts.
SAYS_SO = """\
import os, sys
with open(os.environ["SAID"], "a") as said:
    print(sys.prefix, *sys.orig_argv, file=said)
"""


@pytest.mark.slow
@pytest.mark.workflow
def test_a_network_is_scored_there_as_it_is_here(study, conda):
    """The packages of the lock are installed, gigabytes; jobs have these and nothing of Snakemake's own."""
    study.configure(models=[CONFIG["models"][1]])
    scores = study.results / "models/untrained/brain/IT"
    target = "results/small/models/untrained/layers.parquet"
    environment = {"PATH": f"{conda}:{os.environ['PATH']}", "SAID": str(study.folder / "said.txt")}
    study.snakemake(target, *WITH_CONDA, "--conda-create-envs-only", **environment)
    (made,) = (study.folder / ".snakemake/conda").glob("*_/lib/python*/site-packages")
    assert (made / "torch").is_dir() and not [*made.glob("layerwise*")]
    (made / "sitecustomize.py").write_text(SAYS_SO)
    study.snakemake(target, *WITH_CONDA, **environment)
    said = (study.folder / "said.txt").read_text().splitlines()
    steps = [line for line in said if "software/0" in line and "/bin/layerwise" in line]
    assert {line.split()[0] for line in said} == {str(made.parents[2])}
    assert any("score-brain" in line for line in steps) and any("gather-model" in line for line in steps)
    there = {path.name: path.read_bytes() for path in scores.glob("*.parquet")}
    study.snakemake(target, "--forceall")
    assert there and there == {path.name: path.read_bytes() for path in scores.glob("*.parquet")}
