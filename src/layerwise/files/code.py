"""Hash of the code behind a step: Snakemake sees a changed parameter, not a changed module."""

import ast
import hashlib
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]  # the package's folder
PACKAGE = ROOT.name


def hash_source(*modules: str) -> str:
    """Hash the modules and everything of this package that they import, however deep.

    Comments, docstrings and layout do not count, so that prose can be mended without a rerun. Nothing is imported:
    the sources are parsed, so this is quick enough for planning a workflow.

    Parameters
    ----------
    *modules : str
        Dotted names, such as ``"layerwise.analyses.brain"``. ``"layerwise.cli.steps:score_brain"`` stands for that
        one function without what it imports, for code that only passes settings on.

    Raises
    ------
    ValueError
        A module or a function does not exist.
    """
    functions = {name for name in modules if ":" in name}
    reached: set[str] = set()
    waiting = [name for name in modules if name not in functions]
    while waiting:
        module = waiting.pop()
        if module in reached:
            continue
        reached.add(module)
        waiting.extend(_imports(module))
    lines = "\n".join(f"{name} {_digest(name)}" for name in sorted(reached | functions))
    return hashlib.sha256(lines.encode()).hexdigest()[:16]


def hash_script(path: Path) -> str:
    """Hash a program that stands alone, as `hash_source` does: comments, docstrings and layout do not count."""
    return _hash_tree(ast.parse(path.read_text(encoding="utf-8")))


def is_module(name: str) -> bool:
    """Tell whether this is a module of this package."""
    return (name == PACKAGE or name.startswith(f"{PACKAGE}.")) and _path(name) is not None


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
    found = []
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return tuple(name for name in found if is_module(name))


@cache
def _digest(name: str) -> str:
    module, _, function = name.partition(":")
    tree: ast.AST = _tree(module)
    if function:
        found = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == function]
        if not found:
            raise ValueError(f"no function {function!r} in {module}: the workflow names one that does not exist")
        tree = found[0]
    return _hash_tree(tree)


def _hash_tree(tree: ast.AST) -> str:
    return hashlib.sha256(ast.unparse(_without_docstrings(tree)).encode()).hexdigest()


def _without_docstrings(tree: ast.AST) -> ast.AST:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return tree
