"""Turn what pydantic found into sentences: where, what was given, what is allowed, and what was likely meant."""

import difflib
import re
import types
import typing
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from layerwise.interfaces import counted

LONGEST = 100  # characters of what was given


def describe_errors(error: ValidationError, root: type[BaseModel], source: str) -> str:
    """Write one line a problem.

    Parameters
    ----------
    error : ValidationError
        What pydantic found.
    root : type of BaseModel
        The model that was validated.
    source : str
        Name of the file, for the reader.
    """
    problems = _without_other_kinds(error.errors(include_url=False))
    return "\n".join(
        [f"{source} has {counted(len(problems), 'problem')}:", *(f"  {_line(problem, root)}" for problem in problems)]
    )


# pydantic's names for the members of a union, which it puts among the keys: list[constrained-str].
_MEMBER = re.compile(r"(list|dict)\[.*\]")


def _without_other_kinds(problems: Sequence[ErrorDetails]) -> list[ErrorDetails]:
    """Where a list or a mapping is allowed and a faulty list was given, do not also complain that it is no mapping."""
    return [problem for problem in problems if not any(_outdoes(other["loc"], problem["loc"]) for other in problems)]


def _outdoes(other: tuple[int | str, ...], location: tuple[int | str, ...]) -> bool:
    """Return whether a problem lies deeper in the same union than one that is about its kind as a whole."""
    shared = location[:-1]
    return _is_member(location[-1:]) and len(other) > len(location) and other[: len(shared)] == shared


def _is_member(part: tuple[int | str, ...]) -> bool:
    return any(_MEMBER.fullmatch(str(name)) for name in part)


def _line(problem: ErrorDetails, root: type[BaseModel]) -> str:
    location = problem["loc"]
    if problem["type"] == "extra_forbidden":
        where = _where(location[:-1])
        return f"{where}unknown key {str(location[-1])!r}{_suggest(str(location[-1]), _fields(root, location[:-1]))}"
    if problem["type"] == "missing":
        return f"{_where(location[:-1])}the key {str(location[-1])!r} is missing"
    message = problem["msg"].removeprefix("Value error, ")
    given = problem["input"]
    shown = "" if isinstance(given, dict) or problem["type"] == "value_error" else f", given: {_short(given)}"
    return f"{_where(location)}{message}{shown}{_near(problem)}"


def _near(problem: ErrorDetails) -> str:
    """Suggest, of the words that are allowed, the one that was likely meant."""
    if problem["type"] != "literal_error":
        return ""
    allowed = re.findall(r"'([^']*)'", str(problem.get("ctx", {}).get("expected")))
    near = difflib.get_close_matches(str(problem["input"]), allowed, n=1, cutoff=0.5)
    return f": did you mean {near[0]!r}?" if near else ""


def _short(given: object) -> str:
    text = repr(given)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def _where(location: tuple[int | str, ...]) -> str:
    text = ""
    for part in location:
        if _is_member((part,)):
            continue
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return f"{text}: " if text else ""


def _suggest(given: str, allowed: list[str]) -> str:
    near = difflib.get_close_matches(given, allowed, n=1, cutoff=0.5)
    hint = f": did you mean {near[0]!r}?" if near else "."
    return f"{hint} Allowed here: {', '.join(allowed)}"


def _fields(root: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    model: Any = root
    for part in location:
        if isinstance(part, str) and isinstance(model, type) and issubclass(model, BaseModel):
            model = model_within(model.model_fields[part].annotation)
    return list(model.model_fields)


def model_within(annotation: Any) -> Any:
    """Return the model inside ``list[Model]``, ``Model | None`` or ``Annotated[Model, ...]``."""
    if typing.get_origin(annotation) in (list, types.UnionType, typing.Union, typing.Annotated):
        found = (model_within(inner) for inner in typing.get_args(annotation))
        return next((model for model in found if model is not None), None)
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None
