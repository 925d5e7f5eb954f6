"""Predictions of each split's test stimuli."""

from collections.abc import Sequence

import torch
from torch import Tensor

from layerwise.interfaces import Split
from layerwise.regression.components import Side, extract


def predict_held_out(side: Side, splits: Sequence[Split], n_components: int) -> tuple[list[Tensor], Tensor]:
    """Fit each split's training stimuli and predict its test stimuli.

    Parameters
    ----------
    side : Side
        Primal or dual, with the splits' training stimuli.
    splits : sequence of Split
        The same splits.
    n_components : int
        Components at most.

    Returns
    -------
    predictions : list of Tensor [..., test stimulus, target]
        One a split, in the coordinates of the side's targets.
    found : Tensor [..., split]
        Number of components, as `Components.counts`; where there is none, the prediction is the training mean.
    """
    components = extract(side, n_components)
    latent = components.latent_coefficients()
    # Scores and weights are centred over training stimuli, so that centring the test rows by the features'
    # training mean is all that is left to do, in the primal and in the dual.
    feature_means = side.training.mean(side.features)
    target_means = side.targets.mean(side.training)
    predictions = []
    for index, split in enumerate(splits):
        test = side.features[..., torch.as_tensor(split.test, device=side.features.device), :]
        scores = (test - feature_means[..., index, None, :]) @ components.weights[..., index, :, :].mT
        predictions.append(scores @ latent[..., index, :, :] + target_means[index])
    return predictions, components.counts()
