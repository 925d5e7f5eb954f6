"""What is tried before training: the parts of a batch that fit, the recording of a step, and its compilation."""

import gc
import logging
import pickle
import random
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from layerwise.files import ran_out
from layerwise.finetuning.compiling import compile_network, compiled_whole
from layerwise.finetuning.networks import batch_norms, set_training
from layerwise.finetuning.optimisers import state_tensors
from layerwise.finetuning.precision import arithmetic
from layerwise.finetuning.step import PlainStep, RecordedStep, Step
from layerwise.interfaces.finetuning import WORTHWHILE, FinetuneSettings
from layerwise.passes.devices import current_device
from layerwise.passes.graphs import warm_up

WARM_UPS = 3  # steps before a recording, in which libraries choose their algorithms
TIMED = 20  # steps of a trial
TOLERANCE = 2e-2  # between the losses of a graph and of plain steps: bf16 rounds to 4e-3
DRIFT = 3  # times what rounding and the order of sums do to plain steps, which is allowed in addition
_UNLIKE = {
    "graph": ("it draws random numbers outside PyTorch's generator or depends on the images, so it runs call by call"),
    "compilation": "rounding does not explain it, so the network runs as it is",
}
TINY = 1e-30  # in place of a loss of 0
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Prepared:
    """A step that was tried.

    Parameters
    ----------
    step : Step
        For batches of full size.
    plain : PlainStep
        For batches of any size.
    accumulate : int
        Parts into which a batch is divided.
    recorded : bool
        Whether the step is a CUDA graph.
    compiled : bool
        Whether it runs the network compiled.
    """

    step: Step
    plain: PlainStep
    accumulate: int
    recorded: bool
    compiled: bool = False


def prepare_step(
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    settings: FinetuneSettings,
    inputs: Tensor,
    targets: Tensor,
    accumulate: int | None = None,
    record: bool = True,
    steps: int = 0,
) -> Prepared:
    """Try steps on a batch, find how many parts of it fit into memory, and on a GPU record a graph, compiled or not.

    Parameters and buffers are the same afterwards; what the optimiser remembers is there, and zero.

    Parameters
    ----------
    network, optimiser, settings
        As for `PlainStep`.
    inputs, targets : Tensor
        A batch of full size.
    accumulate : int, optional
        Parts to begin with; default: the settings'.
    record : bool
        Whether to record a graph, where there is a GPU.
    steps : int
        That training takes at least; "auto" compiles where they last.

    Raises
    ------
    ValueError
        The network gives no score for each image, has no deterministic way to compute, or learns what its weights lack.
    MemoryError
        Not even single images, or pairs for batch normalisations, fit into memory.
    """
    set_training(network, settings)
    undo = _Undo(network, optimiser)
    plain = PlainStep(network, optimiser, settings, accumulate or settings.accumulate or 1)
    with current_device(inputs.device), undo, torch.random.fork_rng(_gpus(inputs.device)):
        _find_parts(plain, settings, inputs, targets, undo)
        _tell_of_idle(network, settings)
        _require_saved(undo)
        replaced = undo.replaced()
        undo()
        if record and inputs.is_cuda and replaced:
            log.warning(
                "the network puts other tensors in place of its buffers (first: %s), which a CUDA graph would read as "
                "they were once and for all: its step runs call by call",
                replaced[0],
            )
        elif record and inputs.is_cuda:
            return _Choice(plain, inputs, targets, undo).quickest(steps)
    return Prepared(plain, plain, plain.accumulate, False)


