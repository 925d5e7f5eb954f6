"""Hash of the code behind a step: Snakemake sees a changed parameter, not a changed module."""

import ast
import hashlib
from collections.abc import Collection, Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]  # the package's folder
PACKAGE = ROOT.name


def hash_source(*names: str, apart: Collection[str] = ()) -> str:
    """Hash modules, or functions, and everything of this package that they use, however deep.

    Comments, docstrings and layout do not count, so that prose can be mended without a rerun. Nothing is imported:
    the sources are parsed, so this is quick enough for planning a workflow.

    Parameters
    ----------
    *names : str
        As of `find_sources`.
    apart : collection of str
        As of `find_sources`.

    Raises
    ------
    ValueError
        A module or a function does not exist.
    """
    lines = "\n".join(f"{name} {_digest(name)}" for name in sorted(find_sources(*names, apart=apart)))
    return hashlib.sha256(lines.encode()).hexdigest()[:16]


def find_sources(*names: str, apart: Collection[str] = ()) -> set[str]:
    """Find the code of this package that modules or functions use, however deep.

    Parameters
    ----------
    *names : str
        Dotted names of modules, such as ``"layerwise.analyses.brain"``, which stand for all that they import; or of
        functions, such as ``"layerwise.steps.brain:score_brain"``, which stand for what their body uses: functions
        and constants of the modules in their own folder one by one, other modules as a whole.
    apart : collection of str
        Modules, or packages with all modules in them, that are not followed.

    Returns
    -------
    set of str
        Names of modules and, of folders of functions that were named, of single functions and constants.

    Raises
    ------
    ValueError
        A module or a function does not exist.
    """
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found and not _is_within(name, apart):
            found.add(name)
            waiting.extend(_uses(name) if ":" in name else _imports(name))
    return found


def hash_script(path: Path) -> str:
    """Hash a program that stands alone, as `hash_source` does: comments, docstrings and layout do not count."""
    return _hash_tree(ast.parse(path.read_text(encoding="utf-8")))


def is_module(name: str) -> bool:
    """Return whether this is a module of this package."""
    return (name == PACKAGE or name.startswith(f"{PACKAGE}.")) and _path(name) is not None


def _is_within(name: str, packages: Collection[str]) -> bool:
    module = name.partition(":")[0]
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def _path(module: str) -> Path | None:
    base = ROOT.joinpath(*module.split(".")[1:])
    candidates = (base.with_suffix(".py"), base / "__init__.py")
    return next((path for path in candidates if path.is_file()), None)


def _tree(module: str) -> ast.Module:
    path = _path(module)
    if path is None:
        raise ValueError(f"no module {module!r} in {ROOT}: the workflow names a module that does not exist")
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def _imports(module: str) -> tuple[str, ...]:
    """List the modules of this package that a module imports, anywhere in it."""
    found = []
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return tuple(name for name in found if is_module(name))


@cache
def _uses(name: str) -> tuple[str, ...]:
    """List what a function, class or constant uses of this package: what is beside it by name, else modules."""
    module, _, wanted = name.partition(":")
    tree = _tree(module)
    bound = _imported(tree, module) | {one: f"{module}:{one}" for one in _defined(tree)}
    body = _definition(module, wanted)
    used = {node.id for node in ast.walk(body) if isinstance(node, ast.Name)}
    within = _imported(body, module)
    return tuple({bound[one] for one in used & bound.keys() - within.keys()} | set(within.values()))


def _imported(tree: ast.AST, near: str) -> dict[str, str]:
    """Find what names stand for that are imported from this package: modules, or functions beside the module `near`."""
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and is_module(node.module):
            found |= {one.asname or one.name: _home(node.module, one.name, near) for one in node.names}
        elif isinstance(node, ast.Import):
            names = [one for one in node.names if is_module(one.name)]
            found |= {one.asname or one.name.partition(".")[0]: one.name for one in names}
    return found


def _home(module: str, name: str, near: str) -> str:
    """Find where a name comes from that a module offers: itself, a module in it, or where it imports the name from."""
    if is_module(f"{module}.{name}"):
        return f"{module}.{name}"
    source = _source(module, name)
    if source is not None:
        return _home(source, name, near)
    return f"{module}:{name}" if module.rpartition(".")[0] == near.rpartition(".")[0] else module


@cache
def _source(module: str, name: str) -> str | None:
    """Return the module of this package that another one imports a name from, to hand it on."""
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.ImportFrom) and any(name == (one.asname or one.name) for one in node.names):
            return node.module if is_module(node.module or "") else None
    return None


def _defined(tree: ast.Module) -> Iterator[str]:
    """List the functions, classes and constants of a module."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            yield from _targets(node)


def _targets(node: ast.Assign | ast.AnnAssign) -> Iterator[str]:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    yield from (one.id for target in targets for one in ast.walk(target) if isinstance(one, ast.Name))


def _definition(module: str, wanted: str) -> ast.AST:
    """Find the statement of a module that defines a function, class or constant."""
    for node in _tree(module).body:
        if wanted in _defined(ast.Module([node], [])):
            return node
    raise ValueError(f"no function {wanted!r} in {module}: the workflow names one that does not exist")


@cache
def _digest(name: str) -> str:
    module, _, wanted = name.partition(":")
    return _hash_tree(_definition(module, wanted) if wanted else _tree(module))


def _hash_tree(tree: ast.AST) -> str:
    return hashlib.sha256(ast.unparse(_without_docstrings(tree)).encode()).hexdigest()


def _without_docstrings(tree: ast.AST) -> ast.AST:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return tree
