"""What a job of a cluster is told of itself, by variables in front of its command."""

import shlex
from collections.abc import Sequence
from itertools import pairwise

from layerwise.interfaces.environment import ATTEMPT, MISTAKES, REQUEUE


def tell_attempt(arguments: Sequence[str], mistakes: str) -> str:
    """Write the command of a shell that tells a step which attempt at its job it is.

    Parameters
    ----------
    arguments : sequence of str
        Of the Snakemake that runs in the job: it names the attempt there, and its rules know it too late.
    mistakes : str
        Folder in which a failed attempt leaves what it said.
    """
    given = dict(pairwise(arguments))
    told = {REQUEUE: "1", ATTEMPT: given.get("--attempt", "1"), MISTAKES: mistakes}
    return f"export {' '.join(f'{name}={shlex.quote(value)}' for name, value in told.items())}; "
