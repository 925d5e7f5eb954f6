"""The section `finetuning`: what may stand in it, and what a mistake is told."""

import pytest

from layerwise.config import dump_study, validate_study
from layerwise.files.documents import parse_yaml

SCORED = {"name": "rated", "images": "photos", "scores": "scores.csv", "folds": 3}
OTHER = {"name": "liked", "images": "photos", "scores": "likes.csv", "measure": "liking"}
CONTENT = {
    "study": "s",
    "models": ["alexnet", "resnet50", {"name": "untrained", "model": "alexnet", "weights": "random"}],
    "ratings": [SCORED],
}


def validated(section, **changes):
    return validate_study(CONTENT | {"finetuning": section} | changes)


def test_nothing_is_fine_tuned_unless_it_is_asked_for():
    assert validate_study(CONTENT).finetuning is None
    assert validated(None).finetuning is None


def test_a_config_that_is_written_and_read_again_is_the_same():
    study = validated({"models": ["resnet50"], "splits": [2], "scale": [0.5, 1], "accumulate": 4})
    assert validate_study(parse_yaml(dump_study(study))) == study


@pytest.mark.parametrize(
    ("section", "changes", "sentence"),
    [
        ({"models": ["resnet5"]}, {}, r"finetuning.models: 'resnet5' is not in the study: did you mean 'resnet50'\?"),
        ({"models": []}, {}, r"finetuning.models: .*at least 1"),
        ({"models": ["alexnet", "alexnet"]}, {}, "finetuning: `models` lists alexnet more than once"),
        ({"ratings": "rate"}, {}, r"finetuning.ratings: 'rate' is not in the study: did you mean 'rated'\?"),
        ({}, {"ratings": []}, "finetuning: the study has no ratings to predict: give some, or set `finetuning: null`"),
        ({}, {"ratings": [SCORED, OTHER]}, "finetuning: set `ratings` to those .* one of rated, liked"),
        ({}, {"models": CONTENT["models"][2:]}, "finetuning: all networks have random weights: name those to train"),
        ({"splits": [4]}, {}, "finetuning.splits: there is no split 4: rated is divided into 3"),
        ({"splits": [0]}, {}, "finetuning.splits: splits are numbered from 1, and 0 is given"),
        ({"splits": [2, 2]}, {}, "finetuning: `splits` lists 2 more than once"),
        ({"folds_per_job": 0}, {}, "finetuning.folds_per_job: .*greater than or equal to 1"),
        ({"folds_per_job": True}, {}, "finetuning.folds_per_job: true and false .* are no numbers"),
        ({"learning_rate": 0}, {}, "finetuning: the learning_rate of fine-tuning is 0.0: it must be a number above 0"),
        ({"momentum": 0}, {}, "finetuning: the nesterov of fine-tuning is True: it must be false where the momentum"),
        ({"accumulate": 33}, {}, "finetuning: the accumulate of fine-tuning is 33: it must be from 1 to the batch"),
        ({"optimizer": "adamw"}, {}, r"finetuning: unknown key 'optimizer': did you mean 'optimiser'\?"),
        ({"crop": "centre"}, {}, "finetuning.crop: .*resize-crop.*given: 'centre'"),
    ],
)
def test_a_mistake_is_told_in_a_sentence(section, changes, sentence):
    with pytest.raises(ValueError, match=rf"the config has 1 problem:\n  {sentence}") as raised:
        validated(section, **changes)
    assert "Traceback" not in str(raised.value)


def test_splits_of_files_are_counted_when_they_are_read():
    lamem = {"name": "lamem", "images": "photos", "splits": "splits"}
    assert validated({"splits": [9]}, ratings=[lamem]).finetuning.splits == [9]


def test_of_several_ratings_one_is_chosen():
    study = validated({"ratings": "liked", "splits": [5]}, ratings=[SCORED, OTHER])  # it has five folds
    assert study.finetuning.ratings == "liked"
