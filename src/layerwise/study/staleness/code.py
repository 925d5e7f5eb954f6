"""The code behind each step, found from what its function imports."""

from collections.abc import Callable
from functools import cache

from layerwise.files import hash_file, hash_object
from layerwise.files.code import ROOT, find_sources, hash_source
from layerwise.study.staleness.declared import STEPS

HashCode = Callable[..., str]  # `hash_source`, or one that keeps what it found

APART = {
    "layerwise.config": "of the config, settings count: those that a step depends on are in its parameters",
    "layerwise.study": "what it decides (regions, layers, files) is in the parameters and the inputs of each step",
    "layerwise.finetuning.weights": "a file of weights has a version and a checksum, and what it holds is an input",
    "layerwise.steps.devices": "where and with how much memory a step runs changes nothing but rounding",
}
"""Code that steps use and that makes no result stale, with the reason."""


@cache
def code_of(step: str, hash_code: HashCode = hash_source) -> str:
    """Hash the code behind a step, and the files it brings: an edit makes its results stale, and those of no other."""
    code, files = hash_code(STEPS[step].function, apart=APART), STEPS[step].files
    return hash_object([code, [hash_file(ROOT / name) for name in files]]) if files else code


def sources_of(step: str) -> set[str]:
    """List the modules, and the functions of steps, behind a step."""
    return find_sources(STEPS[step].function, apart=APART)
