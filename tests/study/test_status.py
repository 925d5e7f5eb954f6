"""How far a study has come, from files as Snakemake and SLURM leave them."""

import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from snakemake_executor_plugin_slurm.utils import get_job_wildcards
from typer.testing import CliRunner

from layerwise.cli.app import app
from layerwise.config import load_study, validate_study
from layerwise.study.plan import Plans
from layerwise.study.rates import START
from layerwise.study.resources import RuleResources
from layerwise.study.status import SILENT, find_status, open_outputs
from layerwise.study.tasks import list_tasks

ROOT = Path(__file__).resolve().parents[2]
STUDY = {
    "study": "s",
    "models": [{"name": "alexnet", "weights": "random"}],
    "ratings": [{"name": "rated", "images": "rated", "scores": "scores.csv"}],
    "compute": {"layers_per_job": 8},
    "finetuning": None,
}
STEPS = ["pack_stimuli", "extract_activations", "score_memorability", "gather_model", "gather_study"]
KILLED = "slurmstepd: error: *** JOB 7 ON gpu1 CANCELLED AT 2026-11-28T10:00:00 DUE TO TIME LIMIT ***"
ON_A_NODE = "slurmstepd-cpu1: error: StepId=2.0 exceeded memory limit (2058813440 > 1802502144), being killed"


def quiet(_):
    return ""


@pytest.fixture
def plans(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("scores.csv").write_text("image,score\n" + "".join(f"{number}.png,0.5\n" for number in range(30)))
    return Plans(validate_study(STUDY))


def tasks_of(plans, step):
    return [task for task in list_tasks(plans).tasks if task.step == step]


def finish(*tasks, seconds=20.0):
    for task in tasks:
        for path in (*task.outputs, task.log, *filter(None, [task.benchmark])):
            write(path)
        if task.benchmark:
            Path(task.benchmark).write_text(f"s\th:m:s\n{seconds}\t0:00:20\n")


def write(path, text=""):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text)


def counts(plans, step, ask=quiet, written=lambda: set()):
    (stage,) = (stage for stage in find_status(plans, ask, written).stages if stage.step == step)
    return dict(stage.counts)


def test_nothing_has_begun(plans):
    found = find_status(plans, quiet)
    assert [stage.step for stage in found.stages][:5] == STEPS
    assert found.count("waiting") == sum(stage.jobs for stage in found.stages) > len(STEPS)
    assert (found.failures, found.unknown, found.locked) == ([], [], False)


def test_results_that_are_there_are_done(plans):
    finish(*tasks_of(plans, "pack_stimuli"), tasks_of(plans, "score_memorability")[0])
    assert counts(plans, "pack_stimuli") == {"done": 1}
    assert counts(plans, "score_memorability") == {"done": 1, "waiting": 2}


def test_results_that_were_removed_after_use_are_done(plans):
    finish(*list_tasks(plans).tasks)
    for step in ("pack_stimuli", "extract_activations"):
        for path in tasks_of(plans, step)[0].outputs:
            Path(path).unlink()
    assert counts(plans, "extract_activations") == counts(plans, "pack_stimuli") == {"done": 1}
    Path(tasks_of(plans, "score_memorability")[0].outputs[0]).unlink()
    Path(tasks_of(plans, "gather_model")[0].outputs[0]).unlink()
    assert counts(plans, "extract_activations") == {"done": 1}  # the end of the study is there
    Path(tasks_of(plans, "gather_study")[0].outputs[0]).unlink()
    assert counts(plans, "extract_activations") == {"waiting": 1}


def test_what_a_failed_job_said_last_comes_with_its_logs(plans):
    (task,) = tasks_of(plans, "extract_activations")
    write(task.log, "reading\nerror: first\nerror: the disk is full (x): free some space\nuse LAYERWISE_DEBUG\n")
    slurm = f".snakemake/slurm_logs/rule_{task.rule}/{'_'.join(task.names.values())}"
    write(f"{slurm}/9.log", "older")
    write(f"{slurm}/10.log", KILLED)
    (failure,) = find_status(plans, quiet).failures
    assert failure.message == "error: the disk is full (x): free some space"
    assert failure.logs == (task.log, f"{slurm}/10.log")


