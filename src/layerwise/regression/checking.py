"""Check input arrays and bring them to the device in float64."""

from collections.abc import Sequence
from difflib import get_close_matches
from math import frexp
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from layerwise.interfaces import Split, counted

Array: TypeAlias = NDArray[Any] | Tensor
SOLVERS = ("exact", "scikit-learn")
BROKEN_UNITS = "units have NaN or infinite activations: check the network's weights and its preprocessing"
BROKEN_TARGETS = "targets have NaN or infinite values: leave them out"


def check_solver(solver: str) -> None:
    """Accept the name of a solver.

    Raises
    ------
    ValueError
        There is none of this name.
    """
    if solver not in SOLVERS:
        near = get_close_matches(str(solver), SOLVERS, n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        raise ValueError(f"solver {solver!r} is not known{hint}: give one of {', '.join(map(repr, SOLVERS))}")


def find_device(device: str | torch.device) -> torch.device:
    """Return the device of a name.

    Raises
    ------
    ValueError
        The device is not on this machine.
    """
    found = torch.device(device)
    if found.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device {str(device)!r} was asked for, but torch finds no GPU here: give 'cpu'")
    return found


def check_sizes(n_components: int, n_training: int, n_units: int | None = None) -> None:
    """Accept a number of components.

    Raises
    ------
    ValueError
        It is not positive, or there are fewer training stimuli or units than components.
    """
    if n_components < 1:
        raise ValueError(f"{n_components} components were asked for: at least 1 is needed")
    if n_training < n_components:
        raise ValueError(
            f"{counted(n_training, 'training stimulus was', 'training stimuli were')} given, but {n_components} "
            f"components need at least {n_components}: use more stimuli, a larger training part or fewer components"
        )
    if n_units is not None and n_units < n_components:
        raise ValueError(
            f"the activations have {n_units} units, but {n_components} components need at least "
            f"{n_components}: leave the layer out or use fewer components"
        )


def check_splits(splits: Sequence[Split], n_stimuli: int) -> list[Split]:
    """Accept splits of some number of stimuli; their validation parts are left out, since PLS does not use them.

    Raises
    ------
    ValueError
        There are none, one is out of range, or one tests on stimuli that it trains on.
    """
    if not len(splits):
        raise ValueError("no splits were given: make some with make_splits")
    checked = [Split(np.asarray(split.train, np.int64), np.asarray(split.test, np.int64)) for split in splits]
    for number, split in enumerate(checked):
        n_training, n_tested = len(split.train), len(split.test)
        used = np.concatenate([split.train, split.test])
        if not (n_training and n_tested):
            raise ValueError(f"split {number} has {n_training} training and {n_tested} test stimuli: both are needed")
        if used.min() < 0 or used.max() >= n_stimuli:
            raise ValueError(
                f"split {number} has indices {used.min()} to {used.max()}, but there are {n_stimuli} "
                "stimuli: make the splits from the same stimuli"
            )
        if len(np.unique(used)) < len(used):
            raise ValueError(f"split {number} uses a stimulus twice: training and test stimuli must all be different")
    return checked


def check_same_stimuli(name: str, n_stimuli: int, responses: NDArray[np.float64]) -> None:
    """Accept responses [stimulus, neuroid] or [split, stimulus, neuroid] for activations or a Gram matrix.

    Raises
    ------
    ValueError
        They differ in their number of stimuli.
    """
    if responses.ndim not in (2, 3):
        raise ValueError(
            f"the responses have {responses.ndim} dimensions: give [stimulus, neuroid] or [split, stimulus, neuroid]"
        )
    if responses.shape[-2] != n_stimuli:
        raise ValueError(
            f"{name} has {n_stimuli} stimuli and the responses have {responses.shape[-2]}: both need "
            "the same stimuli, in the same order"
        )


def unit_scale(values: Tensor, usual: float = 1.0) -> float:
    """Return a power of two that brings the largest of values near 1, so that no square leaves the range of float64.

    To multiply with it rounds nothing.

    Parameters
    ----------
    values : Tensor
        Finite.
    usual : float
        1 is returned for values whose largest is at most this, and at least its inverse.
    """
    largest = float(values.abs().amax()) if values.numel() else 0.0
    if largest == 0 or (usual > 1 and 1 / usual <= largest <= usual):
        return 1.0
    return 2.0 ** -min(max(frexp(largest)[1], -1000), 1000)


def to_numpy(values: Array) -> NDArray[np.float64]:
    """Return float64 values, from numpy or from a tensor on any device."""
    if isinstance(values, Tensor):
        values = values.detach().to("cpu", torch.float64).numpy()
    return np.asarray(values, dtype=np.float64)


def as_matrix(values: Array, name: str) -> Tensor:
    """Return a tensor [stimulus, column] without a copy where possible.

    Raises
    ------
    ValueError
        The values have not two dimensions.
    """
    matrix = torch.as_tensor(values)
    if matrix.ndim != 2:
        raise ValueError(f"{name} has shape {tuple(matrix.shape)}: give a matrix with one row per stimulus")
    return matrix.detach()


def shift(values: Tensor, device: torch.device, complaint: str = BROKEN_UNITS) -> tuple[Tensor, Tensor]:
    """Bring values to the device in float64, the mean of each column over all stimuli at zero.

    Parameters
    ----------
    values : Tensor [stimulus, column]
        Activations or responses.
    device : torch.device
        Where to.
    complaint : str
        What to say, after a count of columns, of values that are not finite.

    Returns
    -------
    shifted : Tensor [stimulus, column]
        A copy; exactly zero for a constant column.
    offset : Tensor [column]
        What was subtracted.

    Raises
    ------
    ValueError
        A value is NaN or infinite.
    """
    moved = values.to(device, torch.float64)
    # The first row goes before the mean: the mean of equal numbers is not always that number in floating
    # point.
    shifted = moved - moved[0]
    mean = shifted.mean(0)
    broken = int((~mean.isfinite()).sum())
    if broken:
        raise ValueError(f"{broken} of {values.shape[1]} {complaint}")
    return shifted.sub_(mean), moved[0] + mean
