"""What happens on clusters, on a real SLURM: after each fault the tables are those of an undisturbed run."""

import re

import pytest
from slurm_study import make_study, until


@pytest.fixture(scope="module")
def streamed(cluster, tmp_path_factory):
    """The study of a fit in passes, without a disturbance."""
    study = make_study(tmp_path_factory.mktemp("streamed"), cluster)
    study.stream()
    run = study.start()
    assert run.wait() == 0, run.said()
    return study


def finish(study, run, undisturbed, held=None):
    """Let the held jobs go on, and hold the tables against those of the undisturbed run."""
    study.release()
    assert run.wait() == 0, run.said()
    assert study.tables() == undisturbed.tables()
    if held is not None:
        assert study.held == held


def test_an_undisturbed_run_gives_tables_and_a_second_one_does_nothing(undisturbed):
    assert {"layers.parquet", "models/own/layers.parquet"} <= undisturbed.tables().keys()
    again = undisturbed.start()
    assert again.wait() == 0, again.said()
    assert "Nothing to be done" in again.said()


def test_a_cancelled_job_is_submitted_again(study, undisturbed):
    run = study.start_held()
    study.cluster("scancel", *study.cluster.jobs(study.folder))
    until(lambda: study.held == 2, run)
    finish(study, run, undisturbed)


def test_kill_of_snakemake_and_a_second_run(study, undisturbed):
    run = study.start_held()
    run.kill()
    study.cluster("scancel", *study.cluster.jobs(study.folder))
    study.release()
    unlocked = study.start("--unlock")
    assert unlocked.wait() == 0, unlocked.said()
    again = study.start()
    assert again.wait() == 0, again.said()
    assert study.tables() == undisturbed.tables()


def test_ctrl_c_ends_the_run_and_its_jobs(study, undisturbed):
    run = study.start_held()
    run.interrupt()
    assert run.wait() != 0
    assert not study.cluster.jobs(study.folder, "RUNNING,PENDING")
    study.release()
    again = study.start()
    assert again.wait() == 0, again.said()
    assert study.tables() == undisturbed.tables()


@pytest.mark.slow
def test_a_node_that_fails(study, undisturbed):
    run = study.start_held()
    (job,) = study.cluster.jobs(study.folder)
    node = re.search(r" NodeList=(\S+)", study.cluster("scontrol", "show", "job", job)).group(1)
    try:
        study.cluster("scontrol", "update", f"nodename={node}", "state=down", "reason=test")
        until(lambda: study.held == 2, run)
    finally:
        study.cluster("scontrol", "update", f"nodename={node}", "state=idle")
    finish(study, run, undisturbed)


@pytest.mark.slow
def test_a_job_that_slurm_requeues(study, undisturbed):
    run = study.start_held()
    study.cluster("scontrol", "requeue", *study.cluster.jobs(study.folder))
    until(lambda: study.held == 2, run)
    finish(study, run, undisturbed)


@pytest.mark.slow
@pytest.mark.parametrize("requeue", [True, False])
def test_a_job_that_is_preempted(study, undisturbed, requeue):
    changes = {} if requeue else {"slurm-requeue": False, "slurm-no-requeue": True}
    run = study.start_held(**changes)
    for _ in range(2):  # both nodes
        study.cluster("sbatch", "-p", "urgent", "-c", "8", "-t", "1", "-o", "/dev/null", "--wrap", "sleep 5")
    until(lambda: study.held == 2, run)
    finish(study, run, undisturbed)


@pytest.mark.slow
def test_the_accounting_database_is_down(study, undisturbed):
    run = study.start_held()
    pid = int((study.cluster.folder / "pid/slurmdbd").read_text())
    study.cluster("kill", "-STOP", str(pid))
    try:
        finish(study, run, undisturbed, held=1)
    finally:
        study.cluster("kill", "-CONT", str(pid))


@pytest.mark.slow
@pytest.mark.parametrize("why", ["SIGUSR2", "time limit"])
def test_a_fit_that_stops_in_time_is_started_again_without_a_retry(study, streamed, why):
    study.stream()
    slow, limit = study.folder / "slow", ["--set-resources", "stream_memorability:runtime=2"]
    slow.touch()
    run = study.start(*(limit if why == "time limit" else []), retries=0)
    until(lambda: len(slow.read_text()) > 8, run)  # in the second pass
    (job,) = study.cluster.jobs(study.folder)
    if why == "SIGUSR2":
        study.cluster("scancel", "--signal=USR2", job)
    until(lambda: study.cluster.jobs(study.folder, "PENDING"), run)
    (log,) = study.folder.glob("results/held/logs/stream_memorability/**/*.log")
    told = {"SIGUSR2": "SIGUSR2 was received: the fit", "time limit": "the job's time limit is less than"}
    assert told[why] in log.read_text()
    slow.unlink()
    study.cluster("scontrol", "update", f"JobId={job}", "StartTime=now")  # it waits two minutes otherwise
    assert run.wait() == 0, run.said()
    assert "resuming from component" in log.read_text()
    assert "Error" not in run.said()
    assert study.tables() == streamed.tables()
