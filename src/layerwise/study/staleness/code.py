"""The code behind each step, found from what its function imports."""

from functools import cache

from layerwise.files.code import find_sources, hash_source
from layerwise.study.staleness.declared import STEPS

APART = {
    "layerwise.config": "of the config, settings count: those that a step depends on are in its parameters",
    "layerwise.study": "what it decides (regions, layers, files) is in the parameters and the inputs of each step",
    "layerwise.finetuning.weights": "a file of weights has a version and a checksum, and what it holds is an input",
    "layerwise.steps.devices": "where and with how much memory a step runs changes nothing but rounding",
}
"""Code that steps use and that makes no result stale, with the reason."""


@cache
def code_of(step: str) -> str:
    """Hash the code behind a step: an edit of it makes the step's results stale, and those of no other."""
    return hash_source(STEPS[step].function, apart=APART)


def sources_of(step: str) -> set[str]:
    """List the modules, and the functions of steps, behind a step."""
    return find_sources(STEPS[step].function, apart=APART)
