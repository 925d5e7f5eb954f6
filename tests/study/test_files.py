"""What planning takes for the images of a study is what the steps read, and it is known by its content."""

import os
import unicodedata
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from layerwise.config import validate_study
from layerwise.data.recordings import write_recordings
from layerwise.files import Contents, hash_file
from layerwise.interfaces import Recordings, StimulusSet
from layerwise.models import registry
from layerwise.models.labelled import read_labelled
from layerwise.steps.inputs import stimulus_set
from layerwise.study import (
    Layout,
    fingerprint,
    imagenet_fingerprint,
    kept_activations,
    own_weights,
    require_room,
    require_weights,
)

ODD = ["a.jpg", "b.JFIF", "c.avif", "d", "below/e.png", "linked/f.webp", "g.h.png"]


class Asked(Contents):
    """Remembers which files it was asked about."""

    def __init__(self, store):
        super().__init__(store)
        self.paths = set()

    def of(self, paths):
        listed = [Path(path) for path in paths]
        self.paths |= set(listed)
        return super().of(listed)


@pytest.fixture
def contents(tmp_path):
    return Asked(tmp_path / "contents.json")


def draw(folder, elsewhere, names=ODD):
    """Images in a folder, some in a folder below and in one that is linked; and files that no table names."""
    (folder / "below").mkdir(parents=True)
    elsewhere.mkdir()
    (folder / "linked").symlink_to(elsewhere)
    for name in [*names, "unnamed.png", "notes.txt"]:
        (folder / name).write_text(f"image {name}")
    return folder


def recorded(folder):
    """A study whose recording names images."""
    recordings = Recordings(np.zeros((2, len(ODD), 1)), tuple(sorted(ODD)), ("n",), ("V1",))
    images = StimulusSet("x", tuple(sorted(ODD)), tuple(folder / name for name in sorted(ODD)))
    write_recordings(recordings, folder.parent / "x.nc", images)
    entry = {"name": "set", "file": str(folder.parent / "x.nc"), "regions": ["V1"]}
    return validate_study({"study": "s", "models": ["alexnet"], "recordings": [entry]})


def rated(folder, **columns):
    entry = {"name": "set", "images": str(folder), **columns}
    return validate_study({"study": "s", "models": ["alexnet"], "ratings": [entry]})


def split(folder):
    """A study with LaMem's splits, in which each part names some images."""
    for part, names in (("train", ODD[:4]), ("val", ODD[4:5]), ("test", ODD[5:])):
        for name in names:
            (folder / name).touch()
        (folder.parent / f"{part}_1.txt").write_text("".join(f"{name} 0.5\n" for name in names))
    (folder.parent / "readme.txt").write_text("unnamed.png 0.5\n")
    return rated(folder, splits=str(folder.parent))


def scored(folder):
    """A study with a table of scores: of images that its reader takes, in a column of an unusual name."""
    names = ["a.jpg", "g.h.png", "below/e.png", "linked/f.webp", "c.avif", "b.JFIF"]
    table = pd.DataFrame({"picture": [f" ./{name}" for name in names], "mask": "unnamed.png", "score": range(6)})
    table.to_csv(folder.parent / "scores.csv", index=False, encoding="utf-8-sig")
    chosen = {"scores": str(folder.parent / "scores.csv"), "image_column": "picture", "folds": 2}
    return rated(folder, unscored_images="ignore", **chosen)


def drawn(folder):
    """A study whose layers are reduced, on images that are drawn from a folder."""
    pca = {"images": str(folder), "components": 1, "n_images": 2}
    study = recorded(folder).model_dump(mode="json")
    return validate_study(study | {"brain": {"pca": pca}, "regression": {"components": 1}})


@pytest.mark.parametrize(("make", "name"), [(recorded, "set"), (scored, "set"), (drawn, "pca_images")])
def test_the_images_are_exactly_those_that_the_step_reads(tmp_path, contents, make, name):
    study = make(draw(tmp_path / "images", tmp_path / "elsewhere"))
    fingerprint(study, name, contents)
    assert {path.resolve() for path in contents.paths} == {path.resolve() for path in stimulus_set(study, name).paths}


def test_lamems_images_are_those_that_its_splits_name(tmp_path, contents):
    folder = draw(tmp_path / "images", tmp_path / "elsewhere")
    fingerprint(split(folder), "set", contents)
    assert contents.paths == {folder / name for name in ODD}


