"""Latent variables of PLS2, one after another, for many splits at once.

Kernel PLS needs no iteration over stimuli: with B = X'Y, the weights of a component are w = B c, c the
leading eigenvector of S = B'B, and S changes by a matrix of rank two from one component to the next. The
same steps serve the units (primal: features are the units, B = X'Y) and the Gram matrix (dual: features are
the columns of the Gram matrix, B = Y); `Side` names the places where they differ.
"""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from layerwise.regression.eigen import leading_eigenvectors
from layerwise.regression.training import Targets, Training

NOTHING = 1e-13  # share of a sum of squares of the targets below which float64 leaves nothing but rounding
EXPLAINED = 1e-10  # share of a sum of squares of the targets that no correlation shows
REFRESH = 1e-6  # fall of the leading eigenvalue after which S is recomputed: its updates then lack digits


class Side(Protocol):
    """What differs between primal and dual."""

    @property
    def features(self) -> Tensor:
        """What all splits share, [..., stimulus, feature]."""

    @property
    def training(self) -> Training:
        """The splits' training stimuli."""

    @property
    def targets(self) -> Targets:
        """What is predicted."""

    def sum_squares(self) -> Tensor:
        """Sum of squares of the centred training activations, 0 where they are constant: [..., split]."""

    def rounding(self) -> Tensor:
        """Return the sum of squares [..., split] of the activations' part that may be rounding alone."""

    def least(self, unexplained: Tensor, variance: Tensor) -> Tensor:
        """Return the eigenvalue of S [..., split] that may be rounding alone, for sums of squares of the targets."""

    def weigh(self, directions: Tensor) -> Tensor:
        """Return B c [..., split, feature] for c [..., split, m]."""

    def weigh_back(self, loadings: Tensor) -> Tensor:
        """Return B'l [..., split, m] for l [..., split, feature]."""

    def turn(self, slopes: Tensor) -> Tensor:
        """Bring slopes [..., split, target] into the coordinates of c: [..., split, m]."""

    def load(self, scores: Tensor) -> Tensor:
        """Return the loadings [..., split, feature] of scores [..., split, stimulus]."""

    def deflator(self, scores: Tensor, loadings: Tensor) -> Tensor:
        """Return d of the deflation B - d q', of the two arguments the one that it is: [..., split, feature]."""

    def inner_products(self, deflators: Tensor, slopes: Tensor) -> Tensor:
        """Compute S [..., split, m, m] anew after components with d [..., split, component, feature] and q [..., m]."""


@dataclass(frozen=True)
class Components:
    """What was extracted; zeros for components that a split could not have.

    Parameters
    ----------
    scores : Tensor [..., split, component, stimulus]
        Orthonormal, centred over training stimuli, zero off training.
    weights, loadings : Tensor [..., split, component, feature]
        ``scores = centred features @ weights`` up to earlier scores; ``loadings = scores @ features``.
    slopes : Tensor [..., split, component, target]
        ``scores @ targets``.
    found : Tensor [..., split, component]
        Whether the split has the component.
    explained : Tensor [..., split]
        Whether nothing of the targets was left, up to 1e-5 of their size: more components would not matter.
    """

    scores: Tensor
    weights: Tensor
    loadings: Tensor
    slopes: Tensor
    found: Tensor
    explained: Tensor

    def counts(self) -> Tensor:
        """Return the number of components of each split, all that were asked for where the targets needed no more."""
        found = self.found.sum(-1)
        return torch.where(self.explained & (found > 0), self.found.shape[-1], found)

    def latent_coefficients(self) -> Tensor:
        """Solve for what turns ``features @ weights'`` into predictions: [..., split, component, target]."""
        triangle = self.loadings @ self.weights.mT
        # A component that was not found has a row and a column of zeros; 1 on the diagonal keeps it at zero.
        triangle.diagonal(dim1=-2, dim2=-1).add_((~self.found).to(triangle.dtype))
        solution: Tensor = torch.linalg.solve_triangular(triangle.triu_(), self.slopes, upper=True)
        return solution


class _Residual:
    """S = B'B of what is left to explain, and which splits have anything left."""

    def __init__(self, side: Side) -> None:
        self.side = side
        self.squares, self.rounding = side.sum_squares(), side.rounding()
        self.variance = self.unexplained = _total_variance(side.targets, side.training)
        self.active = self.squares > 0
        nothing = self.squares.new_zeros(*self.squares.shape, 0, 1)
        self.S = _symmetric(side.inner_products(nothing, nothing))
        self.reference: Tensor | None = None
        self.block: Tensor | None = None

    def leading(self, deflators: Tensor, slopes: Tensor) -> tuple[Tensor, Tensor]:
        """Return c [..., split, m] and its eigenvalue [..., split]."""
        vectors, values = self._decompose()
        if self.reference is None:
            self.reference = values
        fallen = self.active & (values < REFRESH * self.reference)
        if bool(fallen.any()):
            self.S = _symmetric(self.side.inner_products(deflators, slopes))
            vectors, values = self._decompose()
            self.reference = torch.where(fallen, values, self.reference)
        self.active = self.active & (values > self.side.least(self.unexplained, self.variance))
        self.active = self.active & (self.unexplained > NOTHING * self.variance)
        return vectors, values

    def _decompose(self) -> tuple[Tensor, Tensor]:
        # Splits with nothing left get a zero matrix, which every test of convergence passes. So do those in which
        # rounding took over (a Gram matrix that is not positive, for one): what was found before stands.
        self.active = self.active & self.S.diagonal(dim1=-2, dim2=-1).sum(-1).isfinite()
        if not bool(self.active.all()):
            self.S = self.S.masked_fill(~self.active[..., None, None], 0)
        vectors, values, self.block = leading_eigenvectors(self.S.flatten(0, -3), self.block)
        return vectors.view(self.S.shape[:-1]), values.view(self.active.shape)

    def deflate(self, slope: Tensor, back: Tensor, square: Tensor) -> None:
        """Take out a component: S - q h' - h q' + (d'l) q q', for q and h [..., split, m] and d'l [..., split, 1]."""
        partner = back - slope * (square / 2)
        # q h' + h q' as a difference of two squares of vectors of like length, which rounds the same on both
        # sides of the diagonal: as S falls, an asymmetry that stays would be all that the eigenvectors'
        # residual shows.
        lengths = (torch.linalg.vector_norm(part, dim=-1, keepdim=True) for part in (slope, partner))
        balance = _balance(*lengths)
        one, other = slope * balance, partner / balance
        plus, minus = one + other, one - other
        left, right = torch.stack([plus, minus], -1), torch.stack([plus, -minus], -2)
        self.S.flatten(0, -3).baddbmm_(left.flatten(0, -3), right.flatten(0, -3), alpha=-0.5)


