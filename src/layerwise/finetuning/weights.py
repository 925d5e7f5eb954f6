"""The file of a fine-tuned network: its weights, and all that is needed to build it again and to show it images."""

import hashlib
import json
import os
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import safetensors
import torch
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor, nn

from layerwise.files import atomic_path, reraise_memory
from layerwise.interfaces import DegenerateWarning, Geometry, ModelSpec, Preprocessing
from layerwise.interfaces.finetuning import DIVERGED, FinetuneSettings
from layerwise.models import replace_head
from layerwise.models.construction import construct
from layerwise.models.states import load_state

KEY = "layerwise-finetuned"  # the only one of the metadata: safetensors writes several in no fixed order
VERSION = 1


@dataclass(frozen=True)
class FineTunedModel:
    """What a file of a fine-tuned network says of it.

    Parameters
    ----------
    spec : ModelSpec
        The network that was trained on.
    classifiers : tuple of str
        Dotted names of the modules that have one unit now.
    preprocessing : Preprocessing
        What it expects of its input.
    geometry : Geometry
        How photographs became the pixels that it was trained on, from which crops of the input's size were taken.
    ratings, measure : str
        Name of the scores in their study, and what they measure.
    split : str
        Number of the split whose training images it has seen, from 1.
    settings : FinetuneSettings
        How it was trained.
    origins : mapping of str to str
        Hashes of what it was made from, by name; and whether training diverged.
    """

    spec: ModelSpec
    classifiers: tuple[str, ...]
    preprocessing: Preprocessing
    geometry: Geometry
    ratings: str
    measure: str
    split: str
    settings: FinetuneSettings
    origins: Mapping[str, str]

    @property
    def diverged(self) -> str:
        """What was no longer finite, if training diverged, so that the weights are NaN."""
        return self.origins.get(DIVERGED, "")


_ABOUT = TypeAdapter(FineTunedModel)


def write_weights(path: str | Path, weights: Mapping[str, Tensor], about: FineTunedModel) -> None:
    """Write a fine-tuned network, whole or not at all; the same content gives the same bytes.

    Parameters
    ----------
    path : path
        Ends in .safetensors.
    weights : mapping of str to Tensor
        All of `state_dict`; a tensor that has several names is written under each.
    about : FineTunedModel
        What it is.

    Raises
    ------
    ValueError
        Something of `about` is of a kind that JSON does not give back, or of another type than it states.
    """
    text = _ABOUT.dump_json(about, warnings="error").decode()
    if _ABOUT.validate_json(text) != about:
        raise ValueError(f"what {path} is to say of {about.spec.name!r} cannot be read back from JSON: {text}")
    apart = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in weights.items()}
    head = {"version": VERSION, "sha256": _checksum(text, apart), "about": text}
    with atomic_path(path) as temporary:
        _save(apart, temporary, {KEY: json.dumps(head)})


def _save(tensors: dict[str, Tensor], path: Path, metadata: dict[str, str]) -> None:
    """Write a file of tensors; its library has an error of its own for a disk that is full.

    It also puts a file of its own in place of the one that is there, which nobody else may read.
    """
    mode = path.stat().st_mode
    try:
        save_file(tensors, path, metadata)
        path.chmod(mode)
    except SafetensorError as error:
        number = re.search(r"\(os error (\d+)\)", str(error))
        if number is None:
            raise
        raise OSError(int(number[1]), os.strerror(int(number[1]))) from error


def read_about(path: str | Path) -> FineTunedModel:
    """Read what a file says of its network, without its weights, which are not checked.

    Raises
    ------
    ValueError
        It is no file of a fine-tuned network, or one that this version does not know.
    """
    path = Path(path)
    metadata, _ = _read(path, with_weights=False)
    return _parse(path, _head(path, metadata)["about"])


def load_finetuned(path: str | Path) -> tuple[nn.Module, FineTunedModel]:
    """Build a fine-tuned network, in eval mode and on the CPU, with what its file says of it.

    Neither the pretrained weights nor the study are needed; a factory's own code is.

    Warns
    -----
    DegenerateWarning
        Training diverged, and the weights are NaN.

    Raises
    ------
    ValueError
        The file is none of a fine-tuned network, is damaged or was edited, or does not fit what the library builds.
    """
    path = Path(path)
    metadata, weights = _read(path, with_weights=True)
    head = _head(path, metadata)
    if head["sha256"] != _checksum(head["about"], weights):
        raise ValueError(f"{path} is damaged or was edited: its checksum does not hold; copy it again, or train anew")
    about = _parse(path, head["about"])
    network = construct(replace(about.spec, weights="built", head=None))
    try:
        replace_head(network, about.classifiers, 1)
    except ValueError as error:
        raise ValueError(f"{path} does not fit what {about.spec.constructor!r} is now: {error}") from error
    load_state(network, weights, path)
    if about.diverged:
        told = f"{path}: training on split {about.split} diverged ({about.diverged}), and its weights are NaN"
        warnings.warn(told, DegenerateWarning, stacklevel=2)
    return network.eval(), about


def _read(path: Path, with_weights: bool) -> tuple[dict[str, str], dict[str, Tensor]]:
    if not path.is_file():
        raise ValueError(f"no file {path}: name the weights.safetensors of a fine-tuned network")
    try:
        with safetensors.safe_open(path, "pt") as file:
            names = file.keys() if with_weights else ()
            return file.metadata() or {}, {name: file.get_tensor(name) for name in names}
    except (safetensors.SafetensorError, OSError, RuntimeError) as error:
        reraise_memory(error, f"reading {path}")
        raise ValueError(
            f"{path} is no file of a fine-tuned network, or damaged ({error}): name the weights.safetensors that "
            "fine-tuning wrote, or copy it again"
        ) from error


def _head(path: Path, metadata: Mapping[str, str]) -> dict[str, Any]:
    if KEY not in metadata:
        raise ValueError(
            f"{path} holds tensors, but is no fine-tuned network of layerwise: name the weights.safetensors that "
            "fine-tuning wrote"
        )
    try:
        head = json.loads(metadata[KEY])
        version = head["version"]
        if version == VERSION:
            return {name: str(head[name]) for name in ("sha256", "about")}
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} was edited or is damaged: what it says of its network cannot be read") from error
    raise ValueError(
        f"{path} is of version {version!r} of the format, and this layerwise reads {VERSION}: use the layerwise that "
        "wrote it"
    )


def _parse(path: Path, text: str) -> FineTunedModel:
    try:
        return _ABOUT.validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "all of it"
        raise ValueError(
            f"{path} was edited or is damaged: what it says of its network cannot be read ({place}: {first['msg']})"
        ) from error


def _checksum(text: str, weights: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256(text.encode())
    for name, tensor in sorted(weights.items()):
        digest.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
        digest.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
