"""Ridge regression of all targets at once: one penalty a fit, given, or chosen by leaving each stimulus out once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from layerwise.interfaces import Split
from layerwise.regression.dual import ROUNDING
from layerwise.regression.inverse import invert_definite
from layerwise.regression.penalties import search
from layerwise.regression.training import Targets, Training

ALPHAS: tuple[float, ...] = (
    *(0.01, 0.1, 0.5, 1.0),
    *np.linspace(1e1, 1e2, 4, endpoint=False).tolist(),
    *(alpha for power in range(2, 6) for alpha in np.linspace(10**power, 10 ** (power + 1), 18, endpoint=False)),
    *np.linspace(1e6, 1e7, 19).tolist(),
)
"""Brain-Score's 99 penalties, of which one is chosen."""
BYTES, BYTES_ON_GPU = 2**27, 2**31  # of the matrices of several penalties or splits, that are taken together
COPIES = 4  # of a Gram matrix, that each penalty takes


@dataclass(frozen=True)
class RidgeFits:
    """What ridge regression predicts of each split's test stimuli.

    Parameters
    ----------
    predictions : list of Tensor [test stimulus, target]
        One a split; zeros where no penalty could be used.
    alphas : float64 array [split]
        The penalties; NaN where none could be used.
    """

    predictions: list[Tensor]
    alphas: NDArray[np.float64]


def check_alphas(alphas: Sequence[float]) -> None:
    """Accept penalties.

    Raises
    ------
    ValueError
        There is none, or one is not a positive number.
    """
    wrong = [alpha for alpha in alphas if not 0 < alpha < float("inf")]
    if wrong or not len(alphas):
        given = f"alpha is {wrong[0]}" if wrong else "no alpha is given"
        raise ValueError(f"{given}: ridge regression needs a positive penalty, such as 1.0, or several to choose from")


def ridge_from_gram(gram: Tensor, targets: Targets, splits: Sequence[Split], alphas: Sequence[float]) -> RidgeFits:
    """Fit each split's training stimuli, and predict its test stimuli, from the Gram matrix.

    For each penalty that is tried (`penalties.search`) one matrix of the size of the Gram matrix is inverted, and all
    splits take theirs from it: the inverse of a part of a matrix is the part of its inverse, less a correction of the
    size of what was left out. Where a stimulus is left out, its residual c becomes c / d, d being the diagonal of the
    inverse; both without the direction of the intercept, which is not penalised. A penalty that is lost in rounding is
    not tried.

    Parameters
    ----------
    gram : Tensor [stimulus, stimulus]
        Of activations that are centred in any way, float64.
    targets : Targets
        Shared by all splits.
    splits : sequence of Split
        Training and test stimuli.
    alphas : sequence of float
        Penalties; with one, nothing is chosen.
    """
    usable = _usable(alphas, float(gram.diagonal().sum()))
    fits = _Dual(gram, targets.values, Training.of(splits, len(gram), gram.device), len(usable) > 1)
    search(usable, len(splits), fits.measure)
    return RidgeFits(fits.predict(splits), fits.alphas.cpu().numpy())


def _usable(alphas: Sequence[float], variance: float) -> NDArray[np.float64]:
    """Return those penalties, ascending, that are not lost in the rounding of a sum of squares."""
    return np.array(sorted({float(alpha) for alpha in alphas if alpha > ROUNDING * variance}))


@dataclass(frozen=True)
class _Group:
    """Splits [split] that leave as many stimuli out as each other: [split, stimulus left out]."""

    splits: Tensor
    outside: Tensor


