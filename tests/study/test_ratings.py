"""Which ratings are streamed, and in which groups of layers; from tables alone."""

import pytest

from layerwise.config import validate_study
from layerwise.interfaces import LayerSpec
from layerwise.study import Budget, Plans, method_of

LAYERS = [LayerSpec(f"layer{rank}", "ReLU", (400_000,), 400_000, rank) for rank in range(1, 21)]


def planned(study):
    return Plans(study).of("alexnet", "rated", LAYERS)


def blocks(study):
    return Plans(study).blocks("alexnet", "rated", LAYERS)


def study(entry, **sections):
    return validate_study({"study": "s", "models": ["alexnet"], "ratings": [{"name": "rated", **entry}], **sections})


@pytest.fixture
def scores(tmp_path):
    path = tmp_path / "scores.csv"
    path.write_text("image,score\n" + "".join(f"{row}.png,0.5\n" for row in range(30)))
    return {"images": tmp_path, "scores": path}


@pytest.mark.parametrize(("small", "expected"), [(29, "streamed"), (30, "stored")])
def test_the_number_of_images_decides(scores, small, expected):
    assert method_of(study(scores, memorability={"small": small}), "rated") == expected


def test_lamem_is_streamed_also_before_its_files_are_there(tmp_path):
    entry = {"images": tmp_path, "splits": tmp_path / "none"}
    assert method_of(study(entry), "rated") == "streamed"
    assert planned(study(entry)).n_images == 58_741


def test_lamem_is_counted_from_one_split(tmp_path):
    for part, count in (("train", 7), ("val", 2), ("test", 4)):
        for split in (1, 2):
            lines = [f"{part}{row}.jpg 0.5" for row in range(count)]
            (tmp_path / f"{part}_{split}.txt").write_text("\n".join(lines) + "\n\n")
    demand = planned(study({"images": tmp_path, "splits": tmp_path}, memorability={"small": 10})).demand
    assert (demand.n_images, demand.n_splits) == (13, 2)


def test_folds_that_a_column_names_are_counted(scores, tmp_path):
    streamed = {"memorability": {"small": 10}}
    assert planned(study({**scores, "folds": 7}, **streamed)).demand.n_splits == 7
    lines = [f"{row}.png,0.5,session {row % 12}" for row in range(30)]
    scores["scores"].write_text("\n".join(["image,score,session", *lines]) + "\n")
    assert planned(study({**scores, "fold_column": "session"}, **streamed)).demand.n_splits == 12


def test_small_ratings_have_blocks_of_a_job_and_large_ones_groups_of_memory(scores):
    assert blocks(study(scores)) == ["001-020"]
    streamed = {"memorability": {"small": 10}}
    groups = blocks(study(scores, **streamed))
    assert groups[0].startswith("001")
    assert groups[-1].endswith("020")
    assert len(groups) > 1
    on_gpu = study(scores, **streamed, compute={"gpus": 1})
    assert Budget.of(on_gpu).device == 75 * 10**9
    assert blocks(on_gpu) == ["001-020"]
    unused = study(scores, **streamed, compute={"gpus": 1, "device": "cpu"})
    assert blocks(unused) == groups


def test_a_job_of_a_gpu_takes_histories_to_its_own_memory(scores):
    small = {"gpus": 1, "gpu_memory": "3GB", "batch_size": 1}
    streamed = {"memorability": {"small": 10}}
    counts = [
        len(blocks(study(scores, **streamed, compute=small | {"memory": memory})))
        for memory in ("100MB", "2GB", "10GB")
    ]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > counts[1] > counts[2] == 1


def test_groups_are_as_large_as_all_gpus_of_a_job_allow(scores):
    def plan(gpus):
        return study(scores, memorability={"small": 10}, compute={"gpus": gpus, "gpu_memory": "3GB", "memory": "100MB"})

    one, two = (blocks(plan(gpus)) for gpus in (1, 2))
    assert one == ["001-004", "005-008", "009-012", "013-016", "017-020"]
    assert two == ["001-008", "009-016", "017-020"]
    on_two = planned(plan(2))
    on_two.require_devices(two[0], 2)
    on_two.require_devices(one[0], 1)
    with pytest.raises(ValueError, match=r"planned for the memory of 2 GPUs .* set compute.gpus to 1"):
        on_two.require_devices(two[0], 1)


def test_sketches_lie_in_a_file_or_on_the_gpu_of_a_job(scores):
    quick = {"memorability": {"small": 10, "method": "sketch", "disk": "100MB"}}
    in_file = study(scores, **quick)
    assert method_of(in_file, "rated") == "sketched"
    assert method_of(study(scores, memorability={"method": "sketch"}), "rated") == "stored"
    assert blocks(in_file) == ["001-020"]  # of 30 images
    many = {"images": "none", "splits": "none"}
    assert len(blocks(study(many, memorability=quick["memorability"] | {"disk": "2GB"}))) == 5
    on_gpu = study(many, **quick, compute={"gpus": 1})
    assert planned(on_gpu).demand.in_memory and not planned(in_file).demand.in_memory
    assert blocks(on_gpu) == ["001-020"]


@pytest.mark.parametrize("way", ["exact", "sketch"])
def test_batches_are_large_unless_that_makes_more_groups(scores, way):
    sections = {"memorability": {"small": 10, "method": way}}

    def chosen(**compute):
        plan = planned(study(scores, **sections, compute=compute))
        return plan.batch_size, len(plan.blocks)

    assert chosen()[0] == 32
    assert chosen(gpus=1) == (256, 1)
    assert chosen(gpus=1, batch_size=7) == (7, 1)
    for budget in range(3, 13):
        memory = {"gpus": 1, "gpu_memory": f"{budget}GB"}
        size, groups = chosen(**memory)
        assert groups == min(chosen(**memory, batch_size=other)[1] for other in (32, 64, 128, 256))
        larger, more = chosen(**memory, batch_size=2 * size)
        assert larger <= size or more > groups or size == 256
