"""PLS from the stimuli's side: from the Gram matrix, whatever the number of units behind it."""

from dataclasses import dataclass

import torch
from torch import Tensor

from layerwise.regression.checking import shift
from layerwise.regression.training import Targets, Training, cross_products

SLICE_BYTES = 2**27  # of float64 activations held at once while a Gram matrix is summed, or a layer rotated
ROUNDING = 1e-13  # relative, of a Gram matrix summed in float64


@dataclass(frozen=True)
class Dual:
    """Kernel PLS on the Gram matrix K, which all splits share: they centre what they multiply with it.

    Parameters
    ----------
    features : Tensor [..., stimulus, stimulus]
        Gram matrix of activations centred over all stimuli (or nearly so), of one layer or of several.
    targets : Targets
        Shifted so that their mean over all stimuli is zero.
    training : Training
        Of all splits.
    precision : float
        Relative rounding of the Gram matrix: what is a smaller share of the activations' sum of squares cannot be told
        from it. Directions in which they vary by less than its root, 3e-7 in float64, are lost.
    """

    features: Tensor
    targets: Targets
    training: Training
    precision: float

    def sum_squares(self) -> Tensor:
        """Return the sum of squares of the centred training activations [..., split]; 0 if constant."""
        mask = self.training.mask
        raw = self.features.diagonal(dim1=-2, dim2=-1) @ mask.T
        squares = raw - ((mask @ self.features) * mask).sum(-1) / self.training.counts[:, 0]
        return torch.where(squares > self.precision * raw, squares, 0)

    def rounding(self) -> Tensor:
        """Return the sum of squares [..., split] of the activations' part that may be rounding alone."""
        return self.precision * (self.features.diagonal(dim1=-2, dim2=-1) @ self.training.mask.T)

    def least(self, unexplained: Tensor, variance: Tensor) -> Tensor:
        """Return the eigenvalue of S [..., split] that may be rounding alone."""
        del variance
        return self.rounding() * unexplained

    def weigh(self, directions: Tensor) -> Tensor:
        """Return B c [..., split, feature] for c [..., split, m]."""
        return self.training.centre(self.targets.combine(directions))

    def weigh_back(self, loadings: Tensor) -> Tensor:
        """Return B'l [..., split, m] for l [..., split, feature]."""
        return self.targets.project(loadings)

    def turn(self, slopes: Tensor) -> Tensor:
        """Bring slopes [..., split, target] into the coordinates of c: [..., split, m]."""
        return slopes

    def load(self, scores: Tensor) -> Tensor:
        """Return the loadings [..., split, feature] of scores [..., split, stimulus]."""
        return self.training.centre(scores @ self.features)

    def deflator(self, scores: Tensor, loadings: Tensor) -> Tensor:
        """Return d [..., split, feature] of the deflation B - d q'."""
        del loadings
        return scores

    def inner_products(self, deflators: Tensor, slopes: Tensor) -> Tensor:
        """Return S [..., split, m, m] after components with d [..., split, component, feature] and q [..., m]."""
        n_splits = len(self.training.mask)
        if not deflators.shape[-2]:
            products = cross_products(self.features, self.targets, self.training)
            return torch.stack([self._centred(index).T @ products[index] for index in range(n_splits)], -3)
        past = zip(deflators.unbind(-3), slopes.unbind(-3), strict=True)
        return torch.stack([self._residual_product(index, *pair) for index, pair in enumerate(past)], -3)

    def _centred(self, index: int) -> Tensor:
        mask, values = self.training.mask[index, :, None], self.targets.of_split(index)
        return mask * (values - (mask * values).sum(0) / mask.sum())

    def _residual_product(self, index: int, deflators: Tensor, slopes: Tensor) -> Tensor:
        residual = self._centred(index) - deflators.mT @ slopes
        product: Tensor = residual.mT @ (self.features @ residual)
        return product


def gram_matrix(activations: Tensor, device: torch.device) -> Tensor:
    """Compute the Gram matrix of the centred activations in float64, a slice of units at a time.

    Parameters
    ----------
    activations : Tensor [stimulus, unit]
        Of any type and device.
    device : torch.device
        Where to compute.

    Returns
    -------
    Tensor [stimulus, stimulus]
        Float64.

    Raises
    ------
    ValueError
        A value is NaN or infinite.
    """
    n_stimuli = len(activations)
    gram = torch.zeros(n_stimuli, n_stimuli, dtype=torch.float64, device=device)
    for units in torch.split(activations, max(1, SLICE_BYTES // (8 * n_stimuli)), dim=1):
        shifted, _ = shift(units, device)
        gram.addmm_(shifted, shifted.T)
    return gram


def rotate(activations: Tensor, device: torch.device) -> Tensor:
    """Turn activations of more units than stimuli into as many coordinates as stimuli; PLS does not see the difference.

    Unlike the Gram matrix, which has the square of their range, they keep what varies 1e-13 as much as the largest.

    Parameters
    ----------
    activations : Tensor [stimulus, unit]
        Of any type and device; a slice of units at a time is brought to the device.
    device : torch.device
        Where to compute.

    Returns
    -------
    Tensor [stimulus, stimulus]
        Float64, in orthonormal coordinates; the mean over all stimuli is zero.

    Raises
    ------
    ValueError
        A value is NaN or infinite.
    """
    n_stimuli = len(activations)
    triangle = torch.zeros(0, n_stimuli, dtype=torch.float64, device=device)
    for units in torch.split(activations, max(n_stimuli, SLICE_BYTES // (8 * n_stimuli)), dim=1):
        shifted, _ = shift(units, device)
        triangle = torch.linalg.qr(torch.cat([triangle, shifted.T]), mode="r").R
    return triangle.T.contiguous()


def compress(targets: Targets) -> tuple[Targets, Tensor | None]:
    """Turn more targets than stimuli into as many as stimuli; PLS does not see the difference.

    Parameters
    ----------
    targets : Targets
        Those that all splits share can be turned; others come back as they are.

    Returns
    -------
    targets : Targets [stimulus, m]
        In orthonormal coordinates.
    turn : Tensor [target, m] or None
        ``predictions of the given targets = predictions @ turn'``; None if nothing was turned.
    """
    if not targets.shared or targets.values.shape[0] >= targets.values.shape[1]:
        return targets, None
    turn, triangle = torch.linalg.qr(targets.values.T)
    return Targets(triangle.T.contiguous()), turn
