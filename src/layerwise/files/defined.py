"""What a module of Python defines, told from its text: nothing is imported."""

import ast
import importlib
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from itertools import accumulate
from pathlib import Path

from layerwise.files.own import find_module, parse

COMPUTING = frozenset({"__getattr__", "exec", "globals", "locals", "setattr", "vars", "__dict__", "modules"})
"""A module whose text holds one of these words may have names that its text does not show."""


def defined_names(module: str) -> frozenset[str] | None:
    """List the names that the text of a module binds, or None where the text does not tell all of them.

    Parameters
    ----------
    module : str
        Dotted name; modules are looked for where Python looks, then in the working folder.

    Raises
    ------
    ModuleNotFoundError
        There is no such module, as far as can be told.
    """
    spec = _find_deep(module)
    origin = Path(spec.origin) if spec is not None and spec.has_location and spec.origin else None
    tree = parse(origin) if origin is not None and origin.suffix == ".py" and origin.is_file() else None
    if tree is None or any(_may_compute(node) for node in ast.walk(tree)):
        return None
    return frozenset(name for node in ast.walk(tree) for name in _bound(node))


def _find_deep(module: str) -> ModuleSpec | None:
    """Find a module through its packages; None if a parent that is no package makes it, as `os` makes `os.path`."""
    importlib.invalidate_caches()
    names = list(accumulate(module.split("."), lambda one, other: f"{one}.{other}"))
    spec = find_module(names[0], None)
    for name in names[1:]:
        if spec is not None and spec.submodule_search_locations is None:
            return None
        spec = find_module(name, list(spec.submodule_search_locations or ())) if spec else None
    if spec is None:
        raise ModuleNotFoundError(name=module)
    return spec


def _may_compute(node: ast.AST) -> bool:
    if isinstance(node, ast.ImportFrom):
        return any(alias.name == "*" for alias in node.names)
    return bool(COMPUTING & {getattr(node, key, None) for key in ("id", "attr", "name")})


def _bound(node: ast.AST) -> Iterator[str]:
    """Name what a node binds, wherever it stands: rather too many names than too few."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        yield node.id
    elif isinstance(node, ast.alias):
        yield (node.asname or node.name).partition(".")[0]
