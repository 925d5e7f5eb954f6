"""What is known of a study's networks beside their scores: table S1."""

from layerwise.config import Study
from layerwise.config.models import ModelEntry
from layerwise.models import registry
from layerwise.models.registry import RegistryRow
from layerwise.study.families import families_of
from layerwise.study.layers import listed_preprocessing, preprocessing_of

Facts = dict[str, str | float | int | None]


def network_facts(study: Study) -> list[Facts]:
    """List what is published of each network of a study, with what the config says of it; None is not known.

    Returns
    -------
    list of dict
        For each network: model; network, its name in layerwise, timm or the user's code; family; library; parameters;
        input_size, pixels; top1, per cent, and top1_is, "published" or "stated" (nobody has verified it for these
        weights); weights, as the config names them; source, the address of official ones; sha256, what is published of
        their hash.
    """
    return [_facts(study, entry) for entry in study.models]


def _facts(study: Study, entry: ModelEntry) -> Facts:
    row = None if entry.timm or entry.factory else registry.find(entry.model or entry.name)
    official = row is not None and entry.weights in (None, "imagenet")
    expected = preprocessing_of(entry) or listed_preprocessing(study, entry.name)
    facts: Facts = {
        "model": entry.name,
        "network": row.name if row else entry.timm or entry.factory,
        "family": families_of(study)[entry.name],
        "library": row.library if row else "timm" if entry.timm else "factory",
        "parameters": row.parameters if row and entry.registered else None,
        "input_size": expected.size if expected else None,
    }
    return facts | _accuracy(row if official else None) | _origin(row if official else None, entry)


def _accuracy(row: RegistryRow | None) -> Facts:
    if row is None or (row.top1 is None and row.top1_stated is None):
        return {"top1": None, "top1_is": None}
    return {"top1": row.top1 or row.top1_stated, "top1_is": "published" if row.top1 else "stated"}


def _origin(row: RegistryRow | None, entry: ModelEntry) -> Facts:
    weights = entry.weights or ("built" if entry.factory else "imagenet")
    if row is None:
        return {"weights": weights, "source": None, "sha256": None}
    return {"weights": weights, "source": row.url or row.package or None, "sha256": row.sha256 or None}
