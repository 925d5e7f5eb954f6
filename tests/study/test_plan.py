"""The plan of a network's jobs: against plain sums, against what was measured, and against what jobs do."""

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from layerwise.activations.parts import plan_extraction, reserved_bytes, stored_bytes
from layerwise.analyses import brain
from layerwise.config import validate_study
from layerwise.data import pixels
from layerwise.data.recordings import write_recordings
from layerwise.interfaces import LayerSpec, Recordings, StimulusSet
from layerwise.layers.blocks import in_block
from layerwise.layers.manifest import read_manifest, shipped_manifest
from layerwise.study import Budget, Plans, layers_of, resources
from layerwise.study import plan as planning
from layerwise.study.rates import GPU

ROOT = Path(__file__).resolve().parents[2]
LAMEM = {"name": "lamem", "images": "none", "splits": "none"}
MAJAJ = {
    "name": "majajhong",
    "brainscore": "MajajHong2015.public",
    "file": "none.nc",
    "images": "none",
    "regions": ["V4", "IT"],
    "visual_degrees": 8,
}
N, SPLITS, COMPONENTS = 58_741, 5, 25
H100 = {"gpus": 1}


def study(**sections):
    return validate_study({"study": "s", "models": ["resnet18"], **sections})


def plan_of(stimuli="lamem", model="resnet18", layers=None, **sections):
    sections = {"ratings": [LAMEM], **sections}
    return Plans(study(models=[model], **sections)).of(model, stimuli, layers)


def layers_from(units):
    return [LayerSpec(f"layer{rank}", "ReLU", (n,), n, rank) for rank, n in enumerate(units, 1)]


# --- bytes, by plain sums ---


def naive_vectors(layer, batch):
    """Bytes that a layer keeps: vectors [unit] of each split, earlier residuals, scores and predictions [image]."""
    vectors = 1 + 1 + 1 + SPLITS * (1 + 1 + 1 + 1) + (2 if layer.kind == "BatchNorm2d" else 0)
    residuals = SPLITS * (COMPONENTS - 1)
    return 4 * layer.units * (vectors + residuals) + (4 + 8) * SPLITS * (N + batch)


def naive_network(layers, batch):
    return 1_500_000_000 + 4 * batch * (6 * max(layer.units for layer in layers) + 4 * 3 * 331 * 331)


@pytest.mark.parametrize(("model", "size"), [("resnet18", 224), ("inception_v3", 299)])
def test_a_streamed_job_on_a_gpu_takes_what_its_layers_keep_the_network_and_the_pixels(model, size):
    plan = plan_of(model=model, compute=H100)
    layers = layers_of(study(models=[model]).models[0])
    (job,) = plan.jobs
    kept = sum(naive_vectors(layer, plan.batch_size) for layer in layers)
    n_pixels = 3 * size * size * N
    assert job.device == kept + naive_network(layers, plan.batch_size) + n_pixels
    assert n_pixels > 8.8e9
    assert (job.passes, plan.passes, plan.method) == (26, 26, "streamed")
    assert job.host == 2 * 8 * len(layers) * N * SPLITS  # predictions alone
    assert job.disk >= kept


def test_pixels_that_do_not_fit_beside_a_group_are_not_counted():
    plan = plan_of(model="densenet201", compute=H100 | {"gpu_memory": "13GB", "memory": "3GB"})
    layers = plan.layers
    for job in plan.jobs:
        kept = sum(naive_vectors(layer, plan.batch_size) for layer in in_block(layers, job.block))
        hosted = job.host - 2 * 8 * len(in_block(layers, job.block)) * N * SPLITS
        on_device = kept - hosted + naive_network(layers, plan.batch_size)
        assert on_device <= job.device <= 13 * 10**9
        assert 0 <= hosted <= 3 * 10**9
    assert any(job.host > 10**9 for job in plan.jobs)


