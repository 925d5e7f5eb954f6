"""A study on a real SLURM, watched while a job is held, and held against its plan when it has ended."""

import subprocess

import pytest
from slurm_study import ROOT

pytestmark = pytest.mark.slurm


def layerwise(study, *arguments, **environment):
    path = {"PYTHONPATH": f"{ROOT / 'src'}:{study.folder}"}
    done = subprocess.run(
        ["layerwise", *arguments], cwd=study.folder, env=study.cluster.environment(**path, **environment),
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def row(text, stage):
    first = next(line for line in text.splitlines() if line.split()[:1] == [stage])  # failed jobs follow the table
    return first.split()[1:]


def test_a_study_that_has_ended(undisturbed):
    said = layerwise(undisturbed, "status", "--config", "study.yaml")
    assert row(said, "extract_activations") == ["1", "1", "-", "-", "-", "-"]
    assert said.splitlines()[-1].startswith("all ")
    compared = layerwise(undisturbed, "plan", "--config", "study.yaml", "--compare").partition("GB plan")[2]
    jobs, planned, used, of_asked, *_ = row(compared, "extract_activations")
    assert jobs == "1" and 0 < float(used) <= float(planned)
    assert 0 < float(of_asked.rstrip("%")) < 100


def test_a_result_leads_back_to_its_inputs(undisturbed):
    said = layerwise(undisturbed, "provenance", "results/held/layers.parquet", "--verify")
    assert "verified: " in said and "score_brain: 1 job" in said and "do not say with what" not in said


def test_a_job_that_runs_and_then_is_cancelled(study):
    run = study.start_held(retries=0)
    said = layerwise(study, "status", "--config", "study.yaml")
    assert row(said, "extract_activations")[:5] == ["1", "-", "1", "-", "-"]
    study.cluster("scancel", *study.cluster.jobs(study.folder))
    assert run.wait() != 0
    said = layerwise(study, "status", "--config", "study.yaml")
    assert row(said, "extract_activations")[:5] == ["1", "-", "-", "1", "-"]
    assert "CANCELLED AT" in said and "logs/extract_activations/own/recorded.log" in said
    assert "no Snakemake runs in this folder" in said


def test_the_profile_is_filled_in_and_found_by_its_name(study):
    (study.folder / "results/held/ceilings/IT.parquet").unlink()
    home = {"XDG_CONFIG_HOME": str(study.folder / "settings")}
    chosen = "--account", "research", "--partition", "cpu", "--gpu-type", "any"
    said = layerwise(study, "profile", "install", *chosen, **home)
    assert "jobs with a GPU:    gpu" in said
    command = ["snakemake", "results/held/ceilings/IT.parquet", "--profile", "slurm", "--snakefile", ROOT / "Snakefile"]
    done = subprocess.run(
        [*command, "--configfile", "study.yaml"], cwd=study.folder, env=study.cluster.environment(**home),
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert (study.folder / "results/held/ceilings/IT.parquet").is_file()
