"""Which of several ways to run a step is taken: call by call, as a CUDA graph, or as one of the compiled network."""

import gc
import logging
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from layerwise.files import ran_out
from layerwise.finetuning.compiling import compile_network, compiled_whole
from layerwise.finetuning.generators import find_generators, host_has_drawn, state_of
from layerwise.finetuning.precision import arithmetic
from layerwise.finetuning.step import PlainStep, RecordedStep, Step
from layerwise.finetuning.undoing import Undo
from layerwise.passes.graphs import warm_up

WARM_UPS = 3  # steps before a recording, in which libraries choose their algorithms
TIMED = 20  # steps of a trial
SEEDS = (1, 2)  # of the steps that are compared
TOLERANCE = 2e-2  # between the losses of a graph and of plain steps: bf16 rounds to 4e-3
DRIFT = 3  # times what rounding and the order of sums do to plain steps, which is allowed in addition
_UNLIKE = {
    "graph": "it draws random numbers outside PyTorch's generator or depends on the images, so it runs call by call",
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


class Choice:
    """Records a step as it is, or compiled.

    A graph would freeze what comes from elsewhere than inputs, weights and PyTorch's generator. So a network runs call
    by call if another generator moves while it trains, or if two first steps, which no update precedes, differ. Not
    seen is what comes from a generator that lives for one call and changes a first loss by less than `TOLERANCE`.
    """

    def __init__(self, plain: PlainStep, inputs: Tensor, targets: Tensor, undo: Undo) -> None:
        self.plain, self.inputs, self.targets, self.undo = plain, inputs, targets, undo
        generators = find_generators()
        states = [list(map(state_of, generators))]
        self._wanted = self._losses(plain)  # before a graph takes its memory
        on_host = inputs.is_cuda and host_has_drawn(SEEDS[-1] + len(SEEDS))
        states.append(list(map(state_of, generators)))
        again = self._losses(plain)
        states.append(list(map(state_of, generators)))
        # Sums in another order make updates differ, and so the steps behind them, but hardly a first loss.
        self._slack = [TOLERANCE, TOLERANCE + DRIFT * _apart(again[1::2], self._wanted[1::2])] * (len(again) // 2)
        # What other threads draw meanwhile, such as crops, comes from generators that are made for it, and move once.
        drawn = any(first != second != third for first, second, third in zip(*states, strict=True))
        self._freezes = self._find_frozen(drawn, on_host, again)

    def _find_frozen(self, drawn: bool, on_host: bool, again: Sequence[float]) -> str:
        """Say what a graph would freeze, though it changes from step to step; nothing if there is no such thing."""
        if on_host:
            return "this network draws from PyTorch's generator of the processor, which a CUDA graph would do once"
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
        if not prepared.recorded or not settings.worth_compiling():
            return prepared
        before = self._seconds(prepared.step)
        if not settings.worth_compiling(before * steps):
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
                run_aside(step, self.inputs, self.targets)
                self.undo()
                more = DRIFT * self._rounding()
                self._slack = [slack + more for slack in self._slack]
                recorded = self._record(step) if self._agrees(step, "compilation") else None
        except Exception as error:  # a compiler may raise anything
            first = str(error).strip().partition("\n")[0]
            log.warning("the network cannot be compiled (%s: %s): it runs as it is", type(error).__name__, first)
            recorded = None
        if recorded is None:
            self._recover()
        return Prepared(recorded, plain, plain.accumulate, True, True) if recorded else None

    def _record(self, step: PlainStep) -> RecordedStep | None:
        free(self.inputs.device)
        recorded = self._try_to_record(step)
        if recorded is None:
            self._recover()  # only now: the error held what was computed until it came
            return None
        self.undo()
        return recorded if self._agrees(recorded, "graph") else None

    def _try_to_record(self, step: PlainStep) -> RecordedStep | None:
        try:
            return RecordedStep(step, self.inputs, self.targets)
        except (RuntimeError, ValueError) as error:
            first = str(error).partition("\n")[0]
            log.warning("the step of this network cannot be recorded as a CUDA graph (%s): it runs call by call", first)
            return None

    def _recover(self) -> None:
        """Bring everything back after a trial that broke off; CUDA may tell of its error once more, in what follows."""
        for last in (False, False, True):
            try:
                self.undo()
                free(self.inputs.device)
                self.plain(self.inputs, self.targets, SEEDS[0])
                break
            except RuntimeError:
                if last:
                    raise
        self.undo()

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
        free(self.inputs.device)
        return 0.0

    def _losses(self, step: Step) -> list[float]:
        """Run a step with different images and seeds, so that anything frozen into a graph shows."""
        losses = []
        for seed in SEEDS:
            losses += [float(step(self.inputs, self.targets, seed))]
            losses += [float(step(self.inputs.flip(3), self.targets, seed + len(SEEDS)))]
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


def run_aside(plain: PlainStep, inputs: Tensor, targets: Tensor) -> None:
    """Run a step, on a GPU some in another stream: libraries choose their algorithms, and graphs want it."""
    if not inputs.is_cuda:
        plain(inputs, targets, 0)
        return
    warm_up(lambda: [plain(inputs, targets, 0) for _ in range(WARM_UPS)])
    torch.cuda.synchronize()


def free(device: torch.device) -> None:
    """Give memory that nobody uses back to a GPU."""
    gc.collect()
    if device.type == "cuda":
        with suppress(RuntimeError):  # after a recording that broke off
            torch.cuda.synchronize(device)
        torch.cuda.empty_cache()
