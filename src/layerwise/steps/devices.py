"""Where a step computes, with how many threads and how much memory; none of it changes what a step gives."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch

from layerwise.config import Study
from layerwise.config.settings import ComputeSettings
from layerwise.files.memory import MemoryRanOutError, ran_out, reason
from layerwise.study import Plans
from layerwise.study.training import plan_training

DEVICES = ("auto", "cpu", "cuda")
LEFT_TO_NETWORK = 0.15  # share of a GPU's free memory: parameters, a batch's activations, libraries

log = logging.getLogger(__name__)


def choose_device(wanted: str, gpus: int = 0, setting: str = "compute.device") -> str:
    """Resolve "auto", and refuse a GPU that is not there.

    Parameters
    ----------
    wanted : {"auto", "cpu", "cuda"}
        Of the config.
    gpus : int
        GPUs that the job asked for: with one that torch does not see it would take a CPU for days, without a word.
    setting : str
        What says which device is wanted, for messages.

    Raises
    ------
    ValueError
        "cuda" is wanted, or GPUs were asked for, but torch sees no GPU, or has no kernels for it; or there is no such
        device.
    """
    if wanted not in DEVICES:
        raise ValueError(f"{setting} is {wanted!r}: it must be {', '.join(DEVICES[:-1])} or {DEVICES[-1]}")
    available = torch.cuda.is_available()
    if wanted == "auto" and gpus and not available:
        raise ValueError(
            f"this job asked for {gpus} GPU (compute.gpus), but torch sees none here: see what `nvidia-smi` tells on "
            "this node, run where there is one, or set compute.gpus to 0"
        )
    if wanted == "cuda" and not available:
        ask = "ask for one (compute.gpus)" if setting.startswith("compute.") else "run it where there is one"
        raise ValueError(f"{setting} is cuda, but torch sees no GPU: {ask}, or set it to auto")
    if wanted == "cpu" or not available:
        return "cpu"
    major, minor = torch.cuda.get_device_capability()
    # Kernels also run on later GPUs of the same major version: sm_89 takes those for sm_86.
    if not any(f"sm_{major}{least}" in torch.cuda.get_arch_list() for least in range(minor + 1)):
        raise ValueError(
            f"this build of torch ({torch.__version__}) has no kernels for {torch.cuda.get_device_name()} "
            f"(sm_{major}{minor}): install one that has (for a V100 `make LOCK=v100 .venv-v100/installed`), or set "
            f"{setting} to cpu"
        )
    return "cuda"


def choose_devices(wanted: str, gpus: int) -> list[str]:
    """Resolve "auto" for a job that can use several GPUs: as many as it asked for and sees.

    Raises
    ------
    ValueError
        As in `choose_device`.
    """
    device = choose_device(wanted, gpus)
    if device == "cpu" or gpus < 2:
        return [device]
    seen = torch.cuda.device_count()
    if seen < gpus:
        log.warning("%d GPUs were asked for (compute.gpus), %d are here: continuing with %d", gpus, seen, seen)
    return [f"cuda:{index}" for index in range(min(gpus, seen))]


def device_memory(devices: Sequence[str], memory: int, gpu_memory: int) -> int:
    """Return the bytes a job may take: `memory` on a CPU; `gpu_memory` on GPUs, if their free memory is as much."""
    if devices == ["cpu"]:
        return memory
    free = min(torch.cuda.mem_get_info(device)[0] for device in devices)
    usable = int(free * (1 - LEFT_TO_NETWORK))
    if usable < gpu_memory:
        log.warning(
            f"compute.gpu_memory is {gpu_memory / 1e9:.0f}GB, the GPU has {free / 1e9:.0f} GB free: taking "
            f"{usable / 1e9:.1f} GB, the rest is for the network"
        )
    return min(usable, gpu_memory)


def warn_of_plan(devices: Sequence[str], compute: ComputeSettings) -> None:
    """Warn if a GPU has less memory than the layers of this job were planned with."""
    free = min((torch.cuda.mem_get_info(device)[0] for device in devices if device != "cpu"), default=None)
    if free is not None and free < compute.gpu_memory:
        log.warning(
            f"compute.gpu_memory is {compute.gpu_memory / 1e9:.1f} GB, by which the layers of this job were planned, "
            f"and the GPU has {free / 1e9:.1f} GB free: memory may run out; set it lower"
        )


def hold_pixels(study: Study, model: str, pixels: int, n_splits: int, device: str) -> bool:
    """Decide whether the pixels of images are held in the memory of the device on which a network is trained.

    Parameters
    ----------
    study : Study
        The study.
    model : str
        Name of the network.
    pixels : int
        Bytes of all images.
    n_splits : int
        Splits that are trained on at once.
    device : str
        "cpu" or "cuda".
    """
    compute, on_gpu = study.compute, device != "cpu"
    memory = device_memory([device], compute.memory, compute.gpu_memory) if on_gpu else compute.memory
    try:
        training = n_splits * plan_training(Plans(study), model, on_gpu).rate.memory
    except ValueError:  # its layers are not listed
        training = memory // 2
    held = training + pixels <= memory
    log.info(
        "%.1f GB of pixels %s: training is planned with %.1f GB, and %s is %.1f GB",
        pixels / 1e9, "are held in memory" if held else "are read while the network is trained", training / 1e9,
        "compute.gpu_memory, or what is free of it," if on_gpu else "compute.memory", memory / 1e9,
    )  # fmt: skip
    return held


def limit_threads(threads: int) -> None:
    """Keep a job within the cores it was given."""
    torch.set_num_threads(threads)


@contextmanager
def named_memory(compute: ComputeSettings) -> Iterator[None]:
    """Report that memory ran out, where smaller batches could not help, in a sentence that names the budgets.

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
