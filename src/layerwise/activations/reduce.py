"""What is kept of buffers that a network filled, and its way to the disk behind the computation's back."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Condition
from types import TracebackType
from typing import Self

import torch

from layerwise.activations.gram import add_gram
from layerwise.activations.parts import Part, kind_of
from layerwise.activations.store import StoreWriter
from layerwise.interfaces import LayerSpec, StoppedError

WAITING = 2  # writes that wait for the disk while the computation continues; the budget has room for them


class Writer:
    """Carries out writes in their order, in a thread of its own; after an error none, and the next `put` raises it.

    Any number of threads may use it.

    Parameters
    ----------
    backlog : int
        Bytes that may wait, where these are more than `WAITING` writes: small layers come in bursts.
    """

    def __init__(self, backlog: int) -> None:
        self._backlog = backlog
        self._pool = ThreadPoolExecutor(1)
        self._changed = Condition()
        self._count = self._bytes = 0  # of the writes that are not done
        self._error: BaseException | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        failed = error is not None and not isinstance(error, StoppedError)  # what a stopped run has done is kept
        if failed:
            self._abort(error)
        try:
            self._pool.shutdown(cancel_futures=failed)
        except BaseException as interruption:  # the file is closed next, and must not be written any more
            self._abort(interruption)
            self._pool.shutdown(cancel_futures=True)
            raise
        if not failed:
            self._raise()

    def put(self, write: Callable[[], None], size: int) -> None:
        """Write so many bytes soon; returns when no more wait than may."""
        with self._changed:
            self._raise()
            self._count, self._bytes = self._count + 1, self._bytes + size
            self._pool.submit(self._carry_out, write, size)
            self._changed.wait_for(lambda: self._error or self._count <= WAITING or self._bytes <= self._backlog)
            self._raise()

    def _abort(self, error: BaseException | None) -> None:
        """Wake the threads that wait for room: writes that are cancelled never make any."""
        with self._changed:
            self._error = self._error or error
            self._changed.notify_all()

    def _carry_out(self, write: Callable[[], None], size: int) -> None:
        try:
            if self._error is None:
                write()
        except BaseException as error:  # it is raised where the next write is asked for
            self._error = error
        with self._changed:
            self._count, self._bytes = self._count - 1, self._bytes - size
            self._changed.notify_all()

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error


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
    largest : int
        Bytes of the largest that is written at once.
    """

    store: StoreWriter
    writer: Writer
    n_stimuli: int
    device: torch.device
    largest: int
    _gram: torch.Tensor | None = None
    _patterns: torch.Tensor | None = None
    _upper: torch.Tensor | None = None
    _pinned: torch.Tensor | None = None

    def take(self, part: Part, buffer: torch.Tensor) -> None:
        """Take the units of a part from a buffer [stimulus, unit], which may be overwritten afterwards."""
        if kind_of(part.layer, self.n_stimuli) == "activations":
            self._keep(part, buffer)
            return
        if self._gram is None or self._patterns is None:
            self._gram = torch.empty(self.n_stimuli, self.n_stimuli, dtype=torch.float64, device=self.device)
            self._patterns = self._gram.new_empty(2, self.n_stimuli)
        if part.start == 0:
            self._gram.zero_()
            self._patterns.zero_()
        add_gram(self._gram, buffer, self._patterns)
        if part.stop == part.layer.units:
            self._finish(part.layer, torch.cat([self._pick(self._gram), self._patterns.flatten()]))

    def _keep(self, part: Part, buffer: torch.Tensor) -> None:
        fetch = self._fetch(buffer.clone())  # the buffer is filled again before this is written

        def write() -> None:
            values, finite = fetch()
            self.store.put_activations(part, values.numpy(), finite)

        self.writer.put(write, buffer.nbytes)

    def _finish(self, layer: LayerSpec, kept: torch.Tensor) -> None:
        fetch = self._fetch(kept)

        def write() -> None:
            values, finite = fetch()
            self.store.put_gram(layer, (values if finite else values.fill_(torch.nan)).numpy(), finite)

        self.writer.put(write, kept.nbytes)

    def _pick(self, gram: torch.Tensor) -> torch.Tensor:
        """Return the triangle that is kept: picked on the device, half as much is brought from it."""
        if self._upper is None:
            everything = torch.ones(self.n_stimuli, self.n_stimuli, dtype=torch.bool, device=self.device)
            self._upper = everything.triu_().flatten().nonzero()[:, 0]
        return gram.flatten()[self._upper]

    def _fetch(self, values: torch.Tensor) -> Callable[[], tuple[torch.Tensor, bool]]:
        """Return what brings values to the host, and whether all are finite, when it is their turn to be written."""
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
        """Return pinned memory for values; the same each time, since to pin takes longer than to write."""
        if self._pinned is None:
            self._pinned = torch.empty(self.largest, dtype=torch.uint8, pin_memory=True)
        return self._pinned[: values.nbytes].view(values.dtype).view(values.shape)
