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
    "vary so much more in some directions than in others (as where a few units are thousands of times as large as all "
    "others) that rounding hides what the others add, so nothing is predicted from them"
)
STOPPED = (
    "were fitted with fewer components than asked in some split, since what is left of them is no more than the "
    "rounding of what the network computes. They have few directions; or one direction, which all units share, is "
    "thousands of times as large as the rest, and then the rest is missing from the predictions"
)


def warn_layers(layers: Sequence[str], model: str, problem: str, stacklevel: int) -> None:
    """Warn of layers that have a problem: how many, and the names of five.

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