class _Undo:
    """Puts parameters and buffers back in place, and the optimiser's memory to zero, as it is before a first step."""

    def __init__(self, network: nn.Module, optimiser: torch.optim.Optimizer) -> None:
        self._network, self._optimiser = network, optimiser
        self._buffers = dict(network.named_buffers())
        self._tensors = [tensor.detach() for tensor in (*self._buffers.values(), *network.parameters())]
        self._kept = [tensor.clone() for tensor in self._tensors]

    def replaced(self) -> list[str]:
        """Name the buffers in whose place the network has put other tensors, as an assignment does."""
        now = dict(self._network.named_buffers())
        return [name for name, buffer in self._buffers.items() if now.get(name) is not buffer]

    def unsaved(self) -> list[str]:
        """Name the buffers that have changed and are not given away with the network's weights."""
        before = dict(zip(self._buffers, self._kept, strict=False))
        saved, now = self._network.state_dict().keys(), dict(self._network.named_buffers())
        return [name for name in now.keys() - saved if name not in before or not _same(now[name], before[name])]

    def __call__(self) -> None:
        self._optimiser.zero_grad(set_to_none=True)
        for name in self.replaced():
            owner, _, last = name.rpartition(".")
            self._network.get_submodule(owner)._buffers[last] = self._buffers[name]
        with torch.no_grad():
            for tensor, kept in zip(self._tensors, self._kept, strict=True):
                tensor.copy_(kept)
            for tensor in state_tensors(self._optimiser).values():
                tensor.zero_()

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        self()


