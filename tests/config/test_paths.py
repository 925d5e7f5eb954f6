"""Paths count from the folder of the file that says them, whatever the working folder is."""

import logging
import os
import typing
from copy import deepcopy
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel
from snakemake.utils import update_config

from layerwise.config import Study, dump_study, load_study, still_said, strays_of, validate_study
from layerwise.config.base import Given
from layerwise.config.errors import model_within
from layerwise.config.paths import anchor, count_from, count_from_here, given_in
from layerwise.config.settings import StorageSettings

WHOLE = {
    "study": "s",
    "models": ["alexnet", {"name": "own", "model": "resnet18", "weights": "own.pth"}],
    "recordings": [{"name": "movies", "file": "data/movies.nc", "images": "../frames"}],
    "ratings": [
        {"name": "rated", "images": "photos", "scores": "scores.csv"},
        {"name": "lamem", "images": "/lamem/images", "splits": "lamem/splits", "measure": "m"},
    ],
    "brain": {"pca": {"images": "many", "components": 30}},
    "imagenet": {"images": "val", "labels": "labels.txt"},
    "storage": {"results": "out", "weights": "kept"},
}


def fields_of(model: type[BaseModel]) -> typing.Iterator[tuple[type[BaseModel], str, typing.Any]]:
    for name, field in model.model_fields.items():
        yield model, name, field
        inner = model_within(field.annotation)
        if inner is not None:
            yield from fields_of(inner)


def holds_path(annotation: typing.Any) -> bool:
    return annotation is Path or any(map(holds_path, typing.get_args(annotation)))


def test_every_path_counts_from_its_file_but_where_a_run_writes():
    given = {name for _, name, field in fields_of(Study) if given_in(field.annotation, field.metadata)}
    paths = {(model, name) for model, name, field in fields_of(Study) if holds_path(field.annotation)}
    assert {name for _, name in paths} >= {"file", "images", "scores", "splits", "labels"}
    assert {(model, name) for model, name in paths if name not in given or model is StorageSettings} == {
        (StorageSettings, "results"),
        (StorageSettings, "weights"),
    }
    assert given_in(*of(StorageSettings, "weights")) is None
    assert given == {"file", "images", "scores", "splits", "labels", "weights"}


def of(model, name):
    return model.model_fields[name].annotation, model.model_fields[name].metadata


@pytest.mark.parametrize(
    ("annotation", "is_path"),
    [
        (typing.Annotated[str, Given()], True),
        (typing.Annotated[Path, Given()] | None, True),
        (list[typing.Annotated[Path, Given()]], True),
        (dict[str, list[str]] | None, False),
        (Path, False),
    ],
)
def test_the_mark_is_found_within_a_type(annotation, is_path):
    assert (given_in(annotation, getattr(annotation, "__metadata__", ())) is not None) is is_path


@pytest.mark.parametrize(
    ("path", "folder", "here"),
    [
        ("x.nc", "", "x.nc"),
        ("x.nc", "my", "my/x.nc"),
        ("./a//x.nc", "my", "my/a/x.nc"),
        ("../x.nc", "my", "x.nc"),
        ("../../x.nc", "my", "../x.nc"),
        ("../x.nc", "", "../x.nc"),
        ("../work/x.nc", "", "x.nc"),
        ("x.nc", "../beside", "../beside/x.nc"),
        ("../work/x.nc", "../beside", "x.nc"),
        ("/abs/../x.nc", "my", "/abs/../x.nc"),
        ("", "my", "my"),
        ("a\0b", "my", "a\0b"),
        ("../x.nc", "link", "../elsewhere/x.nc"),
    ],
)
def test_a_path_is_that_which_its_folder_has(tmp_path, monkeypatch, path, folder, here):
    """The system itself says whether it is: a file that is written from within the folder is read from here."""
    for name in ("work/my/a", "work/a", "beside", "elsewhere/real"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "work/link").symlink_to(tmp_path / "elsewhere/real")
    monkeypatch.chdir(tmp_path / "work")
    for named in (folder, tmp_path / "work" / folder):
        assert count_from_here(path, named) == here
    if path.isprintable():
        assert count_from_here(count_from(here, folder), folder) == here
    if path.endswith("x.nc") and not path.startswith("/"):
        monkeypatch.chdir(tmp_path / "work" / folder)
        Path(path).write_text("found")
        monkeypatch.chdir(tmp_path / "work")
        assert Path(here).read_text() == "found"


