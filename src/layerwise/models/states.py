"""Reading files of weights, and fitting them into a network: strictly, or not at all."""

import logging
import pickle
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import nn

from layerwise.files import check_zip, hash_file, reraise_memory
from layerwise.models.downloads import kept_hash
from layerwise.models.pages import refuse_page

log = logging.getLogger(__name__)

State = dict[str, torch.Tensor]

SHOWN = 5  # names in a message
COUNTER = ".num_batches_tracked"


def read_state(path: str | Path) -> State:
    """Read a file of weights (.pth, .pt, .safetensors) without running any code that it may hold.

    It is compared with the SHA-256 in ``FILE.sha256`` where that is there, else with the checksums of its own that an
    archive of torch has; of a file that has neither the hash is logged.

    A ``state_dict`` inside it is taken out, and the ``module.`` that data-parallel training puts before every
    name is removed.

    Raises
    ------
    ValueError
        The file is damaged, of another format, holds code, or holds something other than tensors by name.
    """
    path = Path(path)
    if path.suffix not in _READERS:
        raise ValueError(f"{path} is no file of weights: it must end in {', '.join(_READERS)}")
    refuse_page(path)
    _check_bytes(path)
    content = _READERS[path.suffix](path)
    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    if not isinstance(content, Mapping) or not content:
        raise ValueError(f"{path} holds {type(content).__name__}, not tensors by name: save network.state_dict()")
    nameless = [repr(key) for key in content if not isinstance(key, str)]
    if nameless:
        raise ValueError(f"{path} has keys that are no names: {_some(nameless)}; save network.state_dict()")
    strange = [name for name, value in content.items() if not isinstance(value, torch.Tensor)]
    if strange:
        raise ValueError(f"{path} holds things other than tensors: {_some(strange)}; save network.state_dict()")
    return _without_prefix(dict(content))


def load_state(network: nn.Module, state: State, source: str | Path) -> None:
    """Put weights into a network; every name and every shape must fit.

    Parameters
    ----------
    network : nn.Module
        Changed in place, or not at all.
    state : dict of str to tensor
        Weights by name.
    source : path
        Where they come from, for the message.

    Raises
    ------
    ValueError
        Names are missing or left over, or shapes differ; the message counts them and names the first.
    """
    expected = network.state_dict()
    # Files from before torch 0.4.1 lack the counters of batch norms, which evaluation does not look at.
    counters = {name: value for name, value in expected.items() if name.endswith(COUNTER)}
    state = {**counters, **state}
    missing = [name for name in expected if name not in state]
    extra = [name for name in state if name not in expected]
    shapes = [
        f"{name} {tuple(state[name].shape)} instead of {tuple(value.shape)}"
        for name, value in expected.items()
        if name in state and state[name].shape != value.shape
    ]
    problems = [("missing", missing), ("not in the network", extra), ("of another shape", shapes)]
    text = "; ".join(f"{len(found)} {what} ({_some(found)})" for what, found in problems if found)
    if text:
        raise ValueError(f"the weights in {source} do not fit the network: of {len(expected)} tensors {text}")
    # Every name and shape is today's, whatever version the file remembers or forgot: with the versions of the
    # network, none of its modules converts what needs no conversion.
    versioned = OrderedDict(state)
    versioned._metadata = expected._metadata  # type: ignore[attr-defined]
    network.load_state_dict(versioned)


def fits(network: nn.Module, state: State) -> bool:
    """Say whether weights have the names and shapes of a network."""
    shapes = {name: value.shape for name, value in network.state_dict().items()}
    return shapes == {name: value.shape for name, value in state.items()}


def same_values(one: State, other: State) -> bool:
    """Say whether two files of weights hold the same tensors; the counters of batch norms do not count."""
    ours, theirs = (
        {name: value for name, value in state.items() if not name.endswith(COUNTER)} for state in (one, other)
    )
    return ours.keys() == theirs.keys() and all(torch.equal(value, theirs[name]) for name, value in ours.items())


def rename_in_order(network: nn.Module, state: State, source: str | Path) -> State:
    """Give tensors the names that the network has at the same place in its order.

    For files that hold the same tensors under the names of another implementation.

    Raises
    ------
    ValueError
        Their number differs, or a shape at some place.
    """
    expected = network.state_dict()
    if len(expected) != len(state):
        raise ValueError(f"{source} holds {len(state)} tensors, the network {len(expected)}: they cannot be matched")
    pairs = list(zip(expected.items(), state.items(), strict=True))
    wrong = [f"{name} and {theirs}" for (name, ours), (theirs, value) in pairs if ours.shape != value.shape]
    if wrong:
        raise ValueError(f"{source} does not hold the network's tensors in its order: {_some(wrong)} differ in shape")
    return {name: value for (name, _), (_, value) in pairs}


def _check_bytes(path: Path) -> None:
    known = kept_hash(path)
    if known:
        _compare(path, known)
    elif _begins_as_archive(path):
        try:
            check_zip(path)  # torch itself does not
        except ValueError as error:
            raise ValueError(
                f"{path} is damaged ({error}): fetch or save it again; if torch was told to save it without checksums, "
                f"write its SHA-256 into {path.name}.sha256"
            ) from error
    else:
        log.info(
            "%s has no checksum in it (its SHA-256 is %s): with this hash in %s.sha256 it is checked at each start",
            path,
            hash_file(path),
            path.name,
        )


def _begins_as_archive(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"PK\x03\x04"  # by which torch tells them, too


def _compare(path: Path, known: str) -> None:
    found = hash_file(path)
    if found != known:
        raise ValueError(
            f"{path} is damaged or another file: its SHA-256 is {found}, and {path.name}.sha256 says {known}; fetch or "
            f"save it again, or, if it was meant to change, delete {path.name}.sha256"
        )


def _read_pickle(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"{path} is damaged, or holds Python objects besides tensors; these could run any code and are "
            "not read. Save only network.state_dict(), or use .safetensors"
        ) from error
    except Exception as error:  # of damaged bytes any: IndexError, KeyError, struct.error, UnicodeDecodeError, ...
        reraise_memory(error, f"reading {path}")
        raise ValueError(
            f"{path} is not a whole file of weights ({type(error).__name__}: {error}): fetch or save it again"
        ) from error


def _read_safetensors(path: Path) -> Any:
    try:
        return safetensors.torch.load_file(path)
    except safetensors.SafetensorError as error:
        reraise_memory(error, f"reading {path}")
        raise ValueError(f"{path} is not a whole file of weights ({error}): fetch or save it again") from error


_READERS = {".pth": _read_pickle, ".pt": _read_pickle, ".safetensors": _read_safetensors}


def _without_prefix(state: State) -> State:
    if not all(name.startswith("module.") for name in state):
        return state
    return {name.removeprefix("module."): value for name, value in state.items()}


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    return ", ".join(listed[:SHOWN]) + (", ..." if len(listed) > SHOWN else "")
