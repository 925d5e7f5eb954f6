"""Layers from which nothing, or no more than the mean, can be predicted: said once, with their number."""

import warnings
from collections.abc import Sequence

from layerwise.interfaces import DegenerateWarning, counted

NAMED = 5
NONFINITE = "NaN or infinite values were given, so nothing can be predicted from them"
CONSTANT = (
    "constant in the training images of some split, or with nothing in common with their scores, so that the mean "
    "score is predicted and no correlation is defined"
)
LOST = (
    "some directions vary so much more than others (as where a few units are thousands of times as large as all "
    "others) that rounding hides what the others add, so nothing is predicted"
)
STOPPED = (
    "fitted with fewer components than asked in some split, since what is left is no more than the rounding of what "
    "the network computes. There are few directions; or one direction, which all units share, is thousands "
    "of times as large as the rest, and then the rest is missing from the predictions"
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
        What is wrong with them, as `NONFINITE`.
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
            f"{counted(len(layers), 'layer')} of {model}: {problem}: {named}",
            DegenerateWarning,
            stacklevel=stacklevel + 1,
        )
