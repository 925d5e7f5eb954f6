"""Reads a config file into a validated study."""

from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from layerwise.config.messages import explain
from layerwise.config.study import Study


def load_study(path: str | Path) -> Study:
    """Read and validate a config file.

    Raises
    ------
    ValueError
        The file is missing, is no YAML, or does not describe a study; the message names each problem.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(
            f"no config file {path}: give one with --config, or run from the folder that holds config.yaml"
        )
    return validate_study(parse_yaml(path.read_text(encoding="utf-8"), str(path)), str(path))


def parse_yaml(text: str, source: str = "the config") -> Any:
    """Parse YAML, in which no mapping may hold a key twice: the first value would be lost without a word.

    Raises
    ------
    ValueError
        The text is no YAML, or a key is given twice; the message names it and its line.
    """
    try:
        return yaml.load(text, _UniqueKeys)
    except yaml.YAMLError as error:
        raise ValueError(f"{source} is not valid YAML: {error}") from error


class _UniqueKeys(yaml.SafeLoader):
    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        # Before `<<` is resolved: the keys that it brings may be overridden.
        node = super().compose_mapping_node(anchor)
        lines: dict[tuple[str, str], int] = {}
        for key, _ in node.value:
            line, same = key.start_mark.line + 1, (key.tag, str(key.value))
            if same in lines:
                raise yaml.YAMLError(f"the key {key.value!r} is given twice, in lines {lines[same]} and {line}")
            lines[same] = line
        return node


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
        raise ValueError(explain(error, Study, source)) from error


def dump_study(study: Study) -> str:
    """Write a study as YAML with every default filled in, so that a result tells exactly what it came from."""
    return yaml.safe_dump(study.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=100)
