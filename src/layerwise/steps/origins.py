"""What a result carries of the network that it came from: hashes of all that decides what it holds."""

from dataclasses import asdict

from layerwise.config import Study
from layerwise.files import hash_object
from layerwise.models import hash_weights, resolve_preprocessing
from layerwise.models.versions import versions_of
from layerwise.study import code_of, network_settings


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
        "weights": hash_weights(spec, study.storage.weights, study.storage.results),
        "preprocessing": hash_object(asdict(resolve_preprocessing(spec))),
        "stimuli": stimuli,
        "code": code_of(step),
        "versions": ", ".join(f"{name} {version}" for name, version in versions_of(spec).items()),
    }
