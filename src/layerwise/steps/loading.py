"""Networks of a study, ready to run over its images."""

from collections.abc import Sequence

from torch import nn

from layerwise.config import Study
from layerwise.interfaces import LayerSpec, Pixels, Preprocessing
from layerwise.models import build
from layerwise.passes.probe import probe_network


def load_network(
    study: Study, model: str, layers: Sequence[LayerSpec], images: Pixels, expected: Preprocessing, device: str
) -> nn.Module:
    """Build a network with its weights, and refuse one whose output for an image depends on anything but the image.

    Raises
    ------
    ValueError
        It cannot be built, or its output depends on the run, on the place in a batch or on other images.
    """
    network = build(study.model_entry(model).spec(), weights_folder=study.storage.weights)
    probe_network(network, layers, images, expected, device)
    return network