@pytest.mark.parametrize("name", ODD)
def test_a_replaced_image_of_any_name_is_noticed_whatever_its_date(tmp_path, contents, name):
    study = recorded(draw(tmp_path / "images", tmp_path / "elsewhere"))
    before, image = fingerprint(study, "set", contents), tmp_path / "images" / name
    found, text = image.stat(), image.read_text()
    other = tmp_path / "other"
    other.write_text(text.replace("image", "IMAGE"))  # of the same size and date
    os.utime(other, ns=(found.st_atime_ns, found.st_mtime_ns))
    other.rename(image)
    assert fingerprint(study, "set", contents) != before
    image.write_text(text)
    assert fingerprint(study, "set", contents) == before  # another date and inode, the same content


def test_two_images_that_change_places_are_noticed(tmp_path, contents):
    study = recorded(draw(tmp_path / "images", tmp_path / "elsewhere"))
    before, folder = fingerprint(study, "set", contents), tmp_path / "images"
    (folder / "a.jpg").rename(folder / "x")
    (folder / "d").rename(folder / "a.jpg")
    (folder / "x").rename(folder / "d")
    assert fingerprint(study, "set", contents) != before


@pytest.mark.parametrize("make", [recorded, scored])
def test_files_that_no_table_names_do_not_count(tmp_path, contents, make):
    study = make(draw(tmp_path / "images", tmp_path / "elsewhere"))
    before = fingerprint(study, "set", contents)
    (tmp_path / "images/unnamed.png").write_text("edited")
    (tmp_path / "images/new.png").touch()
    assert fingerprint(study, "set", contents) == before


def test_a_copy_of_the_study_elsewhere_has_the_same_fingerprint(tmp_path, contents):
    one = recorded(draw(tmp_path / "one/images", tmp_path / "elsewhere"))
    two = recorded(draw(tmp_path / "two/images", tmp_path / "elsewhere too"))
    assert fingerprint(one, "set", contents) == fingerprint(two, "set", contents)


def test_where_a_named_image_is_not_there_all_files_in_the_folder_count(tmp_path, contents):
    folder = draw(tmp_path / "images", tmp_path / "elsewhere", [])
    (folder / unicodedata.normalize("NFD", "é.png")).write_text("1")  # a reader may find it all the same
    (tmp_path / "scores.csv").write_text(unicodedata.normalize("NFC", "image,score\né.png,1\n"), encoding="utf-8")
    study = rated(folder, scores=str(tmp_path / "scores.csv"))
    before = fingerprint(study, "set", contents)
    (folder / unicodedata.normalize("NFD", "é.png")).write_text("2")
    two = fingerprint(study, "set", contents)
    (folder / "linked/new.jfif").touch()
    (folder / "linked/back").symlink_to(folder)  # a loop
    assert len({before, two, fingerprint(study, "set", contents)}) == 3


@pytest.mark.parametrize(
    "table", ["", "image,name,score\na,b,1\n", "score\n1\n", 'image,score\n"a\n', "image,score\n\xff,1"]
)
def test_a_table_that_cannot_be_read_is_left_to_the_step(tmp_path, contents, table):
    folder = draw(tmp_path / "images", tmp_path / "elsewhere")
    (tmp_path / "scores.csv").write_text(table, encoding="latin-1")
    study = rated(folder, scores=str(tmp_path / "scores.csv"))
    before = fingerprint(study, "set", contents)
    (folder / "a.jpg").write_text("edited")
    assert fingerprint(study, "set", contents) != before
    with pytest.raises(ValueError, match=r"scores\.csv"):
        stimulus_set(study, "set")


def test_without_data_there_is_a_fingerprint_too(tmp_path, contents):
    study = rated(tmp_path / "missing", scores=str(tmp_path / "missing.csv"))
    assert fingerprint(study, "set", contents) == fingerprint(study, "set", contents)
    bare = [{"name": "set", "file": str(tmp_path / "missing.nc"), "regions": ["V1"]}]
    assert fingerprint(validate_study({"study": "s", "models": ["alexnet"], "recordings": bare}), "set", contents)


def test_a_damaged_recording_is_told_at_once(tmp_path, contents):
    study = recorded(draw(tmp_path / "images", tmp_path / "elsewhere"))
    (tmp_path / "x.nc").write_bytes((tmp_path / "x.nc").read_bytes()[:500])
    with pytest.raises(ValueError, match="truncated"):
        fingerprint(study, "set", contents)


def imagenet(folder, **chosen):
    return validate_study({"study": "s", "models": ["alexnet"], "imagenet": {"images": str(folder), **chosen}})


