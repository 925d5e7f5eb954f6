"""Layers whose activations are not finite."""

import warnings
from collections.abc import Sequence

from layerwise.interfaces import DegenerateWarning


def warn_nonfinite(layers: Sequence[str], model: str, stacklevel: int) -> None:
    """Say once of how many layers nothing can be predicted, and name five of them.

    Parameters
    ----------
    layers : sequence of str
        Names of layers that gave NaN or infinite values.
    model : str
        The network.
    stacklevel : int
        As `warnings.warn` counts it, from the caller of this function.

    Warns
    -----
    DegenerateWarning
        There are such layers.
    """
    if layers:
        named = ", ".join(layers[:5]) + (", ..." if len(layers) > 5 else "")
        warnings.warn(
            f"{len(layers)} layers of {model} gave NaN or infinite values, so nothing can be predicted from them: "
            f"{named}",
            DegenerateWarning,
            stacklevel=stacklevel + 1,
        )
