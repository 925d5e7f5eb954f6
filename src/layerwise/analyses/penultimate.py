"""The penultimate representation, as if it were a layer: what a network's classifier receives."""

from collections.abc import Sequence

import pandas as pd
import torch
from torch import nn

from layerwise.activations.store import ActivationStore
from layerwise.analyses.brain import BrainSimilarity
from layerwise.interfaces import LayerSpec
from layerwise.models import PenultimateTap

PENULTIMATE = "penultimate"


class Penultimate(nn.Module):
    """A network that ends with its penultimate representation: what its module `penultimate` gives.

    So it is probed, run and kept as every layer is, though many networks have no module that gives it.

    Parameters
    ----------
    network : nn.Module
        Network.
    classifiers : sequence of str
        Dotted names of what turns the representation into classes, or into a score (`find_classifiers`).

    Raises
    ------
    ValueError
        The network has no such module.
    """

    def __init__(self, network: nn.Module, classifiers: Sequence[str]) -> None:
        super().__init__()
        PenultimateTap(network, classifiers)  # refuses unknown names now, and not when images are there
        self.network, self.classifiers = network, tuple(classifiers)
        self.penultimate = nn.Identity()

    @property
    def layer(self) -> LayerSpec:
        """The representation, as a row of a manifest."""
        units = sum(_inputs(self.network.get_submodule(name)) for name in self.classifiers)
        return LayerSpec(PENULTIMATE, type(self).__name__, (units,), units, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the representation [image, unit]."""
        with PenultimateTap(self.network, self.classifiers) as tap:
            self.network(images)
        if tap.output is None:
            raise ValueError(f"the classifier does not run: {', '.join(self.classifiers)}")
        output: torch.Tensor = self.penultimate(tap.output)
        return output


def _inputs(classifier: nn.Module) -> int:
    return int(classifier.in_channels if isinstance(classifier, nn.Conv2d) else classifier.in_features)  # type: ignore[arg-type]


def score_penultimate(store: ActivationStore, similarities: Sequence[BrainSimilarity]) -> pd.DataFrame:
    """Score the penultimate representation against regions.

    Parameters
    ----------
    store : ActivationStore
        With the layer `penultimate`, of the stimuli of one recording.
    similarities : sequence of BrainSimilarity
        One for each region of that recording.

    Returns
    -------
    DataFrame
        The rows of `BrainSimilarity.score`; `attrs["data"]` holds hashes for each region.
    """
    return join_scores([similarity.score(store, store.layers) for similarity in similarities])


def join_scores(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Join tables of scores, with what each says of its regions."""
    joined = pd.concat(tables, ignore_index=True)
    joined.attrs = {"data": {name: hashes for one in tables for name, hashes in one.attrs["data"].items()}}
    return joined
