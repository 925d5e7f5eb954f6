"""How well activations predict each neuroid in stimuli that were held out."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from layerwise.interfaces import DegenerateWarning, Split, agreeing
from layerwise.regression.checking import (
    Array,
    as_matrix,
    check_same_stimuli,
    check_sizes,
    check_solver,
    check_splits,
    find_device,
    shift,
    to_numpy,
    unit_scale,
)
from layerwise.regression.degenerate import warn_fewer
from layerwise.regression.dual import ROUNDING, Dual, compress, gram_matrix, rotate
from layerwise.regression.heldout import predict_held_out
from layerwise.regression.nipals import fit_nipals
from layerwise.regression.primal import Primal
from layerwise.regression.ridge import ALPHAS, RidgeFits, check_alphas, ridge_from_gram, ridge_from_units
from layerwise.regression.training import Targets, Training

# Units, in stimuli, up to which ridge regression decomposes the products of units: what a GPU takes very long for.
FEW_UNITS = {"cpu": 1.0, "cuda": 0.1}


def score_neuroids(
    activations: Array,
    responses: Array,
    splits: Sequence[Split],
    n_components: int = 25,
    solver: str = "exact",
    device: str | torch.device = "cpu",
) -> NDArray[np.float64]:
    """Correlate PLS predictions from a layer's activations with the responses, in each split's test stimuli.

    Parameters
    ----------
    activations : array [stimulus, unit]
        Of one layer.
    responses : array [stimulus, neuroid] or [split, stimulus, neuroid]
        Averaged over repetitions; the three-dimensional form where a target differs between splits.
    splits : sequence of Split
        From `make_splits` or one of its kind.
    n_components : int
        Latent variables.
    solver : {"exact", "scikit-learn"}
        See `PLS`.
    device : str
        "cpu" or "cuda".

    Returns
    -------
    float64 array [split, neuroid]
        Pearson r. NaN, with a counted warning, for constant activations, for a neuroid that is constant in
        training or test stimuli, and for a neuroid without a response to a stimulus; the last is left out of
        the joint fit.

    Raises
    ------
    ValueError
        Sizes do not fit, activations are not finite, or there are fewer training stimuli or units than
        components.
    """
    values = to_numpy(responses)
    return _score(_predict_units(activations, values, splits, n_components, solver, device), values, splits)


def score_gram(
    gram: Array,
    responses: Array,
    splits: Sequence[Split],
    n_components: int = 25,
    solver: str = "exact",
    device: str | torch.device = "cpu",
) -> NDArray[np.float64]:
    """Do as `score_neuroids`, from the Gram matrix of the centred activations.

    Parameters
    ----------
    gram : array [stimulus, stimulus] or [layer, stimulus, stimulus]
        Products of the centred activations of each two stimuli; any layer, however large, has one. Computed and kept
        in float64: float32 loses components smaller than 3e-4 of the largest. Several layers at once keep a GPU busy
        that one would not.
    responses, splits, n_components, solver, device
        As in `score_neuroids`.

    Returns
    -------
    float64 array [split, neuroid] or [layer, split, neuroid]
        Pearson r, NaN where undefined.

    Raises
    ------
    ValueError
        As in `score_neuroids`; also if the matrix is not square.
    """
    values = to_numpy(responses)
    return _score(_predict_gram(gram, values, splits, n_components, solver, device), values, splits)


def score_ridge(
    features: Array,
    responses: Array,
    splits: Sequence[Split],
    alphas: Sequence[float] = ALPHAS,
    gram: bool = False,
    device: str | torch.device = "cpu",
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Do as `score_neuroids` with ridge regression, whose penalty is one for all neuroids of a fit.

    Parameters
    ----------
    features : array [stimulus, unit], [stimulus, stimulus] or [layer, stimulus, stimulus]
        Activations of one layer, or the Gram matrix of the centred activations, of one or of several.
    responses : array [stimulus, neuroid]
        Averaged over repetitions.
    splits : sequence of Split
        From `make_splits` or one of its kind.
    alphas : sequence of float
        Penalties; of several, the one with the least squared error where each training stimulus is left out once, as
        scikit-learn's RidgeCV has it.
    gram : bool
        Whether the features are a Gram matrix.
    device : str
        "cpu" or "cuda".

    Returns
    -------
    r : float64 array [split, neuroid] or [layer, split, neuroid]
        Pearson r; NaN as in `score_neuroids`.
    alphas : float64 array [split] or [layer, split]
        The penalties; NaN, with a counted warning, where all are lost in the rounding of the activations.

    Raises
    ------
    ValueError
        Sizes do not fit, features are not finite, or a penalty is not positive.
    """
    check_alphas(alphas)
    place, matrix, values = find_device(device), torch.as_tensor(features).detach(), to_numpy(responses)
    if not gram or matrix.ndim != 3:
        matrix = as_matrix(matrix, "the features")
    check_same_stimuli("the Gram matrix" if gram else "the activations", matrix.shape[-2], values)
    if values.ndim != 2:
        raise ValueError("the responses have 3 dimensions: ridge regression takes one value a stimulus and neuroid")
    splits = check_splits(splits, matrix.shape[-2])
    prepared = _prepare(values, splits, place, "exact")
    fits, outcome = _fit_ridge(matrix, prepared, splits, alphas, gram)
    lost = int(np.isnan(fits.alphas).sum())
    if lost:
        _warn(
            f"in {lost} of {fits.alphas.size} splits the activations vary so much that alpha, {max(alphas):g} at most, "
            "is lost in their rounding: no correlation is defined",
            stacklevel=3,
        )
    r = _score(outcome, values, splits)
    return (r, fits.alphas) if matrix.ndim == 3 else (r[0], fits.alphas[0])


