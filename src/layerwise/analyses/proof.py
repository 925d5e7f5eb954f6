"""Checks, network by network, of every fact in ``models.tsv``."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

from layerwise.analyses.accuracy import measure_accuracy
from layerwise.data.images import apply_geometry, load_square
from layerwise.interfaces import LayerChoice, LayerSpec, ModelSpec, Preprocessing, Progress, no_progress
from layerwise.layers import LayerTap, Survey, leave_out, read_manifest, shipped_manifest, survey_layers
from layerwise.layers.patterns import Module, names_around
from layerwise.models import (
    PenultimateTap,
    build,
    build_empty,
    find_classifiers,
    geometry_for,
    normalise,
    replace_head,
    resolve_preprocessing,
)
from layerwise.models.adapters import ADAPTERS
from layerwise.models.equivalence import prove_equivalence
from layerwise.models.registry import REFUSED, RegistryRow
from layerwise.models.states import read_state, same_values
from layerwise.models.weights import check_hash, find_official

Labelled = Sequence[tuple[Path, int]]  # images of ImageNet and their classes

LEGEND = {
    "parameters": "trainable values of the network that was built, equal to those of models.tsv",
    "layers": "listed anew, equal to the list that ships, and as many as in models.tsv",
    "skipped": "modules that run but are no layers, since they give something other than a row of numbers an image",
    "hooks": "layers that gave the units of the list when the network ran",
    "penultimate": "units of the input of the classifier, equal to those of models.tsv",
    "head": "a head of one output in place of the classifier: a step of training changes it, and it gives both signs",
    "preprocessing": "equal, to 1e-6, to the library's own function, or to one written here after its documentation",
    "mirror": "timm's network, whose weights stand in: given equal parameters, its layers give equal outputs (1e-5)",
    "weights": "whose file was found; its checksum is the published one, and it fits; none that is not here is passed",
    "accuracy": "top-1, per cent, on ImageNet's images: within .5 and the chance of so many of the published one",
    "unverified": "what nobody verified: empty cells of models.tsv; mirror_values: that the values of timm's file are "
    "the official ones; same_as_2020: that those of torchvision's file, written anew since the study, are the old ones",
}
COLUMNS = ("name", *LEGEND)
FAILED = "FAILED"
TOLERANCE = 1e-6  # of the preprocessed values' range
STEP = 1e-3
BATCH = 32  # images at once, for an accuracy


def prove(row: RegistryRow, weights: Path | None = None, images: Labelled | None = None) -> dict[str, str]:
    """Check every fact of one network by running it, with random weights.

    Parameters
    ----------
    row : RegistryRow
        The facts.
    weights : path, optional
        Folder of official weights.
    images : sequence of (path, class), optional
        Validation images of ImageNet, for the accuracy.

    Returns
    -------
    dict of str to str
        By `COLUMNS`: what was found; a cell that begins with ``FAILED`` contradicts the facts, or says why it
        could not be found.
    """
    network = cache(lambda: build(row.name))  # within the checks: a network that cannot be built is a finding, too
    survey = cache(lambda: survey_layers(build_empty(row.name), _expected(row).size))
    checks: dict[str, Callable[[], str]] = {
        "parameters": lambda: _parameters(network(), row),
        "layers": lambda: _layers(survey(), row),
        "skipped": lambda: list_skipped(survey()),
        "hooks": lambda: _hooks(network(), row),
        "penultimate": lambda: _penultimate(network(), row),
        "head": lambda: _head(network(), row),  # changes the network: last of its checks
        "preprocessing": lambda: _preprocessing(row),
        "mirror": lambda: _mirror(row),
        "weights": lambda: _weights(row, weights),
        "accuracy": lambda: _accuracy(row, weights, images),
        "unverified": lambda: " ".join(row.unverified) or "-",
    }
    return {"name": row.name} | {column: _outcome(check) for column, check in checks.items()}


def failed(cell: str) -> bool:
    """Return whether a cell of `prove` contradicts the facts."""
    return cell.startswith(FAILED)


def count_layers(row: RegistryRow) -> list[LayerSpec]:
    """List the layers of a network as the study counts them."""
    return leave_out(survey_layers(build_empty(row.name), _expected(row).size).layers, row.later_modules)


def find_untold(row: RegistryRow) -> list[Module]:
    """Find the modules of a network whose manifest does not tell whether they give a layer if they are chosen."""
    network = build_empty(row.name)
    chosen = {layer.name for layer in survey_layers(network, _expected(row).size, choice=LayerChoice("all")).layers}
    first = {id(module): name for name, module in network.named_modules()}
    every = [name for name, module in network.named_modules(remove_duplicate=False) if first[id(module)] in chosen]
    listed = names_around(layer.name for layer in count_layers(row))
    untold = [Module(row.name, name, "yes") for name in every if name not in set(listed)]
    return untold + [Module(row.name, name, "no") for name in listed if name not in set(every)]


def list_skipped(survey: Survey) -> str:
    """Return which modules that run are no layers, and why."""
    return "; ".join(f"{module.layer} ({module.kind}) {module.reason}" for module in survey.skipped) or "-"


def describe(spec: ModelSpec) -> dict[str, Any]:
    """Describe a network that the registry does not hold, by building it without values.

    Returns
    -------
    dict
        The fields of ``models list``, then preprocessing, classifiers and skipped modules.
    """
    network, expected = build_empty(spec), resolve_preprocessing(spec)
    survey = survey_layers(network, expected.size)
    try:
        classifiers = find_classifiers(network, spec, expected.size)
    except ValueError as error:
        penultimate, stated = None, f"none: {error}"
    else:
        penultimate, stated = _penultimate_units(network, classifiers, expected.size), ", ".join(classifiers)
    return {
        "name": spec.name,
        "library": spec.library,
        "layers": len(survey.layers),
        "parameters": _count(network),
        "penultimate": penultimate,
        "input_size": expected.size,
        "top1": None,
        "preprocessing": asdict(expected),
        "classifier": stated,
        "skipped": list_skipped(survey),
    }


def require_published(result: dict[str, Any], name: str) -> None:
    """Stop at an accuracy that is not the published one.

    Raises
    ------
    ValueError
        The network is right about another share of the images.
    """
    if result["passed"] is False:
        raise ValueError(
            f"{name} is right about {result['top1']:.2f} % of {result['n_images']} images, published is "
            f"{result['published']:.2f} %: the weights, the labels or the preprocessing are not those of the network"
        )


def measure(
    spec: ModelSpec,
    published: float | None,
    images: Labelled,
    weights: Path | None,
    batch_size: int,
    device: str,
    progress: Progress,
) -> dict[str, Any]:
    """Measure the ImageNet accuracy of a network with its weights and its preprocessing.

    Images are read as torchvision and timm read them when they publish an accuracy: a camera's rotation (EXIF) is not
    applied, as it is to the stimuli of a study.

    Returns
    -------
    dict
        model, weights, top1, top5, n_images, published, passed (None: nothing is published, or too few images to tell).
    """
    expected = resolve_preprocessing(spec)
    geometry = geometry_for(expected, "crop")
    found = measure_accuracy(
        build(spec, weights_folder=weights),
        images,
        expected,
        lambda path: load_square(path, geometry, upright=False),
        published,
        batch_size,
        device,
        progress,
    )
    return {"model": spec.name, "weights": spec.weights} | asdict(found) | {"passed": found.passed}


def _outcome(check: Callable[[], str]) -> str:
    try:
        return check()
    except ValueError as error:
        return f"{FAILED} {error}"
    except Exception as error:  # of a library, which may raise anything: the other cells and networks are still checked
        return f"{FAILED} {type(error).__name__}: {error}"


def _expected(row: RegistryRow) -> Preprocessing:
    return resolve_preprocessing(_spec(row))


def _spec(row: RegistryRow, weights: str = "random") -> ModelSpec:
    return ModelSpec(row.name, row.library, row.constructor, weights=weights)


def _agree(what: str, found: object, known: object) -> str:
    if found != known:
        raise ValueError(f"{what} {found}, known is {known}")
    return str(found)


def _images(row: RegistryRow) -> torch.Tensor:
    size = _expected(row).size
    return torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))


def _parameters(network: nn.Module, row: RegistryRow) -> str:
    return _agree("parameters", _count(network), row.parameters)


def _count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def _layers(survey: Survey, row: RegistryRow) -> str:
    layers = leave_out(survey.layers, row.later_modules)
    shipped = shipped_manifest(row.name)
    if shipped is None or read_manifest(shipped) != layers:
        raise ValueError(f"{len(layers)} layers, which are not those of the shipped list")
    return _agree("layers", len(layers), row.layers)


def _hooks(network: nn.Module, row: RegistryRow) -> str:
    shipped = shipped_manifest(row.name)
    if shipped is None:
        raise ValueError("no list of layers ships")
    seen: dict[str, int] = {}
    layers = {layer.name: layer.units for layer in read_manifest(shipped)}
    with LayerTap(network, layers, lambda name, output: seen.update({name: output.shape[1]})):
        _scores(network, _images(row))
    _agree("units of layers", {name: seen.get(name) for name in layers}, layers)
    return f"{len(seen)} give their units"


def _scores(network: nn.Module, images: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        scores: torch.Tensor = network(images)
    return scores


def _penultimate(network: nn.Module, row: RegistryRow) -> str:
    size = _expected(row).size
    classifiers = find_classifiers(network, _spec(row), size)
    return _agree("penultimate units", _penultimate_units(network, classifiers, size), row.penultimate_dim)


def _penultimate_units(network: nn.Module, classifiers: Sequence[str], size: int) -> int | None:
    image = torch.zeros(1, 3, size, size, device=next(network.parameters()).device)
    with PenultimateTap(network, classifiers) as tap:
        _scores(network, image)
    return None if tap.output is None else tap.output.shape[1]


def _head(network: nn.Module, row: RegistryRow) -> str:
    head = replace_head(network, row.classifier).get_submodule(row.classifier)
    images = _images(row)
    before = _scores(network, images)
    _agree("shape of the output", tuple(before.shape), (2, 1))
    _agree("the output is finite and not zero:", bool(before.isfinite().all() and before.all()), True)
    for parameter in head.parameters():
        parameter.data.neg_()
    _agree(
        "the output of a head of opposite sign is the opposite:", torch.equal(_scores(network, images), -before), True
    )
    _step(network, head, images)
    after = _scores(network, images)
    _agree("a step changes the output:", bool(after.isfinite().all()) and not torch.equal(after, -before), True)
    return "trains, both signs"


def _step(network: nn.Module, head: nn.Module, images: torch.Tensor) -> None:
    # Batch norm's running statistics are put back: they change the output without any training.
    statistics = {name: buffer.clone() for name, buffer in network.named_buffers()}
    old = {name: parameter.detach().clone() for name, parameter in head.named_parameters()}
    _agree("parameters of the head", sorted(old), ["bias", "weight"])
    # Only the head moves: the gradients of a random PolyNet are so large that a step of all of it gives NaN.
    optimiser = torch.optim.SGD(head.parameters(), lr=STEP)
    (network.train()(images) - 1).square().mean().backward()
    optimiser.step()
    for name, buffer in network.eval().named_buffers():
        buffer.copy_(statistics[name])
    for name, parameter in head.named_parameters():
        gradient = torch.zeros(1) if parameter.grad is None else parameter.grad
        _agree(f"gradient of the {name} is finite, not zero:", bool(gradient.isfinite().all() and gradient.any()), True)
        _agree(f"a step changes the {name}:", not torch.equal(parameter, old[name]), True)


def _preprocessing(row: RegistryRow) -> str:
    expected = _expected(row)
    picture = np.random.default_rng(0).integers(0, 256, (397, 530, 3), dtype=np.uint8)
    adapter = ADAPTERS[row.library]
    theirs = adapter.transform(row.constructor)(Image.fromarray(picture))
    pixels = torch.from_numpy(apply_geometry(picture, geometry_for(expected, "crop")).copy())
    difference = float((normalise(pixels[None], expected)[0] - theirs).abs().max()) / expected.maximum
    if difference > TOLERANCE:
        raise ValueError(f"differs by {difference:.2g} from that of the library")
    return "as documented" if adapter.documented else "as the library"


def _mirror(row: RegistryRow) -> str:
    if row.mirror is None:
        return f"{REFUSED}{row.no_mirror}" if row.no_mirror else "none"
    return f"{prove_equivalence(row)} layers equal"


def _weights(row: RegistryRow, folder: Path | None) -> str:
    found = find_official(row, folder)
    if found is None:
        return f"not downloaded: {_why_not_here(row, folder)}"
    build(_spec(row, "imagenet"), weights_folder=folder)
    return f"{found.kind}{'' if found.sha256 else ', checksum unknown'}{_beside_2020(row, folder)}"


def _beside_2020(row: RegistryRow, folder: Path | None) -> str:
    if folder is None or not row.file_2020:
        return ""
    files = folder / row.file, folder / row.file_2020
    if not all(file.is_file() for file in files):
        return ""
    check_hash(files[1], row.sha256_2020)
    if not same_values(*(read_state(file) for file in files)):
        raise ValueError(f"{row.file} holds other values than {row.file_2020}, the file of 2020")
    return ", its values are those of the file of 2020"


def _accuracy(row: RegistryRow, weights: Path | None, images: Labelled | None) -> str:
    if images is None:
        return "not provable here: no ImageNet"
    if find_official(row, weights) is None:
        return "not provable here: weights not downloaded"
    where = "cuda" if torch.cuda.is_available() else "cpu"
    result = measure(_spec(row, "imagenet"), row.top1, images, weights, BATCH, where, no_progress)
    require_published(result, row.name)
    found = f"{result['top1']:.2f} of {result['n_images']} images"
    if row.top1 is None:
        return f"not provable: {found}, but none is published"
    return f"{found}, published {row.top1:.2f}" if result["passed"] else f"not provable: {found}, which are too few"


def _why_not_here(row: RegistryRow, folder: Path | None) -> str:
    if folder is None and not row.package:
        return "no folder of weights is given"
    files = dict.fromkeys([row.file, row.mirror.file] if row.mirror is not None else [row.file])
    return f"no {' or '.join(files)} in {folder or f'the package {row.package}'}"
