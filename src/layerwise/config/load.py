"""Reads a config file into a validated study."""

from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from layerwise.config.errors import describe_errors
from layerwise.config.study import Study
from layerwise.files.documents import read_yaml


def load_study(path: str | Path) -> Study:
    """Read and validate a config file.

    Raises
    ------
    ValueError
        The file is missing, is no YAML in UTF-8, or does not describe a study; the message names each problem.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(
            f"no config file {path}: give one with --config, or run from the folder that holds config.yaml"
        )
    return validate_study(read_yaml(path), str(path))


def validate_study(content: Any, source: str = "the config") -> Study:
    """Validate the content of a config, already read.

    Raises
    ------
    ValueError
        The content does not describe a study; the message names each problem.
    """
    if not isinstance(content, dict):
        raise ValueError(f"{source} must hold keys such as study, models and recordings, not {type(content).__name__}")
    try:
        return Study.model_validate(content)
    except ValidationError as error:
        raise ValueError(describe_errors(error, Study, source)) from error


def dump_study(study: Study) -> str:
    """Write a study as YAML with every default filled in, so that a result tells exactly what it came from."""
    return yaml.safe_dump(study.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=100)