def extract(side: Side, n_components: int) -> Components:
    """Extract the components of every split.

    Parameters
    ----------
    side : Side
        Primal or dual.
    n_components : int
        Components wanted; a split stops earlier when nothing is left of X or of its part in Y.

    References
    ----------
    Dayal & MacGregor 1997, Journal of Chemometrics 11:73-85 (algorithm 1: only Y's side is deflated);
    Rännar, Lindgren, Geladi & Wold 1994, doi:10.1002/cem.1180080204 (dual).
    """
    residual = _Residual(side)
    store, deflators, turned = _allocate(side, n_components, residual.S.shape[-1])
    for a in range(n_components):
        past, slopes = deflators[..., :a, :], turned[..., :a, :]
        direction, value = residual.leading(past, slopes)
        weights = side.weigh(direction) - _times(past.mT, _times(slopes, direction))
        scores = _orthogonalise(side.training.centre(weights @ side.features.mT), store.scores[..., :a, :])
        square = scores.square().sum(-1)
        residual.active = residual.active & (square > residual.rounding * value)
        if not bool(residual.active.any()):
            break
        scale = torch.where(residual.active, square.rsqrt(), 0)[..., None]
        _keep(side, store, a, scores * scale, weights * scale)
        deflators[..., a, :] = side.deflator(store.scores[..., a, :], store.loadings[..., a, :])
        turned[..., a, :] = side.turn(store.slopes[..., a, :])
        store.found[..., a] = residual.active
        loading = store.loadings[..., a, :]
        back = side.weigh_back(loading) - _times(slopes.mT, _times(past, loading))
        residual.deflate(turned[..., a, :], back, (deflators[..., a, :] * loading).sum(-1, keepdim=True))
        residual.unexplained = residual.unexplained - store.slopes[..., a, :].square().sum(-1)
        store.explained.copy_(residual.unexplained <= EXPLAINED * residual.variance)
    return store


def _allocate(side: Side, n_components: int, m: int) -> tuple[Components, Tensor, Tensor]:
    n_splits, n_stimuli = side.training.mask.shape
    n_targets, n_features = side.targets.values.shape[-1], side.features.shape[-1]
    zeros = side.features.new_zeros
    shape = (*side.features.shape[:-2], n_splits, n_components)
    store = Components(
        scores=zeros(*shape, n_stimuli),
        weights=zeros(*shape, n_features),
        loadings=zeros(*shape, n_features),
        slopes=zeros(*shape, n_targets),
        found=zeros(*shape, dtype=torch.bool),
        explained=zeros(*shape[:-1], dtype=torch.bool),
    )
    return store, zeros(*shape, n_features), zeros(*shape, m)


def _keep(side: Side, store: Components, a: int, scores: Tensor, weights: Tensor) -> None:
    store.scores[..., a, :] = scores
    store.weights[..., a, :] = weights
    store.loadings[..., a, :] = side.load(scores)
    store.slopes[..., a, :] = side.targets.project(scores)


def _orthogonalise(scores: Tensor, past: Tensor) -> Tensor:
    # Twice is enough (Giraud, Langou & Rozloznik 2005); once is not when little of the scores is new.
    for _ in range(2):
        scores = scores - _times(past.mT, _times(past, scores))
    return scores


def _symmetric(S: Tensor) -> Tensor:
    symmetric: Tensor = (S + S.mT).div_(2)
    return symmetric


def _balance(first: Tensor, second: Tensor) -> Tensor:
    """Return the factor that brings a vector of the first length to the geometric mean of both; 1 if one is zero."""
    defined = (first > 0) & (second > 0)
    return torch.where(defined, second / torch.where(defined, first, 1), 1).sqrt()


def _times(matrix: Tensor, vector: Tensor) -> Tensor:
    """Multiply [..., a, b] with [..., b]."""
    product: Tensor = (matrix @ vector[..., None])[..., 0]
    return product


def _total_variance(targets: Targets, training: Training) -> Tensor:
    """Sum of squares of the centred training targets: [split]."""
    squares: Tensor = torch.linalg.vector_norm(targets.values, dim=-1).square()
    raw = (training.mask * squares).sum(-1)
    variance: Tensor = raw - training.counts[:, 0] * targets.mean(training).square().sum(-1)
    return variance
