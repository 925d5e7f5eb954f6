"""The sections that set how results are computed and where they are stored."""

import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from layerwise.config.base import MOST, GivenPath, RunPath, Section, Seed
from layerwise.interfaces import PLS, Comparison, Distance, Measure, MeasureSettings

_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}


def _bytes(value: object) -> object:
    if not isinstance(value, str):
        return value
    match = re.fullmatch(r"\s*([0-9]{1,18}(?:\.[0-9]*)?)\s*([A-Za-z]*)\s*", value, re.ASCII)
    if match is None or match[2].upper() not in _UNITS:
        raise ValueError(f"an amount of memory looks like 4GB or 800MB, not {value[:40]!r}")
    return int(float(match[1]) * _UNITS[match[2].upper()])


Bytes = Annotated[int, BeforeValidator(_bytes), Field(le=10**15)]


def _once(measures: list[Measure]) -> list[Measure]:
    twice = [one for one in measures if measures.count(one) > 1]
    if twice:
        raise ValueError(f"the measure {twice[0]!r} is given twice: name each once")
    return measures


class PcaSettings(Section):
    """Principal components of each layer, fitted on images of your own, to which stimuli are reduced before PLS."""

    images: GivenPath
    """Folder of the images; they fill the network's input, whatever the visual angle of the stimuli."""
    components: int = Field(1000, ge=1, le=MOST)
    """Number of components; there must be more images. A layer with no more units than that is left as it is."""
    n_images: int | None = Field(None, ge=2)
    """Number of images to draw from the folder (always the same ones); default: all."""

    @model_validator(mode="after")
    def _more_images(self) -> Self:
        if self.n_images is not None and self.n_images <= self.components:
            raise ValueError(
                f"n_images ({self.n_images}) must exceed components ({self.components}): around their mean, n "
                "images span only n - 1 directions"
            )
        return self


Measures = Annotated[list[Measure], Field(min_length=1), AfterValidator(_once)]


class RidgeSettings(Section):
    """Ridge regression from the units of a layer to neuroids, one penalty a fit."""

    alpha: float | None = Field(None, gt=0, le=1e30)
    """The penalty; default: of Brain-Score's 99, from 0.01 to 1e7, the one with the least squared error where each
    training stimulus is left out once."""


class RsaSettings(Section):
    """Representational similarity: the distances between stimuli in a layer against those in the brain."""

    distance: Distance = "correlation"
    """`correlation`: 1 - Pearson's r over units. `euclidean`, or `cosine`: 1 - the cosine of the angle."""
    comparison: Comparison = "spearman"
    """Of the two lists of distances: `spearman`, the usual, `pearson` or `cosine`."""


class BrainSettings(Section):
    """How layers are held against the brain."""

    measures: Measures = Field(default_factory=lambda: [PLS])
    """What layers are held against recordings by: `pls` (partial least squares), `ridge`, `rsa`, `cka` or
    `debiased_cka`; all are computed from the same stored activations. PLS has the region's name as its column in
    layers.parquet, others are named as IT_rsa. Tables of statistics have all of them, figures the first."""
    ridge: RidgeSettings = RidgeSettings()
    """Of the measure `ridge`."""
    rsa: RsaSettings = RsaSettings()
    """Of the measure `rsa`."""
    pca: PcaSettings | None = None
    """Reduce each layer to principal components, as Brain-Score does when it selects layers; default: it is not. Only
    with PLS."""

    def settings(self) -> MeasureSettings:
        """Return how measures are computed."""
        return MeasureSettings(self.ridge.alpha, self.rsa.distance, self.rsa.comparison)


class RegressionSettings(Section):
    """Partial least squares from the units of a layer to neuroids, or to a score."""

    components: int = Field(25, ge=1, le=1000)
    """Number of latent variables."""
    solver: Literal["exact", "scikit-learn"] = "exact"
    """`exact`: each component converged. `scikit-learn`: its iterations with their loose tolerance, as in published
    Brain-Score values (the median r differs by about 5e-4); much slower."""
    halves: int = Field(10, ge=2, le=MOST)
    """Number of random halvings of the repetitions for the ceilings."""


