"""The earlier residuals of a layer, to which each new one is made orthogonal."""

from dataclasses import dataclass

import torch
from torch import Tensor, UntypedStorage


@dataclass
class History:
    """Earlier residuals on the device.

    Parameters
    ----------
    values : Tensor [split, component - 1, unit]
        Of unit length, and orthogonal to each other.
    """

    values: Tensor

    def remove_from(self, component: int, residual: Tensor) -> None:
        """Make the residual [split, unit] of a component (from 0) orthogonal to all earlier ones, in place."""
        past = self.values[:, :component]
        residual -= torch.bmm(past.mT, torch.bmm(past, residual[..., None]))[..., 0]

    def keep(self, component: int, residual: Tensor, factors: Tensor) -> None:
        """Keep the residual [split, unit] of a component, times factors [split]; nothing needs the last one's."""
        if component < self.values.shape[1]:
            self._write(component, residual, factors[:, None])

    def before(self, component: int) -> list[Tensor]:
        """Return what is kept of the components before one, [component, unit] of each split, to be saved."""
        return [_own_storage(rows[:component]) for rows in self.values]

    def _write(self, component: int, residual: Tensor, factors: Tensor) -> None:
        torch.mul(residual, factors, out=self.values[:, component])


def _own_storage(rows: Tensor) -> Tensor:
    """Return rows [component, unit], which lie in one piece, as a tensor without the rest of their storage.

    They are not copied: a file of a view would hold its whole storage.
    """
    start = rows.storage_offset() * rows.itemsize
    storage: UntypedStorage = rows.untyped_storage()[start : start + rows.nbytes]
    return torch.empty(0, dtype=rows.dtype, device=rows.device).set_(storage, 0, rows.shape, rows.stride())
