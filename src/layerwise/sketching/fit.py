"""PLS from the sketches of many layers: one forward pass, whatever the number of components and splits."""

import logging
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from layerwise.files import hash_object
from layerwise.interfaces import (
    LayerSpec,
    Progress,
    RatedImages,
    Split,
    Stop,
    StoppedError,
    never,
    no_progress,
    until_asked,
)
from layerwise.passes.degenerate import CONSTANT, LOST, NONFINITE, STOPPED, warn_layers
from layerwise.passes.halving import BatchSize
from layerwise.passes.hashing import hash_values
from layerwise.passes.images import Images
from layerwise.passes.precision import exact_products, full_precision
from layerwise.passes.runner import FAST, Runner
from layerwise.regression.pls1.rows import RowFit, predict_rows
from layerwise.regression.pls1.targets import Targets, check_targets
from layerwise.sketching.groups import SketchDemand, describe
from layerwise.sketching.layer import LayerRows
from layerwise.sketching.rows import FileRows, MemoryRows, Rows

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sketched:
    """How layers are sketched, and predicted from.

    Parameters
    ----------
    n_components : int
        Latent variables.
    dimensions : int
        Numbers in a sketch; layers with no more units are kept as they are, and fitted exactly.
    seed : int
        Of signs and hashes.
    batch_size : int
        Images in a forward pass; halved, with a log message, if the device runs out of memory.
    device : str
        "cpu" or "cuda".
    tf32 : bool
        Let a GPU's convolutions round their inputs to ten bits of mantissa.
    file : Path or None
        HDF5 file that holds the rows until all layers are scored; a job that was interrupted resumes from it. None
        keeps them in the memory of the device.
    save_every : float
        Seconds between two times at which the file is brought up to date, to be resumed from.
    """

    n_components: int = 25
    dimensions: int = 4096
    seed: int = 0
    batch_size: int = 32
    device: str = "cpu"
    tf32: bool = True
    file: Path | None = None
    save_every: float = 600


def sketch_pls(
    network: nn.Module,
    group: Sequence[LayerSpec],
    rated: RatedImages,
    settings: Sketched,
    attributes: Mapping[str, str],
    progress: Progress = no_progress,
    stop: Stop = never,
) -> NDArray[np.float64]:
    """Predict one target from the sketches of many layers, by PLS, for all splits at once.

    Parameters
    ----------
    network : nn.Module
        Moved to the device, and set to eval mode.
    group : sequence of LayerSpec
        Layers to take in one pass.
    rated : RatedImages
        All images, and the target.
    settings : Sketched
        Settings.
    attributes : mapping of str to str
        "model", and hashes of all that decides what the network and the sketches compute: a file of others is not gone
        on with.
    progress : Progress
        Shows how far the pass has come, image by image, then the fits, layer by layer.
    stop : callable
        Asked after each of them.

    Returns
    -------
    float64 array [layer, image, split]
        Predictions for the test images of each split, NaN for all others. NaN for layers with values that are not
        finite, and for those with fewer units than components; a split's training mean where a layer is constant.

    Raises
    ------
    StoppedError
        It was asked to stop; a file keeps the rows that are there.
    ValueError
        Sizes do not fit, training images have no score, or the layers are not those of the network.
    OSError
        There is no room on the disk.

    Warns
    -----
    DegenerateWarning
        Layers gave NaN or infinite values, or values 256 times as large as those of the first images; rounding spoilt
        the fit of layers, in float64 too; layers are constant.
    """
    scores, splits, n_images = np.asarray(rated.scores, dtype=np.float64), rated.splits, len(rated.pixels)
    check_targets(len(group), n_images, scores, splits, settings.batch_size, settings.n_components)
    targets = Targets.of(scores, splits, n_images, torch.device(settings.device))
    network.to(settings.device).eval()
    layers = [LayerRows.of(layer, settings.dimensions, settings.seed, torch.device(settings.device)) for layer in group]
    demand = SketchDemand(n_images, settings.dimensions, settings.batch_size, settings.file is None)
    log.info("%s: %s", attributes["model"], describe(group, demand))
    rows = _rows(network, layers, group, rated, settings, attributes)
    collection = _Collection(network, group, layers, rows, rated, settings)
    progress = until_asked(progress, stop)
    with _stops_told(rows, n_images):
        with torch.inference_mode(), exact_products(settings.tf32):
            steps = collection.steps()
            for _ in progress(steps, f"sketching {len(group)} layers of {attributes['model']}", n_images - rows.done):
                pass
        torch.cuda.empty_cache()  # of the passes, for the regression
        tested = _mark_tested(splits, n_images)
        with torch.inference_mode(), full_precision():
            predictions = _predict(rows, group, targets, tested, settings, attributes["model"], progress)
    rows.close()
    return predictions


