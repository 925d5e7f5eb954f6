"""The key `layers`, of the study and of a network."""

import pytest
import yaml

from layerwise.config import dump_study, validate_study
from layerwise.interfaces import LayerChoice
from layerwise.layers import read_manifest, shipped_manifest
from layerwise.study import Plans, network_settings
from layerwise.study.layers import layers_of, lists_layers
from layerwise.study.paper import differs_from_paper


def study(*entries, **keys):
    return validate_study({"study": "s", "models": list(entries), **keys})


def choice(entry, **keys):
    return study({"name": "alexnet"} | entry, **keys).models[0].choice


def test_the_default_is_the_papers():
    assert choice({}) == LayerChoice("leaves", "all", "none", "keep")
    assert choice({}, layers="leaves") == choice({})
    (entry,) = study("alexnet").models
    assert entry.layers is None and entry.shipped == "alexnet"
    assert layers_of(entry) == read_manifest(shipped_manifest("alexnet"))


def test_keys_of_a_network_go_before_those_of_the_study():
    keys = {"layers": {"which": ["layer4"], "pooling": "mean"}}
    assert choice({}, **keys) == LayerChoice(("layer4",), pooling="mean")
    assert choice({"layers": "all"}, **keys) == LayerChoice("all", pooling="mean")
    assert choice({"layers": {"tokens": "cls", "pooling": "none"}}, **keys) == LayerChoice(("layer4",), "cls", "none")
    assert choice({"layers": ["a", "b.*"]}) == LayerChoice(("a", "b.*"))


def test_the_study_as_it_was_run_reads_as_itself():
    given = study("alexnet", {"name": "vgg11", "layers": ["features.*"]}, layers={"pooling": "max"})
    assert validate_study(yaml.safe_load(dump_study(given))) == given


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ("leafs", "'leafs' is no choice: give leaves, all, or names and patterns in brackets: .leafs."),
        ([], "no name is given"),
        (["layer4..x"], "'layer4..x' is no pattern of names of modules"),
        (["layer 4"], "'layer 4' is no pattern"),
        ([1], "1 is a number in YAML: a module of this name stands in quotes: .'1'."),
        ([None], "None is no pattern"),
        ({"pool": "mean"}, "unknown key 'pool': did you mean 'pooling'"),
        ({"tokens": "first"}, "Input should be 'all', 'cls' or 'mean'"),
    ],
)
def test_what_is_no_choice(layers, message):
    with pytest.raises(ValueError, match=message):
        choice({"layers": layers})
    with pytest.raises(ValueError, match=message):
        choice({}, layers=layers)


def test_a_job_lists_what_was_chosen_and_only_that():
    entries = {"which": "all"}, {"tokens": "mean"}, {"pooling": "max"}, {"which": ["features.*"]}
    assert all(lists_layers(study({"name": "alexnet", "layers": one}).models[0]) for one in entries)
    assert not lists_layers(study({"name": "alexnet", "layers": {"repeated": "leave-out"}}).models[0])


def test_repeated_layers_of_a_known_network_are_left_out_of_its_list():
    whole, left = (study({"name": "alexnet", "layers": {"repeated": one}}) for one in ("keep", "leave-out"))
    layers = layers_of(left.models[0])
    assert [layer.name for layer in layers] == [
        layer.name for layer in layers_of(whole.models[0]) if layer.name not in ("classifier.0", "classifier.3")
    ]
    assert [layer.depth for layer in layers] == list(range(1, 20))
    assert not any(layer.same_as for layer in layers)
    assert Plans(left).layers("alexnet") == tuple(layers)


def test_layers_are_no_part_of_what_a_network_computes():
    plain, chosen = (study({"name": "alexnet", **keys}) for keys in ({}, {"layers": "all"}))
    assert network_settings(plain, plain.models[0]) == network_settings(chosen, chosen.models[0])
    assert "1 other is" in differs_from_paper(chosen)
    assert "others" not in differs_from_paper(plain).partition(";")[0]
