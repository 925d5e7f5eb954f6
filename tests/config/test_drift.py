"""The config's comments, its schema and the code say the same."""

import json
import re
import typing
from dataclasses import fields
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

from layerwise.config import Study
from layerwise.config.errors import model_within
from layerwise.config.finetuning import FinetuningSettings
from layerwise.config.settings import (
    BrainSettings,
    ComputeSettings,
    MemorabilitySettings,
    RegressionSettings,
    StorageSettings,
)
from layerwise.config.statistics import StatisticsSettings
from layerwise.interfaces import FinetuneSettings

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "config.yaml").read_text()


def all_fields(model: type[BaseModel]) -> typing.Iterator[tuple[str, typing.Any]]:
    for name, field in model.model_fields.items():
        yield name, field
        inner = model_within(field.annotation)
        if inner is not None:
            yield from all_fields(inner)


@pytest.mark.parametrize("name", sorted({name for name, _ in all_fields(Study)}))
def test_config_shows_or_mentions_every_key(name):
    assert re.search(rf"\b{name}\b", TEXT), f"config.yaml says nothing of the key {name!r}"


def test_every_key_is_documented():
    undocumented = [name for name, field in all_fields(Study) if not field.description]
    assert undocumented == []


@pytest.mark.parametrize(
    "section",
    [
        BrainSettings,
        RegressionSettings,
        MemorabilitySettings,
        FinetuningSettings,
        StatisticsSettings,
        ComputeSettings,
        StorageSettings,
    ],
)
def test_config_writes_out_the_defaults(section):
    name = section.__name__.removesuffix("Settings").lower()
    assert section.model_validate(yaml.safe_load(TEXT)[name]) == section()
    assert set(yaml.safe_load(TEXT)[name]) == set(section.model_fields)


def test_schema_for_editors_is_up_to_date():
    shipped = json.loads((ROOT / "workflow/schemas/config.schema.json").read_text())
    assert shipped == Study.model_json_schema(), "run: layerwise schema > workflow/schemas/config.schema.json"


def test_fine_tuning_is_set_in_the_config_by_the_names_and_defaults_of_its_own_settings():
    assert FinetuningSettings().settings() == FinetuneSettings()
    own = {"ratings", "models", "splits", "folds_per_job", "profile"}
    assert set(FinetuningSettings.model_fields) == own | {field.name for field in fields(FinetuneSettings)}
