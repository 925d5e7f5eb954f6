"""What `layerwise plan` adds up."""

import pytest

from layerwise.config import validate_study
from layerwise.study.forecast import forecast

LAMEM = {"name": "lamem", "images": "none", "splits": "none"}
RECORDED = {"name": "movies", "file": "none.nc", "regions": ["V1"]}


def forecast_of(models, *asked, **sections):
    study = validate_study({"study": "s", "models": models, **sections})
    return forecast(study, asked or [entry.name for entry in study.models])


def test_a_network_that_is_named_twice_counts_once():
    once, twice = (forecast_of(["alexnet"], *names, ratings=[LAMEM]) for names in (["alexnet"], ["alexnet"] * 2))
    assert once == twice
    assert len(once.rows) == 1


def test_a_network_that_does_not_fit_hides_no_other_and_is_named():
    found = forecast_of(["vgg19", "squeezenet1_1"], ratings=[LAMEM], compute={"memory": "3GB"})
    assert [row.plan.model for row in found.rows] == ["squeezenet1_1"]
    (failed,) = found.failed
    assert failed.startswith("vgg19 over lamem: ") and "bytes are too few" in failed


def test_pixels_are_shared_by_networks_of_one_geometry():
    one, two = (forecast_of(models, ratings=[LAMEM]) for models in (["alexnet"], ["alexnet", "resnet18"]))
    assert one.pixels == two.pixels == 58_741 * 224 * 224 * 3
    other = forecast_of(["alexnet", "inception_v3"], ratings=[LAMEM])
    assert other.pixels == 58_741 * 3 * (224 * 224 + 299 * 299)
    assert other.stages["pack_stimuli"].jobs == 2


def test_sketches_are_on_the_disk_until_their_job_ends():
    quick = {"memorability": {"method": "sketch", "disk": "10GB"}, "ratings": [LAMEM]}
    found = forecast_of(["resnet18"], **quick)
    jobs = found.rows[0].plan.jobs
    assert found.scratch == max(job.disk for job in jobs) > 10**9
    assert found.activations == 0
    assert forecast_of(["resnet18"], **quick, compute={"gpus": 1}).scratch == 0


def test_hours_are_sorted_by_rule_and_by_what_they_are_of():
    on_cpu = forecast_of(["alexnet"], ratings=[LAMEM], compute={"threads": 3})
    on_gpu = forecast_of(["alexnet"], ratings=[LAMEM], compute={"gpus": 2})
    stage = on_cpu.stages["stream_memorability"]
    assert stage.cpu_hours == pytest.approx(3 * on_cpu.rows[0].plan.seconds / 3600)
    assert stage.gpu_hours == 0
    assert on_gpu.stages["stream_memorability"].gpu_hours == pytest.approx(2 * on_gpu.rows[0].plan.seconds / 3600)


@pytest.mark.parametrize("wanted", [None, 20])
def test_images_for_principal_components_that_are_not_there_are_told(tmp_path, wanted):
    public = {"regions": ["V4"], "visual_degrees": 8, "images": "none", "brainscore": "MajajHong2015.public"}
    reduced = {"images": tmp_path / "none", "components": 10, "n_images": wanted}
    study = {"recordings": [RECORDED | public], "brain": {"pca": reduced}, "regression": {"components": 5}}
    found = forecast_of(["alexnet"], **study)
    assert [sentence.partition(":")[0] for sentence in found.unknown] == ["movies", "pca_images"]
    assert [row.plan.n_images for row in found.rows] == ([3220] if wanted else [])
    (tmp_path / "none").mkdir()
    for number in range(12):
        (tmp_path / "none" / f"{number}.png").touch()
    assert forecast_of(["alexnet"], **study).rows[0].plan.n_images == 3200 + (wanted or 12)


def test_what_is_not_known_yet_is_said():
    entries = ["resnet18", {"name": "own", "factory": "mine:build", "preprocessing": {"size": 32, "resize": 32}}]
    ratings = [{"name": "figrim", "images": "none", "scores": "none.csv"}]
    sections = {"recordings": [RECORDED], "ratings": ratings}
    own = forecast_of(entries, "own", **sections)
    told = "own: a job lists its layers first, and what runs over them is counted then"
    assert (own.rows, own.unknown) == ([], [told])
    known = forecast_of(entries, "resnet18", **sections)
    assert not known.rows
    assert [sentence.partition(":")[0] for sentence in known.unknown] == ["movies", "figrim"]
