"""Earlier residuals of layers, kept in the host's memory.

They are used once a component. The host's memory is reached at a hundredth of the rate of a GPU's own: to wait for it
is still much shorter than the passes that a further group of layers takes.
"""

import weakref
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from layerwise.files import ran_out
from layerwise.regression.pls1.history import History
from layerwise.streaming.groups import ROWS_AT_ONCE

PORTABLE = 1  # cudaHostRegisterPortable: every GPU of the job may read it


@dataclass
class HostHistory(History):
    """Earlier residuals in the host's memory, brought to the device a few rows of a split at a time.

    Parameters
    ----------
    values : Tensor [split, component - 1, unit]
        On the host.
    staging : Tensor [value]
        On the device; the layers take turns with it.
    """

    staging: Tensor

    def remove_from(self, component: int, residual: Tensor) -> None:
        """Make the residual [split, unit] of a component (from 0) orthogonal to all earlier ones, in place.

        Row after row of a few: as all of them are orthogonal to each other, that is the same as all at once. All is
        queued in one stream, in which a copy waits until the rows before it were used. The products take a hundredth
        of the copies' time, so that a second buffer would gain nothing.
        """
        for past, row in zip(self.values, residual, strict=True):
            for part in past[:component].split(ROWS_AT_ONCE):
                rows = self.staging[: part.numel()].view(part.shape)
                rows.copy_(part, non_blocking=True)
                row -= torch.mv(rows.mT, torch.mv(rows, row))

    def before(self, component: int) -> list[Tensor]:
        """Return what is kept of the components before one, once it has arrived on the host."""
        if self.staging.is_cuda:
            torch.cuda.synchronize(self.staging.device)
        return super().before(component)

    def _write(self, component: int, residual: Tensor, factors: Tensor) -> None:
        for past, row in zip(self.values, residual * factors, strict=True):
            past[component].copy_(row, non_blocking=True)


class HostHistories:
    """Gives layers of a fit their histories on the host; all share one piece of its memory.

    Parameters
    ----------
    n_splits, n_components : int
        Splits and latent variables.
    dtype : torch.dtype
        Of the residuals.
    device : torch.device
        Of the fit.
    hosted : dict of str to int
        Units of each layer whose history lies on the host.

    Raises
    ------
    MemoryError
        The host does not have the memory.
    """

    def __init__(
        self, n_splits: int, n_components: int, dtype: torch.dtype, device: torch.device, hosted: dict[str, int]
    ) -> None:
        size = n_splits * (n_components - 1)
        memory = _on_host(size * sum(hosted.values()), dtype, device)
        pieces = torch.split(memory, [size * units for units in hosted.values()])
        # Before the memory is given back, and whatever else still refers to it.
        self._release = weakref.finalize(self, _unlock, memory, device)
        widest = max(hosted.values(), default=0)
        staging = torch.empty(min(ROWS_AT_ONCE, n_components - 1) * widest, dtype=dtype, device=device)
        self._histories = {
            name: HostHistory(piece.view(n_splits, n_components - 1, units), staging)
            for (name, units), piece in zip(hosted.items(), pieces, strict=True)
        }

    def of(self, name: str) -> HostHistory | None:
        """Return the history of a layer, all zero; None if it does not lie on the host."""
        return self._histories.get(name)


def _on_host(n_values: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return zeros in the host's memory, locked there so that a GPU reaches them at the rate of its bus.

    They are locked after they were allocated: PyTorch's own locked memory comes in powers of two.
    """
    size = n_values * dtype.itemsize
    try:
        memory = torch.zeros(n_values, dtype=dtype)
        locked = device.type != "cuda" or not size or _lock(memory)
    except RuntimeError as error:
        if not ran_out(error):
            raise
        locked = False
    if not locked:
        raise MemoryError(f"the host has no {size / 1e9:.1f} GB for earlier residuals of layers")
    return memory


def _lock(memory: Tensor) -> bool:
    driver: Any = torch.cuda
    return int(driver.cudart().cudaHostRegister(memory.data_ptr(), memory.nbytes, PORTABLE)) == 0


def _unlock(memory: Tensor, device: torch.device) -> None:
    if device.type == "cuda" and memory.nbytes:
        torch.cuda.synchronize(device)  # a copy may still be on its way
        driver: Any = torch.cuda
        driver.cudart().cudaHostUnregister(memory.data_ptr())
