"""Hash of a user's own code: a module, the user's modules that it imports, and the files that belong to them.

Nothing is imported: modules are located and parsed, so that planning runs no code of others.
"""

import ast
import importlib
import os
import site
import sys
import sysconfig
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

from layerwise.files.code import PACKAGE, hash_source, is_module
from layerwise.files.hashing import LENGTH, hash_file, hash_object

LIBRARIES = ("torch",)
"""Known by its version wherever it lies: a checkout in which it was built is too large to be read at each plan."""
LONGEST = 255  # characters of a text that may name a file


@dataclass(frozen=True)
class OwnCode:
    """What is known about a module without importing it.

    Parameters
    ----------
    hash : str
        Changes with all that is tracked; empty: there is no such module.
    libraries : tuple of str
        The installed packages that it imports, as they are called in Python.
    """

    hash: str
    libraries: tuple[str, ...] = ()


HashFiles = Callable[[Iterable[Path]], list[str]]


def hash_each(paths: Iterable[Path]) -> list[str]:
    """Hash the content of each file; empty where it cannot be read."""
    return [_hash_readable(path) for path in paths]


@cache
def own_code(module: str, apart: Path | None = None, hash_files: HashFiles = hash_each) -> OwnCode:
    """Hash a module, every module of the user's that it imports, however deep, and their files.

    A module of a package (a folder with `__init__.py`) stands for the whole package, with all files in it. Of other
    modules those files count that the text names. Modules are looked for where Python looks, then in the working
    folder, as the commands do. Installed packages are not followed: they have versions.

    Parameters
    ----------
    module : str
        Dotted name, such as ``"package.module"``.
    apart : Path, optional
        Folder whose files never count: that of the results, or they would make themselves stale.
    hash_files : callable
        Returns the hash of each file's content; one that remembers them makes planning quick.
    """
    importlib.invalidate_caches()
    first = _locate(module)
    if first is None:
        return OwnCode("")
    units, libraries, ours = _reach(first)
    files = {f"{unit.name} {name}": path for unit in units for name, path in unit.files(apart).items()}
    hashes = dict(zip(files, hash_files(files.values()), strict=True))
    code = hash_source(*sorted(ours)) if ours else ""
    return OwnCode(hash_object([hashes, code]), tuple(sorted(libraries)))


def _hash_readable(path: Path) -> str:
    try:
        return hash_file(path)[:LENGTH]
    except OSError:
        return ""


@dataclass(frozen=True)
class _Unit:
    """A module that is one file, or a package with all that lies in it."""

    name: str
    origin: Path
    is_package: bool

    @property
    def is_installed(self) -> bool:
        top = self.name.partition(".")[0]
        places = (self.origin, self.origin.resolve())  # some installers make links
        return top in LIBRARIES or any(path.is_relative_to(folder) for path in places for folder in _installed())

    def files(self, apart: Path | None) -> dict[str, Path]:
        """Find the files that count, by the names under which they do."""
        found = {self.origin.name: self.origin}
        if self.is_package:
            folder = self.origin.parent
            found = {str(path.relative_to(folder)): path for path in _files_in(folder, apart)}
        # Packages that are installed bring along what they need.
        return found if self.is_installed else {**self._named_files(apart), **found}

    def imports(self) -> Iterator[str]:
        """Name the modules that are imported anywhere in it."""
        for path, tree in self._trees.items():
            here = self._package_of(path)
            for node in ast.walk(tree):
                yield from _imported(node, here)

    @cached_property
    def _trees(self) -> dict[Path, ast.Module]:
        folder = self.origin.parent
        paths = _files_in(folder, None) if self.is_package else [self.origin]
        trees = {path: parse(path) for path in paths if path.suffix == ".py"}
        return {path: tree for path, tree in trees.items() if tree is not None}

    def _package_of(self, path: Path) -> list[str]:
        """Return the package that a relative import of this file begins from."""
        if self.is_package:
            return [*self.name.split("."), *path.parent.relative_to(self.origin.parent).parts]
        return self.name.split(".")[:-1]

    def _named_files(self, apart: Path | None) -> dict[str, Path]:
        found = {}
        for path, tree in self._trees.items():
            for text in {text for node in ast.walk(tree) for text in _texts(node)}:
                file = _file_called(text, path)
                if file is not None and not _lies_in(file, apart):
                    found[f"{path.relative_to(self.origin.parent)} names {text}"] = file
        return found


def _reach(first: _Unit) -> tuple[set[_Unit], set[str], set[str]]:
    """Follow imports: the user's modules, the installed packages, and modules of layerwise itself."""
    units, libraries, ours = set[_Unit](), set[str](), set[str]()
    waiting = [first]
    while waiting:
        unit = waiting.pop()
        if unit in units:
            continue
        units.add(unit)
        for name in [unit.name] if unit.is_installed else set(unit.imports()):
            top = name.partition(".")[0]
            found = None if top == PACKAGE else _locate(name)
            if is_module(name):
                ours.add(name)
            elif found is not None and not found.is_installed:
                waiting.append(found)
            elif found is not None and not _is_standard(top):
                libraries.add(top)
    return units, libraries, ours


