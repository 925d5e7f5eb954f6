"""What decides whether a result is stale: settings, layers, files and code; declared once for each step.

Snakemake compares files and parameters. What it cannot see, `Causes` puts into a parameter of each rule.
"""

from layerwise.study.staleness.causes import Causes
from layerwise.study.staleness.code import code_of, sources_of
from layerwise.study.staleness.declared import RUN_ONLY, STANDS_FOR, STEPS, Step, is_declared

__all__ = ["RUN_ONLY", "STANDS_FOR", "STEPS", "Causes", "Step", "code_of", "is_declared", "sources_of"]
