"""What decides the outputs of a network: the config's entry, what the registry states, weights, and code."""

from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from layerwise.config import Study
from layerwise.config.models import ModelEntry
from layerwise.files import hash_object, hash_source, own_code
from layerwise.files.own import HashFiles, hash_each, is_file
from layerwise.models import registry
from layerwise.models.versions import module_of, versions_of


def network_settings(
    study: Study, entry: ModelEntry, hash_files: HashFiles = hash_each, hash_code: Callable[..., str] = hash_source
) -> dict[str, Any]:
    """Find all that decides what a network computes: when it changes, whatever the network gave is stale.

    It is a parameter of the steps that run a network, and its hash is in their results and in the state of killed
    jobs. The content of files of weights stands beside it: official ones may be downloaded between two plans.

    Parameters
    ----------
    study : Study
        The study.
    entry : ModelEntry
        The network in its config.
    hash_files : callable
        Gives the hash of each file's content.
    hash_code : callable
        Gives the hash of our code: `hash_source`, or one that remembers it.

    Returns
    -------
    dict
        Plain values: the entry without its name and layers, and hashes of the row of the registry (preprocessing,
        weights), of our code that builds networks, of a factory's own code with its files, and of files that the
        options name. The versions of its libraries, where another version is to be a rerun.
    """
    settings: dict[str, Any] = entry.model_dump(mode="json", exclude={"name", "layers"})
    settings["code"] = hash_code("layerwise.models.building")
    row = registry.row_of(entry.spec())
    if row is not None:
        settings["registry"] = hash_object(asdict(registry.find(row.name)))
    if entry.factory is not None:
        settings["source"] = own_code(module_of(entry.factory), study.storage.results, hash_files).hash
    named = sorted(text for text in set(_texts(entry.options)) if is_file(Path(text)))
    if named:  # such as timm's checkpoint_path
        settings["files"] = dict(zip(named, hash_files(map(Path, named)), strict=True))
    if study.compute.versions == "rerun":
        settings["versions"] = versions_of(entry.spec())
    return settings


def _texts(value: object) -> Iterator[str]:
    """Find the texts in a value of the config, however deep."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _texts(part)