class _Dual:
    """Fits of all splits from a Gram matrix: of each the penalty with the least error so far, and what came of it.

    Attributes
    ----------
    alphas : Tensor [split]
        NaN before any.
    """

    def __init__(self, gram: Tensor, values: Tensor, training: Training, choosing: bool) -> None:
        self._gram, self._values, self._training, self._choosing = gram, values, training, choosing
        # A constant feature changes nothing, since the intercept takes it up, and keeps the inverse small in its
        # direction.
        self._shift = gram.diagonal().mean()
        n_splits = len(training.mask)
        self.alphas = gram.new_full((n_splits,), torch.nan)
        self._errors = gram.new_full((n_splits,), torch.inf)
        self._weights = gram.new_zeros(n_splits, *values.shape)
        self._bytes = BYTES_ON_GPU if gram.is_cuda else BYTES

    def measure(self, alphas: NDArray[np.float64]) -> NDArray[np.float64]:
        """Fit with penalties [penalty]: errors [split, penalty], of each stimulus left out, over all targets."""
        at_once = max(1, self._bytes // (COPIES * self._gram.nbytes))
        parts = torch.as_tensor(alphas, device=self._gram.device).split(at_once)
        found: NDArray[np.float64] = torch.cat([self._fit(part) for part in parts]).T.cpu().numpy()
        return found

    def predict(self, splits: Sequence[Split]) -> list[Tensor]:
        """Predict the test stimuli of each split: [test stimulus, target]; zeros without a penalty."""
        means = self._training.mean(self._gram), self._training.mean(self._values)
        parts = zip(splits, *means, self._weights, self.alphas.isnan(), strict=True)
        return [
            ((self._gram[torch.as_tensor(split.test)] - centre) @ weights + mean).masked_fill(none, 0)
            for split, centre, mean, weights, none in parts
        ]

    def _fit(self, alphas: Tensor) -> Tensor:
        """Return errors [penalty, split], and keep what is better than before."""
        inverse, failed = self._invert(self._gram, alphas)
        solution = inverse @ self._values
        errors = self._errors.expand(len(alphas), -1).clone()
        for group in self._groups(len(alphas)):
            weights, error, bad = self._leave_out(inverse, solution, group)
            for penalty, place in (bad & ~failed[:, None]).nonzero().tolist():  # what is left out outweighs the rest
                pair = self._without(group.splits[place], alphas[penalty, None])
                weights[penalty, place], error[penalty, place] = pair
            errors[:, group.splits] = error.masked_fill(failed[:, None] | error.isnan(), torch.inf)
            self._keep(alphas, errors[:, group.splits], weights, group.splits)
        return errors

    def _keep(self, alphas: Tensor, errors: Tensor, weights: Tensor, splits: Tensor) -> None:
        """Keep the weights [penalty, split, stimulus, target] of the least errors [penalty, split]; the first of equals."""
        least = errors.amin(0)
        better, rows = least < self._errors[splits], torch.arange(len(alphas), device=errors.device)
        first = torch.where(errors == least, rows[:, None], len(alphas)).amin(0)
        places = torch.arange(len(splits), device=errors.device)
        self._weights[splits] = torch.where(better[:, None, None], weights[first, places], self._weights[splits])
        self.alphas[splits] = torch.where(better, alphas[first], self.alphas[splits])
        self._errors[splits] = torch.minimum(least, self._errors[splits])

    def _invert(self, gram: Tensor, alphas: Tensor) -> tuple[Tensor, Tensor]:
        """Return the inverse [penalty, stimulus, stimulus] less the direction of the intercept, and what failed."""
        penalised = (gram + self._shift).repeat(len(alphas), 1, 1)
        penalised.diagonal(dim1=1, dim2=2).add_(alphas[:, None])
        inverse, failed = invert_definite(penalised)
        ones = inverse.sum(2)
        inverse.baddbmm_(ones[:, :, None], (ones / ones.sum(1, keepdim=True))[:, None], alpha=-1)
        return inverse, failed

    def _groups(self, n_alphas: int) -> Iterator[_Group]:
        """Group the splits; few enough that what they take fits into memory."""
        outside = self._training.outside
        for size in dict.fromkeys(map(len, outside)):
            splits = torch.tensor([index for index, rows in enumerate(outside) if len(rows) == size])
            taken = 2 * 8 * n_alphas * len(self._gram) * (size + 2 * self._values.shape[1])
            for part in splits.split(max(1, self._bytes // taken)):
                yield _Group(part.to(self._gram.device), torch.stack([outside[index] for index in part]))

    def _leave_out(self, inverse: Tensor, solution: Tensor, group: _Group) -> tuple[Tensor, Tensor, Tensor]:
        """Return residuals over the penalty [penalty, split, stimulus, target], errors and failures [penalty, split]."""
        outside, mask = group.outside, self._training.mask[group.splits]
        factor, info = torch.linalg.cholesky_ex(inverse[:, outside[:, :, None], outside[:, None, :]])
        rows = inverse[:, outside]
        left = torch.linalg.solve_triangular(factor, solution[:, outside], upper=False)
        if self._choosing:
            rows = torch.linalg.solve_triangular(factor, rows, upper=False)
        else:
            left = torch.linalg.solve_triangular(factor.mT, left, upper=True)
        weights = torch.sub(solution[:, None], rows.mT @ left).mul_(mask[..., None])
        error = weights.new_zeros(info.shape)
        if self._choosing:
            diagonal = inverse.diagonal(dim1=1, dim2=2)[:, None] - torch.linalg.vector_norm(rows, dim=-2).square()
            error = _error(weights, torch.where(mask > 0, diagonal, 1), mask.sum(1))
        return weights, error, info > 0

    def _without(self, split: Tensor, alpha: Tensor) -> tuple[Tensor, Tensor]:
        """Fit a split by itself: its weights [stimulus, target] and its error."""
        inside, weights = self._training.inside[int(split)], torch.zeros_like(self._values)
        inverse, failed = self._invert(self._gram[inside][:, inside], alpha)
        weights[inside] = inverse[0] @ self._values[inside]
        error = weights.new_zeros(())
        if self._choosing:
            error = _error(weights[inside], inverse[0].diagonal(), alpha.new_tensor(len(inside)))
        return weights, error.masked_fill(failed[0], torch.inf)


def _error(residuals: Tensor, diagonal: Tensor, n_stimuli: Tensor) -> Tensor:
    """Return the mean squared error [...] of each stimulus, left out, of residuals [..., stimulus, target]."""
    squares = (residuals / diagonal[..., None]).square_().sum((-1, -2))
    return squares / (n_stimuli * residuals.shape[-1])


def ridge_from_units(units: Tensor, targets: Targets, splits: Sequence[Split], alphas: Sequence[float]) -> RidgeFits:
    """Do as `ridge_from_gram` from activations of fewer units than stimuli, whose products are the smaller matrix.

    Parameters
    ----------
    units : Tensor [stimulus, unit]
        Float64.
    targets, splits, alphas
        As in `ridge_from_gram`.
    """
    training = Training.of(splits, len(units), units.device)
    fits = [
        _Primal.of(units[inside], targets.values[inside]).fit(units[torch.as_tensor(split.test)], alphas)
        for inside, split in zip(training.inside, splits, strict=True)
    ]
    return RidgeFits([one for one, _ in fits], np.array([alpha for _, alpha in fits]))


@dataclass(frozen=True)
class _Primal:
    """The training part of a split: centred rows [stimulus, unit] and residuals [stimulus, target], and their means."""

    rows: Tensor
    residuals: Tensor
    centre: Tensor
    intercept: Tensor

    @classmethod
    def of(cls, units: Tensor, values: Tensor) -> "_Primal":
        centre, intercept = units.mean(0), values.mean(0)
        return cls(units - centre, values - intercept, centre, intercept)

    def fit(self, test: Tensor, alphas: Sequence[float]) -> tuple[Tensor, float]:
        """Predict test stimuli [stimulus, unit] with the best penalty; NaN, and zeros, where none can be used."""
        products = self.rows.T @ self.rows
        usable = _usable(alphas, float(products.diagonal().sum()))
        if not len(usable):
            return self.residuals.new_zeros(len(test), self.residuals.shape[1]), float("nan")
        alpha = float(usable[0] if len(usable) == 1 else self._choose(products, usable))
        products.diagonal().add_(alpha)
        slopes = torch.linalg.solve(products, self.rows.T @ self.residuals)
        return (test - self.centre) @ slopes + self.intercept, alpha

    def _choose(self, products: Tensor, alphas: NDArray[np.float64]) -> float:
        variances, directions = torch.linalg.eigh(products)
        variances, scores = variances.clamp(min=0), self.rows @ directions
        explained, squares, n = scores.T @ self.residuals, scores.square(), len(scores)

        def measure(tried: NDArray[np.float64]) -> NDArray[np.float64]:
            errors = []
            for alpha in tried.tolist():
                shrunk = 1 / (variances + alpha)
                residuals = torch.addmm(self.residuals, scores, explained * shrunk[:, None], alpha=-1)
                errors.append(_error(residuals, 1 - 1 / n - squares @ shrunk, variances.new_tensor(n)))
            found: NDArray[np.float64] = torch.stack(errors)[None].cpu().numpy()
            return found

        return float(alphas[search(alphas, 1, measure)[0].argmin()])
