"""The page of all keys of a config, written from its schema."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from layerwise.config.study import Study

_OPENING = """# Every key of a config

What a study file may hold, section by section. `layerwise schema --markdown` writes this page from what checks the
file. [`config.yaml`](../config.yaml) is the paper's study, with a comment for every key, and
[here](../README.md#your-own-networks-recordings-and-scores) is a small one. Paths count from the folder of the file
that says them, those of `storage` from the working folder. An unknown key is an error that suggests the nearest.
`layerwise schema` prints all this as a JSON schema, with which editors complete and check YAML."""
_BOUNDS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
_PLAIN = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false", "null": "null"}


def write_keys() -> str:
    """Write a table of keys for each section, in the order in which the config names them."""
    schema = Study.model_json_schema()
    sections = schema["$defs"]
    parts = [_OPENING, _section("The study", schema, sections)]
    parts += [_section(f"`{key}`", sections[name], sections) for name, key in _named(schema, sections).items()]
    return "\n\n".join(parts)


def _named(schema: Mapping[str, Any], sections: Mapping[str, Any], within: str = "") -> dict[str, str]:
    """Name the key under which each section stands, depth first; a section that stands twice by its first."""
    found: dict[str, str] = {}
    for key, one in schema["properties"].items():
        for name in _references(one):
            place = f"{within}{key}"
            for inner, deeper in {name: place, **_named(sections[name], sections, f"{place}.")}.items():
                found.setdefault(inner, deeper)
    return found


def _section(title: str, schema: Mapping[str, Any], sections: Mapping[str, Any]) -> str:
    required = schema.get("required", ())
    rows = [_row(key, _told(one, sections), key in required) for key, one in schema["properties"].items()]
    head = [
        f"## {title}",
        "",
        _text(schema.get("description", "")),
        "",
        "| key | is | default | meaning |",
        "|---|---|---|---|",
    ]
    return "\n".join([*head, *rows])


def _row(key: str, schema: Mapping[str, Any], required: bool) -> str:
    cells = [f"`{key}`", _kind(schema), _default(schema, required), _text(schema.get("description", ""))]
    return f"| {' | '.join(cells)} |".replace("|  |", "| |")


def _told(schema: Mapping[str, Any], sections: Mapping[str, Any]) -> Mapping[str, Any]:
    """Give a key that is described by its section alone, in the same words, that description."""
    name = next(_references(schema), None)
    return (
        schema if name is None or "description" in schema else {**schema, "description": sections[name]["description"]}
    )


def _default(schema: Mapping[str, Any], required: bool) -> str:
    if required:
        return "must be given"
    given = schema.get("default")
    if given is None or isinstance(given, dict) or given == []:
        return ""
    return f"`{json.dumps(given, ensure_ascii=False)}`"


def _kind(schema: Mapping[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_kind(one) for one in schema["anyOf"]))
    if "$ref" in schema:
        return "section"
    if "enum" in schema or "const" in schema:
        return ", ".join(f"`{one}`" for one in schema.get("enum", [schema.get("const")]))
    if schema.get("type") == "array":
        inner = [schema["items"]] if "items" in schema else schema.get("prefixItems", [])
        return f"list of {' or '.join(dict.fromkeys(map(_kind, inner)))}"
    if schema.get("type") == "object":
        values = schema.get("additionalProperties")
        return f"mapping to {_kind(values)}" if isinstance(values, dict) else "mapping"
    return _simple(schema)


def _simple(schema: Mapping[str, Any]) -> str:
    if schema.get("format") == "path":
        return "path"
    bounds = [f"{sign} {schema[name]:,}" for name, sign in _BOUNDS.items() if name in schema]
    return " ".join([_PLAIN.get(schema.get("type", ""), "anything"), ", ".join(bounds)]).strip()


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        if "$ref" in schema:
            yield schema["$ref"].rpartition("/")[2]
        for key in ("anyOf", "items", "additionalProperties"):
            yield from _references(schema.get(key))
    elif isinstance(schema, list):
        for one in schema:
            yield from _references(one)


def _text(description: str) -> str:
    """Return a docstring as the text of a cell."""
    return " ".join(description.split()).replace("|", "\\|")
