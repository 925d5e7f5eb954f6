"""Warning about fits with fewer components than were asked for."""

import warnings

from torch import Tensor

from layerwise.interfaces import DegenerateWarning


def warn_fewer(found: Tensor, wanted: int, stacklevel: int) -> None:
    """Warn of how many splits had fewer components than asked for, but some.

    Parameters
    ----------
    found : Tensor [...]
        Number of components of each split.
    wanted : int
        Components asked for.
    stacklevel : int
        As `warnings.warn` counts it, from the caller of this function.

    Warns
    -----
    DegenerateWarning
        There are such splits.
    """
    fewer = (found > 0) & (found < wanted)
    splits = int(fewer.sum())
    if splits:
        message = (
            f"in {splits} of {found.numel()} splits PLS found fewer than {wanted} components (at least "
            f"{int(found[fewer].min())}), and was fitted with these: float64 holds no more of the activations or "
            "responses. Either they have no more directions, or some units outweigh all others, 1e5 times or more in a "
            "Gram matrix and 1e8 times in activations"
        )
        warnings.warn(message, DegenerateWarning, stacklevel=stacklevel + 1)
