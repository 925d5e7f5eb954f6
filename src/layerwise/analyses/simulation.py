"""The teacher of a simulated study: a network whose layers the simulated neuroids read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import nn

from layerwise.data.images import load_square
from layerwise.interfaces import Preprocessing, Progress, StimulusSet, no_progress
from layerwise.layers.tap import LayerTap
from layerwise.models.normalisation import normalise
from layerwise.models.preprocessing import geometry_for

BATCH = 32


@dataclass(frozen=True)
class Teacher:
    """Shows images to a network and takes what some of its layers give.

    Parameters
    ----------
    network : nn.Module
        In eval mode.
    preprocessing : Preprocessing
        What the network expects.
    kinds : mapping of str to {"square", "crop"}
        How the images of each stimulus set are shown.
    progress : Progress
        Shows how far it has come.
    """

    network: nn.Module
    preprocessing: Preprocessing
    kinds: Mapping[str, Literal["square", "crop"]]
    progress: Progress = no_progress

    def __call__(self, stimuli: StimulusSet, layers: Sequence[str]) -> dict[str, np.ndarray]:
        """Return the activations of each layer, float32 [stimulus, unit]."""
        geometry = geometry_for(self.preprocessing, self.kinds[stimuli.name])
        found: dict[str, list[np.ndarray]] = {layer: [] for layer in layers}
        starts = range(0, len(stimuli.paths), BATCH)
        for start in self.progress(starts, f"the teacher looks at {stimuli.name}", len(starts)):
            paths = stimuli.paths[start : start + BATCH]
            pixels = np.stack([load_square(path, geometry) for path in paths])
            with torch.inference_mode(), LayerTap(self.network, layers) as tap:
                self.network(normalise(torch.from_numpy(pixels), self.preprocessing))
            for layer in layers:
                found[layer].append(tap.outputs[layer].numpy())
        return {layer: np.concatenate(parts) for layer, parts in found.items()}