def _same(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and bool(((one == other) | (one.isnan() & other.isnan())).all())


def _require_saved(undo: _Undo) -> None:
    """Refuse a network that learns what its file would lack, and a state too."""
    unsaved = sorted(undo.unsaved())
    if unsaved:
        raise ValueError(
            f"the network changes {unsaved[0]} as it learns, and does not give it away with its weights: register it "
            "as a buffer that is persistent"
        )


def _find_parts(plain: PlainStep, settings: FinetuneSettings, inputs: Tensor, targets: Tensor, undo: _Undo) -> None:
    """Double the parts of a batch until a step fits into memory."""
    smallest = 2 if settings.batch_norms == "learn" and batch_norms(plain.network) else 1
    while True:
        try:
            _warm_up(plain, inputs, targets)
            return
        except ValueError as error:
            if "more than 1 value per channel" not in str(error):
                raise
            raise ValueError(
                f"a part of a batch is a single image with `accumulate: {plain.accumulate}`, of which a batch "
                "normalisation has no variance: set fewer parts, or `batch_norms: frozen`"
            ) from error
        except RuntimeError as error:
            if "deterministic" in str(error):
                raise ValueError(
                    f"the network has no deterministic way to compute on this device ({error}): set "
                    "`deterministic: false`"
                ) from error
            if not ran_out(error):
                raise
            parts = _more_parts(plain.accumulate, settings, len(inputs), smallest)
            if parts is None:
                asked = settings.accumulate is not None and len(inputs) // (2 * plain.accumulate) >= smallest
                advice = "set `accumulate` to more parts" if asked else "use a GPU with more memory"
                raise MemoryError(
                    f"{-(-len(inputs) // plain.accumulate)} images of a batch do not fit into memory at once, and "
                    f"fewer {'are not allowed' if asked else 'cannot be trained on'}: {advice}"
                ) from error
        undo()
        _free(inputs.device)
        plain.accumulate = parts
        log.warning(
            "a batch of %d images does not fit into memory: gradients of %d parts of it are added up%s",
            len(inputs), parts, ", and batch normalisations see these parts" if smallest == 2 else "",
        )  # fmt: skip


def _tell_of_idle(network: nn.Module, settings: FinetuneSettings) -> None:
    """Warn of parameters that a step gave no gradient: training is meant to be end to end."""
    frozen = batch_norms(network) if settings.batch_norms == "frozen" else []
    meant = {id(parameter) for norm in frozen for parameter in norm.parameters()}
    named = {name: parameter for name, parameter in network.named_parameters() if id(parameter) not in meant}
    idle = {name: parameter for name, parameter in named.items() if parameter.grad is None}
    if idle:
        share = sum(map(Tensor.numel, idle.values())) / sum(map(Tensor.numel, named.values()))
        log.warning(
            "%d of %d parameters of the network, %.0f %% of its weights, got no gradient in a first step (first: %s), "
            "and will not learn unless the network skips them at random",
            len(idle), len(named), 100 * share, next(iter(idle)),
        )  # fmt: skip


def _more_parts(parts: int, settings: FinetuneSettings, images: int, smallest: int) -> int | None:
    more = parts * 2
    return more if settings.accumulate is None and images // more >= smallest else None


def _warm_up(plain: PlainStep, inputs: Tensor, targets: Tensor) -> None:
    if not inputs.is_cuda:
        plain(inputs, targets, 0)
        return
    warm_up(lambda: [plain(inputs, targets, 0) for _ in range(WARM_UPS)])
    torch.cuda.synchronize()


class _Choice:
    """Records a step as it is, or compiled.

    A graph would freeze what comes from elsewhere than inputs, weights and PyTorch's generator. So a network runs call
    by call if another generator moves while it trains, or if two first steps, which no update precedes, differ. Not
    seen is what comes from a generator that lives for one call and changes a first loss by less than `TOLERANCE`.
    """

    def __init__(self, plain: PlainStep, inputs: Tensor, targets: Tensor, undo: _Undo) -> None:
        self.plain, self.inputs, self.targets, self.undo = plain, inputs, targets, undo
        generators = _generators()
        states = [list(map(_state, generators))]
        self._wanted = self._losses(plain)  # before a graph takes its memory
        states.append(list(map(_state, generators)))
        again = self._losses(plain)
        states.append(list(map(_state, generators)))
        # Sums in another order make updates differ, and so the steps behind them, but hardly a first loss.
        self._slack = [TOLERANCE, TOLERANCE + DRIFT * _apart(again[1::2], self._wanted[1::2])] * (len(again) // 2)
        # What other threads draw meanwhile, such as crops, comes from generators that are made for it, and move once.
        drawn = any(first != second != third for first, second, third in zip(*states, strict=True))
        self._freezes = self._find_frozen(drawn, again)

    def _find_frozen(self, drawn: bool, again: Sequence[float]) -> str:
        """Say what a graph would freeze, though it changes from step to step; nothing if there is no such thing."""
        if drawn:
            return "this network draws random numbers outside PyTorch's generator, which a CUDA graph would draw once"
        for pair in zip(self._wanted[::2], again[::2], strict=True):
            if _apart(pair[:1], pair[1:]) > TOLERANCE:
                return (
                    "first steps of this network from the same weights, images and seed give different losses "
                    f"({pair[0]:.6g} and {pair[1]:.6g}): it draws random numbers outside PyTorch's generator or keeps "
                    "a state of its own, which a CUDA graph would hold"
                )
        return ""

    def quickest(self, steps: int) -> Prepared:
        """Return what the settings want, or what a trial shows to be quicker where so many steps last."""
        plain, settings = self.plain, self.plain.settings
        if self._freezes:
            log.warning("%s once and for all: its step runs call by call", self._freezes)
            return Prepared(plain, plain, plain.accumulate, False)
        if settings.compile == "always":
            return self._compiled() or self._as_it_is()
        prepared = self._as_it_is()
        if settings.compile == "never" or settings.deterministic or not prepared.recorded:
            return prepared
        before = self._seconds(prepared.step)
        if before * steps < WORTHWHILE:
            return prepared
        del prepared  # two graphs may not fit side by side
        return self._quicker_than(before) or self._as_it_is()

    def _quicker_than(self, before: float) -> Prepared | None:
        prepared = self._compiled()
        if prepared is None:
            return None
        after = self._seconds(prepared.step)
        log.info("a step takes %.2f ms, and %.2f compiled", before * 1e3, after * 1e3)
        return prepared if after < before else None

    def _as_it_is(self) -> Prepared:
        """Return the step as a graph, or call by call, and say why."""
        plain = self.plain
        recorded = self._record(plain)
        return Prepared(recorded or plain, plain, plain.accumulate, recorded is not None)

    def _compiled(self) -> Prepared | None:
        """Return the compiled step as a graph, or None and say why."""
        plain = self.plain
        forward = compile_network(plain.network)
        step = PlainStep(plain.network, plain.optimiser, plain.settings, plain.accumulate, forward)
        try:
            with compiled_whole():
                _warm_up(step, self.inputs, self.targets)
                self.undo()
                more = DRIFT * self._rounding()
                self._slack = [slack + more for slack in self._slack]
                recorded = self._record(step) if self._agrees(step, "compilation") else None
        except Exception as error:  # a compiler may raise anything
            first = str(error).strip().partition("\n")[0]
            log.warning("the network cannot be compiled (%s: %s): it runs as it is", type(error).__name__, first)
            recorded = None
        self.undo()
        _free(self.inputs.device)
        return Prepared(recorded, plain, plain.accumulate, True, True) if recorded else None

    def _record(self, step: PlainStep) -> RecordedStep | None:
        _free(self.inputs.device)
        recorded = self._try_to_record(step)
        self.undo()
        if recorded is None:
            _free(self.inputs.device)  # only now: the error held what was computed until it came
            return None
        return recorded if self._agrees(recorded, "graph") else None

    def _try_to_record(self, step: PlainStep) -> RecordedStep | None:
        try:
            return RecordedStep(step, self.inputs, self.targets)
        except (RuntimeError, ValueError) as error:
            first = str(error).partition("\n")[0]
            log.warning("the step of this network cannot be recorded as a CUDA graph (%s): it runs call by call", first)
            return None

    def _agrees(self, step: Step, made: str) -> bool:
        """Hold a step's losses against those of plain steps."""
        for loss, found, slack in zip(self._wanted, self._losses(step), self._slack, strict=True):
            if not abs(found - loss) <= slack * abs(loss):
                log.warning(
                    "the %s of this network's step gives other losses than the step itself (%.6g, not %.6g): %s",
                    made, found, loss, _UNLIKE[made],
                )  # fmt: skip
                return False
        return True

    def _rounding(self) -> float:
        """Return what the precision does to losses, over them: a compilation rounds at other places."""
        plain = self.plain
        exact = PlainStep(
            plain.network, plain.optimiser, replace(plain.settings, precision="float32"), plain.accumulate
        )
        try:
            with arithmetic("float32"):
                return _apart(self._losses(exact), self._wanted)
        except RuntimeError as error:
            if not ran_out(error):
                raise
        self.undo()  # a step that broke off
        _free(self.inputs.device)
        return 0.0

    def _losses(self, step: Step) -> list[float]:
        """Run a step with different images and seeds, so that anything frozen into a graph shows."""
        losses = []
        for seed in (1, 2):
            losses += [float(step(self.inputs, self.targets, seed))]
            losses += [float(step(self.inputs.flip(3), self.targets, seed + 2))]
            self.undo()
        return losses

    def _seconds(self, step: Step) -> float:
        """Return the seconds of a step."""
        for number in range(TIMED + WARM_UPS):
            if number == WARM_UPS:
                torch.cuda.synchronize()
                start = time.perf_counter()
            step(self.inputs, self.targets, number)
        torch.cuda.synchronize()
        taken = (time.perf_counter() - start) / TIMED
        self.undo()
        return taken


def _apart(losses: Sequence[float], wanted: Sequence[float]) -> float:
    """Return the largest difference, over what was wanted; NaN where one is not finite."""
    return max(abs(one - other) / max(abs(other), TINY) for one, other in zip(losses, wanted, strict=True))


Generator = random.Random | np.random.BitGenerator


def _generators() -> list[Generator]:
    """Find all generators of Python and of NumPy, a network's own too: no seed of a step sets them."""
    return [one for one in gc.get_objects() if issubclass(type(one), Generator)]


def _state(generator: Generator) -> bytes:
    """Return all that decides what a generator draws next; nothing where it draws from the system."""
    try:
        return pickle.dumps(generator.getstate() if isinstance(generator, random.Random) else generator.state)
    except NotImplementedError:
        return b""


def _free(device: torch.device) -> None:
    gc.collect()
    if device.type == "cuda":
        with suppress(RuntimeError):  # after a recording that broke off
            torch.cuda.synchronize(device)
        torch.cuda.empty_cache()


def _gpus(device: torch.device) -> list[torch.device]:
    return [device] if device.type == "cuda" else []
