"""Ridge regression of all targets at once: one penalty a fit, given, or chosen by leaving each stimulus out once."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from layerwise.interfaces import Split
from layerwise.regression.dual import ROUNDING
from layerwise.regression.training import Targets, Training

ALPHAS: tuple[float, ...] = (
    *(0.01, 0.1, 0.5, 1.0),
    *np.linspace(1e1, 1e2, 4, endpoint=False).tolist(),
    *(alpha for power in range(2, 6) for alpha in np.linspace(10**power, 10 ** (power + 1), 18, endpoint=False)),
    *np.linspace(1e6, 1e7, 19).tolist(),
)
"""Brain-Score's 99 penalties, of which one is chosen."""


@dataclass(frozen=True)
class RidgeFits:
    """What ridge regression predicts of each split's test stimuli.

    Parameters
    ----------
    predictions : list of Tensor [test stimulus, target]
        One a split; zeros where no penalty could be used.
    alphas : Tensor [split]
        The penalties; NaN where none could be used.
    """

    predictions: list[Tensor]
    alphas: Tensor


@dataclass
class _Best:
    """The penalty of a split that left the least error so far; of equal ones the first, as scikit-learn has it."""

    error: float = float("inf")
    alpha: float = float("nan")
    predictions: Tensor | None = None


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

    For each penalty one matrix of the size of the Gram matrix is inverted, and all splits take theirs from it: the
    inverse of a part of a matrix is the part of its inverse, less a correction of the size of what was left out. Where
    a stimulus is left out, its residual c becomes c / d, d being the diagonal of the inverse; both without the
    direction of the intercept, which is not penalised. A penalty that is lost in rounding is not tried.

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
    training, best = Training.of(splits, len(gram), gram.device), [_Best() for _ in splits]
    values = torch.cat([targets.values, targets.values.new_ones(len(gram), 1)], 1)
    # A constant feature changes nothing, since the intercept takes it up, and keeps the inverse small in its direction.
    shifted, least = gram + gram.diagonal().mean(), ROUNDING * float(gram.diagonal().sum())
    for alpha in alphas:
        solver = _Solver.of(shifted, values, alpha) if alpha > least else None
        if solver is None:
            continue
        for index, split in enumerate(splits):
            inside, outside = training.inside[index], training.outside[index]
            residuals, diagonal, intercept = solver.leave_out(inside, outside)
            error = _error(residuals, diagonal) if len(alphas) > 1 else 0.0
            if error < best[index].error:
                test = torch.as_tensor(split.test, device=gram.device)
                best[index] = _Best(error, alpha, gram[test][:, inside] @ residuals + intercept)
    return _fits(best, targets.values, splits)


@dataclass(frozen=True)
class _Solver:
    """The penalised matrix A [stimulus, stimulus] of all stimuli, its inverse, targets and ones, and their solution."""

    penalised: Tensor
    inverse: Tensor
    values: Tensor
    solution: Tensor

    @classmethod
    def of(cls, gram: Tensor, values: Tensor, alpha: float) -> "_Solver | None":
        """Invert; None where rounding has made the matrix indefinite."""
        penalised = gram.clone()
        penalised.diagonal().add_(alpha)
        factor, failed = torch.linalg.cholesky_ex(penalised)
        if int(failed):
            return None
        inverse = torch.cholesky_inverse(factor)
        return cls(penalised, inverse, values, inverse @ values)

    def leave_out(self, inside: Tensor, outside: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return residuals over the penalty [training, target], d [training] and intercepts [target] of a split."""
        solution, diagonal = self._part(inside, outside)
        weights, total = solution[:, -1], solution[:, -1].sum()
        intercept = solution[:, :-1].sum(0) / total
        return solution[:, :-1] - weights[:, None] * intercept, diagonal - weights.square() / total, intercept

    def _part(self, inside: Tensor, outside: Tensor) -> tuple[Tensor, Tensor]:
        """Solve for the training stimuli alone: the solution [training, target], and the diagonal of the inverse."""
        factor, failed = torch.linalg.cholesky_ex(self.inverse[outside][:, outside])
        if int(failed):  # what is left out outweighs the rest
            factor = torch.linalg.cholesky(self.penalised[inside][:, inside])
            return torch.cholesky_solve(self.values[inside], factor), torch.cholesky_inverse(factor).diagonal()
        product = self.solution - self.inverse[:, outside] @ self.values[outside]  # of targets that are zero there
        correction = torch.linalg.solve_triangular(factor, self.inverse[outside][:, inside], upper=False)
        part = product[inside] - correction.T @ torch.linalg.solve_triangular(factor, product[outside], upper=False)
        return part, self.inverse.diagonal()[inside] - correction.square().sum(0)


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
    best = [
        _choose(units, targets.values, inside, torch.as_tensor(split.test, device=units.device), alphas)
        for inside, split in zip(training.inside, splits, strict=True)
    ]
    return _fits(best, targets.values, splits)


def _choose(units: Tensor, values: Tensor, inside: Tensor, test: Tensor, alphas: Sequence[float]) -> _Best:
    """Fit the training stimuli with each penalty, and predict the test stimuli with the best."""
    centre, intercept, n = units[inside].mean(0), values[inside].mean(0), len(inside)
    rows, residuals = units[inside] - centre, values[inside] - intercept
    variances, directions = torch.linalg.eigh(rows.T @ rows)
    least, variances = ROUNDING * float(variances.sum()), variances.clamp(min=0)
    scores, best = rows @ directions, _Best()
    products, squares = scores.T @ residuals, scores.square()
    for alpha in alphas:
        slopes = products / (variances + alpha)[:, None]
        error = 0.0
        if len(alphas) > 1:
            left = 1 - 1 / n - squares @ (1 / (variances + alpha))
            error = _error(residuals - scores @ slopes, left)
        if alpha > least and error < best.error:
            best = _Best(error, alpha, (units[test] - centre) @ (directions @ slopes) + intercept)
    return best


def _error(residuals: Tensor, diagonal: Tensor) -> float:
    """Return the mean squared error of each stimulus, left out, over all targets."""
    return float((residuals / diagonal[:, None]).square().mean())


def _fits(best: Sequence[_Best], values: Tensor, splits: Sequence[Split]) -> RidgeFits:
    predictions = [
        values.new_zeros(len(split.test), values.shape[1]) if one.predictions is None else one.predictions
        for one, split in zip(best, splits, strict=True)
    ]
    return RidgeFits(predictions, values.new_tensor([one.alpha for one in best]))
