"""One layer of a streamed fit: what it keeps from pass to pass, and how a component is found from it.

PLS with one target is the method of conjugate gradients on the normal equations X'X b = X'y. In float32, and even in
float64, its directions lose conjugacy within 25 components unless each new residual X'(y - prediction) is made
orthogonal to all earlier ones, so these are kept.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from layerwise.streaming.history import History
from layerwise.streaming.problem import Problem

NOTHING = 4  # of the units of rounding: a residual or a spread that is smaller is nothing but rounding
FLAT = 16  # likewise, of the scores of a component beside those of the first
DRIFT = 1e-3  # standard deviations of the targets: directions that drift further are no longer conjugate


@dataclass
class LayerVectors:
    """Vectors of one layer, float32, for all splits.

    Parameters
    ----------
    shift : Tensor [unit]
        Subtracted from every activation before a product, so that no digits are spent on the mean.
    sums : Tensor [2 split, unit]
        Training mean of the shifted activations, then the residual X'(y - prediction).
    direction : Tensor [split, unit]
        Of unit length; the scores of a component are the projections of the images on it.
    total : Tensor [split, unit]
        X' of the training scores, summed up batch by batch.
    history : History
        Earlier residuals, of unit length.
    square, scale : float64 Tensor [split]
        Squared length of the last residual, and of the direction before it was brought to unit length (not squared).
    first : float64 Tensor [split]
        Squared length of the first residual.
    widest : float64 Tensor [split]
        Sum of squares of the first component's training scores.
    drift : float64 Tensor [split]
        The largest difference, of any component, between its part of the predictions and what it would be if all
        directions were conjugate; in standard deviations of the targets.
    active : Tensor [split]
        Whether anything is left to explain.
    rounding : float
        Of the activations, relative.
    """

    shift: Tensor
    sums: Tensor
    direction: Tensor
    total: Tensor
    history: History
    square: Tensor
    scale: Tensor
    first: Tensor
    widest: Tensor
    drift: Tensor
    active: Tensor
    rounding: float

    @classmethod
    def empty(
        cls,
        units: int,
        n_splits: int,
        n_components: int,
        dtype: torch.dtype,
        device: str | torch.device,
        history: History | None = None,
    ) -> "LayerVectors":
        """Allocate the vectors of a layer, and its history if that does not lie elsewhere."""

        def zeros(*shape: int, dtype: torch.dtype = dtype) -> Tensor:
            return torch.zeros(*shape, dtype=dtype, device=device)

        return cls(
            shift=zeros(units),
            sums=zeros(2 * n_splits, units),
            direction=zeros(n_splits, units),
            total=zeros(n_splits, units),
            history=history or History(zeros(n_splits, n_components - 1, units)),
            square=zeros(n_splits, dtype=torch.float64),
            scale=zeros(n_splits, dtype=torch.float64),
            first=zeros(n_splits, dtype=torch.float64),
            widest=zeros(n_splits, dtype=torch.float64),
            drift=zeros(n_splits, dtype=torch.float64),
            active=zeros(n_splits, dtype=torch.bool),
            rounding=torch.finfo(dtype).eps,
        )

    @property
    def mean(self) -> Tensor:
        """Training mean of the shifted activations, [split, unit]."""
        return self.sums[: len(self.direction)]

    @property
    def residual(self) -> Tensor:
        """X'(y - prediction), [split, unit]."""
        return self.sums[len(self.direction) :]

    def start(self, problem: Problem) -> bool:
        """Turn the sums of the first pass into means and first residuals; False if they are not finite."""
        finite = bool(self.sums.isfinite().all())
        dtype = self.sums.dtype
        self.mean.div_(problem.counts.to(dtype)[:, None])
        self.residual.sub_(self.mean * problem.targets.sum(0).to(dtype)[:, None])
        self.first = _square(self.residual)
        self.active = (self.first > 0) & finite
        return finite

    def aim(self, component: int) -> Tensor:
        """Find the direction of a component, and give the offsets [split] of its scores.

        Parameters
        ----------
        component : int
            From 0.
        """
        residual = self.residual
        if component:
            self.history.take_out(component, residual)
        square = _square(residual)
        least = (NOTHING * torch.finfo(residual.dtype).eps) ** 2
        self.active = self.active & (square > least * self.first)
        residual.mul_(self.active[:, None])
        square = square * self.active
        self.history.keep(component, residual, _inverse(square.sqrt()).to(residual.dtype))
        kept = square * _inverse(self.square) * self.scale
        self.direction.mul_(kept.to(residual.dtype)[:, None]).add_(residual)
        self.direction.mul_(self.active[:, None])
        self.square, self.scale = square, _square(self.direction).sqrt()
        self.direction.mul_(_inverse(self.scale).to(residual.dtype)[:, None])
        self.total.zero_()
        return (self.mean * self.direction).sum(1)

    def explain(self, component: int, scores: Tensor, predictions: Tensor, problem: Problem) -> None:
        """Take the scores of a component into the predictions, and out of the residual.

        Parameters
        ----------
        component : int
            From 0.
        scores : Tensor [image, split]
            Projections of all images on the direction.
        predictions : float64 Tensor [image, split]
            Of the centred targets; changed in place.
        problem : Problem
            Targets.
        """
        scores = scores.double()
        inside = scores * problem.mask
        spread = inside.square().sum(0)
        if component == 0:
            self.widest = spread
        self.active = self.active & (spread > (FLAT * self.rounding) ** 2 * self.widest)
        self.active = self.active & (spread > (NOTHING * self.rounding) ** 2 * self._level() * problem.counts)
        # The projection of what is left of the targets on the scores cannot make the fit worse, whatever was rounded
        # on the way; without rounding it would be what the lengths of residual and direction give.
        left = problem.targets - predictions * problem.mask
        gain = (inside * left).sum(0) * _inverse(spread) * self.active
        conjugate = self.square * _inverse(spread * self.scale) * self.active
        change = (gain - conjugate).abs() * spread.sqrt() * _inverse(problem.targets.square().sum(0).sqrt())
        self.drift = torch.maximum(self.drift, change)
        predictions.addcmul_(scores, gain)
        dtype = self.total.dtype
        self.total.sub_(self.mean * inside.sum(0).to(dtype)[:, None])
        self.residual.sub_(self.total * gain.to(dtype)[:, None])

    @property
    def is_lost(self) -> bool:
        """Whether rounding has spoilt the fit, as where a unit varies thousands of times as much as all others."""
        return not bool((self.drift <= DRIFT).all())

    def _level(self) -> Tensor:
        """Give the squared length [split] of the means along the direction: what is rounded in its scores."""
        return _square(self.shift * self.direction)


def middle(values: Tensor) -> Tensor:
    """Give the mean [unit] of values [image, unit]; that of equal numbers is exactly their number.

    In floating point a mean rounds, so the first image is taken out before: a constant layer must come out as exactly
    constant.
    """
    return values[0] + (values - values[0]).mean(0)


def _square(vectors: Tensor) -> Tensor:
    """Give squared lengths [split] of vectors [split, unit], in float64."""
    square: Tensor = torch.linalg.vector_norm(vectors, dim=1, dtype=torch.float64).square()
    return square


def _inverse(values: Tensor) -> Tensor:
    """Give 1 / value, and 0 for 0."""
    return torch.where(values > 0, 1 / torch.where(values > 0, values, 1), 0)