def test_groups_are_as_large_as_the_memory_allows_one_layer_after_the_other():
    memory = 9 * 10**9
    plan = plan_of(model="resnet50", compute={"memory": "9GB"})
    room = memory - naive_network(plan.layers, plan.batch_size)
    groups = [[]]
    for layer in sorted(plan.layers, key=lambda layer: layer.depth):
        if sum(naive_vectors(one, plan.batch_size) for one in [*groups[-1], layer]) > room:
            groups.append([])
        groups[-1].append(layer)
    assert [in_block(plan.layers, block) for block in plan.blocks] == groups
    for job, group in zip(plan.jobs, groups, strict=True):
        kept = sum(naive_vectors(layer, plan.batch_size) for layer in group)
        assert job.device == 0
        assert job.host == kept + naive_network(plan.layers, plan.batch_size) + 2 * 8 * len(group) * N * SPLITS


def test_several_gpus_hold_a_share_each():
    compute = {"gpu_memory": "13GB", "memory": "100MB"}
    one = plan_of(model="resnet50", compute=compute | {"gpus": 1})
    two = plan_of(model="resnet50", compute=compute | {"gpus": 2})
    assert len(two.jobs) < len(one.jobs)
    assert max(job.device for job in two.jobs) <= 13 * 10**9
    assert sum(job.seconds for job in two.jobs) < sum(job.seconds for job in one.jobs)


@pytest.mark.parametrize("gpus", [0, 1])
def test_a_sketch_keeps_few_units_in_float32_and_others_in_float16(gpus):
    plan = plan_of(memorability={"method": "sketch", "disk": "10GB"}, compute={"gpus": gpus})
    assert plan.passes == len(plan.jobs) == len(plan.blocks)
    for job in plan.jobs:
        group = in_block(plan.layers, job.block)
        rows = [4 * layer.units if layer.units <= 4096 else 2 * 4096 for layer in group]
        batch = plan.batch_size if gpus else 0
        kept = sum((N + batch) * row + (layer.units if gpus else 0) for row, layer in zip(rows, group, strict=True))
        largest = max(4 * layer.units if layer.units <= 4096 else 2 * 4096 for layer in plan.layers)
        reserve = max(naive_network(plan.layers, plan.batch_size), 1_500_000_000 + 2 * N * largest)
        predictions = 2 * 8 * len(group) * N * SPLITS
        expected = (reserve + kept, predictions, 0) if gpus else (0, reserve + predictions, kept)
        assert (job.device, job.host, job.disk) == expected
        assert job.disk <= 10**10


@pytest.mark.parametrize("gpus", [0, 1, 2])
def test_stored_activations(tmp_path, gpus):
    ids = tuple(f"{number}.png" for number in range(400))
    for name in ids:
        (tmp_path / name).touch()
    movies = Recordings(np.zeros((1, 400, 2)), ids, ("a", "b"), ("V1",) * 2)
    write_recordings(movies, tmp_path / "movies.nc", StimulusSet("movies", ids, tuple(tmp_path / name for name in ids)))
    compute = {"gpus": gpus, "memory": "1GB", "gpu_memory": "1GB", "layers_per_job": 16}
    recordings = [{"name": "movies", "file": tmp_path / "movies.nc"}]
    plan = plan_of("movies", recordings=recordings, compute=compute)
    layers, extraction = plan.layers, plan.job("extract_activations")
    assert (plan.method, plan.n_images, plan.running) == ("stored", 400, [extraction])
    assert extraction.disk == stored_bytes(layers, 400)
    whole, room = 4 * 400 * sum(layer.units for layer in layers), 10**9 - reserved_bytes(layers, 400)
    # Two GPUs have half of the units each; some of a GPU's memory is for pixels and for what waits for the disk.
    assert extraction.passes >= whole / max(1, gpus) / room
    assert extraction.passes <= 1.3 * whole / max(1, gpus) / room + 1
    taken = extraction.device if gpus else extraction.host - 4 * 32 * (6 * max(one.units for one in layers) + 1_314_732)
    assert 0.5 * 10**9 < taken <= 10**9
    assert plan.blocks == ["001-016", "017-032", "033-048", "049-052"]
    assert plan.blocks == Plans(study(recordings=recordings, compute=compute)).blocks("resnet18", "movies")


