"""CUDA graphs: what a GPU does for a batch, recorded once and replayed."""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Lock

import torch

_RECORDING = Lock()
SETTLED = 3  # launches until no error is left


def warm_up(step: Callable[[], object]) -> None:
    """Run a step once aside, as PyTorch wants it before the step is recorded."""
    aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        step()
    torch.cuda.current_stream().wait_stream(aside)


def record(step: Callable[[], None]) -> Callable[[], None]:
    """Record a step; return what replays it."""
    graph = torch.cuda.CUDAGraph()
    with recording(graph):
        step()
    return graph.replay


@contextmanager
def recording(graph: torch.cuda.CUDAGraph) -> Iterator[None]:
    """Record a graph; what breaks the recording off is raised, and everything is as before."""
    # An old graph that is collected meanwhile would break the recording off; so threads record one after another.
    with _RECORDING:
        gc.collect()
        gc.disable()
        _forget_workspaces()
        before, pool = torch.cuda.current_stream(), torch.cuda.graph_pool_handle()
        first: Exception | None = None
        try:
            # thread_local: another thread, which drives another GPU, may allocate meanwhile. The stream that PyTorch
            # would take is one for all threads, on the GPU that recorded first.
            stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
            with torch.cuda.graph(graph, pool=pool, stream=stream, capture_error_mode="thread_local"):
                try:
                    yield
                except Exception as error:
                    first = error
                    raise
        except Exception as error:
            torch.cuda.set_stream(before)  # PyTorch stays in the other one if a recording does not end well
            _give_back(pool)
            _settle(torch.device("cuda"))
            raise (first or error) from None
        finally:
            _forget_workspaces()
            gc.enable()


def _give_back(pool: tuple[int, int]) -> None:
    """Let memory of a recording that did not end be freed, which PyTorch would keep for it for good."""
    device = torch.cuda.current_device()
    try:
        torch._C._cuda_endAllocateToPool(device, pool)
    except RuntimeError:  # it did end: the graph gives it back itself
        return
    torch._C._cuda_releasePool(device, pool)


def _settle(device: torch.device) -> None:
    """Let autograd's threads tell of what broke a recording off: a thread is told of an error at its next launch."""
    for _ in range(SETTLED):
        with suppress(RuntimeError):
            torch.ones((), device=device, requires_grad=True).square().backward()  # type: ignore[no-untyped-call]
            return


def _forget_workspaces() -> None:
    """Let cuBLAS allocate its working memory anew, which PyTorch keeps for each stream.

    Graphs that were recorded in one stream, and PyTorch has only 32, would have one workspace between them: run at
    once, they overwrite each other's partial sums there, and may wait for each other's counters for ever.
    """
    torch._C._cuda_clearCublasWorkspaces()
