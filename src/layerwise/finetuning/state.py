"""The state of a fine-tuning on disk, from which a job that was stopped or killed resumes to the bit."""

import errno
import hashlib
import logging
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, BinaryIO, cast

import torch
from torch import Tensor, nn

from layerwise.files import atomic_path, check_zip, reraise_memory, written
from layerwise.finetuning.history import Epoch
from layerwise.finetuning.optimisers import restore_tensors, state_tensors

log = logging.getLogger(__name__)

Key = Mapping[str, str]  # what the result depends on, each in words or as a hash: "network", "settings", "images" ...


@dataclass
class Reached:
    """How far training has come, without the network and the optimiser.

    Parameters
    ----------
    step : int
        Steps of the present epoch that are done; those of earlier epochs are in `history`.
    losses : float32 Tensor [step]
        Of the present epoch's steps; NaN where not done.
    history : list of Epoch
        Epochs that are done.
    best : dict of str to Tensor
        Weights after the best of them, on the CPU.
    accumulate : int
        Parts of a batch; 0 where nothing is known yet.
    compiled : bool
        Whether the network is compiled.
    """

    losses: Tensor
    step: int = 0
    history: list[Epoch] = field(default_factory=list)
    best: dict[str, Tensor] = field(default_factory=dict)
    accumulate: int = 0
    compiled: bool = False


def hash_network(network: nn.Module) -> str:
    """Hash the parameters and buffers of a network as they are."""
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        values = tensor.detach().cpu().contiguous().reshape(-1)
        digest.update(f"{name} {values.dtype} {tuple(tensor.shape)}".encode())
        digest.update(values.view(torch.uint8).numpy().data)
    return digest.hexdigest()


class State:
    """A state's file, and the one before it.

    Parameters
    ----------
    path : path
        Where it lies; the one before lies beside it.
    key : mapping of str to str
        Everything that the result depends on.
    """

    def __init__(self, path: str | Path, key: Key) -> None:
        self.path = Path(path)
        self.previous = self.path.with_name(f"{self.path.name}.previous")
        self._key = dict(key)

    def save(self, reached: Reached, network: nn.Module, optimiser: torch.optim.Optimizer) -> bool:
        """Write the state whole, or leave the old one; a disk that is full is a warning, and no more.

        Returns
        -------
        bool
            Whether it was written.
        """
        content = {
            "key": self._key,
            "reached": {**vars(reached), "history": [asdict(epoch) for epoch in reached.history]},
            "network": network.state_dict(),
            "optimiser": state_tensors(optimiser),
        }
        try:
            with atomic_path(self.path) as temporary:
                # A file, not its name: torch wants an ending in a name, and hides that a disk is full.
                with written(temporary) as file:
                    torch.save(content, cast(BinaryIO, file))
                    os.fsync(file.fileno())
                self._keep_previous()
        except (OSError, RuntimeError) as error:  # torch raises either if it cannot write
            reraise_memory(error, f"writing {self.path}")
            log.warning(
                "the state after %d epochs and %d steps could not be saved to %s (%s): training continues; if it "
                "is stopped, it resumes from the last state that was saved",
                len(reached.history), reached.step, self.path, error,
            )  # fmt: skip
            return False
        return True

    def load(self) -> dict[str, Any] | None:
        """Return the content of the last state that is whole, or None where there is none.

        Raises
        ------
        ValueError
            It is of another network, other settings or data.
        """
        for path in (self.path, self.previous):
            content = _read(path)
            if content is not None:
                self._check(path, content)
                return content
        return None

    def remove(self) -> None:
        """Remove the state and the one before it."""
        for path in (self.path, self.previous):
            path.unlink(missing_ok=True)

    def _keep_previous(self) -> None:
        if not self.path.exists():
            return
        linked = self.previous.with_name(f".{self.previous.name}-{os.getpid()}")
        try:
            linked.unlink(missing_ok=True)
            os.link(self.path, linked)  # so that there is never a moment without a state under the first name
            linked.replace(self.previous)
        except OSError as error:
            with suppress(OSError):
                linked.unlink(missing_ok=True)
            if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK):
                raise
            self.path.replace(self.previous)  # this file system has no links

    def _check(self, path: Path, content: dict[str, Any]) -> None:
        saved = content["key"]
        names = [name for name in {**saved, **self._key} if saved.get(name) != self._key.get(name)]
        if names:
            raise ValueError(
                f"{path} is the state of a fine-tuning with another {' and another '.join(names)}: delete it to start "
                "anew, or resume with what it was made with"
            )


def put_back(content: dict[str, Any], network: nn.Module, optimiser: torch.optim.Optimizer, reached: Reached) -> None:
    """Bring a state into a network, an optimiser that has taken a step, and `reached`, in place.

    In place since a CUDA graph that was recorded before reads and writes these very tensors.
    """
    tensors = network.state_dict()
    if tensors.keys() != content["network"].keys():
        raise ValueError("the state holds other tensors than this network: delete it")
    copy_values(tensors, content["network"])
    restore_tensors(optimiser, content["optimiser"])
    values = content["reached"]
    reached.losses.copy_(values["losses"])
    for name in ("step", "best", "accumulate", "compiled"):
        setattr(reached, name, values[name])
    reached.history = [Epoch(**epoch) for epoch in values["history"]]


def copy_values(tensors: Mapping[str, Tensor], values: Mapping[str, Tensor]) -> None:
    """Bring values into tensors of the same names, in place.

    Not by `load_state_dict`: without the versions that files of weights have, MNASNet refuses to load.
    """
    with torch.no_grad():
        for name, tensor in tensors.items():
            tensor.copy_(values[name])


def _read(path: Path) -> dict[str, Any] | None:
    """Return what a file holds, or None; say so and remove it where it is damaged, so that it replaces no whole one."""
    if not path.is_file():
        return None
    try:
        check_zip(path)
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        if not isinstance(content, dict) or not {"key", "reached", "network", "optimiser"} <= content.keys():
            raise ValueError("it holds something else")
    except (RuntimeError, ValueError, EOFError, UnpicklingError) as error:  # of a disk that does not answer it stays
        reraise_memory(error, f"reading {path}")
        log.warning("%s is damaged (%s): it is removed, and the state before it is used, if there is one", path, error)
        path.unlink()
        return None
    return content
