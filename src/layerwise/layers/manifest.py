"""The manifest: the layers of one network as a table. Without torch: the workflow plans with it.

Its last line counts the layers and has a hash of the others, since a table that is cut at a line's end looks whole.
"""

import csv
import hashlib
import io
from collections.abc import Iterable, Sequence
from math import prod
from pathlib import Path
from typing import NamedTuple

from layerwise.files import atomic_path
from layerwise.interfaces import LayerSpec

COLUMNS = ("layer", "class", "shape", "units", "depth", "same_as", "reduced")
_END = "# end: "
FOLDER = Path(__file__).with_name("manifests")


class Skipped(NamedTuple):
    """A module or function that runs and is no layer: its name, its class, and why."""

    layer: str
    kind: str
    reason: str


def write_manifest(layers: Sequence[LayerSpec], path: str | Path) -> None:
    """Write a manifest, tab-separated, a row a layer in order of depth.

    Raises
    ------
    ValueError
        The layers contradict each other (equal names or depths, units that are not the product of the shape).
    """
    ordered = sorted(layers, key=lambda layer: layer.depth)
    _check(ordered, path)
    with atomic_path(path) as temporary:
        temporary.write_text(format_manifest(ordered), encoding="utf-8")


def format_manifest(layers: Iterable[LayerSpec]) -> str:
    """Return the text of a manifest."""
    listed = list(layers)
    table = _table(COLUMNS, (_cells(layer) for layer in listed))
    return table + _end(table, len(listed))


def write_skipped(skipped: Iterable[Skipped], path: str | Path) -> None:
    """Write what of a network runs and is no layer, tab-separated, a row a module or function."""
    with atomic_path(path) as temporary:
        temporary.write_text(format_skipped(skipped), encoding="utf-8")


def format_skipped(skipped: Iterable[Skipped]) -> str:
    """Return the text of that table."""
    return _table(("layer", "class", "reason"), skipped)


def read_manifest(path: str | Path) -> list[LayerSpec]:
    """Read a manifest.

    Returns
    -------
    list of LayerSpec
        In order of depth.

    Raises
    ------
    ValueError
        The file does not exist, is damaged, or is not a manifest; the message names the line.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"no manifest {path}: list the layers of the network first")
    try:
        table, end = _divide(path.read_bytes().decode())
        rows = list(csv.reader(io.StringIO(table, newline=""), delimiter="\t"))
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path} is not a manifest: it is not text") from error
    if rows and tuple(rows[0]) == COLUMNS[:5] and end == _end(table, len(rows) - 1):
        raise ValueError(
            f"{path} was written by an older layerwise: delete it, and list the layers of the network again"
        )
    if not rows or tuple(rows[0]) != COLUMNS:
        raise ValueError(f"{path} is not a manifest: its first line must be {' '.join(COLUMNS)}, separated by tabs")
    if end != _end(table, len(rows) - 1):
        raise ValueError(
            f"{path} does not fit its last line: it is cut, damaged or edited, or an older layerwise wrote it; list "
            "the layers of the network again"
        )
    layers = [_parse(cells, f"{path}, line {number}") for number, cells in enumerate(rows[1:], start=2)]
    _check(layers, path)
    return layers


def shipped_manifest(name: str) -> Path | None:
    """Return the manifest that comes with the package for a network of the registry; None if there is none."""
    path = FOLDER / f"{name}.tsv"
    return path if path.is_file() else None


def _table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, delimiter="\t", lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()


def _end(table: str, n_layers: int) -> str:
    return f"{_END}{n_layers} layers, {hashlib.sha256(table.encode()).hexdigest()[:16]}\n"


def _divide(text: str) -> tuple[str, str]:
    """Divide a manifest into its table and its last line, which may be missing."""
    table, mark, end = text.rpartition(_END)
    return (table, mark + end) if mark else (text, "")


def _cells(layer: LayerSpec) -> tuple[str, str, str, int, int, str, str]:
    shape = "x".join(map(str, layer.shape))
    return layer.name, layer.kind, shape, layer.units, layer.depth, layer.same_as, layer.reduced


def _parse(cells: list[str], where: str) -> LayerSpec:
    if len(cells) != len(COLUMNS):
        raise ValueError(f"{where}: {len(cells)} cells instead of {len(COLUMNS)}")
    name, kind, shape, units, depth, same_as, reduced = cells
    try:
        sides = tuple(int(side) for side in shape.split("x"))
        return LayerSpec(name, kind, sides, int(units), int(depth), same_as, reduced)
    except ValueError as error:
        raise ValueError(f"{where}: shape must look like 64x55x55, units and depth must be whole numbers") from error


def _check(layers: Sequence[LayerSpec], path: str | Path) -> None:
    if not layers:
        raise ValueError(f"{path} lists no layer")
    for what, values in (
        ("layer", [layer.name for layer in layers]),
        ("depth", [layer.depth for layer in layers]),
    ):
        twice = _first_repeated(values)
        if twice is not None:
            raise ValueError(f"{path} has the {what} {twice!r} twice")
    for layer in layers:
        if layer.units != prod(layer.shape) or layer.units < 1 or layer.depth < 1:
            raise ValueError(f"{path}: {layer.name!r} cannot have {layer.units} units of shape {layer.shape}")
    own = {layer.name: layer.units for layer in layers if not layer.same_as}
    for layer in layers:
        if layer.same_as and own.get(layer.same_as) != layer.units:
            raise ValueError(f"{path}: {layer.name!r} cannot be the same as {layer.same_as!r}, which has other units")
    if [layer.depth for layer in layers] != sorted(layer.depth for layer in layers):
        raise ValueError(f"{path} is not in order of depth")


def _first_repeated(values: Iterable[object]) -> object | None:
    seen: set[object] = set()
    for value in values:
        if value in seen:
            return value
        seen.add(value)
    return None
