"""What a step learns of its SLURM job; tests/slurm asks a real one."""

import os
import sys

import pytest

from layerwise.cli import app
from layerwise.interfaces import StoppedError
from layerwise.interfaces.environment import REQUEUE
from layerwise.steps import cluster

RUNNING = "JobId=12 JobName=a b TimeLimit=01:00:00 JobState=RUNNING Reason=None Requeue=1 Restarts=2 EndTime=1795858000"
SCONTROL = """#!/bin/sh
echo "$@" >> {folder}/asked
[ "$SLURM_TIME_FORMAT" = %s ] || exit 3
case "$1" in
  show) cat {folder}/told ;;
  requeue) exit {status} ;;
esac
"""


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """What SLURM tells of the job 12, and what it was asked."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    monkeypatch.setenv(cluster.NUMBER, "12")
    monkeypatch.setenv(REQUEUE, "1")
    monkeypatch.delenv(cluster.END, raising=False)

    def tell(job, status=0):
        (tmp_path / "told").write_text(job)
        script = tmp_path / "bin/scontrol"
        script.write_text(SCONTROL.format(folder=tmp_path, status=status))
        script.chmod(0o755)
        return tmp_path / "asked"

    return tell


@pytest.mark.parametrize(
    ("told", "deadline"), [(None, None), ("", None), ("0", None), ("soon", None), ("1795858000", 1795858000.0)]
)
def test_the_end_of_a_job_is_what_the_cluster_says(monkeypatch, told, deadline):
    monkeypatch.delenv(cluster.NUMBER, raising=False)
    monkeypatch.delenv(cluster.END, raising=False)
    if told is not None:
        monkeypatch.setenv(cluster.END, told)
    assert cluster.job_deadline() == deadline


def test_or_what_it_says_if_it_is_asked(slurm):
    slurm(RUNNING)
    assert cluster.this_job() == cluster.ClusterJob("RUNNING", 1795858000.0, requeues=True, restarts=2)
    assert cluster.job_deadline() == 1795858000.0
    slurm(RUNNING.replace("1795858000", "Unknown"))
    assert cluster.job_deadline() is None


@pytest.mark.parametrize(
    ("told", "given"),
    [
        ("TRES=cpu=2,mem=4000M,node=1,billing=2", 4000 * 2**20),
        ("ReqTRES=cpu=2,mem=1G,node=1 AllocTRES=cpu=2,mem=1.50G,node=1", 3 * 2**29),
        ("TRES=cpu=2,node=1", None),  # of a cluster that does not count memory
        ("", None),
    ],
)
def test_the_memory_of_a_job_is_what_slurm_gave_it(slurm, told, given):
    slurm(f"{RUNNING} {told}")
    job = cluster.this_job()
    assert job is not None and job.memory == given


def test_a_cluster_that_says_nothing_is_told_of(slurm, monkeypatch, caplog):
    slurm("slurm_load_jobs error: Invalid job id specified\n")
    assert cluster.job_deadline() is None
    assert "SLURM says nothing of its job 12: this step stops in time only if a signal tells it to" in caplog.text
    monkeypatch.setenv("PATH", "")
    assert not cluster.start_again()
    assert "SLURM says nothing of this job, which is therefore left to the retries" in caplog.text


@pytest.mark.parametrize(
    ("job", "status", "again"),
    [
        (RUNNING, 0, True),
        (RUNNING, 1, False),
        (RUNNING.replace("RUNNING", "CANCELLED"), 0, False),  # SIGTERM came from scancel
        (RUNNING.replace("RUNNING", "PENDING"), 0, False),  # or from a preemption, after which SLURM starts it again
        (RUNNING.replace("Requeue=1", "Requeue=0"), 0, False),
        (RUNNING.replace("Restarts=2", f"Restarts={cluster.MOST}"), 0, False),
    ],
)
def test_a_job_is_started_again_unless_slurm_has_ended_it(slurm, job, status, again):
    asked = slurm(job, status)
    assert cluster.start_again() == again
    assert ("requeue 12" in asked.read_text().splitlines()) == (again or bool(status))


def test_a_job_of_someones_own_is_left_alone(slurm, monkeypatch):
    asked = slurm(RUNNING)
    monkeypatch.delenv(REQUEUE)
    assert not cluster.start_again()
    assert not asked.exists()


@pytest.mark.parametrize("advanced", [True, False])
def test_a_step_that_stopped_is_started_again_if_it_came_further(slurm, monkeypatch, capsys, advanced):
    asked = slurm(RUNNING)

    def stop():
        raise StoppedError("the time limit is near: half is done", advanced)

    monkeypatch.setattr(app, "app", stop)
    monkeypatch.setattr(app, "_show_plans", lambda: None)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(app.signal, "signal", lambda *_: None)
    with pytest.raises(SystemExit) as ended:
        app.main()
    assert ended.value.code == os.EX_TEMPFAIL
    told = "SLURM starts this job again\n" if advanced else ""
    assert capsys.readouterr().err == f"the time limit is near: half is done\n{told}"
    assert asked.exists() == advanced
