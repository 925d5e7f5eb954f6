"""What a job may take: the memory of its devices and of the host, disk, and which batches. From the config alone."""

from dataclasses import dataclass
from typing import Self

from layerwise.config import Study
from layerwise.config.settings import CPU_BATCH


@dataclass(frozen=True)
class Budget:
    """What one job may take.

    Parameters
    ----------
    device : int
        Bytes of each device, for layers: of a GPU, or of the job's own memory where the device is the CPU.
    host : int
        Bytes of the job's own memory beside that of its GPUs; 0 where the device is the CPU.
    disk : int
        Bytes of the sketches of one job.
    n_devices : int
        Devices that divide the layers of a job.
    gpus : int
        GPUs to ask the cluster for.
    on_gpu : bool
        Whether devices are GPUs.
    batch_sizes : tuple of int
        Images in a forward pass that may be chosen, the largest first.
    threads : int
        Threads of a job.
    """

    device: int
    host: int
    disk: int
    n_devices: int
    gpus: int
    on_gpu: bool
    batch_sizes: tuple[int, ...]
    threads: int

    @classmethod
    def of(cls, study: Study, on_gpu: bool | None = None) -> Self:
        """Read the budget of a study's jobs.

        Parameters
        ----------
        study : Study
            The study.
        on_gpu : bool, optional
            Whether devices are GPUs; default: as the config asks. A job whose groups were not planned before it, as an
            extraction, may use a GPU that nobody asked for.
        """
        compute = study.compute
        asked = compute.device == "cuda" or (compute.device == "auto" and compute.gpus > 0)
        on_gpu = asked if on_gpu is None else on_gpu
        return cls(
            device=compute.gpu_memory if on_gpu else compute.memory,
            host=compute.memory if on_gpu else 0,
            disk=study.memorability.disk,
            n_devices=max(1, compute.gpus) if on_gpu else 1,
            gpus=compute.gpus if on_gpu else 0,
            on_gpu=on_gpu,
            batch_sizes=_batch_sizes(study, on_gpu),
            threads=compute.threads,
        )


def _batch_sizes(study: Study, on_gpu: bool) -> tuple[int, ...]:
    """Return that of the config, or halves of the default, the largest first."""
    largest = study.compute.images_at_once(on_gpu)
    if study.compute.batch_size is not None:
        return (largest,)
    return tuple(largest // 2**halved for halved in range(4) if largest // 2**halved >= CPU_BATCH)
