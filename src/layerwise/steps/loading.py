"""Networks of a study, ready to run over its images."""

from collections.abc import Sequence

from torch import nn

from layerwise.config import Study
from layerwise.config.models import FineTunedEntry
from layerwise.finetuning.weights import FineTunedModel, load_finetuned
from layerwise.interfaces import LayerSpec, Pixels, Preprocessing
from layerwise.models import build
from layerwise.passes.probe import probe_network
from layerwise.study import finetuned_ratings, layout_of, trained_weights


def load_network(
    study: Study, model: str, layers: Sequence[LayerSpec], images: Pixels, expected: Preprocessing, device: str
) -> nn.Module:
    """Build a network with its weights, and refuse one whose output for an image depends on anything but the image.

    Raises
    ------
    ValueError
        It cannot be built, or its output depends on the run, on the place in a batch or on other images.
    """
    entry = study.model_entry(model)
    if isinstance(entry, FineTunedEntry):
        network = load_own_fold(study, entry)
    else:
        network = build(entry.spec(), weights_folder=study.storage.weights)
    probe_network(network, layers, images, expected, device)
    return network


def load_own_fold(study: Study, entry: FineTunedEntry) -> nn.Module:
    """Load what training on a split left of a network of the study.

    Raises
    ------
    ValueError
        The file is damaged, or is of another network, other ratings or another split, whose test images this network
        would have seen.
    """
    (path,) = trained_weights(entry, layout_of(study))
    network, about = load_finetuned(path)
    _require_own(about, study, entry, path)
    return network


def _require_own(about: FineTunedModel, study: Study, entry: FineTunedEntry, path: str) -> None:
    spec, ratings = study.model_entry(entry.network).spec(), finetuned_ratings(study)
    differing = {
        f"split {about.split}, not {entry.split}": about.split != entry.split,
        f"ratings {about.ratings}, not {ratings}": about.ratings != ratings,
        f"another network than {entry.network}, or of another entry of it": about.spec != spec,
    }
    for what, differs in differing.items():
        if differs:
            raise ValueError(f"{path} is of {what}: delete it, and fine-tune {entry.network} again")
