"""What a machine was measured to take decides the hours of a plan, and nothing that a job asks for."""

import json
import re
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from layerwise.cli.app import app
from layerwise.config import validate_study
from layerwise.study.calibration import KINDS, Calibration, calibrated, read_calibrations, write_calibration
from layerwise.study.forecast import forecast
from layerwise.study.plan import Plans
from layerwise.study.rates import CPU, GPU, SHIPPED, Machines
from layerwise.study.schedule import make_schedule, other_way

LAMEM = {"name": "lamem", "images": "none", "splits": "none"}
MAJAJ = {
    "name": "movies",
    "brainscore": "MajajHong2015.public",
    "file": "none.nc",
    "images": "none",
    "regions": ["V4", "IT"],
    "visual_degrees": 8,
}
ALIKE = Calibration("NVIDIA X", "node7", "2026-11-28", {"torch": "2.14"}, dict.fromkeys(KINDS, 1.0))


def study(gpus=0, **compute):
    content = {"study": "s", "models": ["resnet18"], "recordings": [MAJAJ], "ratings": [LAMEM]}
    return validate_study(content | {"finetuning": {}, "compute": {"gpus": gpus, **compute}})


def hours(machines, gpus=0):
    stages = forecast(study(gpus), ["resnet18"], machines).stages
    return {step: stage.gpu_hours + stage.cpu_hours for step, stage in stages.items() if step != "pack_stimuli"}


def times(factor, *kinds):
    return replace(ALIKE, factors=ALIKE.factors | dict.fromkeys(kinds, factor))


def measured(one, tmp_path, on_gpu=False):
    return calibrated({"gpu" if on_gpu else "cpu": one}, tmp_path / "calibration.json")


@pytest.mark.parametrize("gpus", [0, 1])
def test_a_machine_that_takes_three_times_as_long_makes_three_times_the_hours(tmp_path, gpus):
    before = hours(SHIPPED, gpus)
    assert hours(measured(ALIKE, tmp_path, bool(gpus)), gpus) == pytest.approx(before)
    slow = hours(measured(times(3, *KINDS), tmp_path, bool(gpus)), gpus)
    assert slow == pytest.approx({step: 3 * one for step, one in before.items()})
    assert len(before) == 5  # extraction, scores, fits, training, and what becomes of its last layer


@pytest.mark.parametrize(
    ("kind", "changed"),
    [
        ("passes", {"stream_memorability"}),
        ("streaming", {"stream_memorability"}),
        ("extraction", {"extract_activations", "score_penultimate"}),
        ("scoring", {"score_brain", "score_penultimate"}),
        ("training", {"finetune_network"}),
        ("sketching", set()),
    ],
)
def test_each_kind_of_work_changes_the_steps_that_do_it(tmp_path, kind, changed):
    before, after = hours(SHIPPED), hours(measured(times(2, kind), tmp_path))
    assert {step for step in before if after[step] > before[step] * 1.001} == changed
    assert all(after[step] <= 2 * before[step] * 1.001 for step in before)


@pytest.mark.parametrize("gpus", [0, 1])
def test_what_jobs_ask_for_stays(tmp_path, gpus):
    machines = measured(times(100, *KINDS), tmp_path, bool(gpus))
    shipped, slow = (make_schedule(Plans(study(gpus), one)).stages for one in (SHIPPED, machines))
    assert [(stage.step, stage.jobs, stage.memory, stage.minutes) for stage in shipped] == [
        (stage.step, stage.jobs, stage.memory, stage.minutes) for stage in slow
    ]


def test_a_file_keeps_a_gpu_and_a_core(tmp_path):
    path = tmp_path / "new" / "calibration.json"
    assert read_calibrations(path) == {}
    write_calibration(ALIKE, True, path)
    core = replace(ALIKE, machine="core")
    write_calibration(core, False, path)
    write_calibration(times(2, "passes"), True, path)
    assert read_calibrations(path) == {"gpu": times(2, "passes"), "cpu": core}
    machines = calibrated(read_calibrations(path), path)
    assert (machines.gpu.image, machines.gpu.exact_image) == (2 * GPU.image, GPU.exact_image)
    assert machines.gpu.machine == "one NVIDIA X of node7, measured on 2026-11-28"
    assert calibrated({}, path) == Machines(GPU, CPU) == SHIPPED


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"gpu": {}}',
        json.dumps({"tpu": ALIKE.__dict__}),
        json.dumps({"gpu": ALIKE.__dict__ | {"factors": {"passes": 1.0}}}),
        json.dumps({"gpu": ALIKE.__dict__ | {"factors": ALIKE.factors | {"passes": -1.0}}}),
        json.dumps({"gpu": ALIKE.__dict__ | {"factors": ALIKE.factors | {"passes": float("nan")}}}),
        json.dumps({"gpu": ALIKE.__dict__ | {"factors": ALIKE.factors | {"passes": float("inf")}}}),
    ],
)
def test_a_file_of_something_else_is_refused_by_its_name(tmp_path, text):
    path = tmp_path / "calibration.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"calibration.json .*measure anew \(layerwise plan --calibrate\)"):
        read_calibrations(path)


def test_the_other_way():
    shipped, on_gpu = other_way(Plans(study())), other_way(Plans(study(2)))
    assert shipped is not None and on_gpu is not None
    assert (shipped.study, on_gpu.study) == (study(1), study(0))
    assert other_way(Plans(study(device="cpu"))) is None


def test_plan_says_both_ways_and_what_its_hours_are_of(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    (tmp_path / "config.yaml").write_text("study: s\nmodels: [alexnet]\nratings: [{name: r, images: i, splits: s}]\n")
    path = tmp_path / "home/layerwise/calibration.json"

    def said(*options):
        done = CliRunner().invoke(app, ["plan", *options])
        return str(done.exception) if done.exit_code else done.output

    both = (
        r"as the config is, compute.gpus: 0: \d+ jobs, [\d.]+ core h\n"
        r"the other way, compute.gpus: 1: \d+ jobs, [\d.]+ GPU h and [\d.]+ core h\n"
    )
    assert re.search(both, said())
    assert "core h: on one core of an AMD EPYC\n" in said()
    write_calibration(replace(ALIKE, machine="core of a Z80"), False, path)
    text = said()
    assert "core h: on one core of a Z80 of node7, measured on 2026-11-28\n" in text and str(path) in text
    path.rename(tmp_path / "else.json")
    assert "of a Z80" not in said() and "of a Z80" in said("--calibration", "else.json")
    assert said("--calibration", "none.json") == "there is no none.json: measure it first, with --calibrate"