def test_a_study_is_the_same_from_any_folder(tmp_path, monkeypatch):
    (tmp_path / "my").mkdir()
    (tmp_path / "my/study.yaml").write_text(yaml.safe_dump(WHOLE))
    monkeypatch.chdir(tmp_path / "my")
    beside = load_study("study.yaml")
    assert beside == validate_study(WHOLE)
    monkeypatch.chdir(tmp_path)
    study = load_study("my/study.yaml")
    assert study == load_study(tmp_path / "my/study.yaml")
    assert [entry.weights for entry in study.models] == [None, "my/own.pth"]
    assert (study.recordings[0].file, study.recordings[0].images) == (Path("my/data/movies.nc"), Path("frames"))
    assert (study.ratings[0].images, study.ratings[0].scores) == (Path("my/photos"), Path("my/scores.csv"))
    assert (study.ratings[1].images, study.ratings[1].splits) == (Path("/lamem/images"), Path("my/lamem/splits"))
    assert study.brain.pca is not None and study.brain.pca.images == Path("my/many")
    assert (study.imagenet.images, study.imagenet.labels) == (Path("my/val"), Path("my/labels.txt"))
    assert study.storage == beside.storage == StorageSettings(results=Path("out"), weights=Path("kept"))


@pytest.mark.parametrize("word", ["imagenet", "random"])
def test_words_for_weights_are_no_files(tmp_path, word):
    content = {"study": "s", "models": [{"name": "a", "model": "alexnet", "weights": word}]}
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(content))
    assert load_study(tmp_path / "study.yaml").models[0].weights == word


def test_what_no_file_says_counts_from_the_working_folder(tmp_path):
    (tmp_path / "study.yaml").write_text("study: s\nmodels: [alexnet]\nimagenet: {labels: l.txt}\n")
    study = load_study(tmp_path / "study.yaml")
    assert study.imagenet.images == Path("data/imagenet/val")
    assert study.imagenet.labels == Path(os.path.relpath(tmp_path / "l.txt"))


MORE = [
    {"imagenet": {"labels": "more.txt"}, "ratings": [{"name": "n", "images": "p", "scores": "s.csv"}]},
    {"brain": {"pca": {"images": "others"}}},
    {"brain": {"pca": None}, "models": [{"name": "own", "model": "resnet18", "weights": "w.pth"}]},
    {"brain": None, "imagenet": {}},
    {"brain": "wrong", "recordings": {"name": "no list"}, "ratings": ["wrong", None, 3]},
    {"recordings": []},
]


def absolute(content: typing.Any, folder: Path) -> typing.Any:
    """Write out each text that the schema takes for a path, by hand: the keys are named here."""
    if isinstance(content, list):
        return [absolute(one, folder) for one in content]
    if not isinstance(content, dict):
        return content
    keys = ("file", "images", "scores", "splits", "labels", "weights")
    return {
        key: os.path.normpath(folder / value) if key in keys and isinstance(value, str) else absolute(value, folder)
        for key, value in content.items()
        if key != "storage"
    }


