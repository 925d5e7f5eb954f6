"""Any content gives a study that survives its way to a job, or one message; nothing else."""

import copy
import datetime
import json
from pathlib import Path

import pytest
import yaml

from layerwise.config import dump_study, validate_study
from layerwise.files.documents import parse_yaml

ROOT = Path(__file__).resolve().parents[2]
OWN = {"name": "own", "factory": "a:b", "options": {"a": [1, 2.5]}, "preprocessing": {"size": 32, "resize": 36}}
RATED = {"name": "rated", "images": "f", "scores": "s.csv", "rater_columns": ["a", "b"], "measure": "other"}
VALUES = (
    *(None, True, False, 0, -1, 1, 2, 10**6, 10**30, 0.5, 1e-05, float("nan"), float("inf"), -0.0),
    *("", "x", "caf\u00e9", "{x}", "\x00", "../..", "4GB", "9" * 5000 + "GB", "1e3", "0x10", "a" * 1000, b"x"),
    *([], {}, [[]], {"a": 1}, {1: 2}, {"name": "n"}, {"a"}, ("a",), datetime.date(2026, 11, 28)),
)


def content() -> dict:
    paper = yaml.safe_load((ROOT / "config.yaml").read_text())
    own = {"models": ["alexnet", copy.deepcopy(OWN)], "ratings": [*paper["ratings"], copy.deepcopy(RATED)]}
    return paper | own | {"finetuning": paper["finetuning"] | {"ratings": "lamem"}}


def places(value, path=()):
    """All paths below a value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inner:
        yield (*path, key)
        yield from places(item, (*path, key))


def change(given: dict, rng) -> None:
    found = list(places(given))
    *outer, last = found[rng.integers(len(found))]
    for key in outer:
        given = given[key]
    strange = isinstance(given, dict) and rng.random() < 0.1
    given[(1, None, "zz", (1,))[rng.integers(4)] if strange else last] = copy.deepcopy(
        VALUES[rng.integers(len(VALUES))]
    )


@pytest.mark.parametrize("most", [1, 3])
def test_any_content_is_a_study_that_arrives_as_it_was_given_or_is_refused(rng, most):
    valid = 0
    for _ in range(300):
        given = content()
        for _ in range(rng.integers(1, most + 1)):
            change(given, rng)
        try:
            study = validate_study(given)
        except ValueError as error:
            assert type(error) is ValueError
            assert str(error).startswith("the config has ")
            continue
        valid += 1
        assert validate_study(parse_yaml(dump_study(study))) == study
        assert validate_study(json.loads(study.model_dump_json())) == study
    assert valid > 3
