"""What is kept of buffers that a network filled, and its way to the disk behind the computation's back."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import torch

from layerwise.activations.gram import add_gram
from layerwise.activations.planner import Part, kind_of
from layerwise.activations.store import StoreWriter
from layerwise.interfaces import LayerSpec

WAITING = 2  # writes that wait for the disk while the computation goes on


class Writer:
    """Carries out writes in their order, in a thread of its own; an error comes with a later write, or at the end."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1)
        self._waiting: deque[Future[None]] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=error is not None)
        if error is None:
            self._let_wait(0)

    def put(self, write: Callable[[], None]) -> None:
        """Write soon; returns when no more than `WAITING` writes wait."""
        self._waiting.append(self._pool.submit(write))
        self._let_wait(WAITING)

    def _let_wait(self, most: int) -> None:
        while len(self._waiting) > most:
            self._waiting.popleft().result()


@dataclass
class Reducer:
    """Reduces the buffers of one device; holds the one Gram matrix that is being summed there.

    Parameters
    ----------
    store : StoreWriter
        Where to.
    writer : Writer
        Shared by all devices.
    n_stimuli : int
        Rows of the buffers.
    device : torch.device
        Where they are.

    Attributes
    ----------
    nonfinite : list of str
        Layers that gave NaN or infinite values, known when the writer has ended.
    """

    store: StoreWriter
    writer: Writer
    n_stimuli: int
    device: torch.device
    nonfinite: list[str] = field(default_factory=list)
    _gram: torch.Tensor | None = None
    _upper: torch.Tensor | None = None

    def take(self, part: Part, buffer: torch.Tensor) -> None:
        """Take the units of a part from a buffer [stimulus, unit], which may be overwritten afterwards."""
        if kind_of(part.layer, self.n_stimuli) == "activations":
            self._keep(part, buffer)
            return
        if self._gram is None:
            self._gram = torch.empty(self.n_stimuli, self.n_stimuli, dtype=torch.float64, device=self.device)
        if part.start == 0:
            self._gram.zero_()
        add_gram(self._gram, buffer)
        if part.stop == part.layer.units:
            self._finish(part.layer, self._gram)

    def _keep(self, part: Part, buffer: torch.Tensor) -> None:
        # On a CPU the buffer itself would be fetched, which is filled again before it is written.
        values, finite, arrived = self._fetch(buffer if self.device.type == "cuda" else buffer.clone())

        def write() -> None:
            arrived()
            self.store.put_activations(part, values.numpy())
            self._note(part.layer, bool(finite))

        self.writer.put(write)

    def _finish(self, layer: LayerSpec, gram: torch.Tensor) -> None:
        packed, finite, arrived = self._fetch(self._pick(gram))

        def write() -> None:
            arrived()
            if not finite:
                packed.fill_(torch.nan)
            self.store.put_gram(layer, packed.numpy())
            self._note(layer, bool(finite))

        self.writer.put(write)

    def _pick(self, gram: torch.Tensor) -> torch.Tensor:
        """Give the triangle that is kept: picked on the device, half as much is brought from it."""
        if self._upper is None:
            everything = torch.ones(self.n_stimuli, self.n_stimuli, dtype=torch.bool, device=self.device)
            self._upper = everything.triu_().flatten().nonzero()[:, 0]
        return gram.flatten()[self._upper]

    def _fetch(self, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, Callable[[], None]]:
        """Begin to bring values and whether all are finite from the device; the third waits until they are there."""
        finite = values.isfinite().all()
        if self.device.type != "cuda":
            return values, finite, lambda: None
        fetched = values.to("cpu", non_blocking=True), finite.to("cpu", non_blocking=True)
        event = torch.cuda.Event()  # type: ignore[no-untyped-call]
        event.record(torch.cuda.current_stream(self.device))
        return *fetched, event.synchronize

    def _note(self, layer: LayerSpec, finite: bool) -> None:
        if not finite and layer.name not in self.nonfinite:
            self.nonfinite.append(layer.name)
            self.store.mark_nonfinite(layer)
