"""Recordings on the same images share pixels and activations."""

import numpy as np
import pytest
from PIL import Image

from layerwise.config import validate_study
from layerwise.data.recordings import write_recordings
from layerwise.interfaces import Recordings, StimulusSet
from layerwise.study import Layout, activations_for
from layerwise.study.plan import Plans, shown_sets
from layerwise.study.stimuli import shared_stimuli
from layerwise.study.tasks import list_tasks

IDS = tuple(f"image{index}" for index in range(6))


@pytest.fixture
def folder(tmp_path):
    for name in (*IDS, "other"):
        Image.new("RGB", (8, 8)).save(tmp_path / f"{name}.png")
    return tmp_path


def record(folder, name, region, ids=IDS, last=None):
    images = StimulusSet("images", ids, tuple(folder / f"{one}.png" for one in [*ids[:-1], last or ids[-1]]))
    responses = np.random.default_rng(0).normal(size=(2, len(ids), 3))
    recordings = Recordings(responses, ids, tuple(f"{region}{index}" for index in range(3)), (region,) * 3)
    write_recordings(recordings, folder / name, images, visual_degrees=8)


def study(folder, *recordings):
    entries = [{"visual_degrees": 8, **one, "file": str(folder / one["file"])} for one in recordings]
    return validate_study({"study": "s", "models": ["alexnet"], "recordings": entries, "storage": {"results": "r"}})


def test_two_files_on_the_same_images_share_one_extraction(folder):
    record(folder, "a.nc", "V4")
    record(folder, "b.nc", "IT")
    both = study(folder, {"name": "a", "file": "a.nc"}, {"name": "b", "file": "b.nc", "measures": ["rsa"]})
    assert (shared_stimuli(both, "a"), shared_stimuli(both, "b"), shown_sets(both)) == ("a", "a", ["a"])
    assert activations_for(both, Layout("r/s"), "alexnet", "b") == Layout("r/s").activations("alexnet", "a")
    tasks = list_tasks(Plans(both)).tasks
    extracted = [task for task in tasks if task.step == "extract_activations"]
    assert [task.names["stimuli"] for task in extracted] == ["a"]
    assert [task.names["stimuli"] for task in tasks if task.step == "pack_stimuli"] == ["a"]
    scored = {task.names["region"]: task.inputs for task in tasks if task.step == "score_brain"}
    assert set(scored) == {"V4", "IT"}
    assert all(extracted[0].outputs[0] in inputs for inputs in scored.values())


def test_one_file_with_two_splits_shares_one_extraction_though_it_is_not_there_yet(folder):
    one = {"file": "later.nc", "images": "images"}
    twice = study(
        folder,
        {**one, "name": "a", "regions": ["IT"]},
        {**one, "name": "b", "regions": {"IT": "IT_given"}, "splits": {"method": "given", "by": "set"}},
    )
    assert shown_sets(twice) == ["a"]


@pytest.mark.parametrize(
    ("stimuli", "settings"),
    [
        ({"ids": IDS[:-1]}, {}),  # fewer
        ({"last": "other"}, {}),  # the same ids, one with another image
        ({}, {"visual_degrees": 4}),
        ({}, {"geometry": "crop"}),
        ({}, {"images": "elsewhere"}),
        ({}, {"brainscore": "Other.public", "images": "x", "regions": ["IT"]}),
    ],
)
def test_what_is_shown_otherwise_is_not_shared(folder, stimuli, settings):
    record(folder, "a.nc", "V4")
    record(folder, "b.nc", "IT", **stimuli)
    two = study(folder, {"name": "a", "file": "a.nc"}, {"name": "b", "file": "b.nc", **settings})
    assert shared_stimuli(two, "b") == "b"
    assert shown_sets(two) == ["a", "b"]
