"""Fine-tuning of one network on several splits at once on one GPU, each as if it were alone.

One network leaves much of a GPU idle at 32 images. So the steps of the splits take turns: each goes to a CUDA stream of
its own as a graph of its own, and the GPU runs them side by side. On a CPU the splits are trained one after another.
"""

import gc
import logging
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from layerwise.files import ran_out
from layerwise.finetuning.folds import FineTuned, Job, images_seen
from layerwise.finetuning.history import Epoch
from layerwise.finetuning.images import SomeImages
from layerwise.finetuning.parts import Fold
from layerwise.finetuning.state import Reached
from layerwise.finetuning.stopping import DivergedError
from layerwise.finetuning.training import Pace, Trainer, log_epoch, surroundings
from layerwise.interfaces import Pixels, Preprocessing, Stop, StoppedError, agreeing, counted, never
from layerwise.interfaces.finetuning import FinetuneSettings

FoldReport = Callable[[Fold, Epoch, Pace], None]
Done = Callable[[Fold, FineTuned], None]
log = logging.getLogger(__name__)


def log_fold(fold: Fold, epoch: Epoch, pace: Pace) -> None:
    """Write a line to the log."""
    log_epoch(epoch, pace, f"split {fold.split + 1}, ")


def fine_tune_folds(
    network: nn.Module,
    classifiers: str | Sequence[str],
    pixels: Pixels,
    preprocessing: Preprocessing,
    folds: Sequence[Fold],
    settings: FinetuneSettings,
    device: torch.device,
    states: Sequence[str | Path] | None = None,
    depends_on: Mapping[str, str] | None = None,
    resident: bool = True,
    stop: Stop = never,
    report: FoldReport = log_fold,
    done: Done = lambda fold, result: None,
    record: bool = True,
    keep_diverged: bool = False,
) -> list[FineTuned]:
    """Fine-tune a network on several splits, each with the result that `fine_tune` gives it alone.

    With `deterministic` it is the same to the bit; else it differs as two runs of `fine_tune` do. The pixels of all
    splits are kept once, and each split sees its own. As many are trained at once as fit into the GPU's memory; the
    others follow as soon as one has ended.

    Parameters
    ----------
    network : nn.Module
        With its pretrained weights; it is copied, and stays as it is.
    folds : sequence of Fold
        The splits.
    states : sequence of path, optional
        A file for each split, from which it is resumed.
    report : callable
        Told of each epoch of each split. The pace of a split is what it had beside the others.
    done : callable
        Given the result of each split as soon as it has ended.
    keep_diverged : bool
        Whether a split that diverges has a result, which is NaN (`FineTuned`), in place of an error at the end. Its
        state stays.
    classifiers, pixels, preprocessing, settings, device, depends_on, resident, stop, record
        As for `fine_tune`.

    Raises
    ------
    StoppedError
        It was asked to stop; the states of all splits that run are saved.
    ValueError
        As for `fine_tune`. A split that diverges (`DivergedError`) leaves the others running, and is told of at the
        end.
    """
    job = Job(classifiers, pixels, preprocessing, settings, device, depends_on, resident, stop, record)
    with surroundings(settings, device):
        return _Together(job, network, folds, states, report, done, keep_diverged).run()


@dataclass(eq=False)
class _Running:
    """A split that is trained."""

    number: int
    network: nn.Module
    trainer: Trainer
    steps: Iterator[None]
    stream: "torch.cuda.Stream | None"

    def on_stream(self) -> AbstractContextManager[object]:
        return torch.cuda.stream(self.stream) if self.stream else nullcontext()


