"""The layers of a study's networks, as far as they are known before any network is built."""

import json
from dataclasses import replace
from functools import cache
from pathlib import Path

from pydantic import TypeAdapter

from layerwise.config import Study
from layerwise.config.models import ModelEntry
from layerwise.files import atomic_path
from layerwise.interfaces import LayerSpec, Preprocessing
from layerwise.layers.blocks import distinct
from layerwise.layers.manifest import read_manifest, shipped_manifest
from layerwise.models import registry
from layerwise.study.layout import layout_of

PARAMETERS = "parameters"  # in the file, beside what the network expects
_ADAPTER = TypeAdapter(Preprocessing)


def layers_of(entry: ModelEntry) -> list[LayerSpec] | None:
    """Read the manifest that ships with layerwise; None where a job must list the layers first.

    So it is of an own network, and where a user chose them.
    """
    path = shipped_manifest(entry.shipped) if entry.shipped else None
    return list(_read_shipped(path, entry.choice.repeated == "keep")) if path else None


@cache
def _read_shipped(path: Path, repeated: bool) -> tuple[LayerSpec, ...]:
    """Read a manifest once: lists of the same layers are compared in no time."""
    layers = read_manifest(path)
    if repeated:
        return tuple(layers)
    return tuple(replace(layer, depth=depth) for depth, layer in enumerate(distinct(layers), start=1))


def lists_layers(entry: ModelEntry) -> bool:
    """Return whether a job must list the layers of a network first."""
    return entry.shipped is None or shipped_manifest(entry.shipped) is None


def listed_layers(study: Study, model: str) -> list[LayerSpec] | None:
    """Read the layers of an own network that a job has listed; None where it has not yet."""
    path = Path(layout_of(study).manifest(model))
    return _read_manifest_once(path, path.stat().st_mtime_ns) if path.is_file() else None


def listed_preprocessing(study: Study, model: str) -> Preprocessing | None:
    """Read what an own network expects of its input, where a job has written it."""
    path = Path(layout_of(study).preprocessing(model))
    return read_preprocessing(path) if path.is_file() else None


def preprocessing_of(entry: ModelEntry) -> Preprocessing | None:
    """Return what a network expects of its input; None where only its library knows."""
    given = entry.spec().preprocessing
    if isinstance(given, Preprocessing):
        return given
    return registry.find(entry.registered).preprocessing if entry.registered is not None else None


def listed_parameters(study: Study, model: str) -> int | None:
    """Read how many parameters an own network has; None where no job has counted them."""
    path = Path(layout_of(study).preprocessing(model))
    counted = json.loads(path.read_bytes()).get(PARAMETERS) if path.is_file() else None
    return counted if isinstance(counted, int) else None


def write_preprocessing(preprocessing: Preprocessing, path: Path, parameters: int | None = None) -> None:
    """Write what an own network expects, and how many parameters it has, for planning the jobs after it."""
    known = _ADAPTER.dump_python(preprocessing, mode="json") | ({} if parameters is None else {PARAMETERS: parameters})
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(known, indent=1), encoding="utf-8")


def read_preprocessing(path: Path) -> Preprocessing:
    """Read back what it expects."""
    return _ADAPTER.validate_json(path.read_bytes())


@cache
def _read_manifest_once(path: Path, changed: int) -> list[LayerSpec]:
    return read_manifest(path)
