"""PLS from the units' side: for layers with no more units than stimuli."""

from dataclasses import dataclass

import torch
from torch import Tensor

from layerwise.regression.training import Targets, Training, cross_products

ROUNDING = 1e-26  # share of a sum of squares, of products that lose 13 digits: less is rounding
CONSTANT = 1e-13  # of the sum of squares: what is left of less once it is centred is rounding


@dataclass(frozen=True)
class Primal:
    """Kernel PLS on X'Y; X'X is never formed, since all splits share the products with X.

    Parameters
    ----------
    features : Tensor [stimulus, unit]
        Activations, shifted so that their mean over all stimuli is zero.
    targets : Targets
        Shifted likewise.
    training : Training
        Of all splits.
    products : Tensor [split, unit, m]
        X'Y of each split, m the smaller of the numbers of targets and units.
    basis : Tensor [split, target, m] or None
        With fewer units than targets, X'Y = products basis'.
    """

    features: Tensor
    targets: Targets
    training: Training
    products: Tensor
    basis: Tensor | None

    @classmethod
    def of(cls, features: Tensor, targets: Targets, training: Training) -> "Primal":
        """Compute X'Y of every split, turned to as many columns as there are units if these are fewer."""
        products, basis = torch.stack(cross_products(features, targets, training)), None
        if products.shape[1] < products.shape[2]:
            basis, triangle = torch.linalg.qr(products.mT)
            products = triangle.mT.contiguous()
        return cls(features, targets, training, products, basis)

    def sum_squares(self) -> Tensor:
        """Return the sum of squares of the centred training activations [split]; 0 if constant."""
        raw = self._squares()
        squares = raw - self.training.counts[:, 0] * self.training.mean(self.features).square().sum(-1)
        return torch.where(squares > CONSTANT * raw, squares, 0)

    def rounding(self) -> Tensor:
        """Return the sum of squares [split] of the activations' part that may be rounding alone."""
        return ROUNDING * self._squares()

    def least(self, unexplained: Tensor, variance: Tensor) -> Tensor:
        """Return the eigenvalue of S [split] that may be rounding alone: X'Y was rounded when nothing was explained."""
        del unexplained
        return self.rounding() * variance

    def _squares(self) -> Tensor:
        squares: Tensor = self.training.mask @ torch.linalg.vector_norm(self.features, dim=1).square()
        return squares

    def weigh(self, directions: Tensor) -> Tensor:
        """Return B c [split, feature] for c [split, m]."""
        return torch.bmm(self.products, directions[..., None])[..., 0]

    def weigh_back(self, loadings: Tensor) -> Tensor:
        """Return B'l [split, m] for l [split, feature]."""
        return torch.bmm(loadings[:, None], self.products)[:, 0]

    def turn(self, slopes: Tensor) -> Tensor:
        """Bring slopes [split, target] into the coordinates of c: [split, m]."""
        return slopes if self.basis is None else torch.bmm(slopes[:, None], self.basis)[:, 0]

    def load(self, scores: Tensor) -> Tensor:
        """Return the loadings [split, feature] of scores [split, stimulus]."""
        return scores @ self.features

    def deflator(self, scores: Tensor, loadings: Tensor) -> Tensor:
        """Return d [split, feature] of the deflation B - d q'."""
        del scores
        return loadings

    def inner_products(self, deflators: Tensor, slopes: Tensor) -> Tensor:
        """Return S [split, m, m] after components with d [split, component, feature] and q [..., m]."""
        left = self.products
        if deflators.shape[1]:
            left = torch.baddbmm(left, deflators.mT, slopes, alpha=-1)
        return torch.bmm(left.mT, left)
