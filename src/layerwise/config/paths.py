"""Where paths in a config begin: each relative one counts from the folder of the file that says it.

Inside, all count from the working folder, and those that were relative stay so: a study that is moved with its working
folder is the same study, and makes the same results.
"""

import os
import typing
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from layerwise.config.base import Given
from layerwise.config.errors import model_within

Said = tuple[Any, str | Path]  # what one file says, and its folder
Change = Callable[[str, str | Path, str], str]  # of a path, the folder of its file, and the place in the config


def count_from_here(path: str, folder: str | Path) -> str:
    """Return a path, said by a file of a folder, as it counts from the working folder.

    Parameters
    ----------
    path : str
        As the file says it; an absolute one stays as it is, and so does what no path can be.
    folder : path
        Folder of the file, from the working folder.
    """
    if Path(path).is_absolute() or not path.isprintable():
        return path
    return os.path.relpath(Path(folder).resolve() / path)


def count_from(path: str | Path, folder: str | Path) -> str:
    """Return a path of the working folder as a file in another folder is to say it; absolute ones stay as they are."""
    return str(path) if Path(path).is_absolute() else os.path.relpath(path, Path(folder).resolve())


def anchor(content: Any, said: Sequence[Said], model: type[BaseModel]) -> Any:
    """Let each path of a config count from the working folder.

    Parameters
    ----------
    content : mapping
        The config, which may be made of several files, and may be wrong in any way.
    said : sequence of (mapping, path)
        What each file says, and its folder; of several that say a key the last counts. Paths that none says count
        from the working folder already.
    model : type of BaseModel
        What the config is to be; its fields tell paths from other texts.
    """
    return _section(content, model, said, lambda path, folder, _: count_from_here(path, folder))


def still_said(content: Mapping[str, Any], said: Sequence[Said]) -> list[Said]:
    """Leave out of what files say the keys of which another workflow made something else, before it gave them on.

    Parameters
    ----------
    content : mapping
        The config, as the workflow gives it to this one, its module.
    said : sequence of (mapping, path)
        What each of the workflow's files says, and its folder; of several that say a key the last counts.
    """
    parts = [(part, folder) for part, folder in said if isinstance(part, Mapping)]
    together: dict[str, Any] = reduce(_merged, (part for part, _ in parts), {})
    same = {key for key, value in together.items() if key in content and content[key] == value}
    return [({key: part[key] for key in same & part.keys()}, folder) for part, folder in parts]


def _merged(one: Any, other: Any) -> Any:
    """Return a config with what another one says, as Snakemake merges them."""
    if not (isinstance(one, Mapping) and isinstance(other, Mapping)):
        return other
    return {**one, **{key: _merged(one.get(key), value) for key, value in other.items()}}


def write_from(content: Any, folder: str | Path, model: type[BaseModel]) -> Any:
    """Let each path of a config count from the folder of the file to which it is written: the reverse of `anchor`."""
    return _section(content, model, [(content, folder)], lambda path, folder, _: count_from(path, folder))


def find_strays(content: Any, said: Sequence[Said], model: type[BaseModel]) -> list[str]:
    """Find paths that lead to nothing, and would if they counted from the working folder; a sentence for each."""
    found: list[str] = []

    def look(path: str, folder: str | Path, place: str) -> str:
        meant = count_from_here(path, folder)
        if not _is_there(meant) and _is_there(path):
            found.append(
                f"{place}: {meant} is not there, and {path} is: paths count from the folder of the file that says "
                f"them, so write {count_from(path, folder)!r}"
            )
        return path

    _section(content, model, said, look)
    return found


def _is_there(path: str) -> bool:
    try:
        return Path(path).exists()
    except (OSError, ValueError):  # no name of a file
        return False


def given_in(annotation: Any, metadata: Sequence[Any] = ()) -> Given | None:
    """Find whether a type is that of a path which counts from its file: ``GivenPath``, ``GivenPath | None``."""
    mark = next((one for one in metadata if isinstance(one, Given)), None)
    if mark is not None or typing.get_origin(annotation) is None:
        return mark
    inner = (given_in(one, getattr(one, "__metadata__", ())) for one in typing.get_args(annotation))
    return next((one for one in inner if one is not None), None)


def _section(content: Any, model: type[BaseModel], said: Sequence[Said], change: Change, place: str = "") -> Any:
    if not isinstance(content, Mapping):
        return content
    dot = f"{place}." if place else ""
    return {
        key: _value(value, model.model_fields[key], _of_key(said, key), change, f"{dot}{key}")
        if key in model.model_fields
        else value
        for key, value in content.items()
    }


def _of_key(said: Sequence[Said], key: str) -> list[Said]:
    return [(part[key], folder) for part, folder in said if isinstance(part, Mapping) and key in part]


def _value(value: Any, field: FieldInfo, said: Sequence[Said], change: Change, place: str) -> Any:
    if not said:
        return value
    folder = said[-1][1]
    if isinstance(value, list):  # which the last file gives whole
        return [_value(one, field, [(one, folder)], change, f"{place}[{index}]") for index, one in enumerate(value)]
    model = model_within(field.annotation)
    if isinstance(value, Mapping) and model is not None:
        return _section(value, model, said, change, place)
    given = given_in(field.annotation, field.metadata)
    is_path = given is not None and isinstance(value, str) and value not in given.words
    return change(value, folder, place) if is_path else value
