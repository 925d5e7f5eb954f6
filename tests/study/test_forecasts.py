"""What `layerwise plan` says, against the planners that jobs use."""

import numpy as np
import pytest

from layerwise.activations.parts import reserved_bytes, stored_bytes
from layerwise.config import validate_study
from layerwise.data.recordings import write_recordings
from layerwise.interfaces import Recordings, StimulusSet
from layerwise.study import forecast, layers_of, memory_of, rating_blocks

LAMEM = {"name": "lamem", "images": "none", "splits": "none"}


def study(**sections):
    return validate_study({"study": "s", "models": ["resnet18"], **sections})


def forecast_of(study):
    return forecast(study, study.models[0])


@pytest.mark.parametrize("compute", [{}, {"gpus": 1, "gpu_memory": "13GB"}, {"gpus": 2, "gpu_memory": "13GB"}])
def test_streamed_ratings_take_all_passes_for_each_group(compute):
    lamem = study(ratings=[LAMEM], compute=compute)
    (found,), unknown = forecast_of(lamem)
    layers = layers_of(lamem.models[0])
    assert not unknown
    assert (found.way, found.n_images, found.n_layers) == ("streamed", 58_741, len(layers))
    assert found.jobs == len(rating_blocks(lamem, "lamem", layers)) > 0
    assert found.passes == 26 * found.jobs
    assert 0.2 * memory_of(lamem) < found.memory <= memory_of(lamem)
    assert found.disk == 0


@pytest.mark.parametrize("gpus", [0, 1])
def test_sketched_ratings_take_one_pass_for_each_group(gpus):
    lamem = study(ratings=[LAMEM], memorability={"method": "sketch", "disk": "10GB"}, compute={"gpus": gpus})
    (found,), _ = forecast_of(lamem)
    assert found.way == "sketched"
    assert found.passes == found.jobs == len(rating_blocks(lamem, "lamem", layers_of(lamem.models[0])))
    assert found.memory <= memory_of(lamem)
    assert (found.disk == 0) == bool(gpus)
    assert found.disk <= 10**10


@pytest.mark.parametrize("gpus", [0, 1, 2])
def test_stored_activations(tmp_path, gpus):
    ids = tuple(f"{number}.png" for number in range(400))
    for name in ids:
        (tmp_path / name).touch()
    movies = Recordings(np.zeros((1, 400, 2)), ids, ("a", "b"), ("V1",) * 2)
    write_recordings(movies, tmp_path / "movies.nc", StimulusSet("movies", ids, tuple(tmp_path / name for name in ids)))
    compute = {"gpus": gpus, "memory": "1GB", "gpu_memory": "1GB"}
    seen = study(recordings=[{"name": "movies", "file": tmp_path / "movies.nc"}], compute=compute)
    (found,), _ = forecast_of(seen)
    layers = layers_of(seen.models[0])
    assert (found.way, found.n_images, found.jobs) == ("stored", 400, 1)
    assert found.disk == stored_bytes(layers, 400)
    whole, room = 4 * 400 * sum(layer.units for layer in layers), 10**9 - reserved_bytes(layers, 400)
    # Two GPUs have half of the units each; some of a GPU's memory is for pixels and for what waits for the disk.
    assert found.passes >= whole / max(1, gpus) / room
    assert found.passes <= 1.3 * whole / max(1, gpus) / room + 1
    assert 0.5 * 10**9 < found.memory <= 10**9


def test_what_is_not_known_yet_is_said():
    entries = ["resnet18", {"name": "own", "factory": "mine:build", "preprocessing": {"size": 32, "resize": 32}}]
    recordings = [{"name": "movies", "file": "none.nc", "regions": ["V1"]}]
    ratings = [{"name": "figrim", "images": "none", "scores": "none.csv"}]
    all_ = validate_study({"study": "s", "models": entries, "recordings": recordings, "ratings": ratings})
    assert forecast(all_, all_.models[1]) == ([], ["own: a job lists its layers first"])
    known, unknown = forecast(all_, all_.models[0])
    assert not known
    assert [sentence.partition(":")[0] for sentence in unknown] == ["movies", "figrim"]
