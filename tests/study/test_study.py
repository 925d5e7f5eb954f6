import json
import re

import h5py
import numpy as np
import pytest

from layerwise.config import validate_study
from layerwise.config.models import ModelEntry
from layerwise.data.recordings import write_recordings
from layerwise.interfaces import Geometry, Preprocessing, Recordings, StimulusSet
from layerwise.study import (
    Region,
    find_region,
    geometry_of,
    layers_of,
    pca_geometry,
    preprocessing_of,
    present,
    read_preprocessing,
    regions,
    stimulus_files,
    write_preprocessing,
)
from layerwise.study.stimuli import kept_share

EXPECTED = Preprocessing(224, 256, "bicubic", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


def study(**changes):
    recordings = [{"name": "movies", "file": "none.nc", "regions": ["V1"]}]
    ratings = [{"name": "figrim", "images": "photos", "scores": "scores.csv"}]
    return validate_study({"study": "s", "models": ["alexnet"], "recordings": recordings, "ratings": ratings} | changes)


def test_a_region_may_get_a_name_of_its_own():
    both = study(
        recordings=[
            {"name": "random", "file": "x.nc", "regions": ["V1"]},
            {"name": "whole", "file": "x.nc", "regions": {"V1": "V1_whole_movies"}},
        ]
    )
    assert regions(both) == (Region("V1", "random", "V1"), Region("V1_whole_movies", "whole", "V1"))
    assert find_region(both, "V1_whole_movies").label == "V1"
    with pytest.raises(ValueError, match="no region 'V2' in the study; there are: V1, V1_whole_movies"):
        find_region(both, "V2")


def test_two_regions_of_one_name_are_refused():
    twice = [{"name": name, "file": "x.nc", "regions": ["V1"]} for name in ("one", "two")]
    with pytest.raises(ValueError, match=r"'V1' is given twice, in one \(V1\), two \(V1\)"):
        regions(study(recordings=twice))


def test_a_size_in_the_file_that_images_cannot_have_is_refused_unless_the_config_gives_one(tmp_path):
    with h5py.File(tmp_path / "a.nc", "w") as file:
        file.attrs.update({"format": "layerwise recordings", "version": 1, "visual_degrees": "eight"})
    entry = {"name": "movies", "file": str(tmp_path / "a.nc"), "regions": ["V1"]}
    with pytest.raises(ValueError, match=r"visual_degrees of .*a\.nc is 'eight'"):
        geometry_of(study(recordings=[entry]), "movies", EXPECTED)
    assert geometry_of(study(recordings=[entry | {"visual_degrees": 4}]), "movies", EXPECTED).canvas == 2


def test_regions_that_differ_in_case_alone_are_refused():
    alike = [{"name": name, "file": "x.nc", "regions": [name]} for name in ("IT", "it")]
    with pytest.raises(ValueError, match=r"'IT' is given twice, in IT \(IT\), other \(it\) \(case does not count\)"):
        regions(study(recordings=[alike[0], alike[1] | {"name": "other"}]))


def test_the_hint_names_the_region_that_is_there_twice():
    recordings = [
        {"name": "one", "file": "x.nc", "regions": ["V1", "IT"]},
        {"name": "two", "file": "x.nc", "regions": {"inferior": "IT"}},
    ]
    with pytest.raises(ValueError, match=r"'IT' is given twice.*`regions: \{inferior: another_name\}`.*recording two"):
        regions(study(recordings=recordings))


@pytest.mark.parametrize("name", ["model", "depth", "V1_error", "IT_splits", "V4_ceiled_2026"])
def test_a_region_must_not_be_named_like_a_column(name):
    with pytest.raises(ValueError, match=f"'a': a region cannot be named so: '{name}'"):
        regions(study(recordings=[{"name": "a", "file": "x.nc", "regions": [name]}]))


@pytest.mark.parametrize(
    ("label", "hint"), [("I/T", "IT"), ("../V1", "V1"), ("V 1", "V1"), ("V1\n", "V1"), ("/", "a_name")]
)
def test_labels_of_a_file_that_cannot_name_a_folder(tmp_path, label, hint):
    recordings = Recordings(np.zeros((2, 3, 2)), ("a", "b", "c"), ("n1", "n2"), ("V4", label))
    write_recordings(recordings, tmp_path / "x.nc", StimulusSet("x", ("a", "b", "c"), (tmp_path / "a.png",) * 3))
    with pytest.raises(ValueError, match=re.escape(f"`regions: {{{json.dumps(label)}: {hint}}}`")):
        regions(study(recordings=[{"name": "a", "file": str(tmp_path / "x.nc")}]))
    named = study(recordings=[{"name": "a", "file": str(tmp_path / "x.nc"), "regions": {label: "IT"}}])
    assert regions(named) == (Region("IT", "a", label),)


def test_a_region_must_not_be_named_like_a_measure():
    with pytest.raises(ValueError, match="'memorability' is given twice"):
        regions(study(recordings=[{"name": "a", "file": "x.nc", "regions": ["memorability"]}]))


def test_regions_of_a_file_that_is_not_there_must_be_named():
    with pytest.raises(ValueError, match=r"none.nc is not there.*`regions: \[V1\]`"):
        regions(study(recordings=[{"name": "a", "file": "none.nc"}]))


def test_geometry_of_recordings_follows_visual_degrees_and_that_of_ratings_the_network():
    degrees = study(recordings=[{"name": "movies", "file": "none.nc", "regions": ["V1"], "visual_degrees": 4}])
    assert geometry_of(degrees, "movies", EXPECTED) == Geometry("square", 224, 224, "bilinear", 2.0)
    assert geometry_of(study(), "movies", EXPECTED) == Geometry("square", 224, 224, "bilinear", 1.0)
    assert geometry_of(study(), "figrim", EXPECTED) == Geometry("crop", 224, 256, "bicubic", 1.0)


def test_stimuli_wider_than_the_screen_lose_their_rim_or_are_fitted():
    wide = {"name": "movies", "file": "none.nc", "regions": ["V1"], "visual_degrees": 20}
    assert geometry_of(study(recordings=[wide]), "movies", EXPECTED).canvas == 0.4
    assert kept_share(study(recordings=[wide]), "movies") == (pytest.approx(0.16), 20)
    fitted = study(recordings=[wide | {"beyond_screen": "fit"}])
    assert geometry_of(fitted, "movies", EXPECTED) == Geometry("square", 224, 224, "bilinear", 1.0)
    assert kept_share(fitted, "movies") == (1, 20)
    small = study(recordings=[wide | {"beyond_screen": "fit", "visual_degrees": 4}])
    assert geometry_of(small, "movies", EXPECTED).canvas == 2


def test_images_of_principal_components_fill_the_input_and_go_with_recordings_alone():
    degrees = [{"name": "movies", "file": "none.nc", "regions": ["V1"], "visual_degrees": 4}]
    reduced = study(recordings=degrees, brain={"pca": {"images": "photos"}})
    assert pca_geometry(reduced, "movies", EXPECTED) == Geometry("square", 224, 224, "bilinear", 1.0)
    assert pca_geometry(reduced, "figrim", EXPECTED) is None
    assert pca_geometry(study(recordings=degrees), "movies", EXPECTED) is None
    files, folder = stimulus_files(reduced, "pca_images")
    assert (files, str(folder)) == ([], "photos")


def test_files_that_are_not_there_are_left_out(tmp_path):
    (tmp_path / "there").touch()
    assert present([tmp_path / "there", tmp_path / "missing"]) == [str(tmp_path / "there")]


def test_stimulus_files_of_recordings_and_ratings(tmp_path):
    files, folder = stimulus_files(study(), "movies")
    assert [str(file) for file in files] == ["none.nc"]
    assert folder is None
    files, folder = stimulus_files(study(), "figrim")
    assert ([str(file) for file in files], str(folder)) == (["scores.csv"], "photos")
    for name in ("train_1.txt", "test_1.txt", "readme.txt"):  # the last is not read
        (tmp_path / name).touch()
    lamem = study(ratings=[{"name": "lamem", "images": "photos", "splits": str(tmp_path)}])
    assert stimulus_files(lamem, "lamem")[0] == [tmp_path / "test_1.txt", tmp_path / "train_1.txt"]


def test_known_networks_bring_layers_and_preprocessing_and_own_ones_do_not():
    known, own = ModelEntry(name="alexnet"), ModelEntry(name="mine", timm="convnext_tiny.fb_in1k")
    assert len(layers_of(known)) == 21
    assert preprocessing_of(known).size == 224
    assert (layers_of(own), preprocessing_of(own)) == (None, None)
    assert layers_of(ModelEntry(name="alexnet", options={"num_classes": 10})) is None


def test_preprocessing_survives_being_written(tmp_path):
    write_preprocessing(EXPECTED, tmp_path / "preprocessing.json")
    assert read_preprocessing(tmp_path / "preprocessing.json") == EXPECTED
    write_preprocessing(EXPECTED, tmp_path / "preprocessing.json", parameters=5)
    assert read_preprocessing(tmp_path / "preprocessing.json") == EXPECTED
