"""The workflow's table of the code behind each step holds whatever that step computes with."""

import ast
import re
from importlib import import_module
from pathlib import Path

import pytest

from layerwise.cli import steps
from layerwise.files.code import _imports

ROOT = Path(__file__).parents[2]
CODE = ast.literal_eval(
    re.search(r"^CODE = (\{.*?^\})", (ROOT / "workflow/rules/common.smk").read_text(), re.MULTILINE | re.DOTALL)[1]
)
CHANGE_NOTHING = {"config", "study", "files"}
"""Rooms whose decisions are among the parameters, or are how files are written."""
HARMLESS = {"layers_in", "pixels_for", "rated_pixels", "require_published", "blocks"}
"""Functions that open files, check, or name them."""


def function(module, name):
    tree = ast.parse((ROOT / "src" / f"{module.replace('.', '/')}.py").read_text())
    return tree, next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name)


def imports_of(tree, body):
    """What a function uses, imported at its module's top or within: (module, name)."""
    statements = [node for node in (*tree.body, *ast.walk(body)) if isinstance(node, ast.ImportFrom)]
    used = {node.id for node in ast.walk(body) if isinstance(node, ast.Name)}
    for statement in statements:
        if statement.module.startswith("layerwise."):
            yield from ((statement.module, one.name) for one in statement.names if (one.asname or one.name) in used)


def reached(modules):
    found, waiting = set(), [name for name in modules if ":" not in name]
    while waiting:
        module = waiting.pop()
        if module not in found:
            found.add(module)
            waiting.extend(_imports(module))
    return found


@pytest.mark.parametrize("step", CODE)
def test_what_a_step_computes_with_is_behind_it(step):
    functions = ["layerwise.cli.steps:" + step, *(name for name in CODE[step] if ":" in name)]
    missing, behind = [], reached(CODE[step])
    for module, name in {pair for one in functions for pair in imports_of(*function(*one.split(":")))}:
        room = module.split(".")[1]
        if name in HARMLESS or room in CHANGE_NOTHING:
            continue
        if module in ("layerwise.cli.sources", "layerwise.analyses.proof"):
            missing += [f"{module}:{name}"] if f"{module}:{name}" not in CODE[step] else []
        elif room != "cli":
            home = getattr(getattr(import_module(module), name), "__module__", module)
            missing += [home] if home.startswith("layerwise.") and home not in behind else []
    assert missing == []


REFUSE_ONLY = ("layerwise.passes.probe", "layerwise.layers.probing")
TELL_ON_THEIR_OWN = (
    *("layerwise.data.", "layerwise.analyses.", "layerwise.statistics.", "layerwise.layers.blocks"),
    "layerwise.files.hdf5",
)
"""Code whose outcome results and states carry (hashes of pixels and scores, the layers), or that comes after; and how
pixels are written."""


@pytest.mark.parametrize("step", ["extract_activations", "stream_memorability", "sketch_memorability"])
def test_the_hash_of_code_in_results_and_states_covers_what_the_network_and_the_fit_compute_with(step):
    _, body = function("layerwise.cli.steps", step)
    call = next(node for node in ast.walk(body) if isinstance(node, ast.Call) and is_name(node.func, "_origins"))
    named = [getattr(steps, one.id) if isinstance(one, ast.Name) else one.value for one in call.args[3:]]
    missing = reached(CODE[step]) - reached(named)
    assert {module for module in missing if not f"{module}.".startswith((*TELL_ON_THEIR_OWN, *REFUSE_ONLY))} == set()


def is_name(node, name):
    return isinstance(node, ast.Name) and node.id == name