# --- modules ------------------------------------------------------------------------------------------------------


@cache
def _installed() -> tuple[Path, ...]:
    """Folders of Python's own modules and of installed packages."""
    paths = sysconfig.get_paths()
    named = [paths[key] for key in ("stdlib", "platstdlib", "purelib", "platlib")]
    found = [*named, *site.getsitepackages(), site.getusersitepackages()]
    found += [path for path in sys.path if {"site-packages", "dist-packages"} & set(Path(path).parts)]
    return tuple({place for path in found if path for place in (Path(path).absolute(), Path(path).resolve())})


def _is_standard(name: str) -> bool:
    return name in sys.stdlib_module_names


def _locate(name: str) -> _Unit | None:
    """Find the outermost module or package, with code of its own, that holds a module of this name."""
    parts, spec, where = name.split("."), None, None
    for depth in range(1, len(parts) + 1):
        spec = find_module(".".join(parts[:depth]), where)
        if spec is None:
            return None
        if spec.has_location and spec.origin:
            return _Unit(spec.name, Path(spec.origin).absolute(), spec.submodule_search_locations is not None)
        where = list(spec.submodule_search_locations or [])  # a folder without __init__.py
    return None


def find_module(name: str, where: list[str] | None) -> ModuleSpec | None:
    """Find a module without importing it: in the folders of its package, else where Python looks and jobs do."""
    if where is not None:
        return PathFinder.find_spec(name, where)
    for finder in sys.meta_path:  # that of an editable install is one of them
        path = [*sys.path, str(Path.cwd())] if finder is PathFinder else None
        spec = finder.find_spec(name, path) if hasattr(finder, "find_spec") else None
        if spec is not None:
            return spec
    return None


def _imported(node: ast.AST, here: list[str]) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        base = here[: len(here) - node.level + 1] if node.level else []
        module = ".".join([*base, *([node.module] if node.module else [])])
        yield from (name for name in (module, *(f"{module}.{alias.name}" for alias in node.names)) if module)
    elif isinstance(node, ast.Call) and _called(node) in ("import_module", "__import__"):
        texts = [one.value for one in node.args if isinstance(one, ast.Constant) and isinstance(one.value, str)]
        yield from (".".join([*here, text.lstrip(".")]) if text.startswith(".") else text for text in texts[:1])


def _called(node: ast.Call) -> str:
    function = node.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def parse(path: Path) -> ast.Module | None:
    """Parse a file; None if it cannot be."""
    try:
        return ast.parse(path.read_bytes())
    except (SyntaxError, ValueError, RecursionError):  # it cannot be imported either; its content counts all the same
        return None


# --- files --------------------------------------------------------------------------------------------------------


def _files_in(folder: Path, apart: Path | None) -> list[Path]:
    """List the files in a folder and below, behind links too, without those that Python or a tool puts there."""
    # A study that runs inside the package has its data and results there.
    endings = (".py",) if Path.cwd().resolve().is_relative_to(folder.resolve()) else ("",)
    found, seen = [], set[str]()
    for at, folders, names in os.walk(folder, followlinks=True):
        seen.add(os.path.realpath(at))
        folders[:] = [one for one in folders if _counts(one) and os.path.realpath(Path(at, one)) not in seen]
        found += [Path(at, name) for name in names if _counts(name) and name.endswith(endings)]
    return [path for path in found if path.is_file() and not _lies_in(path, apart)]


def _counts(name: str) -> bool:
    return name != "__pycache__" and not name.startswith(".") and not name.endswith(".pyc")


def _lies_in(path: Path, folder: Path | None) -> bool:
    return folder is not None and path.resolve().is_relative_to(folder.resolve())


def _texts(node: ast.AST) -> Iterator[str]:
    """Find what may name a file: a text, `path / "a" / "b"`, `join(path, "a", "b")`."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.Call):
        yield "/".join(one.value for one in node.args if isinstance(one, ast.Constant) and isinstance(one.value, str))
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        yield "/".join(_divided(node))


def _divided(node: ast.AST) -> list[str]:
    if isinstance(node, ast.BinOp):
        return [*_divided(node.left), *_divided(node.right)]
    return [node.value] if isinstance(node, ast.Constant) and isinstance(node.value, str) else []


def _file_called(text: str, module: Path) -> Path | None:
    if not 0 < len(text) <= LONGEST or not text.isprintable():
        return None
    places = [module.parent / text, Path.cwd() / text]
    if text.startswith("~/"):
        places = [Path.home() / text[2:]]
    elif text.startswith(".") and "/" not in text and len(text) > 2:
        places.append(module.parent / f"{module.stem}{text}")  # with_suffix
    return next((path for path in places if is_file(path)), None)


def is_file(path: Path) -> bool:
    """Return whether there is such a file, also where the text can be no name."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False