@pytest.mark.parametrize(
    ("compute", "expected"),
    [
        ({}, ["001-064", "065-126"]),
        ({"gpus": 1}, ["001-126"]),
        ({"gpus": 1, "device": "cpu"}, ["001-064", "065-126"]),
        ({"gpus": 1, "layers_per_job": 100}, ["001-100", "101-126"]),
        ({"gpus": 1, "layers_per_job": 1}, [f"{rank:03d}" for rank in range(1, 127)]),
    ],
)
def test_a_network_is_scored_whole_on_a_gpu_where_that_takes_seconds(compute, expected):
    plan = plan_of("majajhong", "resnet50", recordings=[MAJAJ], compute=compute)
    scored = [job for job in plan.jobs if job.step == "score_brain"]
    assert [job.block for job in scored] == expected == plan.blocks
    per_layer = scored[0].seconds / len(in_block(plan.layers, expected[0]))
    assert sum(job.seconds for job in scored) == pytest.approx(126 * per_layer)


def test_but_not_against_ratings_for_which_a_job_asks_for_no_gpu(tmp_path):
    (tmp_path / "scores.csv").write_text("image,score\n" + "".join(f"{number}.png,{number}\n" for number in range(50)))
    few = {"name": "few", "images": tmp_path, "scores": tmp_path / "scores.csv"}
    plan = plan_of("few", "resnet50", ratings=[few], compute={"gpus": 1})
    assert plan.blocks == ["001-064", "065-126"]


def test_one_job_scores_a_block_against_each_region():
    plan = plan_of("majajhong", recordings=[MAJAJ], compute={"layers_per_job": 100})
    scored = [job for job in plan.jobs if job.step == "score_brain"]
    assert [(job.block, job.count, job.passes) for job in scored] == [("001-052", 2, 0)]
    n, m = 3200, 256
    fit = 8 * (6 * n * n + 10 * (n * m + 5 * m * m))
    kept = n * (n + 1) // 2 + 2 * n  # a Gram matrix, sums over units and products with the mean image
    assert scored[0].host == fit + 2 * 8 * kept


def test_scoring_is_planned_as_it_is_done():
    ours = (planning.COPIES, planning.SQUARES, planning.READ, planning.MOST_AT_ONCE)
    assert ours == (brain.COPIES, brain.SQUARES, brain.READ, brain.MOST_AT_ONCE)
    assert resources.WAITING == pixels._WAITING


# --- seconds, by the tables of benchmarks/ ---


def table(name, first):
    """Rows of the first table whose head begins so: a dict of cells each."""
    lines = (ROOT / "benchmarks" / name).read_text().splitlines()
    start = next(index for index, line in enumerate(lines) if line.startswith(first))
    head = [cell.strip() for cell in lines[start].strip("|").split("|")]
    rows = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        rows.append(dict(zip(head, (cell.strip() for cell in line.strip("|").split("|")), strict=True)))
    return rows


@pytest.mark.parametrize(
    "row", table("streaming.md", "| network | layers | units | batch"), ids=lambda row: row["network"]
)
def test_streamed_fits_are_expected_to_take_what_they_took(row):
    (job,) = plan_of(model=row["network"], compute=H100).jobs
    assert job.seconds == pytest.approx(float(row["streamed fit, s"]), rel=0.25)


@pytest.mark.parametrize("row", table("brain_gpu.md", "| network | layers | M units"), ids=lambda row: row["network"])
def test_extraction_and_scores_are_expected_to_take_what_they_took(row):
    plan = plan_of("majajhong", model=row["network"], recordings=[MAJAJ], compute=H100 | {"gpu_memory": "65GB"})
    assert plan.job("extract_activations").seconds == pytest.approx(float(row["on disk"]), rel=0.25, abs=0.5)
    scores = sum(job.seconds for job in plan.jobs if job.step == "score_brain") / len(plan.layers)
    read = GPU.read * stored_bytes(plan.layers, plan.n_images) / len(plan.layers)  # was not part of it
    assert 1e3 * (scores - read) == pytest.approx(float(row["ms a layer"]), rel=0.1)