def test_a_message_that_lists_what_is_wrong_is_shown_whole(plans):
    (task,) = tasks_of(plans, "extract_activations")
    message = "error: 2 images cannot be read:\n  a.jpg is truncated\n  b.jpg is no image (not tried again)"
    write(task.log, f"reading\n  of two folders\n{message}\nuse LAYERWISE_DEBUG\n")
    (failure,) = find_status(plans, quiet).failures
    assert failure.message == message


@pytest.mark.parametrize(("slurm", "message"), [(KILLED, KILLED), (ON_A_NODE, ON_A_NODE), ("srun: started", SILENT)])
def test_a_job_that_was_killed_says_nothing_itself(plans, slurm, message):
    (task,) = tasks_of(plans, "extract_activations")
    write(task.log, "running alexnet: 3 of 30")
    write(f".snakemake/slurm_logs/rule_{task.rule}/{'_'.join(task.names.values())}/10.log", f"start\n{slurm}\nend\n")
    (failure,) = find_status(plans, quiet).failures
    assert failure.message == message


@pytest.mark.parametrize(
    ("log", "benchmark"),
    [("training stopped after epoch 2, and it is kept; start it again to resume", False), ("", True)],
)
def test_a_job_that_stopped_in_time_or_whose_results_were_removed_waits(plans, log, benchmark):
    (task,) = tasks_of(plans, "extract_activations")
    write(task.log, log)
    if benchmark:
        write(task.benchmark, "s\n3\n")
    assert counts(plans, "extract_activations") == {"waiting": 1}


@pytest.mark.parametrize(("state", "seen"), [("RUNNING", "running"), ("PENDING", "waiting"), ("COMPLETING", "running")])
def test_what_slurm_says_comes_first(plans, state, seen):
    (task,) = tasks_of(plans, "extract_activations")
    write(task.log, "error: of an earlier attempt")

    def squeue(folder):
        return lambda _: f"{state}|{folder}|{task.comment}\n"

    assert counts(plans, "extract_activations", squeue(Path.cwd())) == {seen: 1}
    assert counts(plans, "extract_activations", squeue("/elsewhere")) == {"failed": 1}


def test_jobs_are_marked_as_the_plugin_marks_them(plans):
    for task in list_tasks(plans).tasks:
        job = SimpleNamespace(wildcards=list(task.names.values()))
        wildcards = get_job_wildcards(job)
        assert task.comment == (f"rule_{task.rule}_wildcards_{wildcards}" if wildcards else f"rule_{task.rule}")


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="the system does not tell what processes write to")
def test_a_job_of_this_machine_runs_while_its_process_does(plans):
    (task,) = tasks_of(plans, "extract_activations")
    write(task.log)
    with Path(task.log).open("w") as log:
        process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, stdout=log, stderr=log)
    assert counts(plans, "extract_activations", written=open_outputs) == {"running": 1}
    process.kill()
    process.wait()
    assert counts(plans, "extract_activations", written=open_outputs) == {"failed": 1}


def test_time_left_is_that_of_finished_jobs_of_the_same_step(plans):
    first, second, third = tasks_of(plans, "score_memorability")
    (before,) = (one for one in find_status(plans, quiet).stages if one.step == first.step)
    assert not before.measured
    finish(first, second, seconds=50.0)
    (after,) = (one for one in find_status(plans, quiet).stages if one.step == first.step)
    assert after.measured
    resources = RuleResources(plans)
    planned = {task.log: START + resources.of(task.step, task.names).seconds for task in (first, second, third)}
    assert before.seconds_left == pytest.approx(sum(planned.values()))
    ratio = (50 / planned[first.log] + 50 / planned[second.log]) / 2
    assert after.seconds_left == pytest.approx(ratio * planned[third.log])


def test_ten_thousand_jobs_in_a_few_seconds_and_eighty_columns(tmp_path, monkeypatch):
    config = (ROOT / "config.yaml").read_text().replace("layers_per_job: null", "layers_per_job: 7")
    monkeypatch.chdir(tmp_path)
    Path("config.yaml").write_text(config)
    tasks = list_tasks(Plans(load_study("config.yaml"))).tasks
    assert len(tasks) > 10_000
    for task in tasks[::40]:
        write(task.log, "error: it failed\n")
    started = time.process_time()
    said = CliRunner().invoke(app, ["status", "--failures", "0"])
    assert time.process_time() - started < 10
    assert said.exit_code == 0 and "and 2" in said.output
    assert max(map(len, said.output.splitlines())) <= 80
