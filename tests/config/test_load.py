import datetime
import re
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from layerwise.config import Study, dump_study, load_study, validate_study
from layerwise.files.documents import parse_yaml
from layerwise.models.registry import find, names
from layerwise.study import layers_of

ROOT = Path(__file__).resolve().parents[2]


def study(**changes):
    return {"study": "test", "models": ["alexnet"]} | changes


def test_the_paper_is_the_config_at_the_top():
    paper = load_study(ROOT / "config.yaml")
    assert [entry.splits.by for entry in paper.recordings] == ["texture_type", "object_name"]
    assert [region for entry in paper.recordings for region in entry.regions] == ["V1", "V2", "V4", "IT"]
    assert paper.regression.components == 25
    assert {entry.registered for entry in paper.models} == {name for name in names() if find(name).in_paper}
    assert sum(len(layers_of(entry)) for entry in paper.models) == 16862


def test_a_study_survives_being_written_and_read():
    paper = load_study(ROOT / "config.yaml")
    assert validate_study(yaml.safe_load(dump_study(paper))) == paper


@pytest.mark.parametrize(
    ("place", "changes"),
    [
        ("screen_degrees", {"screen_degrees": True}),
        ("models[0].seed", {"models": [{"name": "alexnet", "weights": "random", "seed": True}]}),
        ("models[0].preprocessing.mean", {"models": [{"name": "alexnet", "preprocessing": {"mean": [True, 1, 1]}}]}),
        ("models[0].preprocessing.maximum", {"models": [{"name": "alexnet", "preprocessing": {"maximum": True}}]}),
        ("recordings[0].visual_degrees", {"recordings": [{"name": "a", "file": "x.nc", "visual_degrees": True}]}),
    ],
)
def test_true_is_no_number(place, changes):
    """To Python it is 1: one degree of a screen, one of a mean."""
    with pytest.raises(ValueError, match=re.escape(place) + ".*: true and false .*are no numbers"):
        validate_study(study(**changes))
    assert validate_study(study(accuracy_gate=True)).accuracy_gate