def test_a_score_with_its_reading_is_expected_to_take_what_it_took():
    (row,) = [row for row in table("measures_gpu.md", "| stimuli") if row["measures"] == "pls"]
    layers = read_manifest(shipped_manifest("resnet50"))[:32]  # those that the program stored
    plan = plan_of("majajhong", layers=layers, recordings=[MAJAJ], compute=H100)
    scores = sum(job.seconds for job in plan.jobs if job.step == "score_brain") / len(layers)
    assert row["stimuli"] == f"{plan.n_images:,}"
    assert scores == pytest.approx(float(row["s a layer"]), rel=0.1)


@pytest.mark.parametrize("row", table("sketch.md", "| network | groups of layers"), ids=lambda row: row["network"])
def test_sketches_are_expected_to_take_what_they_took(row):
    plan = plan_of(model=row["network"], memorability={"method": "sketch"}, compute=H100)
    start = 4  # seconds that the measured runs took beside pass and regression, and to begin the pass
    measured = float(row["pass, s"]) + float(row["regression, s"])
    assert 0.7 * measured - start < plan.seconds < 1.3 * measured


def test_the_study_is_expected_to_take_the_hours_that_the_readme_names():
    text = (ROOT / "README.md").read_text()
    named = float(re.search(r"\| memorability, exact \| ([\d.]+) \|", text)[1])
    whole = validate_study({"study": "s", "models": known_networks(), "ratings": [LAMEM], "compute": H100})
    plans = Plans(whole)
    hours = sum(plans.of(entry.name, "lamem").seconds for entry in whole.models) / 3600
    assert hours == pytest.approx(named, rel=0.2)


def known_networks():
    listed = re.findall(r"^  - (\w+)$", (ROOT / "config.yaml").read_text(), re.MULTILINE)
    assert len(listed) == 64
    return listed


# --- what holds for any network ---

UNITS = st.lists(st.integers(30, 3_000_000), min_size=1, max_size=30)
METHODS = st.sampled_from(["exact", "sketch"])


def sums(plan):
    return len(plan.jobs), plan.passes


@settings(max_examples=40, deadline=None)
@given(UNITS, METHODS, st.integers(12, 60), st.integers(0, 40), st.booleans())
def test_more_memory_makes_no_more_passes(units, method, memory, more, on_gpu):
    def planned(size):
        compute = {"gpus": int(on_gpu), "gpu_memory": f"{size}GB", "memory": f"{size}GB", "batch_size": 32}
        return plan_of(layers=layers_from(units), memorability={"method": method}, compute=compute)

    small, large = planned(memory), planned(memory + more)
    assert large.passes <= small.passes
    assert large.seconds <= small.seconds * (1 + 1e-9)
    for plan in (small, large):
        blocks = [layer for block in plan.blocks for layer in in_block(plan.layers, block)]
        assert blocks == list(plan.layers)  # each once, in order
        limit = plan.budget.device
        assert all(job.device <= limit for job in plan.jobs)


@settings(max_examples=40, deadline=None)
@given(UNITS, METHODS, st.booleans())
def test_another_layer_takes_no_less(units, method, on_gpu):
    compute = {"gpus": int(on_gpu), "gpu_memory": "60GB", "memory": "20GB", "batch_size": 32}
    sections = {"memorability": {"method": method}, "compute": compute}
    less, more = (
        plan_of(layers=layers_from(units[:-1] or units), **sections),
        plan_of(layers=layers_from(units), **sections),
    )
    assert more.passes >= less.passes
    assert more.seconds >= less.seconds * (1 - 1e-9)