class MemorabilitySettings(Section):
    """How scores of images are predicted."""

    small: int = Field(10_000, ge=0)
    """Ratings of at most so many images are predicted from stored activations, as recordings are. With more images
    `method` decides."""
    method: Literal["exact", "sketch"] = "exact"
    """`exact`: nothing is stored, and all layers of a network are fitted while it runs over the images once for each
    component. `sketch`: it runs once, and the units of a layer are summed, with random signs, into `dimensions`
    numbers to predict from; what this changes is in benchmarks/sketch.md, and in the metadata of each result."""
    dimensions: int = Field(4096, ge=64, le=2**20)
    """Numbers in a sketch; layers with no more units are kept as they are. More numbers make rho more accurate."""
    seed: Seed = 0
    """Seed of the signs and hashes of sketches."""
    disk: Bytes = Field(100 * 10**9, ge=10**8)
    """Disk that the sketches of one job may take until its layers are scored: 58,741 images take 481MB a layer. More
    disk makes fewer jobs, and each is one more pass. On a GPU they stay in its memory."""
    convolutions: Literal["tf32", "float32"] = "tf32"
    """Precision of the network's convolutions on a GPU. `tf32` takes half the time; rho differs by 1e-5 in the
    median layer and by less than 4e-4 in any (benchmarks/streaming_accuracy.md)."""
    save_every: int = Field(10, ge=1, le=MOST)
    """Minutes between two saves of what a job has done, from which it resumes if it is killed."""


GPU_BATCH, CPU_BATCH = 256, 32
CPU_BLOCK = 64  # layers that a job scores without a GPU: minutes of work behind seconds of start


class ComputeSettings(Section):
    """Size of a job."""

    layers_per_job: int | None = Field(None, ge=1, le=1_000_000)
    """Layers that one job scores. If it is not set, all of a network against a region on a GPU, where that takes
    seconds, and 64 on a CPU. 1 gives one job per (model, layer, region)."""
    memory: Bytes = Field(5 * 10**9, ge=10**8)
    """Memory for activations, whatever the number of layers: more memory, fewer forward passes. 5GB are enough to
    stream any layer of the 64 networks of table S1. Where a job fits many images on a GPU with little memory, vectors
    of layers that are seldom used are kept here. Jobs ask the cluster for what is planned, what the process takes
    beside it (1 to 3GB), and a quarter more. The default is fixed, since jobs are planned before their memory is
    known."""
    gpu_memory: Bytes = Field(75 * 10**9, ge=10**9)
    """The same on a GPU; it decides, with `memory`, how many layers share their passes. Set it to what your GPUs have
    (13GB of 16; 36GB of 40, 75GB of 80): fits of many images are planned with it before a GPU is seen."""
    batch_size: int | None = Field(None, ge=1, le=100_000)
    """Images in one forward pass; if it is not set, 256 on a GPU, fewer where layers would need more groups of passes,
    and 32 on a CPU."""
    threads: int = Field(2, ge=1, le=1024)
    """Threads of a job."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """`auto` takes a GPU if there is one."""
    gpus: int = Field(0, ge=0, le=16)
    """GPUs to ask the cluster for, for each job that runs a network; several share its layers, and groups of layers
    are as large as all of them allow. Jobs that score layers against a region, or sketch, ask for one: they are many
    and short."""
    versions: Literal["record", "rerun"] = "record"
    """What happens with another version of torch, or of a network's library. `record`: each result carries the
    versions, and gathering warns where results of different versions come together; it refuses untrained weights, and
    those that a library fetches by itself, since another version may draw or choose others. `rerun`: what the network
    gave is stale, including results that were made with `record`."""

    def images_at_once(self, on_gpu: bool) -> int:
        """Images in a forward pass, where memory allows."""
        return self.batch_size or (GPU_BATCH if on_gpu else CPU_BATCH)

    def layers_at_once(self, on_gpu: bool, n_layers: int) -> int:
        """Layers that a job scores, of a network with so many."""
        return self.layers_per_job or (n_layers if on_gpu else CPU_BLOCK)


class ImagenetSettings(Section):
    """ImageNet's validation images, for the accuracy gate."""

    images: GivenPath = Path("data/imagenet/val")
    """Folders of synsets, or one flat folder with `labels`."""
    labels: GivenPath | None = None
    """Lines `file class`, for a flat folder."""


class StorageSettings(Section):
    """What is kept, and where."""

    results: RunPath = Path("results")
    """Results are in a folder of the study's name below this; it counts from the working folder."""
    weights: RunPath = Path("weights")
    """Folder where weights are looked for first, and where downloads are kept; it counts from the working folder."""
    activations: Literal["keep", "temporary"] = "keep"
    """`temporary`: a file of activations is removed once all its layers are scored."""