@contextmanager
def _stops_told(rows: Rows, n_images: int) -> Iterator[None]:
    """Keep the rows of a run that stops, and say how many."""
    before = rows.done
    try:
        yield
    except StoppedError as stopped:
        if not rows.settle():
            raise StoppedError(f"{stopped}: sketches lie in the memory of the GPU, so nothing is kept", False) from None
        kept = f"of {rows.done} of {n_images} images are kept; start it again to go on"
        raise StoppedError(f"{stopped}: the sketches {kept}", advanced=rows.done > before) from None


def _rows(
    network: nn.Module,
    layers: Sequence[LayerRows],
    group: Sequence[LayerSpec],
    rated: RatedImages,
    settings: Sketched,
    attributes: Mapping[str, str],
) -> Rows:
    if settings.file is None:
        return MemoryRows(layers, len(rated.pixels))
    fingerprint = hash_object(
        [
            [dict(attributes), hash_values(network)],
            [asdict(layer) for layer in group],
            rated.pixels.content_hash,
            asdict(rated.preprocessing),
            [settings.dimensions, settings.seed, settings.device, settings.tf32],
        ]
    )
    return FileRows(settings.file, fingerprint, layers, len(rated.pixels), settings.save_every)


@dataclass
class _Collection:
    """Fills the rows of all images; a batch that does not fit the device is halved, and what is done stays."""

    network: nn.Module
    group: Sequence[LayerSpec]
    layers: Sequence[LayerRows]
    rows: Rows
    rated: RatedImages
    settings: Sketched

    def steps(self) -> Generator[int]:
        """Yield the number of each image that is done."""
        return BatchSize(min(self.settings.batch_size, len(self.rated.pixels))).run(self._run)

    def _run(self, batch_size: int) -> Generator[int]:
        """Run the images whose rows are not there yet."""
        if self.rows.done == len(self.rated.pixels):
            return
        images, start = Images(self.rated.pixels, torch.device(self.settings.device)), self.rows.done
        data = self.group, images, self.rated.preprocessing, batch_size
        runner = Runner(self.network, *data, FAST, start=start)
        for layer in self.layers:
            layer.make_room(batch_size)
        runner.survey(self._take if start else self._calibrate)
        if not start:
            self.rows.begin(self.layers)
        runner.warm_up(self._take)
        yield from runner.run(
            self._take, after=lambda first: self._keep(min(batch_size, len(self.rated.pixels) - first))
        )

    def _calibrate(self, index: int, activations: Tensor) -> None:
        self.layers[index].calibrate(activations)

    def _take(self, index: int, activations: Tensor) -> None:
        self.layers[index].take(activations)

    def _keep(self, count: int) -> None:
        self.rows.append(self.layers, count)


def _mark_tested(splits: Sequence[Split], n_images: int) -> NDArray[np.bool_]:
    """Return which images each split tests, [image, split]."""
    tested = np.zeros((n_images, len(splits)), dtype=bool)
    for index, split in enumerate(splits):
        tested[split.test, index] = True
    return tested


def _predict(
    rows: Rows,
    group: Sequence[LayerSpec],
    targets: Targets,
    tested: NDArray[np.bool_],
    settings: Sketched,
    model: str,
    progress: Progress,
) -> NDArray[np.float64]:
    predictions = np.full((len(group), *tested.shape), np.nan)
    named: dict[str, list[str]] = {NONFINITE: [], LOST: [], CONSTANT: [], STOPPED: []}
    for index in progress(range(len(group)), f"predicting from {len(group)} layers of {model}", len(group)):
        found, lost, stopped = _fit_rows(rows, index, group[index].name, targets, settings, model)
        layer = group[index]
        if bool(found.isnan().any()):
            named[LOST if lost else NONFINITE].append(layer.name)
        elif layer.units >= settings.n_components:
            if bool((found == found[0]).all(0).any()):
                named[CONSTANT].append(layer.name)
            if stopped:
                named[STOPPED].append(layer.name)
            np.copyto(predictions[index], found.cpu().numpy(), where=tested)
    for what, layers in named.items():
        warn_layers(layers, model, what, stacklevel=3)
    return predictions


def _fit_rows(rows: Rows, index: int, layer: str, targets: Targets, settings: Sketched, model: str) -> RowFit:
    # The rows are not kept in a variable: they would still be there while the next layer's are read.
    fit = predict_rows(rows.read(index).to(settings.device), targets, settings.n_components)
    if not fit.lost:
        return fit
    # float32 of a sketch; layers of few units are solved in float64 at once.
    log.info("%s: float32 is too coarse for %s, which is solved in float64", model, layer)
    return predict_rows(rows.read(index).to(settings.device).double(), targets, settings.n_components)
