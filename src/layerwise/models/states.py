"""Read files of weights and load them into a network: all tensors must fit."""

import logging
import pickle
import re
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from itertools import takewhile
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
USUAL = "state_dict"  # in a checkpoint
WRAPPERS = ("module", "_orig_mod")  # parts of names
AVERAGED = "n_averaged"  # beside the weights that PyTorch averages: how many it did
# What training code usually calls the network that it holds; other prefixes may carry meaning.
HOLDERS = frozenset(
    [
        "model",
        "net",
        "network",
        "backbone",
        "encoder",
        "ema",
        "ema_model",
        "model_ema",
        "average_model",
        "student",
        "teacher",
        "online",
        "target",
    ]
)


def read_state(path: str | Path) -> State:
    """Read a file of weights without running any code that it may hold.

    It is compared with the SHA-256 in ``FILE.sha256`` where that is there, else with the checksums of its own that an
    archive of torch has; of a file that has neither the hash is logged.

    Of a training checkpoint the ``state_dict`` is taken out, or what else there is of tensors by name, and the
    ``module.`` that data-parallel training puts before every name is removed.

    Raises
    ------
    ValueError
        The file is damaged, of another format, holds code, or holds something other than tensors by name.
    """
    return _usual(read_states(path))


def read_states(path: str | Path) -> dict[str, State]:
    """Read all sets of weights of a file, as a training checkpoint may hold several.

    Returns
    -------
    dict of str to dict of str to tensor
        By their names in the file; one that is the whole file has the name "".

    Raises
    ------
    ValueError
        As of `read_state`.
    """
    path = Path(path)
    if path.suffix not in _READERS:
        raise ValueError(f"{path} is no file of weights: it must end in {', '.join(_READERS)}")
    refuse_page(path)
    _check_bytes(path)
    content = _READERS[path.suffix](path)
    if not isinstance(content, Mapping) or not content:
        raise ValueError(f"{path} holds {type(content).__name__}, not tensors by name: save network.state_dict()")
    states = {"": content} if any(map(_is_tensor, content.values())) else _inner(content)
    if isinstance(content.get(USUAL), Mapping) and content[USUAL]:
        states[USUAL] = content[USUAL]
    for state in (states or {"": content}).values():
        _check(state, path)
    return {name: dict(state) for name, state in states.items()}


def find_state(network: nn.Module, path: str | Path) -> State:
    """Read a file of weights, and choose of it what fits a network, under the network's names.

    The names, or those of the network, may have before all of them what training code usually calls a network
    (``model.`` in a file of Lightning), and anywhere the ``module`` or ``_orig_mod`` that data-parallel training and
    compiling insert. What is chosen has a tensor of the right shape for every name of the network.

    Returns
    -------
    dict of str to tensor
        Where nothing fits, what `read_state` gives.

    Raises
    ------
    ValueError
        As of `read_state`; or several sets fit and differ, as the weights and their running average do.
    """
    states = read_states(path)
    fitting = {
        f"{name}{': ' if name and prefix else ''}{prefix}": state
        for name, whole in states.items()
        for prefix, state in _fitting(network, whole)
    }
    chosen = next(iter(fitting.values()), None)
    if chosen is None:
        return _usual(states)
    other = next((name for name, state in fitting.items() if not same_values(state, chosen)), None)
    if other is not None:
        raise ValueError(
            f"{path} holds several sets of weights that fit the network and differ, {' and '.join(fitting)}: save the "
            "one that is meant alone"
        )
    log.info("%s: the weights of the network are %s", path, " or ".join(filter(None, fitting)) or "the whole file")
    return chosen


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
    kinds = [
        f"{name} {state[name].dtype} instead of {value.dtype}"
        for name, value in expected.items()
        if name in state and _kind(state[name]) != _kind(value)
    ]
    problems = [("missing", missing), ("not in the network", extra), ("of another shape", shapes), ("no values", kinds)]
    text = "; ".join(f"{len(found)} {what} ({name_some(found)})" for what, found in problems if found)
    if text:
        raise ValueError(f"the weights in {source} do not fit the network: of {len(expected)} tensors {text}")
    # Names and shapes were checked against the current network, so the versions in the file must not count: with
    # those of the network, no module converts what needs no conversion.
    versioned = OrderedDict(state)
    versioned._metadata = expected._metadata  # type: ignore[attr-defined]
    network.load_state_dict(versioned)


def _kind(value: torch.Tensor) -> str:
    """Return what a tensor holds: values of one kind cannot stand for another's, as a quantised network's integers."""
    if value.is_quantized:
        return "quantised"
    return "complex" if value.is_complex() else "real" if value.is_floating_point() else "whole"


def fits(network: nn.Module, state: State) -> bool:
    """Return whether weights have the names and shapes of a network."""
    shapes = {name: value.shape for name, value in network.state_dict().items()}
    return shapes == {name: value.shape for name, value in state.items()}


def same_values(one: State, other: State) -> bool:
    """Return whether two files of weights hold the same tensors; the counters of batch norms do not count."""
    ours, theirs = (
        {name: value for name, value in state.items() if not name.endswith(COUNTER)} for state in (one, other)
    )
    return ours.keys() == theirs.keys() and all(torch.equal(value, theirs[name]) for name, value in ours.items())


