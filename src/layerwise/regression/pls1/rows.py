"""PLS with one target from the rows of one layer, which lie in memory whole, for all splits at once.

The steps are those of a streamed fit (`layerwise.streaming.fit`), with all images as one batch: a component costs two
products of the rows with vectors, so it takes as long as reading the rows twice.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from layerwise.regression.pls1.components import NETWORK, LayerVectors, mean_of
from layerwise.regression.pls1.targets import Targets

SLABS = 32  # parts of a sum over images, summed at once: one long sum would leave most of a GPU idle
SQUARED = 256  # images whose squares are taken at once
FIRST = 256  # images whose mean goes before the products: a rough mean keeps digits as well as the exact one


def is_finite(values: Tensor) -> bool:
    """Return whether no value is NaN or infinite, of values that are too many to copy.

    Parameters
    ----------
    values : Tensor [image, number]
        On any device.
    """
    # Both ends are NaN where any value is; `isfinite` of all would take as much memory as the values.
    return all(bool(end.isfinite()) for end in torch.aminmax(values))


class RowFit(NamedTuple):
    """What a fit of rows gave.

    Parameters
    ----------
    predictions : float64 Tensor [image, split]
        For all images, training images too. NaN for values that are not finite, or so large that their sums are not,
        and where rounding spoilt the fit; the training mean where all training images have the same row.
    lost : bool
        Whether rounding spoilt it, since rows vary hundreds of times as much in some directions as in others.
    stopped : bool
        Whether some split has fewer components than asked, although the targets are not fully explained.
    """

    predictions: Tensor
    lost: bool = False
    stopped: bool = False


def predict_rows(values: Tensor, targets: Targets, n_components: int) -> RowFit:
    """Predict the target of all images from the rows of a layer.

    Parameters
    ----------
    values : float32 or float64 Tensor [image, number]
        Changed in place: the mean of the first images is subtracted. The products keep its type.
    targets : Targets
        The targets of as many images, on the same device.
    n_components : int
        Latent variables; fewer are used where the rows have no more, and none where they are constant.

    Returns
    -------
    RowFit
        Predictions, and what is wrong with them.

    References
    ----------
    Phatak & de Hoog 2002, doi:10.1002/cem.728: PLS with one target is the method of conjugate gradients.
    """
    nothing = torch.full_like(targets.values, torch.nan)
    if not is_finite(values):
        return RowFit(nothing)
    device, dtype = values.device, values.dtype
    layer = LayerVectors.empty(values.shape[1], targets.n_splits, n_components, dtype, device)
    layer.rounding = max(layer.rounding, NETWORK)
    layer.shift.copy_(mean_of(values[:FIRST]))
    values.sub_(layer.shift)
    weights = torch.cat([targets.mask, targets.values], dim=1).to(dtype)
    _weigh(values, weights, layer.sums)
    _add_squares(values, targets.mask.mean(1).to(dtype), layer.power)
    if not layer.start(targets):
        return RowFit(nothing)
    predictions, mask = torch.zeros_like(targets.values), weights[:, : targets.n_splits]
    for component in range(n_components):
        offsets = layer.find_direction(component)
        scores = (values @ layer.direction.T).sub_(offsets)
        _weigh(values, scores * mask, layer.total)
        layer.deflate(component, scores, predictions, targets)
    if layer.is_lost:
        return RowFit(nothing, lost=True)
    return RowFit(targets.unscaled(predictions), stopped=layer.has_stopped(predictions, targets))


def _weigh(values: Tensor, weights: Tensor, sums: Tensor) -> None:
    """Write the sums over images [row, number] of values [image, number] with weights [image, row]."""
    length = len(values) // SLABS
    whole = SLABS * length
    slabs = [part[:whole].reshape(SLABS, length, part.shape[1]) for part in (weights, values)]
    torch.sum(torch.bmm(slabs[0].mT, slabs[1]), 0, out=sums)
    sums.addmm_(weights[whole:].T, values[whole:])


def _add_squares(values: Tensor, shares: Tensor, power: Tensor) -> None:
    """Add the squares of values [image, number], summed over images with weights [image]; a few images at a time."""
    for part, own in zip(torch.split(values, SQUARED), torch.split(shares, SQUARED), strict=True):
        power.add_(own @ part.square())
