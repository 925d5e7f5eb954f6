"""Layers against distances between stimuli, where no responses are published."""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from layerwise.activations.store import ActivationStore
from layerwise.analyses.measures import OtherMeasures, Scored, single_rows, warn_undefined
from layerwise.data.content import content_hash
from layerwise.interfaces import (
    RSA,
    DegenerateWarning,
    Distances,
    LayerSpec,
    Measure,
    MeasureSettings,
    Progress,
    column_of,
    no_progress,
)
from layerwise.regression.rsa import upper


@dataclass(frozen=True)
class RdmSimilarity:
    """Scores layers against the distances of one region, by RSA.

    Parameters
    ----------
    distances : Distances
        Between the stimuli.
    region : str
        Name of the region in the study.
    settings : MeasureSettings
        How distances in a layer are computed and compared.
    device : str
        "cpu" or "cuda".
    """

    distances: Distances
    region: str
    settings: MeasureSettings
    device: str = "cpu"

    def score(
        self, store: ActivationStore, layers: Sequence[LayerSpec], progress: Progress = no_progress
    ) -> pd.DataFrame:
        """Score the layers.

        Returns
        -------
        DataFrame
            As `BrainSimilarity.score` gives of a measure that is one number a layer.

        Warns
        -----
        DegenerateWarning
            Layers have activations that are not finite, or do not vary.
        """
        store.check_stimuli(self.distances.stimuli)
        n = len(self.distances.stimuli)
        pairs = upper(torch.as_tensor(self.distances.matrix)).numpy()
        held = OtherMeasures([RSA], self.settings, np.arange(n), np.zeros((n, 0)), device=self.device, pairs=pairs)
        scores = dict(progress(_score(held, store, layers), f"{store.model} {self.region}", len(layers)))
        warn_undefined(scores, RSA)
        table = single_rows(scores, store.model, column_of(self.region, RSA), RSA, 0)
        hashes = {"recordings": content_hash(self.distances), **store.attributes}
        table.attrs["data"] = {self.region: hashes}
        return table


def _score(
    held: OtherMeasures, store: ActivationStore, layers: Sequence[LayerSpec]
) -> Iterator[tuple[str, dict[Measure, Scored]]]:
    for layer in layers:
        stored = store.read(layer.name, packed=True)
        if stored.nonfinite:
            warnings.warn("layers whose activations are not finite have no score", DegenerateWarning, stacklevel=2)
        yield layer.name, held.nothing if stored.nonfinite else held.score([layer], [stored], store.path)[0]
