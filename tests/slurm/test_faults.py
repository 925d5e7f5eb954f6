"""What happens on clusters, on a real SLURM: after each fault the tables are those of an undisturbed run.

Two of these run with all other tests; `make test-slurm` runs the rest.
"""

import os
import re
import shutil
import signal
import subprocess
import time

import pytest
from slurm_study import CONFIG, SCORES, until

from layerwise.study.slurm import earlier_runs

STEPS = {"extract_activations": 1, "score_brain": 1, "gather_model": 1, "gather_study": 1}
# Snakemake sees files of results six seconds late, as over a network file system that keeps what it knew of a folder.
LATE = """
import os, stat, sys, time

if "snakemake" in sys.orig_argv:
    real = os.stat

    def late(path, *rest, **options):
        found = real(path, *rest, **options)
        name = str(path) if isinstance(path, int) else os.fsdecode(path)
        if "results/held" in name and stat.S_ISREG(found.st_mode) and time.time() - found.st_ctime < 6:
            with open("seen_late", "a") as file:
                file.write(f"{name}\\n")
            raise FileNotFoundError(2, "No such file or directory", path)
        return found

    os.stat = late
"""


@pytest.fixture(scope="module")
def streamed(undisturbed, tmp_path_factory):
    """The study of a fit in passes, without a disturbance."""
    study = undisturbed.copy_to(tmp_path_factory.mktemp("streamed"))
    study.stream()
    try:
        run = study.start(SCORES)
        assert run.wait() == 0, run.said()
        yield study
    finally:
        study.end()


def finish(study, run, undisturbed, held=None, started=1):
    """Let the held jobs go on; the tables are those of the undisturbed run, and nothing else was computed twice."""
    study.release()
    assert run.wait() == 0, run.said()
    assert study.tables() == undisturbed.tables()
    assert run.jobs() == STEPS | {"extract_activations": started}
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
    finish(study, run, undisturbed, started=2)


@pytest.mark.slow
def test_a_cancelled_job_is_submitted_again_where_accounting_is_asked(study, undisturbed):
    run = study.start_held(**{"slurm-status-command": "sacct"})
    study.cluster("scancel", *study.cluster.jobs(study.folder))
    until(lambda: study.held == 2, run)
    finish(study, run, undisturbed, started=2)


@pytest.mark.slurm
def test_kill_of_snakemake_and_a_second_run(study, undisturbed):
    run = study.start_held()
    run.kill()
    name = re.search(r"SLURM run ID: (\S+)", run.said()).group(1)
    early = study.start(SCORES)
    assert early.wait() != 0
    assert "can be removed with the --unlock argument" in early.said()
    unlocked = study.start("--unlock")
    assert unlocked.wait() == 0, unlocked.said()
    left = earlier_runs(study.folder, ask=lambda command: study.cluster(*command))
    assert left.startswith("1 job of another run in this folder") and f"`scancel --name={name}`" in left
    study.cluster("scancel", f"--name={name}")
    until(lambda: not study.cluster.jobs(study.folder))
    again = study.start(SCORES)
    until(lambda: study.held == 2, again)
    finish(study, again, undisturbed)


@pytest.mark.slurm
def test_ctrl_c_ends_the_run_and_its_jobs(study, undisturbed):
    run = study.start_held()
    run.interrupt()
    assert run.wait(120) != 0
    assert not study.cluster.jobs(study.folder, "RUNNING,PENDING")
    again = study.start(SCORES)
    finish(study, again, undisturbed)


@pytest.mark.slurm
def test_a_node_that_fails(study, undisturbed):
    run = study.start_held()
    (job,) = study.cluster.jobs(study.folder)
    node = re.search(r" NodeList=(\S+)", study.cluster("scontrol", "show", "job", job)).group(1)
    try:
        study.cluster("scontrol", "update", f"nodename={node}", "state=down", "reason=test")
        until(lambda: study.cluster.jobs(study.folder, "PENDING"), run)
        study.start_now(job)
        until(lambda: study.held == 2, run)
    finally:
        if "down" in study.cluster("sinfo", "--noheader", "--node", "--nodes", node, "--format=%T"):
            study.cluster("scontrol", "update", f"nodename={node}", "state=idle")  # it is mostly back by itself
    finish(study, run, undisturbed)


@pytest.mark.slurm
def test_a_job_that_slurm_requeues(study, undisturbed):
    run = study.start_held()
    (job,) = study.cluster.jobs(study.folder)
    study.cluster("scontrol", "requeue", job)
    until(lambda: study.cluster.jobs(study.folder, "PENDING"), run)
    study.start_now(job)
    until(lambda: study.held == 2, run)
    finish(study, run, undisturbed)


def preempt(study):
    for _ in range(2):  # both nodes
        study.cluster("sbatch", "-p", "urgent", "-c", "8", "-t", "1", "-o", "/dev/null", "--wrap", "sleep 5")


