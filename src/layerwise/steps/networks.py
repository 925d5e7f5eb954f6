"""Steps that look at networks alone: the layers of own ones, and the accuracy of known ones."""

import json
import logging
from dataclasses import replace
from pathlib import Path

from torch import nn

from layerwise.analyses.accuracy import ENOUGH
from layerwise.analyses.proof import measure, require_published
from layerwise.config import Study
from layerwise.config.models import ModelEntry
from layerwise.files import atomic_path
from layerwise.interfaces import LayerSpec, ModelSpec, Preprocessing, Progress, counted, no_progress
from layerwise.layers import Survey, leave_out, survey_layers
from layerwise.layers.manifest import Skipped, write_manifest, write_skipped
from layerwise.layers.probing import noise, require_own_outputs, require_same_outputs
from layerwise.models import build, normalise, resolve_preprocessing
from layerwise.models.drawing import require_repeated
from layerwise.models.labelled import read_labelled
from layerwise.models.registry import row_of
from layerwise.models.weights import UNTRAINED
from layerwise.steps.devices import choose_device, limit_threads, named_memory
from layerwise.study import Budget, write_preprocessing

log = logging.getLogger(__name__)


def list_layers(study: Study, model: str, manifest: Path, preprocessing: Path, skipped: Path | None = None) -> None:
    """Write the layers of a network, what it expects of its input, and what else runs and is no layer.

    Raises
    ------
    ValueError
        What the network computes is not one value for each unit and image, or a pattern of `layers` gives no layer.
    """
    entry = study.model_entry(model)
    spec = entry.spec()
    expected, row = resolve_preprocessing(spec), row_of(spec)
    network = build(_untrained(spec))
    survey = _survey(network, expected.size, entry)
    _require_one_value(network, spec, survey.layers, expected)
    added = row.later_modules if row and isinstance(entry.choice.which, str) else ()  # a pattern may ask for them
    later = set(added) & {layer.name for layer in survey.layers}
    layers = leave_out(survey.layers, later)
    repeated = sum(bool(layer.same_as) for layer in layers)
    left = [layer for layer in survey.layers if layer.name in later]
    log.info(
        "%s, of which %s; %s left out",
        counted(len(layers), "layer"),
        counted(repeated, "repeats another", "repeat another"),
        counted(len(survey.skipped) + len(later), "module that runs is", "modules that run are"),
    )
    if skipped is not None:
        told = [Skipped(layer.name, layer.kind, "was added by the library after the study") for layer in left]
        write_skipped([*survey.skipped, *told, *survey.others], skipped)
    write_manifest(layers, manifest)
    write_preprocessing(expected, preprocessing, sum(parameter.numel() for parameter in network.parameters()))


def check_accuracy(
    study: Study, model: str, output: Path, threads: int | None = None, progress: Progress = no_progress
) -> None:
    """Write the ImageNet accuracy of a network, and refuse one that is not the published accuracy.

    Raises
    ------
    ValueError
        None is published, the measured one is another, or there are too few images to tell.
    """
    entry, compute = study.model_entry(model), study.compute
    if entry.published is None:
        raise ValueError(f"no accuracy is published for {model!r} (weights: {entry.spec().weights}): it needs no gate")
    limit_threads(threads or compute.threads)
    device = choose_device(compute.device, compute.gpus)
    images = read_labelled(study.imagenet.images, study.imagenet.labels)
    batch_size, weights = Budget.of(study, on_gpu=device != "cpu").batch_sizes[0], study.storage.weights
    with named_memory(compute):
        result = measure(entry.spec(), entry.published, images, weights, batch_size, device, progress)
    require_published(result, model)
    if not result["passed"]:
        raise ValueError(
            f"{result['n_images']} images are too few to tell an accuracy: the gate needs {ENOUGH} or more"
        )
    with atomic_path(output) as temporary:
        temporary.write_text(json.dumps(result) + "\n", encoding="utf-8")


def _survey(network: nn.Module, size: int, entry: ModelEntry) -> Survey:
    # Training puts another head of few units in, which may be what a pattern of the network's own layers gives.
    strict = entry.spec().head is None
    try:
        return survey_layers(network, size, choice=entry.choice, strict=strict)
    except ValueError as error:
        raise ValueError(f"{entry.name}: {error}") from error


def _untrained(spec: ModelSpec) -> ModelSpec:
    return replace(spec, weights="random" if spec.weights == "random" else "built")


def _require_one_value(network: nn.Module, spec: ModelSpec, layers: list[LayerSpec], expected: Preprocessing) -> None:
    """Refuse a network already here, though with weights that may not be the trained ones: no job waits for those."""
    images = normalise(noise(expected.size), expected)
    require_own_outputs(network, layers, images)
    if spec.library == "factory":
        again = build(_untrained(spec))
        if spec.weights in UNTRAINED and spec.head is None:  # weights of a fine-tuned network are none of the factory's
            require_repeated(network, again, spec.constructor)
        again.load_state_dict(network.state_dict())
        require_same_outputs(network, again, layers, images)