def rename_in_order(network: nn.Module, state: State, source: str | Path) -> State:
    """Rename tensors to the names that the network has at the same place in its order.

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
        raise ValueError(
            f"{source} does not hold the network's tensors in its order: {name_some(wrong)} differ in shape"
        )
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
        kind = re.search(r"GLOBAL ([\w.]+)", str(error))
        raise ValueError(
            f"{path} is damaged, or holds Python objects besides tensors{f' ({kind[1]})' if kind else ''}; these could "
            "run any code and are not read. Save only network.state_dict(), or use .safetensors"
        ) from error
    except Exception as error:  # of damaged bytes any: IndexError, KeyError, struct.error, UnicodeDecodeError, ...
        reraise_memory(error, f"reading {path}")
        if "TorchScript" in str(error):
            raise ValueError(
                f"{path} is a TorchScript program, whose code is not run: save torch.jit.load(file).state_dict()"
            ) from error
        raise ValueError(
            f"{path} is not a whole file of weights ({type(error).__name__}: {error}): fetch or save it again"
        ) from error


def _read_safetensors(path: Path) -> Any:
    try:
        return safetensors.torch.load_file(path)
    except safetensors.SafetensorError as error:
        reraise_memory(error, f"reading {path}")
        raise ValueError(f"{path} is not a whole file of weights ({error}): fetch or save it again") from error


_READERS = {
    ".pth": _read_pickle,
    ".pt": _read_pickle,
    ".safetensors": _read_safetensors,
    ".ckpt": _read_pickle,
    ".bin": _read_pickle,
    ".tar": _read_pickle,
}


def _is_tensor(value: object) -> bool:
    return isinstance(value, torch.Tensor)


def _inner(content: Mapping[Any, Any], depth: int = 2) -> dict[str, Mapping[Any, Any]]:
    """Find the mappings of names to tensors in a checkpoint, some levels deep."""
    found: dict[str, Mapping[Any, Any]] = {}
    for key, value in content.items():
        if not isinstance(value, Mapping) or not value or not isinstance(key, str):
            continue
        if all(isinstance(name, str) and _is_tensor(part) for name, part in value.items()):
            found[key] = value
        elif depth > 1:
            found |= {f"{key}.{name}": part for name, part in _inner(value, depth - 1).items()}
    return found


def _check(state: Mapping[Any, Any], path: Path) -> None:
    nameless = [repr(key) for key in state if not isinstance(key, str)]
    if nameless:
        raise ValueError(f"{path} has keys that are no names: {name_some(nameless)}; save network.state_dict()")
    strange = [name for name, value in state.items() if not _is_tensor(value)]
    if strange:
        raise ValueError(f"{path} holds things other than tensors: {name_some(strange)}; save network.state_dict()")


def _usual(states: Mapping[str, State]) -> State:
    state = states[USUAL] if USUAL in states else next(iter(states.values()))
    if not all(name.startswith("module.") for name in state):
        return state
    return {name.removeprefix("module."): value for name, value in state.items()}


def _fitting(network: nn.Module, whole: State) -> Iterator[tuple[str, State]]:
    """Yield the parts of a set of weights that fit a network, by what stands before their names."""
    expected = network.state_dict()
    whole = {name: value for name, value in whole.items() if name != AVERAGED}
    ours, theirs = ({_plain(name): name for name in names} for names in (expected, whole))
    if len(ours) < len(expected) or len(theirs) < len(whole):
        return
    shared = _shared(ours)
    for prefix in sorted({"", *(part for name in theirs for part in _beginnings(name))}):
        rest = {name.removeprefix(prefix): name for name in theirs if name.startswith(prefix)}
        for start in dict.fromkeys(["", *shared]):
            wanted = {name.removeprefix(start): name for name in ours.values() for name in [_plain(name)]}
            state = {ours[wanted[name]]: whole[theirs[full]] for name, full in rest.items() if name in wanted}
            if len(state) == len(rest) and _fits_but_counters(expected, state):
                yield prefix, state


def _plain(name: str) -> str:
    return ".".join(part for part in name.split(".") if part not in WRAPPERS)


def _beginnings(name: str) -> list[str]:
    """List what may stand before a name."""
    parts = list(takewhile(HOLDERS.__contains__, name.split(".")[:-1]))
    return [".".join(parts[:count]) + "." for count in range(1, len(parts) + 1)]


def _shared(names: Iterable[str]) -> list[str]:
    """List what stands before all names."""
    names = list(names)
    return [start for start in _beginnings(names[0]) if all(name.startswith(start) for name in names)] if names else []


def _fits_but_counters(expected: State, state: State) -> bool:
    """Return whether all is there; files from before torch 0.4.1 lack the counters of batch norms."""
    shapes = {name: value.shape for name, value in expected.items() if name in state or not name.endswith(COUNTER)}
    return shapes == {name: value.shape for name, value in state.items()}


def name_some(names: Iterable[str]) -> str:
    """Name the first of some tensors."""
    listed = list(names)
    return ", ".join(listed[:SHOWN]) + (", ..." if len(listed) > SHOWN else "")