def test_own_things_take_three_lines():
    text = """
study: own
models:
  - resnet18
  - {name: mine, timm: convnext_tiny.fb_in1k}
  - {name: other, factory: "package.module:build", weights: file}
recordings: [{name: movies, file: movies.nc}]
ratings: [{name: figrim, images: folder, scores: scores.csv}]
"""
    own = validate_study(yaml.safe_load(text))
    assert [entry.spec().library for entry in own.models] == ["torchvision", "timm", "factory"]
    assert own.models[2].weights_file() == Path("file")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"modles": []}, "unknown key 'modles': did you mean 'models'"),
        (
            {"brain": {"pca": {"images": "x", "components": 24}}},
            r"brain.pca.components \(24\) leaves fewer than the 25",
        ),
        ({"recordings": [{"name": "a", "file": "x.nc", "animals": []}]}, r"recordings\[0\].animals: .*at least 1"),
        ({"brain": {"pca": {"images": "x", "n_images": 1000}}}, r"n_images \(1000\) must exceed components \(1000\)"),
        (
            {"brain": {"pca": {"images": "x"}}, "recordings": [{"name": "pca_images", "file": "x.nc"}]},
            "given twice: pca_images",
        ),
        ({"models": ["alexnett"]}, "did you mean alexnet"),
        ({"models": [{"name": "a", "tim": "b"}]}, r"models\[0\]: unknown key 'tim': did you mean 'timm'"),
        (
            {"recordings": [{"name": "m", "fil": "x"}]},
            r"recordings\[0\]: unknown key 'fil': did you mean 'file'",
        ),
        (
            {"recordings": [{"name": "m", "file": "x", "splits": {"bye": 1}}]},
            r"recordings\[0\].splits: unknown key",
        ),
        ({"recordings": [{"name": "m", "file": "x", "splits": {"method": "grouped"}}]}, "need `by`"),
        ({"ratings": [{"name": "m", "images": "x"}]}, "either `scores`"),
        ({"ratings": [{"name": "m", "images": "x", "scores": "y", "measure": "units"}]}, "measure: 'units' is"),
        ({"ratings": [{"name": "m", "images": "x", "scores": "y", "measure": "a_error"}]}, "measure: 'a_error' ends"),
        ({"models": ["alexnet", "alexnet"]}, "given twice: alexnet"),
        ({"models": []}, "at least 1 item"),
        ({"models": [{"name": "a", "timm": "x", "factory": "y:z"}]}, "give one of model, timm and factory"),
        ({"models": [{"name": "a", "factory": "no_function"}]}, "package.module:function"),
        ({"models": ["../alexnet"]}, r"models\[0\].name"),
        ({"models": ["alexnet", {"name": "AlexNet", "model": "alexnet"}]}, "more than case.*: AlexNet, alexnet"),
        (
            {"ratings": [{"name": n, "images": "x", "scores": "y", "measure": n} for n in ("a", "A")]},
            "more than case.*: A, a",
        ),
        ({"recordings": [{"name": "m", "file": "x", "regions": ["IT", "it"]}]}, "more than case.*: IT, it"),
        ({"models": [{"name": "a", "model": "alexnet", "weights": "w{x}"}]}, r"weights: the path 'w\{x\}' holds '\{'"),
        ({"models": [{"name": "a", "model": "alexnet", "weights": ""}]}, "weights: it is empty"),
        ({"storage": {"results": "r}x"}}, r"storage.results: the path .* holds '\}'.*rename"),
        ({"recordings": [{"name": "m", "file": "a\x00b"}]}, "file: the path .* rename"),
        (
            {"recordings": [{"name": "m", "file": "a", "splits": {"by": "set", "test": "held"}}]},
            "`train` and `test` name parts of given splits, not of 'shuffle'",
        ),
        ({"recordings": [{"name": "m", "file": "a", "visual_degrees": "eight"}]}, "visual_degrees: .*given: 'eight'"),
        ({"recordings": [{"name": "m", "file": "a", "visual_degrees": float("nan")}]}, "finite number, given: nan"),
        ({"screen_degrees": float("inf")}, "finite number, given: inf"),
        ({"compute": {"threads": 10**6}}, "less than or equal to 1024, given: 1000000"),
        ({"regression": {"halves": 10**6}}, "less than or equal to 10000"),
        ({"regression": {"components": 10**6}}, "less than or equal to 1000"),
        (
            {"recordings": [{"name": "m", "file": "a", "splits": {"method": "given", "by": "set", "n_splits": 5}}]},
            r"recordings\[0\].splits: `n_splits` has no use with `method: given`, which makes one split",
        ),
        (
            {"recordings": [{"name": "m", "file": "a", "splits": {"method": "kfold", "train_size": 0.5}}]},
            "`train_size` has no use with `method: kfold`, which tests each stimulus once: leave it out",
        ),
        ({"recordings": [{"name": "m", "file": "x", "splits": {"n_splits": 10**6}}]}, "less than or equal to 10000"),
        ({"ratings": [{"name": "m", "images": "x", "scores": "y", "seed": 2**32}]}, "less than 4294967296"),
        ({"compute": {"memory": "9" * 400 + "GB"}}, "4GB or 800MB, not '9{40}'$"),
        ({"compute": {"memory": "1.2.3GB"}}, "4GB or 800MB"),
        ({"compute": {"memory": "4 gigs"}}, "4GB or 800MB, not '4 gigs'"),
        ({"compute": {"layers_per_job": 0}}, "compute.layers_per_job: .*given: 0"),
        ({"regression": {"solver": "fast"}}, "regression.solver: .*given: 'fast'"),
    ],
)
def test_mistakes_are_named_with_what_is_allowed(changes, message):
    with pytest.raises(ValueError, match=message):
        validate_study(study(**changes))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"a": float("inf")}, "'a' is inf: give a finite number"),
        ({"a": [{"b": float("nan")}]}, r"'a\[0\].b' is nan"),
        ({"a": {1: 2}}, "the key 1 of 'a' is not text: put it in quotes"),
        ({"a": datetime.date(2026, 11, 28)}, "'a' is of type date: give text"),
        ({"a": b"x"}, "'a' is of type bytes"),
        ({1: 2}, r"options.*valid string, given: 1"),
    ],
)
def test_options_that_would_change_on_their_way_to_a_job_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        validate_study(study(models=[{"name": "a", "model": "alexnet", "options": options}]))


def test_options_reach_a_job_as_they_were_written(tmp_path):
    options = {"a": [1, 1e-05, -2.5e300, True, None, "1e-05", "no", "2026-11-28", {"b": "caf\u00e9", "": []}]}
    given = validate_study(study(models=[{"name": "a", "model": "alexnet", "options": options}]))
    written = tmp_path / "config.yaml"
    written.write_text(dump_study(given, tmp_path), encoding="utf-8")  # as the workflow does
    assert load_study(written) == given
    assert load_study(written).models[0].options == options


@pytest.mark.parametrize("std", [[0.2, 0, 0.2], [0.2, float("nan"), 0.2], [0.2, -1, 0.2]])
def test_a_deviation_that_cannot_divide_is_refused(std):
    entry = {"name": "own", "factory": "a:b", "preprocessing": {"std": std}}
    with pytest.raises(ValueError, match=r"preprocessing.std\[1\]: Input should be"):
        validate_study(study(models=[entry]))


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_a_config_in_another_encoding_is_named(tmp_path, encoding):
    (tmp_path / "own.yaml").write_text("study: a\nmodels: [alexnet]  # caf\u00e9\n", encoding=encoding)
    with pytest.raises(ValueError, match=r"own\.yaml is not text in UTF-8.*save it as UTF-8"):
        load_study(tmp_path / "own.yaml")


