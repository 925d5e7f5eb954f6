"""What decides the outputs of a network: the config's entry, what the registry states, and a user's own code."""

import hashlib
import sys
from dataclasses import asdict
from functools import cache
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

from layerwise.config.models import ModelEntry
from layerwise.files import hash_object
from layerwise.models import registry


def network_settings(entry: ModelEntry) -> dict[str, Any]:
    """Give all that makes a network's activations stale when it changes.

    Parameters
    ----------
    entry : ModelEntry
        The network in the config.

    Returns
    -------
    dict
        Plain values: the entry without its name, a hash of its row of the registry (preprocessing, weights), and a
        hash of the package that holds a factory.
    """
    settings: dict[str, Any] = entry.model_dump(mode="json", exclude={"name"})
    row = registry.row_of(entry.spec())
    if row is not None:
        settings["registry"] = hash_object(asdict(registry.find(row.name)))
    if entry.factory is not None:
        settings["source"] = hash_package(entry.factory.partition(".")[0].partition(":")[0])
    return settings


@cache
def hash_package(name: str) -> str:
    """Hash the sources of an importable package or module, without importing it; empty if it is not found.

    It is looked for where Python looks, then in the working folder, as the commands do.
    """
    spec = PathFinder.find_spec(name, [*sys.path, str(Path.cwd())])
    if spec is None or spec.origin is None:
        return ""
    origin = Path(spec.origin)
    files = sorted(origin.parent.rglob("*.py")) if spec.submodule_search_locations else [origin]
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.relative_to(origin.parent)}\n".encode() + file.read_bytes())
    return digest.hexdigest()[:16]
