"""What a study would fail at is told before anything runs: each mistake, and all at once."""

import re
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from other_user import hand_over, in_group, owner
from PIL import Image

from layerwise.analyses.brain import SplitPlan
from layerwise.config import validate_study
from layerwise.config.data import SplitsEntry
from layerwise.data.recordings import read_labels, read_recordings, write_recordings
from layerwise.interfaces import Recordings, StimulusSet
from layerwise.study.foreseen import (
    find_absences,
    find_notes,
    find_problems,
    require_sound,
    require_there,
)
from layerwise.study.foreseen.splits import most_trained

N = 40
KINDS = np.array(["cat", "dog"])[np.arange(N) % 2]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Forty images with scores, and recordings of two animals."""
    folder = tmp_path_factory.mktemp("study")
    (folder / "photos").mkdir()
    (folder / "empty").mkdir()
    names = tuple(f"{index:02d}.png" for index in range(N))
    for name in names:
        Image.new("RGB", (8, 8)).save(folder / "photos" / name)
    paths = tuple(folder / "photos" / name for name in names)
    responses = np.random.default_rng(1).normal(size=(2, N, 3)).astype(np.float32)
    columns = {"kind": KINDS, "number": np.arange(N), "half": np.where(np.arange(N) < 9, "", "x")}
    animals = ("ada", "ada", "bob")
    recordings = Recordings(responses, names, ("a", "b", "c"), ("V1", "IT", "IT"), columns, animals=animals)
    write_recordings(recordings, folder / "movies.nc", StimulusSet("photos", names, paths), visual_degrees=8)
    scores = np.linspace(0, 1, N)
    table = pd.DataFrame({"image": names, "score": scores, "word": "x", "fold": np.arange(N) % 4})
    table.to_csv(folder / "scores.csv", index=False)
    table.drop(columns="score").to_csv(folder / "unscored.csv", index=False)
    (folder / "page.csv").write_text("<!DOCTYPE html>\n<html>\n<body>image,score</body></html>\n")
    table.assign(score=["n/a", *map(str, scores[1:])]).to_csv(folder / "gap.csv", index=False)
    return folder


@pytest.fixture
def here(home, monkeypatch):
    monkeypatch.chdir(home)
    return home


def study(models=("alexnet",), recordings=(), ratings=(), **changes):
    recordings = [{"name": f"recorded{place}", "file": "movies.nc"} | entry for place, entry in enumerate(recordings)]
    rated = {"images": "photos", "scores": "scores.csv"}
    ratings = [{"name": f"rated{place}", "measure": f"m{place}"} | rated | one for place, one in enumerate(ratings)]
    return validate_study(
        {"study": "s", "models": list(models), "recordings": recordings, "ratings": ratings} | changes
    )


def test_a_sound_study_has_no_problem(here):
    sound = study(
        recordings=[{"animals": ["ada"], "splits": {"by": "kind", "order": "number"}}],
        ratings=[{"fold_column": "fold"}],
    )
    assert (find_problems(sound), find_absences(sound), find_notes(sound)) == ([], [], [])
    require_sound(sound)


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        (
            {"splits": {"by": "kinds"}},
            r"name the property 'kinds' \(`by`\), which movies.nc lacks: did you mean 'kind'\?",
        ),
        (
            {"splits": {"order": "rank"}},
            r"name the property 'rank' \(`order`\), which movies.nc lacks: there are: half, k",
        ),
        ({"splits": {"by": "half"}}, r"'half' \(`by`\): it is empty for 9 of 40 stimuli"),
        ({"regions": ["V2"]}, "movies.nc has no region 'V2'"),
        ({"animals": ["carl"]}, "movies.nc has no animal 'carl': there are: ada, bob"),
        ({"animals": ["bob"]}, "the animals bob have no neuroid in V1: leave the region out"),
        ({"splits": {"train_size": 0.6}}, "40 stimuli leave at most 24 for training in the smallest split, and 25"),
        ({"splits": {"by": "kind", "method": "grouped"}}, "leave at most 20 for training"),
        ({"splits": {"by": "kind", "method": "kfold"}}, "10 folds need as many values of 'kind', and there are 2"),
        ({"splits": {"by": "number"}}, "all stimuli differ in 'number'"),
        (
            {"splits": {"by": "kind", "train_size": 0.99}},
            "train on 39 and test on 1 of the 40 stimuli that share a value",
        ),
        ({"splits": {"by": "kind", "method": "given", "train": "cat"}}, "no stimulus has 'test' as its 'kind'"),
        ({"splits": {"by": "kind", "method": "given", "train": "cat", "test": "dog"}}, "leave at most 20 for training"),
        (
            {"splits": {"by": "number", "method": "given", "train": "0", "test": "1"}, "measures": ["ridge"]},
            "one stimulus has '1' as its 'number': nothing correlates over fewer than two",
        ),
        ({"images": "empty"}, "40 of 40 images that the file names are not in empty"),
    ],
)
def test_what_is_wrong_with_a_recording_is_told(here, entry, told):
    (problem,) = find_problems(study(recordings=[entry]))
    assert (problem.kind, problem.name) == ("recording", "recorded0")
    with pytest.raises(ValueError, match=told):
        require_sound(study(recordings=[entry]))


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ({"scores": "unscored.csv"}, "none of the columns image, word, fold could be the scores"),
        ({"score_column": "scor"}, "has no column 'scor': did you mean 'score'"),
        (
            {"score_column": "word"},
            "40 cells of the column 'word' of scores.csv without a finite number:\n    line 2: 'x'",
        ),
        ({"scores": "gap.csv"}, "1 cell of the column 'score' of gap.csv without a finite number:\n    line 2: 'n/a'"),
        (
            {"scores": "page.csv"},
            "page.csv is a web page and no table, as servers send in place of a file",
        ),
        ({"fold_column": "part"}, "has no column 'part'"),
        ({"rater_columns": ["anna", "score"]}, "has no column 'anna'"),
        ({"folds": 2}, "40 images leave 20 for training in the smallest of 2 folds, and 25 components"),
        ({"folds": 41}, "41 folds need as many images, and scores.csv has 40"),
        ({"images": "empty"}, "the folder empty holds no image"),
        ({"scores": None, "splits": "empty"}, "no split files in empty"),
    ],
)
def test_what_is_wrong_with_ratings_is_told(here, entry, told):
    (problem,) = find_problems(study(ratings=[entry]))
    assert (problem.kind, problem.name) == ("rating", "rated0")
    with pytest.raises(ValueError, match=told):
        require_sound(study(ratings=[entry]))


@pytest.mark.parametrize(
    ("tuned", "told"),
    [
        ({}, "fine-tuning trains on 29 images in each of 5 folds, beside 3 that it watches, and a batch has 32"),
        ({"batch_size": 30}, "a batch has 30: .*smaller `finetuning.batch_size`"),
        ({"hold_out": 0.0}, "no validation images for fine-tuning to watch: set `finetuning.hold_out`"),
    ],
)
def test_too_few_images_to_fine_tune_on_are_told(here, tuned, told):
    (problem,) = find_problems(study(ratings=[{"folds": 5}], finetuning=tuned))
    assert re.search(told, problem.told)


def test_a_batch_that_folds_can_fill_is_no_problem(here):
    assert find_problems(study(ratings=[{"folds": 5}], finetuning={"batch_size": 29})) == []
    other = [{"folds": 5}, {"folds": 5, "name": "trained"}]
    (problem,) = find_problems(study(ratings=other, finetuning={"ratings": "trained"}))
    assert problem.name == "trained"  # the other ratings train no network


def test_networks_that_nothing_has_are_told_without_torch(home, monkeypatch):
    (home / "nets_here.py").write_text("from torch import nn\n\ndef build():\n    return nn.ReLU()\n")
    monkeypatch.chdir(home)
    wrong = {"timm": "resnet1888.a1_in1k"}, {"factory": "nets_here:biuld"}
    right = {"timm": "resnet18.a1_in1k"}, {"factory": "nets_here:build"}, {"factory": "os.path:jion"}
    entries = [entry | {"name": f"n{place}"} for place, entry in enumerate((*wrong, *right))]
    misspelt, function = find_problems(study(models=entries))
    assert str(misspelt).startswith("model 'n0': timm has no network 'resnet1888.a1_in1k': did you mean resnet18")
    assert function.told.endswith("cannot be imported: nets_here has no 'biuld'; did you mean 'build'?")


def test_layers_that_a_network_has_not_are_told_without_torch():
    which = ["layer4", "layr?.0", "fc"]
    models = ["alexnet", {"name": "res", "model": "resnet18", "weights": "random", "layers": which}]
    (problem,) = find_problems(study(models=models))
    told = "model 'res': layers: no layer matches 'layr?.0': the nearest are "
    assert str(problem).startswith(told) and "layer4.0" in problem.told
    models[1]["options"] = {"num_classes": 10}  # another network than the one whose layers are listed
    assert find_problems(study(models=models)) == []


def test_measures_that_fit_no_components_need_no_more_stimuli(here):
    splits = {"by": "kind", "method": "given", "train": "cat", "test": "dog"}
    assert find_problems(study(recordings=[{"splits": splits, "measures": ["ridge", "rsa"]}])) == []


def test_a_region_that_is_named_as_a_column_of_a_measure_is_told(here):
    entry = {"regions": {"V1": "IT_rsa", "IT": "IT"}, "measures": ["pls", "rsa"]}
    told = [str(one) for one in find_problems(study(recordings=[entry]))]
    assert any("'IT_rsa' is the column of a region by one of brain.measures" in one for one in told)


def test_all_problems_are_told_at_once(here):
    wrong = study(
        models=[{"name": "own", "factory": "no_such_package.nets:build"}],
        recordings=[{"splits": {"by": "kinds"}, "animals": ["carl"], "regions": {"V1": "one"}}],
        ratings=[{"images": "empty"}, {"folds": 2}],
        brain={"pca": {"images": "photos", "components": 40}},
    )
    told = "\n  ".join(
        [
            "the study 's' has 6 problems:",
            "brain.pca: photos holds 40 images, and 41 are needed",
            "model 'own': its factory 'no_such_package.nets:build' cannot be imported",
            "recording 'recorded0': movies.nc has no animal 'carl'",
            "recording 'recorded0': its splits name the property 'kinds'",
            "ratings 'rated0': the folder empty holds no image",
            "ratings 'rated1': 40 images leave 20",
        ]
    ).splitlines()
    with pytest.raises(ValueError) as error:
        require_sound(wrong)
    found = str(error.value).splitlines()
    assert len(found) == len(told) and all(line.startswith(start) for line, start in zip(found, told, strict=True))


def test_what_is_not_there_stops_only_the_jobs_that_need_it(here):
    lacking = study(
        models=[{"name": "own", "model": "resnet18", "weights": "gone.pth"}, "alexnet"],
        recordings=[{"file": "gone.nc", "regions": ["V1", "IT"]}],
        ratings=[{"scores": "gone.csv"}, {"images": "gone"}],
    )
    assert find_problems(lacking) == []
    told = {(one.kind, one.name, one.told.partition(":")[0].split(" is not")[0]) for one in find_absences(lacking)}
    assert told == {
        ("model", "own", "its file of weights gone.pth"),
        ("recording", "recorded0", "its file gone.nc"),
        ("rating", "rated0", "its table of scores gone.csv"),
        ("rating", "rated1", "its folder of images gone"),
    }
    require_there(lacking, [{"model": "alexnet"}, {}])
    for job, name in [({"region": "V1"}, "recorded0"), ({"region": "IT"}, "recorded0"), ({"model": "own"}, "own")]:
        with pytest.raises(ValueError, match=f"1 problem:\n  .* '{name}'"):
            require_there(lacking, [job])
    with pytest.raises(ValueError, match="2 problems"):
        require_there(lacking, [{"stimuli": "rated0"}, {"ratings": "rated1"}])


WEIGHTS = [{"name": "own", "model": "resnet18", "weights": "empty"}]
GATE = {"accuracy_gate": True}


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"models": WEIGHTS}, "model 'own': its file of weights empty is a folder: name the file in it"),
        (
            {"recordings": [{"file": "empty", "regions": ["IT"]}]},
            "recording 'recorded0': its file empty is a folder: name the netCDF file of responses",
        ),
        (
            {"recordings": [{"file": "rdm.csv", "images": "photos", "regions": ["IT"]}]},
            "recording 'recorded0': its file rdm.csv is a folder: name the CSV of distances",
        ),
        (
            {"recordings": [{"images": "scores.csv"}]},
            "recording 'recorded0': its folder of images scores.csv is a file: name the folder of images;",
        ),
        (
            {"ratings": [{"scores": "empty"}]},
            "ratings 'rated0': its table of scores empty is a folder: name the CSV itself; a folder of LaMem's split",
        ),
        (
            {"ratings": [{"scores": None, "splits": "scores.csv"}]},
            "ratings 'rated0': its folder of splits scores.csv is a file: name the folder that holds train_1.txt",
        ),
        ({"ratings": [{"images": "scores.csv"}]}, "ratings 'rated0': its folder of images scores.csv is a file: name"),
        (
            {"recordings": [{}], "brain": {"pca": {"images": "scores.csv"}}},
            "brain.pca.images: the folder scores.csv is a file: name the folder of images",
        ),
        ({"ratings": [{}], "imagenet": {"images": "scores.csv"}} | GATE, "imagenet.images: the folder scores.csv is"),
        ({"storage": {"results": "scores.csv"}}, "storage.results: the folder scores.csv is a file: name a folder"),
        ({"storage": {"weights": "scores.csv"}}, "storage.weights: the folder scores.csv is a file: name a folder"),
        (
            {"ratings": [{}], "imagenet": {"images": "photos", "labels": "empty"}} | GATE,
            "imagenet.labels: the file empty is a folder: name the file of lines `file class`",
        ),
    ],
)
def test_a_folder_in_place_of_a_file_and_a_file_in_place_of_a_folder_are_told_as_that(here, given, told):
    (here / "rdm.csv").mkdir(exist_ok=True)
    found = study(**{"ratings": [{}]} | given)
    (problem,) = find_problems(found)
    assert str(problem).startswith(told)
    assert find_absences(found) == []


def test_a_file_that_is_a_folder_is_told_where_it_would_tell_regions(here):
    told = [str(one) for one in find_problems(study(recordings=[{"file": "empty"}]))]
    assert len(told) == 2 and all("empty is no file, so its" in one or "is a folder: name" in one for one in told)


def test_a_link_to_nothing_is_told_with_what_it_leads_to(here):
    if not (here / "link.csv").is_symlink():
        (here / "link.csv").symlink_to("gone/scores.csv")
    lacking = study(ratings=[{"scores": "link.csv"}])
    assert find_problems(lacking) == []
    (absence,) = find_absences(lacking)
    assert absence.told == "its table of scores link.csv is not there: it is a link to gone/scores.csv"


READ = r"""
import sys
from layerwise.study.foreseen import find_absences, find_problems
from layerwise.config import validate_study
rated = [{"name": "r", "images": "closed", "scores": "closed.csv"}, {"name": "s", "images": "closed/in", "scores": "s"}]
rated[1]["measure"] = "other"
study = validate_study({"study": "s", "models": ["alexnet"], "ratings": rated})
print(*find_problems(study), *find_absences(study), sep="\n")
"""


def test_what_may_not_be_read_is_told_with_its_owner(tmp_path):
    (tmp_path / "closed").mkdir()
    (tmp_path / "closed.csv").write_text("image,score\n")
    for path in (tmp_path / "closed", tmp_path / "closed.csv"):
        path.chmod(0)
        hand_over(path)
    command = [*in_group(), sys.executable, "-c", READ]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=tmp_path)
    (tmp_path / "closed").chmod(0o700)
    first, second, absent = done.stdout.splitlines()
    assert first.startswith(f"ratings 'r': Permission denied: closed.csv; closed.csv is ---------- of {owner()}")
    assert second.startswith(f"ratings 's': Permission denied: closed/in; {tmp_path / 'closed'} is d--------- of")
    assert absent == "ratings 's': its table of scores s is not there"


def test_images_that_do_not_exist_stop_only_the_jobs_that_read_them(here):
    settings = {"recordings": [{}], "imagenet": {"images": "gone/val"}, "brain": {"pca": {"images": "gone/pca"}}}
    lacking = study(**settings, accuracy_gate=True)
    assert find_problems(lacking) == []
    pca, gate = map(str, find_absences(lacking))
    assert pca == "brain.pca.images: the folder gone/pca is not there"
    assert gate == "imagenet.images: the folder gone/val is not there: put it there, or set `accuracy_gate: false`"
    require_there(lacking, [{"step": "extract_activations", "model": "alexnet", "stimuli": "recorded0"}])
    for job, told in [({"step": "pack_stimuli", "stimuli": "pca_images"}, pca), ({"step": "check_accuracy"}, gate)]:
        for prefix in ("", "module_"):
            with pytest.raises(ValueError) as error:
                require_there(lacking, [{**job, "step": prefix + job["step"]}])
            assert str(error.value).splitlines() == ["the study 's' has 1 problem:", f"  {told}"]
    assert find_absences(study(recordings=[{}], imagenet={"images": "gone"})) == []  # without the gate nothing is read


def test_a_folder_of_images_that_only_the_file_of_a_recording_names_is_told(here, tmp_path):
    whole = read_recordings("movies.nc")
    for name in whole.stimuli:
        (tmp_path / "own").mkdir(exist_ok=True)
        (tmp_path / "own" / name).write_bytes(b"")
    paths = tuple(tmp_path / "own" / name for name in whole.stimuli)
    write_recordings(whole, tmp_path / "movies.nc", StimulusSet("own", whole.stimuli, paths), visual_degrees=8)
    shutil.rmtree(tmp_path / "own")
    (absence,) = find_absences(study(recordings=[{"file": str(tmp_path / "movies.nc")}]))
    assert absence.told.startswith(f"the folder of images that its file names, {tmp_path / 'own'} is not there: give")


def test_images_are_told_beside_regions_that_clash(here):
    entry = {"regions": {"V1": "IT_rsa", "IT": "IT"}, "measures": ["pls"]}
    both = study(recordings=[entry, {"regions": {"IT": "IT"}}], brain={"pca": {"images": "scores.csv"}})
    told = [str(one) for one in find_problems(both)]
    assert [one.partition(" ")[0] for one in told] == ["the", "brain.pca.images:"]


def test_a_rim_that_is_cut_is_noted_with_what_is_kept(here):
    (note,) = find_notes(study(recordings=[{"visual_degrees": 20}]))
    assert "16% of their area is kept; `beyond_screen: fit`" in str(note)
    assert find_notes(study(recordings=[{"visual_degrees": 20, "beyond_screen": "fit"}])) == []
    assert find_notes(study(recordings=[{"visual_degrees": 20}], screen_degrees=20)) == []


def test_photographs_of_which_little_is_seen_are_noted(here):
    small = {"name": "small", "model": "resnet18", "preprocessing": {"size": 64}}
    (note,) = find_notes(study([small], ratings=[{}]))
    assert "sees the middle 64 of them, 6% of the area: a `resize` of 73" in str(note)
    assert find_notes(study([small], recordings=[{"geometry": "square"}])) == []  # shown whole
    small["preprocessing"]["resize"] = 256  # it was meant
    own = {"name": "own", "factory": "a:b", "preprocessing": {"size": 64}}
    assert find_notes(study([small, own, "alexnet"], ratings=[{}])) == []


def test_labels_are_what_the_whole_file_gives(home):
    labels, whole = read_labels(home / "movies.nc", ["kind", "number", "half"]), read_recordings(home / "movies.nc")
    assert (labels.stimuli, labels.regions, labels.animals) == (whole.stimuli, whole.regions, whole.animals)
    assert set(labels.properties) == set(whole.columns) and labels.varying == whole.varying
    for name, values in whole.columns.items():
        np.testing.assert_array_equal(labels.columns[name], values)


@pytest.mark.parametrize("method", ["shuffle", "grouped", "kfold"])
@pytest.mark.parametrize("by", [None, "kind"])
@pytest.mark.parametrize("n_groups", [3, 7, 30])
def test_the_smallest_training_part_is_that_of_splits_as_drawn(method, by, n_groups):
    if method == "grouped" and by is None:
        return
    kinds = np.sort(np.random.default_rng(n_groups).integers(0, n_groups, 61)).astype(str)
    names = tuple(f"{index:02d}" for index in range(61))
    recordings = Recordings(np.ones((1, 61, 1)), names, ("a",), ("V1",), {"kind": kinds})
    for train_size in (0.5, 0.7, 0.9) if method != "kfold" else (0.9,):
        splits = SplitsEntry(method=method, by=by, n_splits=3, train_size=train_size)
        try:
            drawn = SplitPlan(**splits.model_dump()).make(recordings)
        except ValueError:
            continue  # scikit-learn refuses as many groups; see the messages above
        fewest = min(len(split.train) for split in drawn)
        most = most_trained(splits, 61, None if by is None else kinds)
        exact = method == "shuffle" or by is None
        assert most == fewest if exact else most >= fewest


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"<!DOCTYPE html><html></html>", "is a web page and no file of weights"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "is a pointer to the data: get its content"),
        (b"", "is empty"),
        (b"PK\x03\x04archive/data.pkl", None),  # as torch.save writes
    ],
)
def test_what_stands_for_weights_that_did_not_come_is_told(tmp_path, content, sentence):
    (tmp_path / "own.pth").write_bytes(content)
    rated = [{"name": "rated", "images": str(tmp_path / "none"), "scores": str(tmp_path / "none.csv")}]
    models = [{"name": "own", "model": "resnet18", "weights": str(tmp_path / "own.pth")}]
    found = find_problems(validate_study({"study": "s", "models": models, "ratings": rated}))
    told = [str(problem) for problem in found]
    assert [f"own.pth {sentence}" in one for one in told] == ([True] if sentence else [])