@pytest.mark.slurm
def test_a_job_that_is_preempted(study, undisturbed):
    run = study.start_held()
    (job,) = study.cluster.jobs(study.folder)
    preempt(study)
    until(lambda: study.cluster.jobs(study.folder, "PENDING"), run)
    study.start_now(job)
    until(lambda: study.held == 2, run)
    finish(study, run, undisturbed)


@pytest.mark.slurm
def test_a_job_that_is_preempted_and_not_requeued_counts_as_cancelled(study, undisturbed):
    run = study.start_held(**{"slurm-requeue": False, "slurm-no-requeue": True})
    preempt(study)
    until(lambda: study.held == 2, run)
    finish(study, run, undisturbed, started=2)
    assert "each costs one of the retries" in run.said() and "it counts as cancelled" in run.said()


@pytest.mark.slurm
def test_a_job_that_slurm_cancels_to_preempt_it_is_started_again(study, undisturbed):
    study.cluster("scontrol", "update", "partitionname=cpu", "preemptmode=cancel")
    try:
        run = study.start_held()
        (job,) = study.cluster.jobs(study.folder)
        preempt(study)
        until(lambda: study.cluster.jobs(study.folder, "PENDING"), run)
    finally:
        study.cluster("scontrol", "update", "partitionname=cpu", "preemptmode=requeue")
    study.start_now(job)
    until(lambda: study.held == 2, run)
    finish(study, run, undisturbed)
    assert "SLURM cancels jobs of cpu" in run.said() and f"job {job} was taken away" in run.said()


@pytest.mark.slurm
def test_the_accounting_database_is_down(study, undisturbed):
    run = study.start_held()
    pid = int((study.cluster.folder / "pid/slurmdbd").read_text())
    os.kill(pid, signal.SIGSTOP)
    try:
        finish(study, run, undisturbed, held=1)
    finally:
        os.kill(pid, signal.SIGCONT)


@pytest.mark.slurm
def test_memory_that_runs_out_is_asked_for_again_twice_as_much(study, undisturbed):
    (asked,) = map(int, undisturbed.first.requests("extract_activations", "mem_mb"))
    (study.folder / "greedy").write_text(f"{1.1 * asked:.0f}")
    run = study.start(SCORES)
    assert run.wait() == 0, run.said()
    first, second = map(int, run.requests("extract_activations", "mem_mb"))
    assert first == asked and 2 * asked - 1 <= second <= 2 * asked + 1
    assert study.tables() == undisturbed.tables()
    assert run.jobs() == STEPS | {"extract_activations": 2}


@pytest.mark.slurm
def test_a_mistake_is_tried_once_in_a_run_and_again_in_the_next(study, undisturbed):
    image, (pixels,) = study.images()[0], study.folder.glob("results/held/stimuli/recorded/*.h5")
    whole = image.read_bytes()
    image.write_bytes(whole[:100])
    pixels.unlink()
    run = study.start(SCORES)
    assert run.wait() != 0
    assert run.submitted() == {"pack_stimuli": 3}
    first, *others = re.findall(rf"^ *(cannot read the image \S*{image.name}.*)$", run.said(), re.MULTILINE)
    assert "not tried again" not in first and "Traceback" not in run.said()
    assert others == 2 * [f"{first} (so said an earlier attempt of this run: not tried again)"]
    image.write_bytes(whole)
    again = study.start(SCORES)
    assert again.wait() == 0, again.said()
    assert again.jobs() == STEPS | {"pack_stimuli": 1}
    assert study.tables() == undisturbed.tables()


@pytest.fixture
def small_disk(study):
    """Results on a disk of 20 MB."""
    results = study.folder / "results"
    results.rename(study.folder / "kept")
    results.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=20m", "tmpfs", results], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"a disk that may be filled needs root: {mounted.stderr.decode().strip()}")
    try:
        shutil.copytree(study.folder / "kept", results, dirs_exist_ok=True)
        yield results
    finally:
        subprocess.run(["umount", "--lazy", results], check=True)


@pytest.mark.slurm
def test_a_disk_that_is_full(study, small_disk, undisturbed):
    room = shutil.disk_usage(small_disk).free - 2**15  # for logs; activations take 44 KB
    (small_disk / "filler").write_bytes(bytes(room))
    run = study.start(SCORES, retries=0)
    assert run.wait() != 0
    assert re.search("error: the disk is full .*free some space and run the command again", run.said())
    assert study.tables() == {name: text for name, text in undisturbed.tables().items() if "ceilings" in name}
    (small_disk / "filler").unlink()
    study.hold()
    finish(study, study.start(SCORES), undisturbed)


@pytest.mark.slurm
def test_output_that_shows_late(study, undisturbed):
    (study.folder / "late").mkdir()
    (study.folder / "late/sitecustomize.py").write_text(LATE)
    time.sleep(7)  # what was copied is old by then
    run = study.start(SCORES, path=study.folder / "late")
    assert run.wait() == 0, run.said()
    late = set((study.folder / "seen_late").read_text().split())
    assert any("activations/recorded.h5" in name for name in late) and any("brain" in name for name in late)
    assert study.tables() == undisturbed.tables()
    assert run.jobs() == STEPS


