"""YAML that people write, read strictly: nothing in it is silently lost or misread."""

from pathlib import Path
from typing import Any

import yaml

MOST_VALUES = 1_000_000
_NOT_UTF8 = "is not text in UTF-8"


def read_yaml(path: str | Path) -> Any:
    """Read a YAML file in UTF-8, with or without a byte order mark.

    Raises
    ------
    ValueError
        The file is in another encoding, or `parse_yaml` refuses it; the message names the file.
    OSError
        The file cannot be opened.
    """
    content = Path(path).read_bytes()
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise ValueError(f"{path} {_NOT_UTF8} but in UTF-16: save it as UTF-8")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"{path} {_NOT_UTF8} (line {line} holds the byte {content[error.start]:#04x}, as in Latin-1): save it as "
            "UTF-8"
        ) from error
    return parse_yaml(text, str(path))


def parse_yaml(text: str, source: str = "the config") -> Any:
    """Parse YAML of plain values.

    Parameters
    ----------
    text : str
        The YAML.
    source : str
        What it is, or its file, for messages.

    Raises
    ------
    ValueError
        The text is no YAML; a key is given twice (the first value would be lost); it has tags such as `!!float`, dates
        that no calendar has, a mapping or list within itself, or more than a million values once its aliases are put
        in. The message names the line.
    """
    try:
        return _parse(_StrictLoader(text))
    except yaml.MarkedYAMLError as error:
        where = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        told = " ".join(part for part in (error.context, error.problem) if part)
        raise ValueError(f"{source} is not valid YAML: {where}{told}") from error
    except (yaml.YAMLError, _RefusedError) as error:
        raise ValueError(f"{source} is not valid YAML: {' '.join(str(error).split())}") from error
    except RecursionError as error:
        raise ValueError(f"{source} is not valid YAML: its lists and mappings are nested too deeply") from error


class _RefusedError(Exception):
    """YAML that the standard allows, and that is not read here."""


def _parse(loader: "_StrictLoader") -> Any:
    node = loader.get_single_node()
    n_values = 0 if node is None else _count(node, {})
    if n_values > MOST_VALUES:
        raise _RefusedError(f"with its aliases it holds {n_values:.3g} values, and {MOST_VALUES:,} are allowed")
    return None if node is None else loader.construct_document(node)


def _count(node: yaml.Node, known: dict[int, int]) -> int:
    """Count the values of a node as if every alias were written out; 0 marks a node that is being counted."""
    if id(node) in known:
        if not known[id(node)]:
            raise _RefusedError(f"line {_line(node)}: a list or mapping holds itself, by an alias")
        return known[id(node)]
    known[id(node)] = 0
    inner = [] if isinstance(node, yaml.ScalarNode) else node.value
    parts = [part for item in inner for part in (item if isinstance(item, tuple) else (item,))]
    known[id(node)] = 1 + sum(_count(part, known) for part in parts)
    return known[id(node)]


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


class _StrictLoader(yaml.SafeLoader):
    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        if getattr(event, "tag", None) is not None:
            line = event.start_mark.line + 1
            raise _RefusedError(f"line {line}: the tag {event.tag!r}; tags are not read: write the value without it")
        return super().compose_node(parent, index)

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        # Before `<<` is resolved: the keys that it brings may be overridden.
        node = super().compose_mapping_node(anchor)
        lines: dict[tuple[str, str], int] = {}
        for key, _ in node.value:
            line, same = _line(key), (key.tag, str(key.value))
            if same in lines:
                raise _RefusedError(f"the key {key.value!r} is given twice, in lines {lines[same]} and {line}")
            lines[same] = line
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            value = super().construct_object(node, deep)
            if isinstance(value, str):
                value.encode()  # halves of a character ("\\ud800") cannot be written anywhere
            return value
        except (ValueError, ArithmeticError) as error:  # of Python's own types: a 13th month, too many digits
            if isinstance(node, yaml.ScalarNode):
                raise _RefusedError(
                    f"line {_line(node)}: {node.value[:40]!r} has no value ({error}): put it in quotes"
                ) from error
            raise
