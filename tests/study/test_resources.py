"""What rules ask for: from the plan, for every rule, and more with each attempt."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layerwise.config import validate_study
from layerwise.study import Plans
from layerwise.study.rates import CPU, GPU
from layerwise.study.resources import Needs, RuleResources

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "workflow/rules"
LAMEM = {"name": "lamem", "images": "none", "splits": "none"}
MAJAJ = {
    "name": "majajhong",
    "brainscore": "MajajHong2015.public",
    "file": "none.nc",
    "images": "none",
    "regions": ["V4", "IT"],
    "visual_degrees": 8,
}
NAMES = {
    "model": "resnet18",
    "stimuli": "majajhong",
    "ratings": "lamem",
    "region": "IT",
    "geometry": "crop256to224-bilinear",
    "block": "001-052",
}


def resources_of(**sections):
    sections = {"models": ["resnet18"], "recordings": [MAJAJ], "ratings": [LAMEM], "finetuning": {}, **sections}
    return RuleResources(Plans(validate_study({"study": "s", **sections})))


def ask(resources, rule, attempt=1, **names):
    needs = resources.of(rule, NAMES | names)
    return {quantity: needs.ask(quantity, attempt) for quantity in resources.quantities}


def rules():
    """Each rule of the workflow: its name and its text."""
    for file in sorted(RULES.glob("*.smk")):
        parts = re.split(r"^ *(?:rule|checkpoint) ?(\w*):\n", file.read_text(), flags=re.MULTILINE)
        unnamed = {"recordings": "export_recordings", "finetuning": "finetune_network"}.get(file.stem, "")
        yield from ((name or unnamed, text) for name, text in zip(parts[1::2], parts[2::2], strict=True))


def test_every_rule_asks_for_what_is_planned_and_no_number_is_typed_into_it():
    named = dict(rules())
    assert len(named) == 38
    assert named.keys() == resources_of().rules
    for name, text in named.items():
        (resources,) = re.findall(r"^( *)resources:\n((?:\1 +.*\n)+)", text, re.MULTILINE)
        assert resources[1].strip() == f'**resources_of("{name}"),'
        assert not re.search(r"\b(mem_mb|runtime|disk_mb|gpu)=", text)


@pytest.mark.parametrize("gpus", [0, 1, 2])
def test_memory_is_that_of_the_plan_the_process_and_a_margin(gpus):
    resources = resources_of(compute={"gpus": gpus})
    plan = resources.plans.of("resnet18", "lamem")
    process = 3.3e9 if gpus else 1.2e9  # beside the plan, as it was measured
    for block in plan.blocks:
        asked = ask(resources, "stream_memorability", block=block)
        job = plan.job("stream_memorability", block)
        assert asked["mem_mb"] == pytest.approx(1.25 * (job.host + process) / 1e6, abs=1)
        assert asked["disk_mb"] == pytest.approx(job.disk / 1e6, abs=1)
        assert asked["gpu"] == gpus
        slower = 10 if gpus else 4
        assert asked["runtime"] == pytest.approx((1811 + slower * job.seconds) / 60, abs=1)


def test_gpus_are_asked_for_where_a_network_runs_or_regions_are_scored():
    two = resources_of(compute={"gpus": 2})
    sketched = resources_of(compute={"gpus": 2}, memorability={"method": "sketch"})
    block = sketched.plans.of("resnet18", "lamem").blocks[0]
    gpus = {rule: ask(two, rule)["gpu"] for rule in two.rules - {"sketch_memorability"}}
    gpus["sketch_memorability"] = ask(sketched, "sketch_memorability", block=block)["gpu"]
    assert {rule: count for rule, count in gpus.items() if count} == {
        "extract_activations": 2,
        "stream_memorability": 2,
        "score_brain": 1,
        "sketch_memorability": 1,
        "check_accuracy": 1,
        "finetune_network": 1,
        "score_penultimate": 1,
    }
    unused = resources_of(compute={"gpus": 2, "device": "cpu"})
    assert all(ask(unused, rule)["gpu"] == 0 for rule in unused.rules)


def test_the_penultimate_layer_takes_a_pass_and_the_scores_of_one_layer_before_training_and_after_each_split():
    resources = resources_of()
    plan = resources.plans.of("resnet18", "majajhong")
    needs, scoring = resources.of("score_penultimate", NAMES), plan.jobs[-1]
    units, n_layers = sum(layer.units for layer in plan.layers), 52
    assert scoring.block == plan.blocks[-1] and len(plan.layers) == n_layers
    one_pass = 3_200 * (8e-3 + 4e-9 * units) / plan.budget.threads
    both_regions = 2 * scoring.seconds / n_layers
    n_weights = 1 + 5
    assert needs.seconds == pytest.approx(n_weights * (one_pass + both_regions))
    assert needs.memory >= scoring.host
    assert needs.disk == n_weights * (8 * 3_200 * 3_201 // 2)
    assert needs.seconds / n_weights < 0.2 * sum(job.seconds for job in plan.jobs)


def test_the_penultimate_job_holds_all_recordings_at_once():
    def memory(count):
        named = [{**MAJAJ, "name": one, "file": f"{one}.nc", "regions": {"IT": f"IT_{one}"}} for one in "abc"[:count]]
        return resources_of(recordings=named).of("score_penultimate", NAMES).memory

    assert memory(3) - memory(2) == memory(2) - memory(1) == 6 * 300 * 10**6  # bytes of files that are not there yet


def test_pixels_take_disk():
    asked = ask(resources_of(), "pack_stimuli", stimuli="lamem")
    assert asked["disk_mb"] == pytest.approx(58_741 * 224 * 224 * 3 / 1e6, abs=1)
    larger = ask(resources_of(), "pack_stimuli", stimuli="lamem", geometry="crop320to299-bilinear")
    assert larger["disk_mb"] > asked["disk_mb"]
    assert larger["runtime"] >= asked["runtime"]


@pytest.mark.parametrize("rule", sorted(resources_of().rules))
def test_what_is_asked_for_grows_with_the_attempt(rule):
    first, second = (ask(resources_of(), rule, attempt) for attempt in (1, 2))
    assert second["mem_mb"] == pytest.approx(2 * first["mem_mb"], abs=2)
    assert second["runtime"] == pytest.approx(2 * first["runtime"], abs=2)
    assert (second["gpu"], second["disk_mb"]) == (first["gpu"], first["disk_mb"])
    assert first["mem_mb"] > 1000
    assert first["runtime"] > 30


@given(st.integers(0, 10**12), st.floats(0, 10**7), st.integers(0, 10**13), st.sampled_from([CPU, GPU]))
def test_what_is_asked_for_is_enough(memory, seconds, disk, rates):
    needs = Needs(memory, seconds, disk, 1, rates)
    assert needs.ask("mem_mb") * 10**6 >= 1.2 * (memory + needs.process)
    assert needs.ask("runtime") * 60 >= seconds + 1800
    assert needs.ask("disk_mb") * 10**6 >= disk


@pytest.mark.parametrize("compute", [{"memory": "100MB"}, {"gpus": 1, "gpu_memory": "1GB"}])
def test_a_job_that_cannot_be_planned_asks_for_a_bound_and_says_itself_what_is_wrong(compute):
    resources = resources_of(compute=compute)
    with pytest.raises(ValueError, match="resnet18 over lamem"):
        resources.plans.of("resnet18", "lamem")
    asked = ask(resources, "stream_memorability")
    assert asked["mem_mb"] > 2000
    assert asked["runtime"] >= 240
    assert asked["gpu"] == compute.get("gpus", 0)


def test_an_own_network_gets_a_bound_until_its_layers_are_listed(tmp_path, monkeypatch):
    from layerwise.layers.manifest import shipped_manifest

    monkeypatch.chdir(tmp_path)
    resources = resources_of(models=[{"name": "own", "factory": "mine:build"}])
    before = ask(resources, "extract_activations", model="own")
    path = tmp_path / "results/s/models/own/manifest.tsv"
    path.parent.mkdir(parents=True)
    path.write_bytes(shipped_manifest("alexnet").read_bytes())
    known = ask(resources_of(models=["alexnet"]), "extract_activations", model="alexnet")
    after = ask(resources, "extract_activations", model="own")
    assert after["mem_mb"] == known["mem_mb"]
    assert before["runtime"] > 240


def test_a_recording_that_is_there_counts_by_its_size(tmp_path):
    file = tmp_path / "recording.nc"
    file.write_bytes(b"0" * 10**6)
    asked = ask(resources_of(recordings=[MAJAJ | {"file": file}]), "estimate_ceiling")
    absent = ask(resources_of(), "estimate_ceiling")
    assert asked["mem_mb"] == pytest.approx(1.25 * (1200 + 6), abs=1)
    assert absent["mem_mb"] > asked["mem_mb"]
