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
from layerwise.regression.primal import ROUNDING as OF_UNITS
from layerwise.regression.training import Targets, Training

ALPHAS: tuple[float, ...] = (
    *(0.01, 0.1, 0.5, 1.0),
    *np.linspace(1e1, 1e2, 4, endpoint=False).tolist(),
    *(alpha for power in range(2, 6) for alpha in np.linspace(10**power, 10 ** (power + 1), 18, endpoint=False)),
    *np.linspace(1e6, 1e7, 19).tolist(),
)
"""Brain-Score's 99 penalties, of which one is chosen."""
BYTES, BYTES_ON_GPU = 2**27, 2**31  # of the matrices of several penalties or splits, that are taken together
PART_OF_GPU = 16  # of its memory, one, at most
COPIES = 4  # of a Gram matrix, that each penalty takes


@dataclass(frozen=True)
class RidgeFits:
    """What ridge regression predicts of each split's test stimuli.

    Parameters
    ----------
    predictions : list of Tensor [layer, test stimulus, target]
        One a split, less the mean of its training stimuli, beside which what is left by a large penalty would be lost
        in rounding; zeros where no penalty could be used.
    alphas : float64 array [layer, split]
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


def ridge_from_gram(grams: Tensor, targets: Targets, splits: Sequence[Split], alphas: Sequence[float]) -> RidgeFits:
    """Fit each split's training stimuli, and predict its test stimuli, from the Gram matrices of layers.

    For each penalty that is tried (`penalties.search`) one matrix of the size of the Gram matrix is inverted, and all
    splits take theirs from it: the inverse of a part of a matrix is the part of its inverse, less a correction of the
    size of what was left out. Where a stimulus is left out, its residual c becomes c / d, d being the diagonal of the
    inverse; both without the direction of the intercept, which is not penalised. A penalty that is lost in rounding is
    not tried.

    Parameters
    ----------
    grams : Tensor [layer, stimulus, stimulus]
        Of activations that are centred in any way, float64.
    targets : Targets
        Shared by all splits.
    splits : sequence of Split
        Training and test stimuli.
    alphas : sequence of float
        Penalties; with one, nothing is chosen.
    """
    training = Training.of(splits, grams.shape[-1], grams.device)
    solver = _Solver(targets.values, training, splits, choosing=len(alphas) > 1)
    variances = grams.diagonal(dim1=1, dim2=2).sum(1).tolist()
    if solver.choosing:
        pairs = zip(grams, variances, strict=True)
        parts = [solver.choose(gram, _usable(alphas, variance)) for gram, variance in pairs]
    else:
        given = grams.new_tensor([alphas[0] if _usable(alphas, variance).size else np.nan for variance in variances])
        at_once = solver.at_once(grams.shape[-1])
        parts = [
            solver.fit_given(*pair)
            for pair in zip(torch.split(grams, at_once), torch.split(given, at_once), strict=True)
        ]
    predictions = [torch.cat(layers) for layers in zip(*(part.predictions for part in parts), strict=True)]
    return RidgeFits(predictions, np.concatenate([part.alphas for part in parts]))


def _usable(alphas: Sequence[float], variance: float) -> NDArray[np.float64]:
    """Return those penalties, ascending, that are not lost in the rounding of a sum of squares."""
    return np.array(sorted({float(alpha) for alpha in alphas if alpha > ROUNDING * variance}))


@dataclass(frozen=True)
class _Group:
    """Splits [split] that leave as many stimuli out as each other: [split, stimulus left out]."""

    splits: Tensor
    outside: Tensor


@dataclass(frozen=True)
class _Kept:
    """Of each layer and split the penalty and the least error [layer, split], and the residuals over the penalty."""

    alphas: Tensor
    errors: Tensor
    weights: Tensor

    def take(self, splits: Tensor, alphas: Tensor, errors: Tensor, weights: Tensor) -> None:
        """Keep the best of several penalties for each split of one layer, if it is better than before."""
        least = errors.amin(0)
        better, places = least < self.errors[0, splits], torch.arange(len(splits), device=errors.device)
        rows = torch.arange(len(alphas), device=errors.device)[:, None]
        first = torch.where(errors == least, rows, len(alphas) - 1).amin(0)
        old = self.weights[0, splits]
        self.weights[0, splits] = torch.where(better[:, None, None], weights[first, places], old)
        self.alphas[0, splits] = torch.where(better, alphas[first], self.alphas[0, splits])
        self.errors[0, splits] = torch.minimum(least, self.errors[0, splits])


@dataclass(frozen=True)
class _Solver:
    """Fits of all splits from Gram matrices.

    Parameters
    ----------
    values : Tensor [stimulus, target]
        What is predicted.
    training : Training
        Of all splits.
    splits : sequence of Split
        The same.
    choosing : bool
        Whether errors count.
    """

    values: Tensor
    training: Training
    splits: Sequence[Split]
    choosing: bool

    def at_once(self, n_stimuli: int) -> int:
        """Return how many matrices are inverted together."""
        return max(1, self._bytes // (COPIES * 8 * n_stimuli**2))

    @property
    def _bytes(self) -> int:
        if not self.values.is_cuda:
            return BYTES
        return min(BYTES_ON_GPU, torch.cuda.get_device_properties(self.values.device).total_memory // PART_OF_GPU)

    def choose(self, gram: Tensor, alphas: NDArray[np.float64]) -> RidgeFits:
        """Fit one layer with the best of some penalties."""
        kept = self._nothing(1)

        def measure(tried: NDArray[np.float64]) -> NDArray[np.float64]:
            parts = torch.split(torch.as_tensor(tried, device=gram.device), self.at_once(len(gram)))
            return torch.cat([self._try(gram, part, kept) for part in parts]).T.cpu().numpy()

        search(alphas, len(self.splits), measure)
        return self._predict(gram[None], kept)

    def fit_given(self, grams: Tensor, alphas: Tensor) -> RidgeFits:
        """Fit layers with a penalty each; none where it is NaN."""
        kept = self._nothing(len(grams))
        for splits, errors, weights in self._fit(grams, alphas):
            kept.weights[:, splits] = weights
            kept.alphas[:, splits] = torch.where(errors.isfinite(), alphas[:, None], torch.nan)
        return self._predict(grams, kept)

    def _nothing(self, n_layers: int) -> _Kept:
        errors = self.values.new_full((n_layers, len(self.splits)), torch.inf)
        return _Kept(errors * torch.nan, errors, errors.new_zeros(*errors.shape, *self.values.shape))

    def _predict(self, grams: Tensor, kept: _Kept) -> RidgeFits:
        """Predict the test stimuli of each split: [layer, test stimulus, target]; zeros without a penalty."""
        centres = self.training.mean(grams)
        none = kept.alphas.isnan() | self._constant(grams, centres)
        predictions = []
        for index, split in enumerate(self.splits):
            test = grams[:, torch.as_tensor(split.test, device=grams.device)] - centres[:, index, None]
            found = test @ kept.weights[:, index]
            predictions.append(found.masked_fill_(none[:, index, None, None], 0))
        return RidgeFits(predictions, kept.alphas.cpu().numpy())

    def _constant(self, grams: Tensor, centres: Tensor) -> Tensor:
        """Return whether a layer is constant, up to rounding, in the training stimuli of a split: [layer, split]."""
        mask = self.training.mask
        raw = grams.diagonal(dim1=1, dim2=2) @ mask.T
        constant: Tensor = raw - (centres * mask).sum(-1) <= ROUNDING * raw
        return constant

    def _try(self, gram: Tensor, alphas: Tensor, kept: _Kept) -> Tensor:
        """Return the errors [penalty, split] of a layer, and keep what is better than before."""
        found = alphas.new_empty(len(alphas), len(self.splits))
        for splits, errors, weights in self._fit(gram.expand(len(alphas), -1, -1), alphas):
            found[:, splits] = errors
            kept.take(splits, alphas, errors, weights)
        return found

    def _fit(self, grams: Tensor, alphas: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Fit each matrix with its penalty: of some splits the errors [fit, split], and residuals over the penalty."""
        inverse, failed = _invert(grams, alphas)
        solution = inverse @ self.values
        for group in self._groups(len(grams)):
            weights, errors, bad = self._leave_out(inverse, solution, group)
            for fit, place in (bad & ~failed[:, None]).nonzero().tolist():  # what is left out outweighs the rest
                pair = self._fit_alone(grams[fit], alphas[fit, None], int(group.splits[place]))
                weights[fit, place], errors[fit, place] = pair
            yield group.splits, errors.masked_fill(failed[:, None] | errors.isnan(), torch.inf), weights

    def _groups(self, n_fits: int) -> Iterator[_Group]:
        """Group the splits; few enough that what they take fits into memory."""
        outside, (n_stimuli, n_targets) = self.training.outside, self.values.shape
        for size in dict.fromkeys(map(len, outside)):
            alike = [index for index, rows in enumerate(outside) if len(rows) == size]
            at_once = max(1, self._bytes // (2 * 8 * n_fits * n_stimuli * (size + 2 * n_targets)))
            for some in (alike[start : start + at_once] for start in range(0, len(alike), at_once)):
                splits = torch.tensor(some, device=self.values.device)
                yield _Group(splits, torch.stack([outside[index] for index in some]))

    def _leave_out(self, inverse: Tensor, solution: Tensor, group: _Group) -> tuple[Tensor, Tensor, Tensor]:
        """Return residuals over the penalty [fit, split, stimulus, target], errors and failures [fit, split]."""
        outside, mask = group.outside, self.training.mask[group.splits]
        rows, part = inverse[:, outside], inverse[:, outside[:, :, None], outside[:, None, :]]
        size = part.shape
        part, failed = invert_definite(part.flatten(0, 1))
        part = part.view(size)
        weights = torch.sub(solution[:, None], rows.mT @ (part @ solution[:, outside])).mul_(mask[..., None])
        errors = weights.new_zeros(size[:2])
        if self.choosing:
            diagonal = inverse.diagonal(dim1=1, dim2=2)[:, None] - (part @ rows).mul_(rows).sum(-2)
            errors = _error(weights, torch.where(mask > 0, diagonal, 1), mask.sum(1))
        return weights, errors, failed.view(size[:2])

    def _fit_alone(self, gram: Tensor, alpha: Tensor, split: int) -> tuple[Tensor, Tensor]:
        """Fit one split from its own part of a matrix: residuals over the penalty [stimulus, target], and the error."""
        inside, weights = self.training.inside[split], torch.zeros_like(self.values)
        inverse, failed = _invert(gram[inside][:, inside][None], alpha)
        weights[inside] = inverse[0] @ self.values[inside]
        error = alpha.new_zeros(())
        if self.choosing:
            error = _error(weights[inside], inverse[0].diagonal(), alpha.new_tensor(len(inside)))
        return weights, error.masked_fill(failed[0], torch.inf)


def _invert(grams: Tensor, alphas: Tensor) -> tuple[Tensor, Tensor]:
    """Return inverses of penalised matrices less the direction of the intercept, and which failed: [fit]."""
    # A constant feature changes nothing, since the intercept takes it up, and keeps the inverse small in its direction.
    penalised = grams + grams.diagonal(dim1=1, dim2=2).mean(1)[:, None, None]
    penalised.diagonal(dim1=1, dim2=2).add_(alphas[:, None])
    inverse, failed = invert_definite(penalised)
    ones = inverse.sum(2)
    inverse.baddbmm_(ones[:, :, None], (ones / ones.sum(1, keepdim=True))[:, None], alpha=-1)
    return inverse, failed | alphas.isnan()


def _error(residuals: Tensor, diagonal: Tensor, n_stimuli: Tensor) -> Tensor:
    """Return the mean squared error [...] of each stimulus, left out, of residuals [..., stimulus, target]."""
    squares = (residuals / diagonal[..., None]).square_().sum((-1, -2))
    return squares / (n_stimuli * residuals.shape[-1])


def ridge_from_units(units: Tensor, targets: Targets, splits: Sequence[Split], alphas: Sequence[float]) -> RidgeFits:
    """Do as `ridge_from_gram` from the activations of a layer of few units, whose products are the smaller matrix.

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
    return RidgeFits([one[None] for one, _ in fits], np.array([[alpha for _, alpha in fits]]))


@dataclass(frozen=True)
class _Primal:
    """The training part of a split: centred rows [stimulus, unit] and residuals [stimulus, target]; the rows' mean."""

    rows: Tensor
    residuals: Tensor
    centre: Tensor

    @classmethod
    def of(cls, units: Tensor, values: Tensor) -> "_Primal":
        centre = units.mean(0)
        rows = units - centre
        if float(rows.square().sum()) <= OF_UNITS * float(units.square().sum()):
            rows.zero_()  # they are constant up to rounding, from which nothing is predicted
        return cls(rows, values - values.mean(0), centre)

    def fit(self, test: Tensor, alphas: Sequence[float]) -> tuple[Tensor, float]:
        """Predict test stimuli [stimulus, unit], less the mean, with the best penalty; NaN, and zeros, without one."""
        products = self.rows.T @ self.rows
        usable = _usable(alphas, float(products.diagonal().sum()))
        if not len(usable):
            return self.residuals.new_zeros(len(test), self.residuals.shape[1]), float("nan")
        alpha = float(usable[0] if len(usable) == 1 else self._choose(products, usable))
        products.diagonal().add_(alpha)
        slopes = torch.linalg.solve(products, self.rows.T @ self.residuals)
        return (test - self.centre) @ slopes, alpha

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