@pytest.mark.parametrize("second", range(len(MORE)))
@pytest.mark.parametrize("third", range(len(MORE)))
def test_of_several_files_each_path_counts_from_the_last_that_says_it(tmp_path, second, third):
    """Merged as Snakemake merges them, and compared with files that name no relative path."""
    parts = [{key: value for key, value in WHOLE.items() if key != "storage"}, MORE[second], MORE[third]]
    folders = [tmp_path / "one", tmp_path / "two/deeper", Path()]
    merged: dict[str, typing.Any] = {}
    expected: dict[str, typing.Any] = {}
    for part, folder in zip(parts, folders, strict=True):
        update_config(merged, deepcopy(part))
        update_config(expected, absolute(part, Path.cwd() / folder))
    said = list(zip(parts, folders, strict=True))
    assert absolute(anchor(merged, said, Study), Path.cwd()) == expected


def test_what_is_written_is_read_as_the_same_study(tmp_path, monkeypatch):
    (tmp_path / "work").mkdir()
    (tmp_path / "scratch").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    Path("linked").symlink_to(tmp_path / "scratch")
    study = validate_study(WHOLE)
    for folder in ("results/s", "linked/s", tmp_path / "scratch/t", "."):
        Path(folder).mkdir(parents=True, exist_ok=True)
        written = Path(folder, "config.yaml")
        written.write_text(dump_study(study, folder))
        assert load_study(written) == study
    assert yaml.safe_load(Path("results/s/config.yaml").read_text())["recordings"][0]["file"] == "../../data/movies.nc"


def test_a_study_that_moves_with_its_working_folder_stays_the_same(tmp_path, monkeypatch):
    read = []
    for place in ("one/project", "two/deeper/project"):
        (tmp_path / place / "my").mkdir(parents=True)
        (tmp_path / place / "my/study.yaml").write_text(yaml.safe_dump(WHOLE))
        monkeypatch.chdir(tmp_path / place)
        read.append(load_study(tmp_path / place / "my/study.yaml"))
    assert read[0] == read[1]


def test_a_file_that_lies_where_paths_once_began_is_told(tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    Path("my").mkdir()
    Path("data").mkdir()
    Path("data/movies.nc").touch()
    Path("own.pth").touch()
    Path("my/study.yaml").write_text(yaml.safe_dump(WHOLE))
    with caplog.at_level(logging.WARNING, logger="layerwise"):
        load_study("my/study.yaml")
    why = "paths count from the folder of the file that says them, so write"
    assert [record.getMessage().removeprefix("note: my/study.yaml: ") for record in caplog.records] == [
        f"models[1].weights: my/own.pth is not there, and own.pth is: {why} '../own.pth'",
        f"recordings[0].file: my/data/movies.nc is not there, and data/movies.nc is: {why} '../data/movies.nc'",
    ]
    assert strays_of(WHOLE, [(WHOLE, "")]) == []
    Path("my/data").mkdir()
    Path("my/data/movies.nc").touch()
    assert len(strays_of(WHOLE, [(WHOLE, "my")])) == 1
    long = {"recordings": [{"file": "x" * 5000}, {"file": "a\0b"}, {"file": 3}, {"file": ["data"]}, None]}
    assert strays_of(long, [(long, "my")]) == []


def test_what_a_workflow_changes_before_it_gives_it_to_its_module_counts_from_the_working_folder():
    said = [(WHOLE, "config"), ({"brain": {"pca": {"images": "few"}}}, "other"), (None, "empty")]
    content = deepcopy(WHOLE)
    update_config(content, said[1][0])
    whole = anchor(content, still_said(content, said), Study)
    assert whole == anchor(content, said[:2], Study)
    assert whole["brain"]["pca"] == {"images": "other/few", "components": 30}
    changed = deepcopy(content) | {"ratings": [{"name": "made", "images": "photos", "scores": "made.csv"}]}
    changed["brain"]["pca"]["components"] = 20
    given = anchor(changed, still_said(changed, said), Study)
    assert (given["ratings"], given["brain"]) == (changed["ratings"], changed["brain"])
    assert given["recordings"] == [{"name": "movies", "file": "config/data/movies.nc", "images": "frames"}]
    assert still_said({"study": "s"}, []) == []
