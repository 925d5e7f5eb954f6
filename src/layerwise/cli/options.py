"""Options that several commands share, and what they make of them."""

import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from layerwise.cli.given import given_memory
from layerwise.files import writable
from layerwise.files.memory import MemoryRanOutError, ran_out, reason
from layerwise.interfaces import DegenerateWarning

if TYPE_CHECKING:
    from layerwise.config.settings import ComputeSettings


def writable_files(paths: Any) -> Any:
    """Refuse at once what no file can be written to, and not only when hours of work are to go there."""
    if isinstance(paths, list):
        return [writable(path) for path in paths]
    return None if paths is None else writable(paths)


Config = Annotated[Path, typer.Option("--config", help="Config file of the study.")]
Model = Annotated[str, typer.Option("--model", help="Name of a network of the study.")]
RegionName = Annotated[str, typer.Option("--region", help="Name of a region of the study.")]
Block = Annotated[str, typer.Option("--block", help="Block of layers, such as 001-064, counted by depth.")]
Activations = Annotated[Path, typer.Option("--activations", help="File that extract-activations made.")]
Output = Annotated[Path, typer.Option("--output", callback=writable_files, help="File to write.")]
Threads = Annotated[int | None, typer.Option("--threads", min=1, help="Threads; default: compute.threads.")]

CONFIG = Path("config.yaml")
PROCESS = 2 * 10**9  # bytes that Python, its libraries and a network take themselves
LEFT_TO_NETWORK = 0.15  # share of a GPU's free memory: parameters, a batch's activations, libraries


def choose_device(wanted: str) -> str:
    """Resolve "auto", and refuse a GPU that is not there.

    Raises
    ------
    ValueError
        "cuda" is wanted, but torch sees no GPU, or has no kernels for it.
    """
    import torch

    available = torch.cuda.is_available()
    if wanted == "cuda" and not available:
        raise ValueError("compute.device is cuda, but torch sees no GPU: ask for one (compute.gpus), or set it to auto")
    if wanted == "cpu" or not available:
        return "cpu"
    major, minor = torch.cuda.get_device_capability()
    # Kernels also run on later GPUs of the same major version: sm_89 takes those for sm_86.
    if not any(f"sm_{major}{least}" in torch.cuda.get_arch_list() for least in range(minor + 1)):
        raise ValueError(
            f"this build of torch ({torch.__version__}) has no kernels for {torch.cuda.get_device_name()} "
            f"(sm_{major}{minor}): install an older torch that has, or set compute.device to cpu"
        )
    return "cuda"


def choose_devices(wanted: str, gpus: int) -> list[str]:
    """Resolve "auto" for a job that can use several GPUs: as many as it asked for and sees.

    Raises
    ------
    ValueError
        As in `choose_device`.
    """
    import torch

    device = choose_device(wanted)
    if device == "cpu" or gpus < 2:
        return [device]
    seen = torch.cuda.device_count()
    if seen < gpus:
        typer.echo(f"{gpus} GPUs were asked for (compute.gpus), {seen} are here: going on with {seen}", err=True)
    return [f"cuda:{index}" for index in range(min(gpus, seen))]


def device_memory(devices: Sequence[str], memory: int, gpu_memory: int) -> int:
    """Give the bytes a job may take: `memory` on a CPU; `gpu_memory` on GPUs, if their free memory is as much."""
    import torch

    if devices == ["cpu"]:
        warn_of_host(memory)
        return memory
    free = min(torch.cuda.mem_get_info(device)[0] for device in devices)
    usable = int(free * (1 - LEFT_TO_NETWORK))
    if usable < gpu_memory:
        typer.echo(
            f"compute.gpu_memory is {gpu_memory / 1e9:.0f}GB, the GPU has {free / 1e9:.0f} GB free: taking "
            f"{usable / 1e9:.1f} GB, the rest is for the network",
            err=True,
        )
    return min(usable, gpu_memory)


def warn_of_host(memory: int) -> None:
    """Say so if the budget `compute.memory` is more than the job was given, before it is found out halfway."""
    given, source = given_memory()
    if given < memory + PROCESS:
        typer.echo(
            f"compute.memory is {memory / 1e9:.1f} GB, and {source} {given / 1e9:.1f} GB, of which the process itself "
            f"takes about {PROCESS / 1e9:.0f}: memory may run out; ask for more, or set compute.memory lower",
            err=True,
        )


def require_planned(devices: Sequence[str], planned_on_gpu: bool, compute: "ComputeSettings") -> None:
    """Refuse to fit on a CPU what was planned for the memory of a GPU; say so if that of a GPU or the host is short.

    Raises
    ------
    ValueError
        A GPU was planned with, and torch sees none.
    """
    import torch

    if planned_on_gpu and devices[0] == "cpu":
        raise ValueError(
            "this job was planned for a GPU and its memory (compute.gpus, compute.gpu_memory), but torch sees none: "
            "run it where there is one, or set compute.gpus to 0, so that it is planned with compute.memory"
        )
    warn_of_host(compute.memory)
    free = min((torch.cuda.mem_get_info(device)[0] for device in devices if device != "cpu"), default=None)
    if free is not None and free < compute.gpu_memory:
        typer.echo(
            f"compute.gpu_memory is {compute.gpu_memory / 1e9:.1f} GB, by which the layers of this job were planned, "
            f"and the GPU has {free / 1e9:.1f} GB free: memory may run out; set it lower",
            err=True,
        )


def limit_threads(threads: int) -> None:
    """Keep a job within the cores it was given."""
    import torch

    torch.set_num_threads(threads)


@contextmanager
def named_memory(compute: "ComputeSettings") -> Iterator[None]:
    """Tell memory that ran out, beyond what smaller batches could mend, in a sentence that names the budgets.

    Raises
    ------
    MemoryRanOutError
        A device, or the machine, ran out of memory.
    """
    try:
        yield
    except Exception as error:  # each library has its own
        if not ran_out(error):
            raise
        raise MemoryRanOutError(
            f"memory ran out ({reason(error)}). The budget of layers was compute.memory "
            f"({compute.memory / 1e9:.1f} GB), or compute.gpu_memory ({compute.gpu_memory / 1e9:.1f} GB) on a GPU, "
            f"and compute.batch_size, the images of a batch, is {compute.batch_size or 'not set'}: set these lower, or "
            "run the job where nothing else takes the memory"
        ) from error


@contextmanager
def counted_warnings() -> Iterator[None]:
    """Print each different warning about degenerate data once, with how often it came."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        warnings.simplefilter("always", DegenerateWarning)
        yield
    for message, count in Counter(str(warning.message) for warning in caught).items():
        times = f" ({count} times)" if count > 1 else ""
        typer.echo(f"warning: {message}{times}", err=True)
