"""Principal components of one set of images, and the scores of other stimuli on them, from a Gram matrix of both."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from layerwise.regression.checking import Array, as_matrix, find_device
from layerwise.regression.dual import gram_matrix


def reduce_units(
    activations: Array, n_fitted: int, n_components: int, device: str | torch.device = "cpu"
) -> NDArray[np.float64]:
    """Do as `reduce_gram`, from the activations [stimulus, unit] themselves.

    A layer with no more units than components is not reduced: its stimuli keep their activations, as in Brain-Score.
    """
    matrix = as_matrix(activations, "activations")
    if matrix.shape[1] <= n_components:
        _check(n_fitted, n_components)
        return matrix[: len(matrix) - n_fitted].to(torch.float64).cpu().numpy()
    return reduce_gram(gram_matrix(matrix, find_device(device)), n_fitted, n_components, device)


def reduce_gram(
    gram: Array, n_fitted: int, n_components: int, device: str | torch.device = "cpu"
) -> NDArray[np.float64]:
    """Return the scores of stimuli on principal components that are fitted on other images.

    With A the fitted images' activations less their mean, and A A' = U L U', the components are the columns of
    A' U L^(-1/2), so that a stimulus b has the scores b A' U L^(-1/2): the Gram matrix of both holds all of it.

    Parameters
    ----------
    gram : array [stimulus, stimulus]
        Of the activations of the stimuli and, after them, the fitted images, around any centre.
    n_fitted : int
        Number of fitted images: the last rows.
    n_components : int
        Number of components.
    device : str
        "cpu" or "cuda".

    Returns
    -------
    float64 array [stimulus, component]
        Centred on the mean of the fitted images, not whitened; signs are arbitrary. A component in which the fitted
        images do not vary, up to rounding, has no direction, and is zero.

    Raises
    ------
    ValueError
        There are no more fitted images than components.
    """
    _check(n_fitted, n_components)
    products = as_matrix(gram, "the Gram matrix").to(find_device(device), torch.float64)
    fitted = slice(len(products) - n_fitted, None)
    across = _centre(products[:, fitted], fitted)
    values, vectors = torch.linalg.eigh(across[fitted])
    values, vectors = values[-n_components:].flip(0), vectors[:, -n_components:].flip(1)
    rounding = n_fitted * torch.finfo(torch.float64).eps * torch.maximum(values[0], products.diagonal().max())
    scale = torch.where(values > rounding, values.clamp(min=rounding).rsqrt(), 0)
    scores: Tensor = (across[: fitted.start] @ vectors) * scale
    return scores.cpu().numpy()


def _centre(products: Tensor, fitted: slice) -> Tensor:
    """Move the centre of products [stimulus, fitted image] to the mean of the fitted images."""
    products = products - products.mean(1, keepdim=True)
    return products - products[fitted].mean(0)


def _check(n_fitted: int, n_components: int) -> None:
    if n_fitted <= n_components:
        raise ValueError(
            f"{n_components} principal components were asked for, and there are {n_fitted} images to fit them on: more "
            "images than components are needed (around their mean, n images span only n - 1 directions); give "
            "more, or lower `components`"
        )
