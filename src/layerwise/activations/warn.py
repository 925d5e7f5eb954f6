"""Layers from which nothing, or no more than the mean, can be predicted: said once, with their number."""

import warnings
from collections.abc import Sequence

from layerwise.interfaces import DegenerateWarning

NAMED = 5
NONFINITE = "gave NaN or infinite values, so nothing can be predicted from them"
CONSTANT = (
    "are constant in the training images of some split, or share nothing with their scores, so that the mean score is "
    "predicted from them and no correlation is defined"
)
LOST = (
    "vary thousands of times as much in some directions as in others (as where one unit outweighs all), so float32 "
    "does not hold what the others add, and nothing is predicted from them"
)


def warn_layers(layers: Sequence[str], model: str, problem: str, stacklevel: int) -> None:
    """Say how many layers have a problem, and name five of them.

    Parameters
    ----------
    layers : sequence of str
        Their names; none gives no warning.
    model : str
        The network.
    problem : str
        What they did, as `NONFINITE`.
    stacklevel : int
        As `warnings.warn` counts it, from the caller of this function.

    Warns
    -----
    DegenerateWarning
        There are such layers.
    """
    if layers:
        named = ", ".join(layers[:NAMED]) + (", ..." if len(layers) > NAMED else "")
        warnings.warn(
            f"{len(layers)} layers of {model} {problem}: {named}", DegenerateWarning, stacklevel=stacklevel + 1
        )