def test_all_problems_are_told_at_once():
    with pytest.raises(ValueError, match="has 3 problems") as caught:
        validate_study(study(modles=[], compute={"threads": 0}, storage={"results": 3.5}))
    assert len(str(caught.value).splitlines()) == 4


@pytest.mark.parametrize(
    ("regions", "lines"),
    [
        (["V1", "a b"], [r"  recordings\[0\].regions\[1\]: String should match .*, given: 'a b'"]),
        ({"I/T": "a b"}, [r"  recordings\[0\].regions.I/T: String should match .*, given: 'a b'"]),
        (
            3,
            [
                rf"  recordings\[0\].regions: Input should be a valid {kind}, given: 3"
                for kind in ("list", "dictionary")
            ],
        ),
    ],
)
def test_problems_of_a_list_or_mapping_speak_of_what_was_given(regions, lines):
    with pytest.raises(ValueError, match=r"has [12] problems?:") as caught:
        validate_study(study(recordings=[{"name": "m", "file": "x", "regions": regions}]))
    told = str(caught.value).splitlines()[1:]
    assert len(told) == len(lines)
    for line, pattern in zip(told, lines, strict=True):
        assert re.fullmatch(pattern, line)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("study: a\nmodels: [alexnet]\nstudy: b\n", "the key 'study' is given twice, in lines 1 and 3"),
        ("study: a\nmodels:\n  - {name: a, seed: 1, seed: 2}\n", "the key 'seed' is given twice, in lines 3 and 3"),
        ('{"study": "a", study: "b"}', "the key 'study' is given twice"),
    ],
)
def test_a_key_that_is_given_twice_is_refused(tmp_path, text, message):
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(ValueError, match=message):
        load_study(tmp_path / "config.yaml")


def test_keys_may_override_merged_ones():
    text = "a: &a {x: 1, y: 2}\nb: &b {<<: *a, x: 3}\nc: {<<: *b, x: 4}\nd: {1: p, '1': q}"
    expected = {"a": {"x": 1, "y": 2}, "b": {"x": 3, "y": 2}, "c": {"x": 4, "y": 2}, "d": {1: "p", "1": "q"}}
    assert parse_yaml(text) == expected


@pytest.mark.parametrize("text", ["a: [", "just words", ""])
def test_files_that_hold_no_study(tmp_path, text):
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(ValueError, match=r"config\.yaml"):
        load_study(tmp_path / "config.yaml")
    with pytest.raises(ValueError, match="no config file"):
        load_study(tmp_path / "none.yaml")


@pytest.mark.parametrize(("given", "expected"), [("4GB", 4 * 10**9), ("1.5 GiB", 3 * 2**29), (2 * 10**9, 2 * 10**9)])
def test_amounts_of_memory(given, expected):
    assert validate_study(study(compute={"memory": given})).compute.memory == expected


def test_entries_are_found_by_name():
    paper = Study.model_validate(study())
    assert paper.model_entry("alexnet").name == "alexnet"
    with pytest.raises(ValueError, match="no model 'vgg' in the study; there are: alexnet"):
        paper.model_entry("vgg")


@pytest.mark.parametrize(("given", "meant"), [("brain", "square"), ("imagenet", "crop"), ("crop", "crop")])
def test_settings_have_two_names(given, meant):
    one = {"name": "movies", "file": "movies.nc", "geometry": given}
    assert validate_study(study(recordings=[one])).recordings[0].geometry == meant


def test_a_resize_below_the_size_leaves_something_with_a_border_alone():
    entry = {"name": "own", "factory": "a:b", "preprocessing": {"size": 224, "resize": 200, "crop": "border"}}
    assert validate_study(study(models=[entry])).models[0].spec().preprocessing.crop == "border"
    entry["preprocessing"]["crop"] = "squash"
    with pytest.raises(ValueError, match="nothing is left to crop"):
        validate_study(study(models=[entry]))


def test_layers_of_another_size_are_listed_anew():
    entries = [
        {"name": "same", "model": "squeezenet1_1", "preprocessing": {"size": 224, "crop": "squash"}},
        {"name": "less", "model": "squeezenet1_1", "preprocessing": {"size": 160}},
    ]
    same, less = validate_study(study(models=entries)).models
    assert (same.registered, less.registered) == ("squeezenet1_1", None)
    assert less.spec().preprocessing == replace(find("squeezenet1_1").preprocessing, size=160)
