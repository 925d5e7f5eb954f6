"""What a result carries of the network that it came from: hashes of all that decides what it holds."""

from dataclasses import asdict

from layerwise.config import Study
from layerwise.config.models import ModelEntry
from layerwise.files import hash_file, hash_object
from layerwise.models import hash_weights, resolve_preprocessing
from layerwise.models.versions import versions_of
from layerwise.study import code_of, layout_of, network_settings, trained_weights


def origins_of(step: str, study: Study, model: str, stimuli: str) -> dict[str, str]:
    """Name a network, and hash all that what a step makes of it depends on.

    Parameters
    ----------
    step : str
        The step, such as ``"extract_activations"``.
    study : Study
        The study.
    model : str
        Name of the network in it.
    stimuli : str
        Hash of the pixels that it sees.
    """
    entry = study.model_entry(model)
    spec = entry.spec()
    return {
        "model": model,
        "network": hash_object(network_settings(study, entry)),
        "weights": _hash_weights(study, entry),
        "preprocessing": hash_object(asdict(resolve_preprocessing(spec))),
        "stimuli": stimuli,
        "code": code_of(step),
        "versions": ", ".join(f"{name} {version}" for name, version in versions_of(spec).items()),
    }


def _hash_weights(study: Study, entry: ModelEntry) -> str:
    """Hash the weights of a network; those of a fine-tuned one are a result of the study."""
    for path in trained_weights(entry, layout_of(study)):
        return hash_file(path)
    return hash_weights(entry.spec(), study.storage.weights, study.storage.results)