def _fit_ridge(
    matrix: Tensor, prepared: "_Prepared", splits: Sequence[Split], alphas: Sequence[float], gram: bool
) -> tuple[RidgeFits, "_Outcome"]:
    place = prepared.targets.values.device
    targets, turn = compress(prepared.targets)
    few = len(matrix) * FEW_UNITS[place.type]
    if gram or matrix.shape[1] > few:
        fits = ridge_from_gram(_kernels(matrix, gram, place), targets, splits, alphas)
    else:
        fits = ridge_from_units(shift(matrix, place)[0], targets, splits, alphas)
    predictions = fits.predictions if turn is None else [part @ turn.T for part in fits.predictions]
    found = torch.stack([(part != part[:, :1]).any(-1).any(-1) | (part.shape[1] == 1) for part in predictions], 1)
    lacking = torch.as_tensor(prepared.missing, device=place)
    whole = [part.masked_fill(none, torch.nan) for part, none in zip(predictions, lacking, strict=True)]
    usable = torch.as_tensor(np.isfinite(fits.alphas), device=place)
    return fits, _Outcome(whole, prepared.missing, found & usable, 1)


def _kernels(matrix: Tensor, gram: bool, device: torch.device) -> Tensor:
    """Return Gram matrices [layer, stimulus, stimulus], of features that are such, or are activations of one layer."""
    if not gram:
        return gram_matrix(matrix, device)[None]
    if matrix.shape[-1] != matrix.shape[-2]:
        raise ValueError(f"the Gram matrix has shape {tuple(matrix.shape)}: it needs one row and column a stimulus")
    if not bool(matrix.isfinite().all()):
        raise ValueError("the Gram matrix has NaN or infinite values: check the activations that it was made from")
    return matrix.to(device, torch.float64).reshape(-1, *matrix.shape[-2:])


def predict_neuroids(
    activations: Array,
    responses: Array,
    splits: Sequence[Split],
    n_components: int = 25,
    solver: str = "exact",
    device: str | torch.device = "cpu",
) -> list[NDArray[np.float64]]:
    """Predict the responses to each split's test stimuli; see `score_neuroids` for the parameters.

    Returns
    -------
    list of float64 array [test stimulus, neuroid]
        One a split. NaN for a neuroid without a response to some stimulus; the training mean where
        activations are constant.
    """
    outcome = _predict_units(activations, to_numpy(responses), splits, n_components, solver, device)
    return _arrays(outcome)


def predict_gram(
    gram: Array,
    responses: Array,
    splits: Sequence[Split],
    n_components: int = 25,
    solver: str = "exact",
    device: str | torch.device = "cpu",
) -> list[NDArray[np.float64]]:
    """Predict the responses to each split's test stimuli; see `score_gram` and `predict_neuroids`.

    Returns
    -------
    list of float64 array [test stimulus, neuroid]
        One a split.
    """
    outcome = _predict_gram(gram, to_numpy(responses), splits, n_components, solver, device)
    return _arrays(outcome)