class _Together:
    """Takes splits in turns, a step each."""

    def __init__(
        self,
        job: Job,
        network: nn.Module,
        folds: Sequence[Fold],
        states: Sequence[str | Path] | None,
        report: FoldReport,
        done: Done,
        keep_diverged: bool,
    ) -> None:
        self._keep_diverged = keep_diverged
        self._job, self._network, self._folds, self._states = job, network, folds, states
        self._report, self._done = report, done
        self._seen = job.hold(images_seen(folds))
        self._waiting, self._running = deque(range(len(folds))), list[_Running]()
        self._results: dict[int, FineTuned] = {}
        self._diverged: list[DivergedError] = []
        self._at_once = 1
        self._first: Reached | None = None

    def run(self) -> list[FineTuned]:
        while self._waiting or self._running:
            while self._waiting and len(self._running) < self._at_once:
                self._start(self._waiting.popleft())
            for running in tuple(self._running):
                self._advance(running)
        if self._diverged:
            raise self._diverged[0]
        return [self._results[number] for number in range(len(self._folds))]

    def _start(self, number: int) -> None:
        """Prepare a split; the first one shows how many fit beside each other."""
        free = self._free() if not self._first else 0
        try:
            running = self._prepare(number)
        except (RuntimeError, MemoryError) as error:
            if not self._running or not ran_out(error):
                raise
            self._waiting.appendleft(number)
            self._at_once = len(self._running)
            log.warning(
                "no more fit into the GPU's memory: %s at once",
                counted(self._at_once, "split is trained", "splits are trained"),
            )
            return
        self._running.append(running)
        if not self._first:
            self._first = running.trainer.reached
            self._at_once = self._room(free)

    def _prepare(self, number: int) -> _Running:
        fold, network = self._folds[number], deepcopy(self._network)
        stream = None
        if self._job.device.type == "cuda":
            stream = torch.cuda.Stream(self._job.device)  # type: ignore[no-untyped-call]
            stream.wait_stream(torch.cuda.default_stream(self._job.device))  # pixels may still be on their way
        with torch.cuda.stream(stream):
            trainer = self._job.trainer(
                network, fold, SomeImages(self._seen, images_seen([fold])),
                self._states[number] if self._states else None,
                lambda epoch, pace: self._report(fold, epoch, pace), self._first,
            )  # fmt: skip
            steps = trainer.steps()
            next(steps)
        return _Running(number, network, trainer, steps, stream)

    def _free(self) -> int:
        """Return the bytes that are free on the GPU."""
        if self._job.device.type != "cuda":
            return 0
        gc.collect()
        torch.cuda.synchronize(self._job.device)
        torch.cuda.empty_cache()
        return torch.cuda.mem_get_info(self._job.device)[0]

    def _room(self, before: int) -> int:
        """Return how many splits fit, if each takes what the first did, and one such share is left for validation."""
        if self._job.device.type != "cuda":
            return 1
        free = self._free()
        at_once = max(1, min(len(self._folds), free // max(1, before - free)))
        log.info("%d of %d splits are trained at once, %.1f GB each", at_once, len(self._folds), (before - free) / 1e9)
        return at_once

    def _advance(self, running: _Running) -> None:
        with running.on_stream():
            try:
                next(running.steps)
                return
            except StopIteration:
                pass
            except DivergedError as error:
                self._running.remove(running)
                self._diverge(running, error)
                return
            except StoppedError as stopped:
                self._halt(running, stopped)
            self._running.remove(running)
            fold = self._folds[running.number]
            result = self._job.result(running.network, running.trainer.reached, fold)
        self._end(running.number, result)

    def _end(self, number: int, result: FineTuned) -> None:
        self._results[number] = result
        self._done(self._folds[number], result)

    def _diverge(self, running: _Running, error: DivergedError) -> None:
        """Tell of a split that diverged, now if it is not alone; it ends with a result, or with an error at the end."""
        fold, trainer = self._folds[running.number], running.trainer
        if len(self._folds) > 1 or self._keep_diverged:
            log.warning("split %d: %s", fold.split + 1, error)
        if not self._keep_diverged:
            self._diverged.append(error)
            return
        history = [*trainer.reached.history, trainer.broken_off()]
        self._end(running.number, self._job.diverged(running.network, history, fold, error.what))

    def _halt(self, first: _Running, stopped: StoppedError) -> None:
        """Save the states of the other splits that run, too."""
        others = [running for running in self._running if running is not first]
        for running in others:
            with running.on_stream(), suppress(StoppedError, DivergedError):
                running.trainer.halt("another split stopped")
        if others:
            verb = agreeing(len(others), "does", "do")
            told = f"{stopped} (so {verb} the {counted(len(others), 'other split')} that this job trained)"
            raise StoppedError(told, stopped.advanced) from None
        raise stopped
