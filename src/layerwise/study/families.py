"""What is known of a study's networks beside their layers: the family, and the accuracy on ImageNet."""

from layerwise.config import Study
from layerwise.config.models import ModelEntry
from layerwise.models import registry
from layerwise.models.families import family_of


def families_of(study: Study) -> dict[str, str]:
    """Return the family of each network of a study: as the config says, as is known, else the network itself."""
    return {entry.name: study.statistics.families.get(entry.name) or _family(entry) for entry in study.models}


def accuracies_of(study: Study) -> dict[str, float]:
    """Return the top-1 accuracy of networks with official weights, as published, else as stated, where one is."""
    found = {entry.name: _accuracy(entry) for entry in study.models}
    return {name: accuracy for name, accuracy in found.items() if accuracy is not None}


def _family(entry: ModelEntry) -> str:
    return entry.name if entry.timm or entry.factory else family_of(registry.find(entry.model or entry.name).name)


def _accuracy(entry: ModelEntry) -> float | None:
    if entry.timm or entry.factory or entry.weights not in (None, "imagenet"):
        return None
    row = registry.find(entry.model or entry.name)
    return row.top1 if row.top1 is not None else row.top1_stated
