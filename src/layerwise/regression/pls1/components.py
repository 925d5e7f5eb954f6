"""The components of one layer: what is kept from one to the next, and how each is found.

PLS with one target is the method of conjugate gradients on the normal equations X'X b = X'y. In float32, and even in
float64, its directions lose conjugacy within 25 components unless each new residual X'(y - prediction) is made
orthogonal to all earlier ones, so these are kept.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from layerwise.regression.pls1.history import History
from layerwise.regression.pls1.targets import Targets

NETWORK = torch.finfo(torch.float32).eps  # rounding of what a network gives, in whatever type it is solved
EXPLAINED = 1e-6  # of the variance of the targets: what is left is nothing
NOTHING = 4  # of the units of rounding: residuals or scores that are smaller are nothing but rounding
FLAT = 16  # likewise, of the scores of a component beside those of the first
# What is lost to rounding, in standard deviations of the targets. In 487 random layers, of any number of units up to
# 1e7 times as large as the others, all that kept these differed by at most 8e-4 from dense float64 PLS.
DRIFT = 1e-5  # directions that drift further are no longer conjugate
# What a component adds, times the share of rounding in scores so far. Later components enlarge it, and where float32
# fails and float64 does not, units differ more, so that more of them do.
SPOILT = {torch.float32: 5e-6, torch.float64: 1e-9}
UNEVEN = 100  # mean power of the units times their mean inverse power: beyond, some are ten times as large as others
EVEN = 6  # times as much rounding is accepted where units are more alike, as in most layers
# The mean correlation that units keep with what is left where a fit stops. In float64 that may be the last bit of a
# layer of low rank, in which a network's own rounding is as large.
MISSED = {torch.float32: 3e-6, torch.float64: 4e-6}


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
    power, unexplained : Tensor [unit]
        Sum of squares of the centred activations of the training images, and what of it the scores leave; means of all
        splits.
    count : float64 Tensor []
        Training images of a split, on average.
    goal : float64 Tensor [split]
        Length of the targets.
    blur : float64 Tensor [split]
        The largest share of rounding in the scores of any component so far.
    spoilt : float64 Tensor [split]
        The largest product, of any component, of its part of the predictions and the blur.
    missed : float64 Tensor [split]
        Where a split stopped: root mean square of the units' correlations with what is left of the targets.
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
    power: Tensor
    unexplained: Tensor
    count: Tensor
    goal: Tensor
    blur: Tensor
    spoilt: Tensor
    missed: Tensor
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
            power=zeros(units),
            unexplained=zeros(units),
            count=torch.zeros((), dtype=torch.float64, device=device),
            goal=zeros(n_splits, dtype=torch.float64),
            blur=zeros(n_splits, dtype=torch.float64),
            spoilt=zeros(n_splits, dtype=torch.float64),
            missed=zeros(n_splits, dtype=torch.float64),
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

    def start(self, targets: Targets) -> bool:
        """Turn the sums of the first pass into means and first residuals; False if they are not finite."""
        finite = bool(self.sums.isfinite().all())
        dtype = self.sums.dtype
        self.mean.div_(targets.counts.to(dtype)[:, None])
        self.residual.sub_(self.mean * targets.values.sum(0).to(dtype)[:, None])
        self.first = _square(self.residual)
        self.active = (self.first > 0) & finite
        self.count, self.goal = targets.counts.mean(), targets.values.square().sum(0).sqrt()
        # Squares of numbers below 1e-19 are nothing in float32: no residual is longer than units and targets allow.
        least = 2 * targets.n_splits * self.power.sum(dtype=torch.float64) * self.goal.square()
        self.spoilt = torch.where(self.first > least, torch.inf, 0.0).double()
        self.power.sub_((self.mean.square() * targets.counts.to(dtype)[:, None]).mean(0)).clamp_(min=0)
        self.unexplained.copy_(self.power)
        return finite

    def find_direction(self, component: int) -> Tensor:
        """Find the direction of a component, and return the offsets [split] of its scores.

        Parameters
        ----------
        component : int
            From 0.
        """
        residual = self.residual
        if component:
            self.history.remove_from(component, residual)
        square = _square(residual)
        least = (NOTHING * torch.finfo(residual.dtype).eps) ** 2
        self.active = self.active & (square > least * self.first)
        self._miss(self._left())
        residual.mul_(self.active[:, None])
        square = square * self.active
        self.history.keep(component, residual, _inverse(square.sqrt()).to(residual.dtype))
        kept = square * _inverse(self.square) * self.scale
        self.direction.mul_(kept.to(residual.dtype)[:, None]).add_(residual)
        self.direction.mul_(self.active[:, None])
        self.square, self.scale = square, _square(self.direction).sqrt()
        self.direction.mul_(_inverse(self.scale).to(residual.dtype)[:, None])
        return self.begin_pass()

    def begin_pass(self) -> Tensor:
        """Get ready to sum up the scores along the direction, and return their offsets [split]."""
        self.total.zero_()
        return (self.mean * self.direction).sum(1)

    def deflate(self, component: int, scores: Tensor, predictions: Tensor, targets: Targets) -> None:
        """Take the scores of a component into the predictions, and out of the residual.

        Parameters
        ----------
        component : int
            From 0.
        scores : Tensor [image, split]
            Projections of all images on the direction.
        predictions : float64 Tensor [image, split]
            Of the centred targets; changed in place.
        targets : Targets
            Targets.
        """
        scores = scores.double()
        inside = scores * targets.mask
        score_squares = inside.square().sum(0)
        if component == 0:
            self.widest = score_squares
        shared = self._left()
        own = torch.finfo(self.total.dtype).eps  # finer than what a network rounds, in float64
        varies = self._stands_out(score_squares, targets, self.rounding)
        more = (shared > MISSED[self.total.dtype]) & self._stands_out(score_squares, targets, own)
        self.active = self.active & (varies | more)
        # The projection of what is left of the targets on the scores cannot make the fit worse, whatever was rounded
        # on the way; without rounding it would be what the lengths of residual and direction give.
        left = targets.values - predictions * targets.mask
        gain = (inside * left).sum(0) * _inverse(score_squares) * self.active
        conjugate = self.square * _inverse(score_squares * self.scale) * self.active
        change = (gain - conjugate).abs() * score_squares.sqrt() * _inverse(targets.values.square().sum(0).sqrt())
        self.drift = torch.maximum(self.drift, change)
        self._miss(shared)
        self._judge(score_squares.sqrt(), gain)
        predictions.addcmul_(scores, gain)
        dtype = self.total.dtype
        self.total.sub_(self.mean * inside.sum(0).to(dtype)[:, None])
        self.residual.sub_(self.total * gain.to(dtype)[:, None])
        shares = (_inverse(score_squares) * self.active).to(dtype)[:, None]
        self.unexplained.sub_((self.total.square() * shares).mean(0)).clamp_(min=0)

    @property
    def is_lost(self) -> bool:
        """Whether rounding has spoilt the fit, as where some units vary thousands of times as much as all others."""
        dtype = self.total.dtype
        kept = (self.drift <= DRIFT) & (self.spoilt <= SPOILT[dtype]) & (self.missed <= MISSED[dtype])
        return not bool(kept.all())

    def has_stopped(self, predictions: Tensor, targets: Targets) -> bool:
        """Return whether some split has fewer components than asked, although the targets are not fully explained.

        What would follow is no larger than the rounding of what a network computes: usually there is nothing, as in a
        layer of low rank. It cannot be told from a layer in which one direction, shared by all units, is thousands of
        times as large as the rest.

        Parameters
        ----------
        predictions : float64 Tensor [image, split]
            Of the centred targets, after the last component.
        targets : Targets
            Targets.
        """
        left = targets.values - predictions * targets.mask
        unexplained = left.square().sum(0) > EXPLAINED * targets.values.square().sum(0)
        return bool((~self.active & (self.widest > 0) & unexplained).any())

    def _judge(self, length: Tensor, gain: Tensor) -> None:
        """Note how far rounding reaches the predictions, from the scores' length and the gain [split] of a component.

        The residual of a unit is rounded in proportion to the unit's length. That goes into the direction, and from
        there into the scores, again in proportion to what is new of the unit. So the error grows with the square of a
        unit's size: where large units are explained as far as float32 goes, it outweighs what small ones share with
        the targets. Directions stay conjugate all the same, and nothing else tells.
        """
        power = self.power.double()
        alike = power.mean() * _inverse(power).sum() <= UNEVEN * (power > 0).sum()
        rounding = torch.finfo(self.power.dtype).eps * torch.where(alike, 1 / EVEN, 1.0)
        error = (power * self.unexplained).sum().sqrt() * rounding
        share = error * self.goal * _inverse(self.scale * length)
        self.blur = torch.maximum(self.blur, torch.where(self.active, share, 0.0))
        part = gain.abs() * length * _inverse(self.goal)
        self.spoilt = torch.maximum(self.spoilt, torch.where(self.active, part * self.blur, 0.0))

    def _stands_out(self, score_squares: Tensor, targets: Targets, rounding: float) -> Tensor:
        """Return in which splits the sum of squares of the scores, [split], is more than rounding."""
        level = _square(self.shift * self.direction) * targets.counts  # of the means along the direction
        return (score_squares > (FLAT * rounding) ** 2 * self.widest) & (
            score_squares > (NOTHING * rounding) ** 2 * level
        )

    def _miss(self, left: Tensor) -> None:
        """Note what is left, [split], in the splits that stopped."""
        self.missed = torch.maximum(self.missed, torch.where(self.active, 0.0, left))

    def _left(self) -> Tensor:
        """Return the units' correlations with what is left of the targets, root mean square [split].

        Rounding alone stops a fit of units that are combinations of fewer; then no unit has more than rounding left,
        beside its own size. But what is rounding in large units may hide all of the small ones.
        """
        size = (self.power + self.count.to(self.shift.dtype) * self.shift.square()).sqrt()
        left = _square(self.residual * _inverse(size)) / max(1, len(size))
        return left.sqrt() * _inverse(self.goal)


def mean_of(values: Tensor) -> Tensor:
    """Return the mean [unit] of values [image, unit]; that of equal numbers is exactly their number.

    In floating point a mean rounds, so the first image is taken out before: a constant layer must come out as exactly
    constant.
    """
    return values[0] + (values - values[0]).mean(0)


def _square(vectors: Tensor) -> Tensor:
    """Return squared lengths [split] of vectors [split, unit], in float64."""
    square: Tensor = torch.linalg.vector_norm(vectors, dim=1, dtype=torch.float64).square()
    return square


def _inverse(values: Tensor) -> Tensor:
    """Return 1 / value, and 0 for 0."""
    return torch.where(values > 0, 1 / torch.where(values > 0, values, 1), 0)
