"""Patterns of names of modules, and the names that networks of the registry have. Without torch: studies are checked.

A manifest tells nearly all of them: those of its layers, and of the containers around these. `modules.tsv`, which
`layerwise models modules --all` makes, lists what it does not tell: modules that give a layer if they are chosen though
they stand in no manifest (code of their own around small parts, second names of shared modules), and containers that
give none (lists, and modules that return several tensors).
"""

import csv
from collections.abc import Collection, Iterable, Iterator, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase
from functools import cache
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

from layerwise.files import atomic_path
from layerwise.layers.manifest import read_manifest, shipped_manifest

ANY_DEPTH = "**"
MODULES = Path(__file__).with_name("modules.tsv")
COLUMNS = ("network", "module", "layer")


class Module(NamedTuple):
    """A module of which a manifest does not tell whether it gives a layer: its network, its name, and "yes" or "no"."""

    network: str
    name: str
    layer: str


def match_names(names: Iterable[str], pattern: str) -> list[str]:
    """Find the names that match a pattern, part by part between dots: ``*`` is one part, ``**`` any number of them."""
    parts = pattern.split(".")
    return [name for name in names if _matches(name.split("."), parts)]


def _matches(name: Sequence[str], pattern: Sequence[str]) -> bool:
    if not pattern:
        return not name
    if pattern[0] == ANY_DEPTH:
        return any(_matches(name[start:], pattern[1:]) for start in range(len(name) + 1))
    return bool(name) and fnmatchcase(name[0], pattern[0]) and _matches(name[1:], pattern[1:])


def nearest(pattern: str, names: Collection[str]) -> list[str]:
    """Find up to three names that are near a pattern that matches none; the outermost ones where no name is near."""
    return get_close_matches(pattern, names, n=3, cutoff=0.4) or [name for name in names if "." not in name][:3]


def find_unmatched(network: str, patterns: Iterable[str]) -> Iterator[str]:
    """Find patterns that give no layer of a network of the registry, and say which names are near.

    Nothing is said of a network without a manifest. That a reduction leaves a layer too few units is not seen.
    """
    names = choosable_names(network)
    for pattern in patterns if names else ():
        if not match_names(names, pattern):
            yield f"layers: no layer matches {pattern!r}: the nearest are {', '.join(nearest(pattern, names))}"


@cache
def choosable_names(network: str) -> tuple[str, ...]:
    """Name the modules of a network of the registry that give a layer if they are chosen; none without a manifest."""
    path = shipped_manifest(network)
    if path is None:
        return ()
    told = {row.name: row.layer for row in read_modules() if row.network == network}
    listed = names_around(layer.name for layer in read_manifest(path))
    return tuple(name for name in dict.fromkeys([*listed, *told]) if told.get(name) != "no")


def names_around(layers: Iterable[str]) -> list[str]:
    """Name layers and the containers around them, each once and the outer before the inner."""
    return list(dict.fromkeys(name for layer in layers for name in accumulate(layer.split("."), "{}.{}".format)))


@cache
def read_modules() -> tuple[Module, ...]:
    """Read what the manifests do not tell."""
    with MODULES.open(encoding="utf-8", newline="") as file:
        return tuple(Module(*cells) for cells in list(csv.reader(file, delimiter="\t"))[1:])


def write_modules(modules: Iterable[Module], path: Path) -> None:
    """Write what the manifests do not tell, tab-separated, a row a module."""
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter="\t", lineterminator="\n").writerows([COLUMNS, *modules])