def pearson(predictions: Array, targets: Array) -> NDArray[np.float64]:
    """Correlate column by column.

    Parameters
    ----------
    predictions, targets : array [stimulus, neuroid]
        Of the same shape.

    Returns
    -------
    float64 array [neuroid]
        NaN where one of the two is constant or has a NaN.

    Raises
    ------
    ValueError
        The shapes differ.
    """
    x, y = to_numpy(predictions), to_numpy(targets)
    if x.shape != y.shape:
        raise ValueError(f"predictions have shape {x.shape} and targets {y.shape}: both need the same")
    r: NDArray[np.float64] = _correlate(torch.as_tensor(x), torch.as_tensor(y)).numpy()
    return r


def _correlate(x: Tensor, y: Tensor) -> Tensor:
    """Return r [..., neuroid] of predictions [..., stimulus, neuroid] and targets [stimulus, neuroid]."""
    (x, one), (y, other) = _unit_length(x), _unit_length(y)
    return (x * y).sum(-2).clip(-1, 1).masked_fill(one | other, torch.nan)


def _unit_length(values: Tensor) -> tuple[Tensor, Tensor]:
    """Centre columns of values [..., stimulus, neuroid] and give them length 1; tell which have none [..., neuroid]."""
    undefined = (values == values[..., :1, :]).all(-2) | values.isnan().any(-2)
    centred = values - values.mean(-2, keepdim=True)
    # Scaled by the largest value first: squares of tiny or huge numbers would leave the range of float64.
    scaled = centred / centred.abs().amax(-2, keepdim=True)
    return scaled / torch.linalg.vector_norm(scaled, dim=-2, keepdim=True), undefined


@dataclass(frozen=True)
class _Prepared:
    """Targets near 1, what they were multiplied with; of each split and neuroid what was subtracted, and what lacks."""

    targets: Targets
    scale: float
    offsets: NDArray[np.float64]
    missing: NDArray[np.bool_]


@dataclass(frozen=True)
class _Outcome:
    """Predictions [..., test stimulus, neuroid] a split; missing [split, neuroid]; components found [..., split]."""

    predictions: list[Tensor]
    missing: NDArray[np.bool_]
    found: Tensor
    wanted: int

    @property
    def fitted(self) -> Tensor:
        """Whether there was any component, [..., split]."""
        return self.found > 0


def _predict_units(
    activations: Array,
    responses: NDArray[np.float64],
    splits: Sequence[Split],
    n_components: int,
    solver: str,
    device: str | torch.device,
) -> _Outcome:
    check_solver(solver)
    place, matrix = find_device(device), as_matrix(activations, "activations")
    check_same_stimuli("the activations", len(matrix), responses)
    splits = check_splits(splits, len(matrix))
    check_sizes(n_components, min(len(split.train) for split in splits), matrix.shape[1])
    prepared = _prepare(responses, splits, place, solver)
    if solver == "scikit-learn":
        return _predict_nipals(matrix, prepared, splits, n_components)
    features = rotate(matrix, place) if matrix.shape[1] > len(matrix) else shift(matrix, place)[0]
    features.mul_(unit_scale(features))
    side = Primal.of(features, prepared.targets, Training.of(splits, len(matrix), place))
    return _outcome(*predict_held_out(side, splits, n_components), prepared, n_components)