def test_imagenets_images_are_those_that_the_gate_reads(tmp_path, contents):
    for name in ("a.JPEG", "b", "c.png"):
        (tmp_path / name).write_text(name)
    (tmp_path / "labels.txt").write_text("a.JPEG 1\nb 2\n")
    study = imagenet(tmp_path, labels=str(tmp_path / "labels.txt"))
    before = imagenet_fingerprint(study, contents)
    assert before["labels"] == hash_file(tmp_path / "labels.txt")[:16]
    read = {path for path, _ in read_labelled(tmp_path, tmp_path / "labels.txt")}
    assert contents.paths - {tmp_path / "labels.txt"} == read == {tmp_path / "a.JPEG", tmp_path / "b"}
    (tmp_path / "b").write_text("B")
    assert imagenet_fingerprint(study, contents) == before | {"images": imagenet_fingerprint(study, contents)["images"]}
    assert imagenet_fingerprint(study, contents) != before


def test_imagenet_that_is_not_there_is_left_to_the_gate(tmp_path, contents):
    found = imagenet_fingerprint(imagenet(tmp_path / "none", labels=str(tmp_path / "none.txt")), contents)
    assert found["labels"] == ""


def test_weights_that_a_user_gives_are_named_by_the_config_or_lie_in_the_folder_for_timm(tmp_path):
    entries = [
        {"name": "named", "model": "alexnet", "weights": "mine.pth"},
        {"name": "lies", "timm": "convnext_tiny.fb_in1k"},
        {"name": "drawn", "timm": "convnext_tiny.fb_in1k", "weights": "random"},
        {"name": "official", "model": "alexnet"},
        {"name": "built", "factory": "a:b"},
    ]
    study = validate_study({"study": "s", "models": entries})
    assert [own_weights(entry, tmp_path) for entry in study.models] == [Path("mine.pth"), None, None, None, None]
    (tmp_path / "convnext_tiny.fb_in1k.pth").touch()
    (tmp_path / registry.find("alexnet").file).touch()
    found = [own_weights(entry, tmp_path) for entry in study.models]
    assert found == [Path("mine.pth"), tmp_path / "convnext_tiny.fb_in1k.pth", None, None, None]


def test_activations_that_are_kept_are_those_that_scores_came_from(tmp_path):
    recordings = [{"name": "macaque", "file": "x.nc", "regions": ["V1", "IT"]}]
    (tmp_path / "x.csv").write_text("image,score\na,1\nb,2\n")
    scored = {"images": "none", "scores": str(tmp_path / "x.csv")}
    ratings = [{"name": name, "measure": name, **scored} for name in ("one", "two")]
    content = {"study": "s", "models": ["alexnet"], "recordings": recordings, "ratings": ratings}
    layout = Layout(str(tmp_path))
    paths = {name: Path(layout.activations("alexnet", name)) for name in ("macaque", "one")}
    for path in paths.values():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    study = validate_study(content)
    of_brain = dict.fromkeys(("V1", "IT"), paths["macaque"])
    assert kept_activations(study, "alexnet", layout) == of_brain | {"one": paths["one"]}
    streamed = validate_study(content | {"memorability": {"small": 1}})
    assert kept_activations(streamed, "alexnet", layout) == of_brain
    assert (
        kept_activations(validate_study(content | {"storage": {"activations": "temporary"}}), "alexnet", layout) == {}
    )


@pytest.mark.parametrize(("given", "told"), [(slice(8), None), (slice(64), None), (slice(8, 20), "begins with")])
def test_weights_are_those_that_the_config_names(tmp_path, monkeypatch, given, told):
    monkeypatch.chdir(tmp_path)
    Path("own.pth").write_bytes(b"weights")
    right = hash_file("own.pth")
    network = {"name": "own", "factory": "a.b:c", "weights": "own.pth", "sha256": right[given]}
    study = validate_study({"study": "s", "models": [network]})
    contents = Contents(tmp_path / "contents.json")
    if told is None:
        require_weights(study, contents)
        require_weights(validate_study({"study": "s", "models": [network | {"weights": "absent.pth"}]}), contents)
        Path("own.pth").write_bytes(b"weighty")
    with pytest.raises(ValueError, match=r"^own\.pth, the weights of 'own', is damaged or another file: its SHA-256"):
        require_weights(study, Contents(tmp_path / "again.json"))


@pytest.mark.parametrize("changes", [{"weights": "random"}, {"weights": None}, {"sha256": "xyz"}, {"sha256": "12"}])
def test_a_hash_of_no_file_is_refused(changes):
    network = {"name": "own", "factory": "a.b:c", "weights": "own.pth", "sha256": "0" * 64}
    with pytest.raises(ValueError, match="sha256"):
        validate_study({"study": "s", "models": [network | changes]})


def test_a_full_disk_is_told_of_before_snakemake_cannot_write(tmp_path, monkeypatch):
    require_room(tmp_path)
    monkeypatch.setattr("layerwise.study.files.shutil.disk_usage", lambda _: SimpleNamespace(free=300_000))
    with pytest.raises(ValueError, match=r"is full \(0\.3 MB free\): free some space, and start again"):
        require_room(tmp_path)
