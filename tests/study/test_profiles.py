"""Fine-tuned networks as networks of their own: their names, their files, and what their layers are held against."""

import pytest

from layerwise.config import validate_study
from layerwise.config.models import FineTunedEntry
from layerwise.models.registry import row_of
from layerwise.study import (
    Layout,
    Plans,
    final_results,
    layers_of,
    networks_of,
    own_split,
    profiled_networks,
    rating_scores,
    scored_ratings,
)
from layerwise.study.profiles import count_scored_splits, weights_files

CONTENT = {
    "study": "s",
    "models": ["resnet18", {"name": "own", "factory": "a.b:c", "weights": "own.pth", "preprocessing": {"size": 32}}],
    "ratings": [
        {"name": "rated", "images": "photos", "scores": "scores.csv", "folds": 4},
        {"name": "second", "images": "photos", "scores": "scores.csv", "measure": "beauty"},
    ],
}
PROFILED = {"ratings": "rated", "splits": [2, 4], "profile": True}


def study(**finetuning):
    return validate_study(CONTENT | {"finetuning": PROFILED | finetuning})


def test_each_network_and_split_is_a_network_of_its_own_where_the_study_asks_for_it():
    names = ["resnet18.finetuned-2", "resnet18.finetuned-4", "own.finetuned-2", "own.finetuned-4"]
    assert list(profiled_networks(study())) == names
    assert profiled_networks(study())["own.finetuned-4"] == ("own", "4")
    assert list(networks_of(study())) == ["resnet18", "own", *names]
    assert list(networks_of(study(models=["own"], splits=[1]))) == ["resnet18", "own", "own.finetuned-1"]
    assert list(networks_of(study(profile=False))) == ["resnet18", "own"]
    assert list(networks_of(validate_study(CONTENT))) == ["resnet18", "own"]


@pytest.mark.parametrize("name", ["resnet18", "own"])
def test_it_is_the_network_with_one_unit_whose_layers_are_listed_and_whose_weights_are_a_result(name):
    before, entry = study().model_entry(name), study().model_entry(f"{name}.finetuned-4")
    assert isinstance(entry, FineTunedEntry) and (entry.network, entry.split) == (name, "4")
    spec = entry.spec()
    assert (spec.library, spec.constructor, spec.preprocessing) == (
        before.spec().library, before.spec().constructor, before.spec().preprocessing,
    )  # fmt: skip
    assert (spec.head, spec.weights) == (1, "built") and row_of(spec) == row_of(before.spec())
    assert entry.published is None and layers_of(entry) is None
    files = weights_files(entry, Layout("results/s"))
    assert files == ([f"results/s/models/{name}/finetuned/4/weights.safetensors"], [])
    assert weights_files(before, Layout("results/s"))[0] == []


def test_it_is_scored_on_its_own_split_alone():
    assert own_split(study(), "resnet18.finetuned-4", "rated") == 3
    assert own_split(study(), "resnet18", "rated") is None
    assert count_scored_splits(study(), "resnet18.finetuned-4", "rated") == 1
    assert count_scored_splits(study(), "resnet18", "rated") == 4
    with pytest.raises(ValueError, match="may be among those of second too: it is held against rated alone"):
        own_split(study(), "resnet18.finetuned-4", "second")
    for split in ("1", "5", "0", "-1", "x", "", "04"):
        with pytest.raises(ValueError, match=f"does not train on a split '{split}'"):
            own_split(study(), f"resnet18.finetuned-{split}", "rated")


def test_ratings_that_it_was_not_trained_on_are_not_asked_for():
    given = study()
    assert [entry.name for entry in scored_ratings(given, "own.finetuned-2")] == ["rated"]
    assert [entry.name for entry in scored_ratings(given, "own")] == ["rated", "second"]
    layers = layers_of(given.model_entry("resnet18"))
    asked = rating_scores(Plans(given), Layout("f"), "resnet18.finetuned-2", layers)
    assert asked and all(path.startswith("f/models/resnet18.finetuned-2/memorability/rated/") for path in asked)


def test_the_table_of_their_layers_is_a_result_and_the_others_hold_none_of_them():
    layout = Layout("f")
    assert layout.finetuned_layers in final_results(study(), layout)
    assert layout.finetuned_layers not in final_results(study(profile=False), layout)
    assert not any(".finetuned-" in path for path in final_results(study(), layout))


def test_a_network_of_a_study_may_not_be_named_as_they_are():
    with pytest.raises(ValueError, match=r"'a\.finetuned-1' is named as fine-tuned networks are"):
        validate_study(CONTENT | {"models": [{"name": "a.finetuned-1", "model": "resnet18"}]})


def test_of_an_unknown_network_there_is_none():
    with pytest.raises(ValueError, match="no model 'vgg' in the study"):
        study().model_entry("vgg.finetuned-1")
