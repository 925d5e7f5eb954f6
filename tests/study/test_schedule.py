"""When all is done on so many GPUs, and what SLURM 22.05 itself said that jobs took."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from layerwise.cli.app import app
from layerwise.config import load_study, validate_study
from layerwise.study.forecast import forecast
from layerwise.study.plan import Plans
from layerwise.study.rates import CPU, GPU, START
from layerwise.study.resources import Needs
from layerwise.study.schedule import Schedule, compare_with_slurm, make_schedule, read_used, total, wall_time
from layerwise.study.tasks import Task, Tasks

ROOT = Path(__file__).resolve().parents[2]
# Printed by `sacct` of SLURM 22.05.8; the folder, and the second job's state and memory, were changed.
SACCT = """1|rule_list_layers_wildcards_own|COMPLETED|8||5250M|35|{folder}
1.batch||COMPLETED|8|195356K|||
1.0||COMPLETED|5|775816K|||
4|rule_extract_activations_wildcards_own_recorded|CANCELLED by 0|6||1719M|31|{folder}
4.0||FAILED|6|9143640K|||
6|rule_extract_activations_wildcards_own_recorded|COMPLETED|8||1719M|31|{folder}
6.batch||COMPLETED|8|191M|||
6.0||COMPLETED|6|919836K|||
7|rule_extract_activations_wildcards_own_recorded|COMPLETED|8||1719M|31|/elsewhere
"""


def task(name, *inputs):
    return Task("step", "step", {}, inputs, (name,), name)


def schedule(tasks, needs):
    return Schedule([], Tasks(tasks), tasks, needs)


def alike(count, gpus=1, seconds=100.0):
    tasks = [task(f"{number}") for number in range(count)]
    return schedule(tasks, {one.log: Needs(0, seconds, 0, gpus, GPU) for one in tasks})


@pytest.mark.parametrize(("gpus", "each", "rounds"), [(1, 1, 12), (4, 1, 3), (5, 1, 3), (12, 1, 1), (5, 2, 6)])
def test_equal_jobs_run_in_rounds(gpus, each, rounds):
    assert wall_time(alike(12, each), gpus) == pytest.approx(rounds * (START + 100))


def test_jobs_wait_for_what_they_read_and_those_without_a_gpu_for_no_gpu():
    tasks = [task("a"), task("b", "a"), task("c", "b"), task("other")]
    needs = {"a": Needs(0, 10), "b": Needs(0, 20, 0, 1, GPU), "c": Needs(0, 30), "other": Needs(0, 5, 0, 1, GPU)}
    assert wall_time(schedule(tasks, needs), 1) == pytest.approx(3 * START + 60)


def test_no_more_jobs_run_at_once_than_are_submitted():
    assert wall_time(alike(12, gpus=0), 1, at_once=3) == pytest.approx(4 * (START + 100))


def test_a_job_that_asks_for_more_gpus_than_there_are():
    with pytest.raises(ValueError, match="a job asks for 2 GPUs"):
        wall_time(alike(1, gpus=2), 1)
    assert wall_time(alike(0), 1) == 0


@pytest.fixture
def paper(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "config.yaml").read_text()
    assert "\n  gpus: 0" in text
    Path("config.yaml").write_text(text.replace("\n  gpus: 0", "\n  gpus: 1"))
    return load_study(Path("config.yaml"))


def test_hours_are_those_of_the_forecast(paper):
    found = make_schedule(Plans(paper))
    forecasted = forecast(paper, [entry.name for entry in paper.models])
    hours = {stage.step: (stage.jobs, stage.gpu_hours, stage.core_hours) for stage in found.stages}
    for step, stage in forecasted.stages.items():
        assert hours[step] == (stage.jobs, pytest.approx(stage.gpu_hours), pytest.approx(stage.cpu_hours)), step
    everything = total(found.stages)
    assert everything.jobs == len(found.left) == 1091  # as docs/cluster.md says
    assert wall_time(found, 10_000, 100_000) < wall_time(found, 8) < wall_time(found, 4)
    assert wall_time(found, 4) > everything.gpu_hours * 3600 / 4


def test_what_is_printed(paper):
    said = CliRunner().invoke(app, ["plan", "--model", "resnet18", "--gpus-at-once", "2"])
    assert said.exit_code == 0, said.output
    lines = said.output.splitlines()
    head = next(place for place, line in enumerate(lines) if line.startswith("stage "))
    table = lines[head : head + 8]
    assert [line.split()[0] for line in table[1:7]] == [
        "export_recordings", "pack_stimuli", "estimate_ceiling", "extract_activations", "score_brain",
        "stream_memorability",
    ]  # fmt: skip
    assert max(map(len, lines[head:-3])) <= 100 and max(map(len, table)) <= 80
    assert "A100, V100 and other GPUs: not measured" in said.output and "hours until all is done with 2" in said.output


def test_no_gpu_to_count(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("config.yaml").write_text("study: s\nmodels: [alexnet]\nratings: [{name: r, images: i, splits: s}]\n")
    said = CliRunner().invoke(app, ["plan", "--gpus-at-once", "2"])
    assert isinstance(said.exception, ValueError) and "set compute.gpus to 1" in str(said.exception)


# --- what jobs took ---------------------------------------------------------------------------------------------------


@pytest.fixture
def sacct(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return lambda _: SACCT.format(folder=tmp_path)


def test_what_sacct_prints_is_read(sacct):
    used = read_used(sacct)
    assert used.keys() == {"rule_list_layers_wildcards_own", "rule_extract_activations_wildcards_own_recorded"}
    one = used["rule_extract_activations_wildcards_own_recorded"]
    assert (one.memory, one.asked, one.seconds, one.limit) == (919836 * 1024, 1719 * 2**20, 8, 31 * 60)


def test_the_plan_stands_beside_what_was_used(sacct):
    tasks = [
        Task("list_layers", "list_layers", {"model": "own"}, (), ("a",), "a"),
        Task("extract_activations", "extract_activations", {"model": "own", "stimuli": "recorded"}, (), ("b",), "b"),
        Task("extract_activations", "extract_activations", {"model": "own", "stimuli": "never"}, (), ("c",), "c"),
    ]
    needs = {"a": Needs(3 * 10**9, 60), "b": Needs(10**8, 4), "c": Needs(10**12, 4)}
    listed, extracted = compare_with_slurm(schedule(tasks, needs), sacct)
    assert (listed.step, len(extracted.jobs)) == ("list_layers", 1)
    assert extracted.planned_memory == 10**8 + needs["b"].process
    assert extracted.used_memory == 919836 * 1024
    assert extracted.asked_share == pytest.approx(919836 / 1024 / 1719)
    assert extracted.planned_seconds == START + 4 and extracted.seconds == 8
    assert extracted.time_share == pytest.approx(8 / (31 * 60))
    assert needs["b"].rates is CPU


def test_nothing_to_compare_with():
    study = validate_study(
        {"study": "s", "models": ["alexnet"], "ratings": [{"name": "r", "images": "i", "splits": "s"}]}
    )
    with pytest.raises(ValueError, match="sacct tells of no job from this folder"):
        compare_with_slurm(make_schedule(Plans(study)), lambda _: "")
