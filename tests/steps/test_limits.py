"""What a job was given, from the files and variables of a made-up machine."""

import pytest

from layerwise.config import validate_study
from layerwise.steps import cluster
from layerwise.steps import limits as job
from layerwise.study import Plans, RuleResources

GB = 10**9


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Sets the machine's memory, the cluster's, and limits of control groups {file: text}; returns a function."""
    monkeypatch.setattr(job, "CGROUPS", tmp_path / "groups")
    monkeypatch.setattr(job, "OWN_GROUPS", tmp_path / "own")
    monkeypatch.delenv(job.SLURM, raising=False)
    monkeypatch.delenv(cluster.NUMBER, raising=False)

    def set_up(memory=64 * GB, slurm=None, own="0::/\n", limits=()):
        monkeypatch.setattr(job.os, "sysconf", {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": memory // 4096}.__getitem__)
        if slurm is not None:
            monkeypatch.setenv(job.SLURM, slurm)
        (tmp_path / "own").write_text(own)
        for name, text in dict(limits).items():
            path = tmp_path / "groups" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return job.memory_limit()

    return set_up


NEW, OLD = "0::/user.slice/job_7\n", "5:devices:/\n4:cpu,memory:/slurm/job_7\n0::/\n"


@pytest.mark.parametrize(
    ("set_up", "expected"),
    [
        ({"memory": 8 * GB}, (8 * GB, "the machine has")),
        ({"slurm": "4000"}, (4000 * 2**20, "SLURM gave the job")),
        ({"memory": 4 * GB, "slurm": "8000"}, (4 * GB, "the machine has")),
        ({"memory": 4 * GB, "slurm": "0"}, (4 * GB, "the machine has")),
        ({"slurm": "rubbish"}, (64 * GB, "the machine has")),
        ({"limits": {"memory.max": "max\n"}}, (64 * GB, "the machine has")),
        ({"limits": {"memory.max": f"{GB}\n"}}, (GB, "its control group leaves the process")),
        (
            {"own": NEW, "limits": {"user.slice/job_7/memory.max": "max\n", "user.slice/memory.max": f"{2 * GB}\n"}},
            (2 * GB, "its control group leaves the process"),
        ),
        (
            {"own": OLD, "limits": {"memory/slurm/job_7/memory.limit_in_bytes": f"{3 * GB}\n"}},
            (3 * GB, "its control group leaves the process"),
        ),
        ({"own": OLD, "limits": {"slurm/job_7/memory.max": f"{GB}\n"}}, (64 * GB, "the machine has")),
    ],
)
def test_the_tightest_limit_counts(machine, set_up, expected):
    bytes_given, source = machine(**set_up)
    assert source == expected[1]
    assert bytes_given == pytest.approx(expected[0], abs=4096)  # memory comes in pages


def test_this_machine_has_memory(monkeypatch):
    monkeypatch.delenv(job.SLURM, raising=False)
    assert job.memory_limit()[0] > 10**8


@pytest.mark.parametrize("told", [3 * GB, None])
def test_slurm_is_asked_where_the_job_step_of_snakemake_removed_its_variable(machine, monkeypatch, told):
    given = cluster.ClusterJob("RUNNING", None, requeues=True, restarts=0, memory=told)
    monkeypatch.setattr(job, "this_job", lambda: given)
    expected = (3 * GB, "SLURM gave the job") if told else (pytest.approx(64 * GB, abs=4096), "the machine has")
    assert machine() == expected


MAJAJ = {
    "name": "movies",
    "brainscore": "MajajHong2015.public",
    "file": "none.nc",
    "images": "none",
    "regions": ["V4"],
    "visual_degrees": 8,
}


@pytest.mark.parametrize(
    ("step", "names"),
    [
        ("extract_activations", {"stimuli": "movies"}),
        ("score_brain", {"region": "V4", "block": "001-061"}),
        ("score_brain", {"region": "V4", "block": "007-008"}),  # no block of the plan: the job may ask for a bound
    ],
)
def test_a_job_with_less_memory_than_its_plan_says_so_and_one_with_as_much_does_not(monkeypatch, caplog, step, names):
    study = validate_study({"study": "s", "models": ["resnet18"], "recordings": [MAJAJ]})
    needs = RuleResources(Plans(study)).of(step, {"model": "resnet18", **names})
    planned = needs.memory + needs.process
    for given in (planned, planned - 10**8):
        monkeypatch.setattr(job, "memory_limit", lambda given=given: (given, "SLURM gave the job"))
        caplog.clear()
        job.warn_of_job(study, step, model="resnet18", **names)
        told = f"planned with {planned / 1e9:.1f} GB, and SLURM gave the job {given / 1e9:.1f} GB: memory may run out"
        assert (told in caplog.text) == (given < planned)
    assert needs.ask("mem_mb") * 10**6 > planned  # so that no job that got what it asked for is told of
