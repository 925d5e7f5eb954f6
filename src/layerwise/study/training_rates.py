"""How long a network trains, and in how much memory: as measured, or else as estimated.

`finetune_rates.tsv` has a row for each network and precision that was measured: images a second and GB of a GPU, at
batches of 32. `benchmarks/finetuning_rates.py` writes it, and `finetuning_compiled.py` adds what a compilation gives.
`finetune_memory.tsv` has what was counted of each network that layerwise knows, without a GPU
(`benchmarks/finetuning_memory.py`): bytes of such a step, and of parts of it. Of other networks the layers say it.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Literal

from layerwise.interfaces import LayerSpec
from layerwise.models import registry
from layerwise.study.rates import CPU, Rates

Precision = Literal["tf32", "bf16", "float32"]

SOURCE = "benchmarks/finetuning_rates.md"  # of rows that name no other
TABLE = Path(__file__).with_name("finetune_rates.tsv")
COUNTED = Path(__file__).with_name("finetune_memory.tsv")
BATCH = 32  # images of the batches that were measured
GPU_CLASS = "an H100"
ESTIMATED = f"estimated from the units of its layers, of {GPU_CLASS}"
MEMORY = "benchmarks/finetuning_memory.md"
# Of 59 networks measured in TF32 on an H200 this gives .6 to 2.5 times the seconds.
IMAGE, UNIT = 4e-5, 2.6e-11  # seconds of an image, and of each unit of its layers
FLOAT32 = 2  # times as long as with TF32. Not measured: a bound
BACKWARD = 3  # times as long as a forward pass alone. Not measured: a bound
KEPT = 7  # bytes of a layer's output until gradients come back, for each unit and image
# Of what is counted without a GPU: times as many bytes, and bytes beside them, so that none of the networks that were
# measured holds more. VGGs in TF32 take most beside what is counted: their convolutions choose large workspaces.
MARGIN, WORKSPACES = 1.15, 21 * 10**8
PARAMETER = 16  # bytes of a parameter: itself, gradient, momentum, and one more of AdamW
LIBRARIES = 5 * 10**8  # bytes of workspaces
UNKNOWN = 10**8  # parameters of a network that nobody counted. Not measured: a bound


@dataclass(frozen=True)
class TrainingRate:
    """How a network trains.

    Parameters
    ----------
    seconds : float
        Of an image, on a GPU or on a core.
    memory : int
        Bytes of the device, without pixels, at the batches that were asked for.
    source : str
        Machine and place of what was measured, or that it is estimated.
    measured : bool
        Whether it was.
    prepared : float
        Seconds until the first step, where they were measured.
    """

    seconds: float
    memory: int
    source: str
    measured: bool
    prepared: float = 0


def training_rate(
    network: str | None,
    layers: Sequence[LayerSpec],
    precision: Precision,
    images: int,
    on_gpu: bool,
    n_parameters: int = UNKNOWN,
) -> TrainingRate:
    """Return how a network trains.

    Parameters
    ----------
    network : str or None
        Its name, if layerwise knows it.
    layers : sequence of LayerSpec
        Its layers.
    precision : {"tf32", "bf16", "float32"}
        Of products on a GPU.
    images : int
        Images that go through it at once.
    on_gpu : bool
        Whether on a GPU.
    n_parameters : int
        Of the network, or a bound (`parameters_of`).
    """
    units = sum(layer.units for layer in layers)
    memory = LIBRARIES + PARAMETER * n_parameters + KEPT * units * images
    if not on_gpu:
        seconds = BACKWARD * (CPU.exact_image + CPU.exact_unit * units)
        return TrainingRate(seconds, memory, f"estimated as {BACKWARD} forward passes on {CPU.machine}", measured=False)
    row, fixed = _measured().get((network or "", precision)), LIBRARIES + PARAMETER * n_parameters
    if row is not None:
        known = round(1e9 * float(row["gigabytes"]))
        source, prepared = f"one {row['device']} ({row.get('source') or SOURCE})", float(row["seconds_to_prepare"] or 0)
        seconds = 1 / float(row["images_per_second"])
        return TrainingRate(seconds, _scaled(known, fixed, images), source, True, prepared)
    seconds, source = (IMAGE + UNIT * units) * (FLOAT32 if precision == "float32" else 1), ESTIMATED
    counted = _counted().get((network or "", "bf16" if precision == "bf16" else "tf32"))  # as many bytes in float32
    if counted is not None:
        memory = _scaled(with_margin(round(1e9 * float(counted["gigabytes"]))), fixed, images)
        source = f"{ESTIMATED}, its memory as in {MEMORY}"
    return TrainingRate(seconds, memory, source, measured=False)


def compiled(network: str | None, precision: Precision, as_it_is: TrainingRate) -> TrainingRate:
    """Return the rate of a network that a job compiles, if it was measured and is quicker: trials keep what is."""
    row = _measured().get((network or "", precision))
    images = float(row["compiled_images_per_second"] or 0) if row and as_it_is.measured else 0
    if not row or images * as_it_is.seconds <= 1:
        return as_it_is
    return replace(as_it_is, seconds=1 / images, prepared=float(row["seconds_to_compile"]))


def slowed(rate: TrainingRate, machine: Rates) -> TrainingRate:
    """Return the rate of a machine on which training takes another time."""
    if machine.training == 1:
        return rate
    source = f"{machine.machine}, {machine.training:.2g} times as long as {rate.source}"
    slow = machine.training
    return replace(rate, seconds=slow * rate.seconds, prepared=slow * rate.prepared, source=source)


def parameters_of(network: str | None) -> int | None:
    """Return the parameters of a network that layerwise knows; None of another one."""
    return registry.find(network).parameters if network else None


def _scaled(known: int, fixed: int, images: int) -> int:
    """Return the bytes for more images than are known; for fewer it stays on the safe side."""
    return known if images <= BATCH else fixed + max(0, known - fixed) * images // BATCH


@cache
def _measured() -> dict[tuple[str, str], dict[str, str]]:
    with TABLE.open(encoding="utf-8", newline="") as handle:
        return {(row["model"], row["precision"]): row for row in csv.DictReader(handle, delimiter="\t")}


@cache
def _counted() -> dict[tuple[str, str], dict[str, str]]:
    with COUNTED.open(encoding="utf-8", newline="") as handle:
        rows = [row for row in csv.DictReader(handle, delimiter="\t") if int(row["images"]) == BATCH]
    return {(row["model"], row["precision"]): row for row in rows}


def with_margin(counted: int) -> int:
    """Return the bytes with which a step is planned of which so many were counted."""
    return round(MARGIN * counted) + WORKSPACES