def _predict_gram(
    gram: Array,
    responses: NDArray[np.float64],
    splits: Sequence[Split],
    n_components: int,
    solver: str,
    device: str | torch.device,
) -> _Outcome:
    check_solver(solver)
    place, matrix = find_device(device), torch.as_tensor(gram).detach()
    if matrix.ndim not in (2, 3) or matrix.shape[-2] != matrix.shape[-1]:
        raise ValueError(f"the Gram matrix has shape {tuple(matrix.shape)}: it needs one row and column a stimulus")
    check_same_stimuli("the Gram matrix", matrix.shape[-1], responses)
    splits = check_splits(splits, matrix.shape[-1])
    check_sizes(n_components, min(len(split.train) for split in splits))
    if not bool(matrix.isfinite().all()):
        raise ValueError("the Gram matrix has NaN or infinite values: check the activations that it was made from")
    prepared = _prepare(responses, splits, place, solver)
    precision = max(ROUNDING, 100 * torch.finfo(matrix.dtype).eps) if matrix.is_floating_point() else ROUNDING
    if solver == "scikit-learn":
        factors = _factor(matrix.to(place, torch.float64)).reshape(-1, *matrix.shape[-2:])
        outcomes = [_predict_nipals(factor, prepared, splits, n_components, precision) for factor in factors]
        return _stack(outcomes) if matrix.ndim == 3 else outcomes[0]
    try:
        return _predict_dual(matrix.to(place, torch.float64), prepared, splits, n_components, precision)
    except torch.linalg.LinAlgError as error:  # type: ignore[attr-defined]
        raise ValueError(
            f"the Gram matrix ({matrix.dtype}) is not positive semi-definite up to rounding, so that {n_components} "
            "components cannot be told from it: compute and keep it in float64"
        ) from error


def _factor(gram: Tensor) -> Tensor:
    """Return F with F F' = gram: the activations, rotated, which the iterations of PLS cannot tell from them."""
    values, vectors = torch.linalg.eigh(gram)
    factor: Tensor = vectors * values.clamp(min=0).sqrt()[..., None, :]
    return factor


def _prepare(responses: NDArray[np.float64], splits: Sequence[Split], device: torch.device, solver: str) -> _Prepared:
    """Make targets finite and shift them by their mean over the stimuli that are used.

    A neuroid of zeros adds nothing to X'Y, so the joint fit of the others is the one without it. scikit-learn's
    iterations see the size of what they are given, and bring to 1 only what they could not fit.
    """
    if responses.ndim == 3 and len(responses) != len(splits):
        raise ValueError(f"responses of {len(responses)} splits were given for {len(splits)} splits")
    used = np.zeros((len(splits), responses.shape[-2]), dtype=bool)
    for row, split in zip(used, splits, strict=True):
        row[split.train] = row[split.test] = True
    if responses.ndim == 2:
        used = np.any(used, axis=0, keepdims=True)
    rows = used[..., None]
    lacking = np.any(~np.isfinite(responses) & rows, axis=1, keepdims=True)
    values = np.where(rows & ~lacking, responses, 0)
    offset = values.sum(1, keepdims=True) / rows.sum(1, keepdims=True)
    values = np.where(rows, values - offset, 0)
    shape = (len(splits), responses.shape[-1])
    targets = torch.as_tensor(values[0] if responses.ndim == 2 else values, device=device)
    scale = unit_scale(targets) if solver == "exact" else 1.0
    return _Prepared(
        Targets(targets * scale),
        scale,
        np.broadcast_to(offset[:, 0], shape).copy(),
        np.broadcast_to(lacking[:, 0], shape).copy(),
    )


def _predict_dual(
    gram: Tensor, prepared: _Prepared, splits: Sequence[Split], n_components: int, precision: float
) -> _Outcome:
    targets, turn = compress(prepared.targets)
    training = Training.of(splits, gram.shape[-1], gram.device)
    side = Dual(gram * unit_scale(gram), targets, training, precision)
    predictions, found = predict_held_out(side, splits, n_components)
    turned = predictions if turn is None else [part @ turn.T for part in predictions]
    return _outcome(turned, found, prepared, n_components)


def _predict_nipals(
    matrix: Tensor, prepared: _Prepared, splits: Sequence[Split], n_components: int, precision: float = 0.0
) -> _Outcome:
    predictions, counts = [], []
    place = prepared.targets.values.device
    for index, split in enumerate(splits):
        X, offset = shift(matrix[torch.as_tensor(split.train)], place)
        Y, mean = shift(prepared.targets.of_split(index)[torch.as_tensor(split.train, device=place)], place)
        coefficients, found = fit_nipals(X, Y, n_components, precision)
        held_out = matrix[torch.as_tensor(split.test)].to(place, torch.float64)
        predictions.append((held_out - offset) @ coefficients + mean)
        counts.append(found)
    return _outcome(predictions, torch.tensor(counts, device=place), prepared, n_components)


