"""A SLURM of this machine's own, up for the tests of this folder, and a study whose jobs can be held."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from slurm_study import ROOT, Cluster, SlurmStudy, make_study

NEEDED = ("munged", "mariadbd", "slurmdbd", "slurmctld", "slurmd", "sbatch")
SANDBOX = ROOT.parent / "shared/reference/slurm"


@pytest.fixture(scope="session")
def cluster():
    """A SLURM with two nodes for CPUs, two with GPUs that are none, and accounting."""
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    if not all(shutil.which(name, path=path) for name in NEEDED):
        pytest.skip("not run against a real SLURM: that needs slurm-wlm, slurmdbd, munge and mariadb-server (apt-get)")
    if not (SANDBOX / "up.sh").is_file():
        pytest.skip("not run against a real SLURM: ../shared/reference/slurm/up.sh, which starts one, is not here")
    folder = Path(tempfile.mkdtemp(prefix="slurm-", dir="/tmp"))  # sockets take paths of 107 characters at most
    try:
        with (folder / "up.log").open("w") as log:
            up = [SANDBOX / "up.sh", folder / "sb"]
            subprocess.run(up, stdout=log, stderr=log, stdin=subprocess.DEVNULL, check=True, timeout=120)
        yield Cluster(folder / "sb")
    finally:
        subprocess.run([SANDBOX / "down.sh", folder / "sb", "--remove"], check=False, timeout=120)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def undisturbed(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlurmStudy]:
    """The study, run on the cluster without a disturbance."""
    study = make_study(tmp_path_factory.mktemp("undisturbed"), cluster)
    try:
        run = study.start()
        assert run.wait() == 0, run.said()
        yield study
    finally:  # also where the tests are stopped: it runs in a session of its own, which Ctrl-C does not reach
        study.end()


@pytest.fixture
def study(undisturbed: SlurmStudy, tmp_path: Path) -> Iterator[SlurmStudy]:
    """The same study, run up to its pixels; what a network computes is not there yet."""
    copy = undisturbed.copy_to(tmp_path)
    yield copy
    copy.end()
