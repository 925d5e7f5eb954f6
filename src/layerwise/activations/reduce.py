"""What is kept of buffers that a network filled, and its way to the disk behind the computation's back."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import numpy as np
import torch

from layerwise.activations.gram import add_gram
from layerwise.activations.packing import packed_size
from layerwise.activations.planner import Part, kind_of
from layerwise.activations.store import StoreWriter
from layerwise.interfaces import LayerSpec

WAITING = 2  # writes that wait for the disk while the computation goes on; the budget has room for them


class Writer:
    """Carries out writes in their order, in a thread of its own; an error comes with a later write, or at the end.

    Parameters
    ----------
    backlog : int
        Bytes that may wait, where these are more than `WAITING` writes: small layers come in bursts.
    """

    def __init__(self, backlog: int) -> None:
        self._backlog = backlog
        self._pool = ThreadPoolExecutor(1)
        self._waiting: deque[tuple[Future[None], int]] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=error is not None)
        while self._waiting and error is None:
            self._wait()

    def put(self, write: Callable[[], None], size: int) -> None:
        """Write so many bytes soon; returns when no more wait than may."""
        self._waiting.append((self._pool.submit(write), size))
        while len(self._waiting) > WAITING and sum(waiting for _, waiting in self._waiting) > self._backlog:
            self._wait()

    def _wait(self) -> None:
        write, _ = self._waiting.popleft()
        write.result()


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
    _pinned: torch.Tensor | None = None

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
        fetch = self._fetch(buffer.clone())  # the buffer is filled again before this is written

        def write() -> None:
            values, finite = fetch()
            self.store.put_activations(part, values.numpy())
            self._note(part.layer, finite)

        self.writer.put(write, buffer.nbytes)

    def _finish(self, layer: LayerSpec, gram: torch.Tensor) -> None:
        packed = self._pick(gram)
        fetch = self._fetch(packed)

        def write() -> None:
            values, finite = fetch()
            self.store.put_gram(layer, values.numpy() if finite else np.full(len(values), np.nan))
            self._note(layer, finite)

        self.writer.put(write, packed.nbytes)

    def _pick(self, gram: torch.Tensor) -> torch.Tensor:
        """Give the triangle that is kept: picked on the device, half as much is brought from it."""
        if self._upper is None:
            everything = torch.ones(self.n_stimuli, self.n_stimuli, dtype=torch.bool, device=self.device)
            self._upper = everything.triu_().flatten().nonzero()[:, 0]
        return gram.flatten()[self._upper]

    def _fetch(self, values: torch.Tensor) -> Callable[[], tuple[torch.Tensor, bool]]:
        """Give what brings values to the host, and says whether all are finite, when their turn to be written comes."""
        finite = values.isfinite().all()
        if self.device.type != "cuda":
            return lambda: (values, bool(finite))
        computed = torch.cuda.Event()  # type: ignore[no-untyped-call]
        computed.record(torch.cuda.current_stream(self.device))

        def bring() -> tuple[torch.Tensor, bool]:
            # A stream of its own: in the one that computes it would wait for all that has been launched since.
            stream = torch.cuda.Stream(self.device)  # type: ignore[no-untyped-call]
            with torch.cuda.stream(stream):
                computed.wait(stream)
                arrived = self._landing(values).copy_(values, non_blocking=True)
                return arrived, bool(finite)  # which waits for both

        return bring

    def _landing(self, values: torch.Tensor) -> torch.Tensor:
        """Give pinned memory for values; the same each time, since to pin takes longer than to write."""
        if self._pinned is None:
            self._pinned = torch.empty(packed_size(self.n_stimuli), dtype=torch.float64, pin_memory=True)
        return self._pinned.view(values.dtype)[: values.numel()].view(values.shape)

    def _note(self, layer: LayerSpec, finite: bool) -> None:
        if not finite and layer.name not in self.nonfinite:
            self.nonfinite.append(layer.name)
            self.store.mark_nonfinite(layer)
