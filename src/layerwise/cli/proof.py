"""Proof, network by network, that what ``models.tsv`` says is so."""

from collections.abc import Callable
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

from layerwise.data.images import apply_geometry, load_square
from layerwise.interfaces import LayerSpec, ModelSpec, Preprocessing, Progress
from layerwise.layers import LayerTap, leave_out, list_layers, read_manifest, shipped_manifest
from layerwise.models import (
    PenultimateTap,
    build,
    find_classifiers,
    find_weights,
    geometry_for,
    normalise,
    replace_head,
    resolve_preprocessing,
    sketch,
)
from layerwise.models.accuracy import measure_accuracy, read_labelled
from layerwise.models.adapters import ADAPTERS
from layerwise.models.equivalence import prove_equivalence
from layerwise.models.registry import REFUSED, RegistryRow

COLUMNS = (
    "name", "parameters", "layers", "hooks", "penultimate", "head", "preprocessing", "mirror", "weights", "unverified"
)  # fmt: skip
FAILED = "FAILED"
TOLERANCE = 1e-6  # of the preprocessed values' range
STEP = 1e-3


def prove(row: RegistryRow, weights: Path | None = None) -> dict[str, str]:
    """Check every fact of one network by running it, with random weights.

    Parameters
    ----------
    row : RegistryRow
        The facts.
    weights : path, optional
        Folder of official weights.

    Returns
    -------
    dict of str to str
        By `COLUMNS`: what was found; a cell that begins with ``FAILED`` contradicts the facts, or says why it
        could not be found.
    """
    network = cache(lambda: build(row.name))  # within the checks: that it cannot be built is a finding, too
    checks: dict[str, Callable[[], str]] = {
        "parameters": lambda: _parameters(network(), row),
        "layers": lambda: _layers(row),
        "hooks": lambda: _hooks(network(), row),
        "penultimate": lambda: _penultimate(network(), row),
        "head": lambda: _head(network(), row),  # changes the network: last of its checks
        "preprocessing": lambda: _preprocessing(row),
        "mirror": lambda: _mirror(row),
        "weights": lambda: _weights(row, weights),
        "unverified": lambda: " ".join(unverified(row)) or "-",
    }
    return {"name": row.name} | {column: _outcome(check) for column, check in checks.items()}


def failed(cell: str) -> bool:
    """Say whether a cell of `prove` contradicts the facts."""
    return cell.startswith(FAILED)


def unverified(row: RegistryRow) -> list[str]:
    """Name the facts of a network that nobody has verified."""
    facts = {
        "url": row.url or row.package,
        "sha256": row.sha256,
        "top1": row.top1,
        "parameters": row.parameters,
        "layers": row.layers,
        "penultimate": row.penultimate_dim,
        "preprocessing": row.preprocessing,
        "mirror_sha256": row.mirror is None or row.mirror.sha256,
    }
    return [name for name, value in facts.items() if not value]


def count_layers(network: nn.Module, row: RegistryRow) -> list[LayerSpec]:
    """List the layers of a network as the study counts them."""
    return leave_out(list_layers(network, _expected(row).size), row.later_modules)


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
    imagenet: Path,
    labels: Path | None,
    weights: Path | None,
    batch_size: int,
    device: str,
    progress: Progress,
) -> dict[str, Any]:
    """Measure the ImageNet accuracy of a network as a study would run it: its weights, its preprocessing.

    Returns
    -------
    dict
        model, weights, top1, top5, n_images, published, passed (None: nothing is published, or too few images to tell).
    """
    expected = resolve_preprocessing(spec)
    geometry = geometry_for(expected, "crop")
    found = measure_accuracy(
        build(spec, weights_folder=weights),
        read_labelled(imagenet, labels),
        expected,
        lambda path: load_square(path, geometry),
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
    except Exception as error:  # of a library, which may raise anything: the other cells and networks go on
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
    return _agree("parameters", sum(parameter.numel() for parameter in network.parameters()), row.parameters)


def _layers(row: RegistryRow) -> str:
    layers = count_layers(sketch(row.name), row)
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
    with PenultimateTap(network, find_classifiers(network, _spec(row), _expected(row).size)) as tap:
        _scores(network, _images(row)[:1])
    return _agree("penultimate units", None if tap.output is None else tap.output.shape[1], row.penultimate_dim)


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
    spec = _spec(row, "imagenet")
    if find_weights(spec, folder) is None:
        return f"not downloaded: {_why_not_here(row, folder)}"
    build(spec, weights_folder=folder)
    return "here, and fit"


def _why_not_here(row: RegistryRow, folder: Path | None) -> str:
    if folder is None and not row.package:
        return "no folder of weights is given"
    files = dict.fromkeys([row.file, row.mirror.file] if row.mirror is not None else [row.file])
    return f"no {' or '.join(files)} in {folder or f'the package {row.package}'}"