@pytest.mark.slurm
def test_a_second_snakemake_in_the_folder_is_refused(study, undisturbed):
    run = study.start_held()
    second = study.start(SCORES)
    assert second.wait() != 0
    assert "cannot be locked. Please make sure that no other Snakemake process" in second.said()
    finish(study, run, undisturbed, held=1)


@pytest.mark.slow
def test_a_second_one_from_another_folder_over_the_same_results_is_refused(study, undisturbed, tmp_path):
    results = str(study.folder / "results")
    second = study.copy_to(tmp_path / "second")
    second.configure(storage={"results": results})
    target = f"{results}/held/layers.parquet"
    run = study.start_held()
    try:
        refused = second.start(target)
        assert refused.wait() != 0
        told = f"{results}/held is in use by another run, process {run.process.pid} on "
        assert told in refused.said() and f" in {study.folder} since " in refused.said()
        assert "Traceback" not in refused.said() and not refused.submitted()
        run.kill()
        study.cluster("scancel", *study.cluster.jobs(study.folder))
        until(lambda: not study.cluster.jobs(study.folder))
        goes_on = second.start(target)  # the first one is gone: nothing is to be deleted
        assert goes_on.wait() == 0, goes_on.said()
        assert study.tables() == undisturbed.tables()
    finally:
        second.end()


@pytest.mark.slurm
def test_a_network_that_is_added_changed_or_removed_runs_alone(undisturbed, tmp_path):
    study = undisturbed.copy_to(tmp_path, everything=True)
    before = study.tables()
    other = CONFIG["models"][0] | {"name": "other"}
    study.configure(models=[*CONFIG["models"], other])
    run = study.start(SCORES)
    assert run.wait() == 0, run.said()
    assert run.jobs() == STEPS | {"list_layers": 1}
    kept = {name: text for name, text in study.tables().items() if "models/own" in name}
    assert kept == {name: text for name, text in before.items() if "models/own" in name}
    study.configure(models=[*CONFIG["models"], other | {"seed": 5}])
    changed = study.start(SCORES, "--dry-run")
    assert changed.wait() == 0 and changed.planned() == {"list_layers", "gather_model", "gather_study"}, changed.said()
    study.configure()
    removed = study.start(SCORES)
    assert removed.wait() == 0 and removed.jobs() == {"gather_study": 1}, removed.said()
    assert study.tables() == before | {name: text for name, text in study.tables().items() if "models/other" in name}


@pytest.mark.slurm
def test_what_the_cluster_lacks_ends_the_run_in_a_sentence(study):
    block = {"account": "lab", "cpu": {"partition": "cpus"}, "gpu": {"partition": "gpu", "type": "v100"}}
    study.configure(compute={"threads": 1, "gpus": 1})
    run = study.start(SCORES, config={"cluster": block})
    assert run.wait() != 0
    for sentence in (
        "account is lab; here: research",
        "cpu: partition is cpus; here: cpu, gpu, urgent; did you mean 'cpu'?",
        "gpu: type in gpu is v100; here: a100, h100",
    ):
        assert sentence in run.said()
    assert "Traceback" not in run.said() and not run.submitted()
    study.configure()
    study.cluster("scontrol", "update", "partitionname=cpu", "maxtime=5")
    try:
        run = study.start(SCORES)
        assert run.wait() != 0
    finally:
        study.cluster("scontrol", "update", "partitionname=cpu", "maxtime=1440")
    assert re.search(r"a job of extract_activations asks for \d+ minutes, and cpu takes 5 at most", run.said())
    assert not run.submitted()


@pytest.mark.slow
@pytest.mark.parametrize("why", ["SIGUSR2", "time limit"])
def test_a_fit_that_stops_in_time_is_started_again_without_a_retry(study, streamed, why):
    study.stream()
    slow, limit = study.folder / "slow", ["--set-resources", "stream_memorability:runtime=2"]
    slow.touch()
    run = study.start(SCORES, *(limit if why == "time limit" else []), retries=0)
    until(lambda: len(slow.read_text()) > 8, run)  # in the second pass
    (job,) = study.cluster.jobs(study.folder)
    if why == "SIGUSR2":
        study.cluster("scancel", "--signal=USR2", job)
    until(lambda: study.cluster.jobs(study.folder, "PENDING"), run)
    (log,) = study.folder.glob("results/held/logs/stream_memorability/**/*.log")
    told = {"SIGUSR2": "SIGUSR2 was received: the fit", "time limit": "the job's time limit is less than"}
    assert told[why] in log.read_text()
    slow.unlink()
    study.start_now(job)
    assert run.wait() == 0, run.said()
    assert "resuming from component" in log.read_text()
    assert "Error" not in run.said()
    assert study.tables() == streamed.tables()
