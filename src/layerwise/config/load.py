"""Reads a config file into a validated study."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from layerwise.config.errors import describe_errors
from layerwise.config.paths import Said, anchor, find_strays, write_from
from layerwise.config.study import Study
from layerwise.files.documents import read_yaml

_log = logging.getLogger(__name__)


def load_study(path: str | Path) -> Study:
    """Read and validate a config file, from whose folder its paths count.

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
    content = read_yaml(path)
    return validate_study(content, str(path), [(content, path.parent)])


def validate_study(content: Any, source: str = "the config", said: Sequence[Said] = ()) -> Study:
    """Validate the content of a config, already read.

    Parameters
    ----------
    content : mapping
        The config, of one file or several.
    source : str
        What it is, for messages.
    said : sequence of (mapping, path)
        What each of the files says, and its folder, in the order in which later ones go before earlier: a path counts
        from the folder of the last that says it, and from the working folder if none does. A file that lies where its
        path led when all counted from the working folder, and not where it leads now, is told in a warning.

    Raises
    ------
    ValueError
        The content does not describe a study; the message names each problem.
    """
    if not isinstance(content, dict):
        raise ValueError(f"{source} must hold keys such as study, models and recordings, not {type(content).__name__}")
    for stray in strays_of(content, said):
        _log.warning("note: %s: %s", source, stray)
    try:
        return Study.model_validate(anchor(content, said, Study))
    except ValidationError as error:
        raise ValueError(describe_errors(error, Study, source)) from error


def strays_of(content: Any, said: Sequence[Said]) -> list[str]:
    """Find paths of a config that lead to nothing, and would if they counted from the working folder, as once they did.

    Parameters are those of `validate_study`; a sentence for each says what to write.
    """
    return find_strays(content, said, Study)


def dump_study(study: Study, folder: str | Path = ".") -> str:
    """Write a study as YAML with every default filled in, so that a result tells exactly what it came from.

    Parameters
    ----------
    study : Study
        The study.
    folder : path
        Where the file is to lie: its paths count from there.
    """
    content = write_from(study.model_dump(mode="json"), folder, Study)
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100)