def _outcome(predictions: Sequence[Tensor], found: Tensor, prepared: _Prepared, wanted: int) -> _Outcome:
    device = prepared.targets.values.device
    offsets = torch.as_tensor(prepared.offsets, device=device)
    lacking = torch.as_tensor(prepared.missing, device=device)
    parts = zip(predictions, offsets, lacking, strict=True)
    whole = [(part / prepared.scale + offset).masked_fill(none, torch.nan) for part, offset, none in parts]
    return _Outcome(whole, prepared.missing, found, wanted)


def _stack(outcomes: Sequence[_Outcome]) -> _Outcome:
    """Join outcomes of several layers, with the same neuroids missing."""
    predictions = [torch.stack(parts) for parts in zip(*(outcome.predictions for outcome in outcomes), strict=True)]
    found = torch.stack([outcome.found for outcome in outcomes])
    return _Outcome(predictions, outcomes[0].missing, found, outcomes[0].wanted)


def _arrays(outcome: _Outcome) -> list[NDArray[np.float64]]:
    _warn_missing(outcome)
    _warn_unfitted(outcome)
    warn_fewer(outcome.found, outcome.wanted, stacklevel=3)
    return [part.cpu().numpy() for part in outcome.predictions]


def _score(outcome: _Outcome, responses: NDArray[np.float64], splits: Sequence[Split]) -> NDArray[np.float64]:
    constant: NDArray[np.bool_] = np.zeros(outcome.missing.shape, dtype=bool)
    scores = []
    for index, split in enumerate(splits):
        values = responses if responses.ndim == 2 else responses[index]
        constant[index] = _constant(values[split.train]) | _constant(values[split.test])
        predictions = outcome.predictions[index]
        r = _correlate(predictions, torch.as_tensor(values[split.test], device=predictions.device))
        scores.append(r.masked_fill(~outcome.fitted[..., index, None], torch.nan))
    _warn_missing(outcome)
    _warn_unfitted(outcome)
    warn_fewer(outcome.found, outcome.wanted, stacklevel=3)
    _warn_constant(constant & ~outcome.missing)
    correlations = np.where(constant, np.nan, torch.stack(scores, -2).cpu().numpy())
    _warn_flat(np.isnan(correlations) & outcome.fitted.cpu().numpy()[..., None] & ~constant & ~outcome.missing)
    return correlations


def _constant(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which columns of [stimulus, neuroid] have one value only."""
    same: NDArray[np.bool_] = np.all(np.equal(values, values[:1]), axis=0)
    return same


def _warn_missing(outcome: _Outcome) -> None:
    neuroids = int(outcome.missing.any(0).sum())
    if neuroids:
        word = agreeing(neuroids, "lacks", "lack")
        _warn(f"{neuroids} of {outcome.missing.shape[1]} neuroids {word} responses to some stimuli: left out, NaN")


def _warn_unfitted(outcome: _Outcome) -> None:
    unfitted = int((~outcome.fitted).sum())
    if unfitted:
        _warn(
            f"in {unfitted} of {outcome.fitted.numel()} splits the activations are constant, or share nothing "
            "with any neuroid's responses: no correlation is defined"
        )


def _warn_constant(constant: NDArray[np.bool_]) -> None:
    neuroids, splits = int(constant.any(0).sum()), int(constant.any(1).sum())
    if neuroids:
        _warn(
            f"{neuroids} of {constant.shape[1]} neuroids {agreeing(neuroids, 'is', 'are')} constant in the training or "
            f"test stimuli of {splits} of {len(constant)} splits: NaN there"
        )


def _warn_flat(flat: NDArray[np.bool_]) -> None:
    """Return where predictions [..., split, neuroid] do not vary, though responses and activations do."""
    neuroids = int(flat.any(axis=tuple(range(flat.ndim - 1))).sum())
    if neuroids:
        _warn(
            f"of {neuroids} of {flat.shape[-1]} neuroids, predictions are the same for all test stimuli, in "
            f"{int(flat.sum())} of {flat.size} cases: NaN there; their responses may be too small beside the others'"
        )


def _warn(message: str, stacklevel: int = 4) -> None:
    warnings.warn(message, DegenerateWarning, stacklevel=stacklevel)
