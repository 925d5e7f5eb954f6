"""Partial least squares regression of many targets at once."""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from layerwise.interfaces import Split
from layerwise.regression.checking import (
    BROKEN_TARGETS,
    Array,
    as_matrix,
    check_sizes,
    check_solver,
    find_device,
    shift,
    unit_scale,
)
from layerwise.regression.components import extract
from layerwise.regression.degenerate import warn_fewer
from layerwise.regression.dual import compress
from layerwise.regression.nipals import fit_nipals
from layerwise.regression.primal import Primal
from layerwise.regression.training import Targets, Training


@dataclass
class PLS:
    """PLS regression, centred, not scaled, in float64.

    Parameters
    ----------
    n_components : int
        Latent variables. The fit keeps fewer when nothing is left to explain, or nothing of X's rank.
    solver : {"exact", "scikit-learn"}
        "exact" solves each component to rounding. "scikit-learn" repeats the iterations of its PLSRegression
        (scale=False), which stop at a loose tolerance.
    device : str
        "cpu" or "cuda".

    Attributes
    ----------
    coefficients : float64 array [unit, target]
        Set by `fit`, as are the means.
    unit_means : float64 array [unit]
        Of the training stimuli.
    target_means : float64 array [target]
        Of the training stimuli.
    """

    n_components: int = 25
    solver: Literal["exact", "scikit-learn"] = "exact"
    device: str = "cpu"
    coefficients: NDArray[np.float64] = field(init=False, repr=False)
    unit_means: NDArray[np.float64] = field(init=False, repr=False)
    target_means: NDArray[np.float64] = field(init=False, repr=False)

    def fit(self, X: Array, Y: Array) -> "PLS":
        """Fit all targets at once.

        Parameters
        ----------
        X : array [stimulus, unit]
            Activations.
        Y : array [stimulus, target] or [stimulus]
            What to predict.

        Raises
        ------
        ValueError
            Sizes do not fit, a value is not finite, or there are fewer stimuli or units than components.

        Warns
        -----
        DegenerateWarning
            There were fewer components than asked for.
        """
        check_solver(self.solver)
        device, activations, targets = find_device(self.device), as_matrix(X, "X"), torch.as_tensor(Y)
        targets = as_matrix(targets[:, None] if targets.ndim == 1 else targets, "Y")
        if len(activations) != len(targets):
            raise ValueError(f"X has {len(activations)} stimuli and Y has {len(targets)}: both need the same stimuli")
        check_sizes(self.n_components, len(activations), activations.shape[1])
        features, unit_means = shift(activations, device)
        responses, target_means = shift(targets, device, BROKEN_TARGETS)
        if self.solver == "exact":
            coefficients, found = _fit_exact(features, responses, self.n_components)
        else:
            coefficients, found = fit_nipals(features, responses, self.n_components)
        warn_fewer(torch.tensor([found]), self.n_components, stacklevel=2)
        self.coefficients = coefficients.cpu().numpy()
        self.unit_means, self.target_means = unit_means.cpu().numpy(), target_means.cpu().numpy()
        return self

    def predict(self, X: Array) -> NDArray[np.float64]:
        """Predict the targets of stimuli.

        Parameters
        ----------
        X : array [stimulus, unit]
            Activations of the same units as in `fit`.

        Returns
        -------
        float64 array [stimulus, target]

        Raises
        ------
        ValueError
            `fit` was not called, or it had another number of units.
        """
        if not hasattr(self, "coefficients"):
            raise ValueError("this PLS has not been fitted: call fit(X, Y) first")
        activations = as_matrix(X, "X").to("cpu", torch.float64).numpy()
        if activations.shape[1] != len(self.coefficients):
            raise ValueError(f"X has {activations.shape[1]} units, but the fit had {len(self.coefficients)}")
        prediction: NDArray[np.float64] = (activations - self.unit_means) @ self.coefficients + self.target_means
        return prediction


def _fit_exact(X: Tensor, Y: Tensor, n_components: int) -> tuple[Tensor, int]:
    """Return the coefficients [unit, target] of centred X and Y, and the number of components."""
    rows = np.arange(len(X))
    training = Training.of([Split(rows, rows[:0])], len(X), X.device)
    scales = unit_scale(X), unit_scale(Y)
    targets, turn = compress(Targets(Y * scales[1]))
    components = extract(Primal.of(X * scales[0], targets, training), n_components)
    coefficients = components.weights[0].T @ components.latent_coefficients()[0]
    turned = coefficients if turn is None else coefficients @ turn.T
    return turned * scales[0] / scales[1], int(components.counts())