@settings(max_examples=25, deadline=None)
@given(UNITS, st.integers(1, 8), st.integers(1, 8))
def test_threads_and_gpus_make_nothing_longer(units, few, more):
    layers, more = layers_from(units), few + more
    on_cpu = [plan_of("majajhong", layers=layers, recordings=[MAJAJ], compute={"threads": n}) for n in (few, more)]
    assert on_cpu[1].seconds < on_cpu[0].seconds
    gpus = [{"gpus": n, "gpu_memory": "30GB", "batch_size": 32} for n in (few, more)]
    on_gpu = [plan_of(layers=layers, compute=compute) for compute in gpus]
    assert on_gpu[1].passes <= on_gpu[0].passes
    assert on_gpu[1].seconds <= on_gpu[0].seconds * (1 + 1e-9)


@settings(max_examples=25, deadline=None)
@given(UNITS, st.integers(2, 4000), st.integers(1, 4000))
def test_more_images_take_more_disk_and_time(tmp_path_factory, units, few, more):
    layers, plans = layers_from(units), []
    for n_images in (few, few + more):
        path = tmp_path_factory.mktemp("scores") / "scores.csv"
        path.write_text("image,score\n" + "\n".join(f"{row}.png,0.5" for row in range(n_images)))
        ratings = [{"name": "rated", "images": path.parent, "scores": path}]
        plans.append(plan_of("rated", layers=layers, ratings=ratings, compute={"memory": "40GB"}))
    assert plans[0].n_images == few
    assert plans[1].seconds > plans[0].seconds
    assert plans[1].job("extract_activations").disk > plans[0].job("extract_activations").disk


# --- one plan ---


def test_a_plan_is_made_once_and_again_where_layers_change(monkeypatch):
    plans, made = Plans(study(ratings=[LAMEM])), []
    make = planning.make_plan
    monkeypatch.setattr(planning, "make_plan", lambda *arguments: made.append(1) or make(*arguments))
    first = plans.of("resnet18", "lamem")
    assert plans.of("resnet18", "lamem", list(first.layers), 224) is first
    assert len(made) == 1
    assert plans.of("resnet18", "lamem", first.layers[:10]).layers == first.layers[:10]
    assert len(made) == 2


def test_the_size_of_the_input_moves_neither_batches_nor_groups():
    plans = Plans(study(ratings=[LAMEM], compute=H100 | {"gpu_memory": "16GB"}))
    one, other = plans.of("resnet18", "lamem", size=32), plans.of("resnet18", "lamem", size=500)
    assert (one.batch_size, one.blocks) == (other.batch_size, other.blocks)


def test_an_extraction_is_divided_as_the_job_divides_it():
    compute = H100 | {"gpu_memory": "9GB"}
    plan = plan_of("majajhong", model="resnet50", recordings=[MAJAJ], compute=compute)
    budget = Budget.of(study(compute=compute))
    _, plans = plan_extraction(plan.layers, 3200, 3 * 224**2 * 3200, budget.device, budget.on_gpu, 1)
    assert plan.job("extract_activations").passes == len(plans[0]) > 1


def test_a_budget_that_is_too_small_names_the_network():
    with pytest.raises(ValueError, match=r"^resnet18 over lamem: 100,000,000 bytes are too few"):
        plan_of(compute={"memory": "100MB"})


def test_own_networks_are_planned_once_their_layers_are_listed(tmp_path, monkeypatch):
    from layerwise.interfaces import Preprocessing
    from layerwise.layers.manifest import write_manifest
    from layerwise.study import write_preprocessing

    monkeypatch.chdir(tmp_path)
    own = {"name": "own", "factory": "mine:build"}
    plans = Plans(study(models=[own], ratings=[LAMEM]))
    with pytest.raises(ValueError, match="own: a job lists its layers first"):
        plans.of("own", "lamem")
    folder = tmp_path / "results/s/models/own"
    folder.mkdir(parents=True)
    write_manifest(layers_from([40, 50]), folder / "manifest.tsv")
    write_preprocessing(Preprocessing(64, 64, "bilinear", (0, 0, 0), (1, 1, 1)), folder / "preprocessing.json")
    found = plans.of("own", "lamem")
    assert (len(found.layers), found.size) == (2, 64)
