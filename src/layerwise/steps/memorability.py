"""Steps that hold layers against scores of images."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from layerwise.activations import ActivationStore
from layerwise.analyses.ceiling import estimate_consistency as estimate
from layerwise.analyses.memorability import BehaviouralAccuracy
from layerwise.analyses.streamed import score_predictions
from layerwise.config import Study
from layerwise.data.ratings import read_raters
from layerwise.files import locked
from layerwise.files.tables import write_table
from layerwise.interfaces import LayerSpec, Progress, RatedImages, Ratings, no_progress
from layerwise.layers.blocks import distinct, in_block
from layerwise.models import resolve_preprocessing
from layerwise.passes.stopping import StopRequests
from layerwise.sketching import Sketched, measured_error, sketch_pls
from layerwise.steps.cluster import job_deadline
from layerwise.steps.devices import choose_device, choose_devices, limit_threads, named_memory, warn_of_plan
from layerwise.steps.inputs import layers_in, rated_pixels, scored_images
from layerwise.steps.loading import load_network
from layerwise.steps.origins import origins_of
from layerwise.streaming import Streamed, stream_pls_on
from layerwise.study import Plans, own_split


def estimate_consistency(study: Study, ratings: str, output: Path) -> None:
    """Estimate how consistent behavioural scores are over raters.

    Raises
    ------
    ValueError
        The config names no columns of raters.
    """
    entry = study.rating(ratings)
    if entry.scores is None or entry.rater_columns is None:
        raise ValueError(
            f"the ratings {ratings!r} name no columns of raters (`rater_columns`): they have no consistency"
        )
    write_table(estimate(read_raters(entry.scores, entry.rater_columns), entry.measure), output)


def score_memorability(
    study: Study,
    model: str,
    ratings: str,
    block: str,
    activations: Path,
    output: Path,
    manifest: Path | None = None,
    threads: int | None = None,
    progress: Progress = no_progress,
) -> None:
    """Score a block of layers against behavioural scores: Spearman's rho in each split."""
    limit_threads(threads or study.compute.threads)
    accuracy = BehaviouralAccuracy(
        scored_images(study, model, ratings),
        study.rating(ratings).measure,
        study.regression.components,
        study.regression.solver,
        choose_device(study.compute.device),
    )
    with named_memory(study.compute):
        layers = in_block(layers_in(study, model, manifest), block)
        table = accuracy.score(ActivationStore(activations, model), layers, progress)
        write_table(_numbered(table, study, ratings), output)


def stream_memorability(
    study: Study,
    model: str,
    ratings: str,
    block: str,
    pixels: Path,
    output: Path,
    state: Path | None = None,
    manifest: Path | None = None,
    threads: int | None = None,
    progress: Progress = no_progress,
) -> None:
    """Fit a group of layers to behavioural scores of many images while the network runs: no activations are stored."""
    layers = layers_in(study, model, manifest)
    limit_threads(threads or study.compute.threads)
    devices = choose_devices(study.compute.device, study.compute.gpus)
    expected, group = resolve_preprocessing(study.model_entry(model).spec()), in_block(layers, block)
    plan = Plans(study).of(model, ratings, layers, expected.size)
    warn_of_plan(devices, study.compute)
    plan.require_devices(block, len(devices))
    rated, images = rated_pixels(study, model, ratings, pixels, expected)
    settings = Streamed(
        n_components=study.regression.components,
        batch_size=plan.batch_size,
        memory=plan.budget.device,
        host=plan.budget.host,
        tf32=study.memorability.convolutions == "tf32",
        state=state,
        save_every=60 * study.memorability.save_every,
    )
    attributes = origins_of("stream_memorability", study, model, images.content_hash)
    with named_memory(study.compute):
        network = load_network(study, model, layers, images, expected, devices[0])
        shown = RatedImages(images, expected, rated.scores, rated.splits)
        with StopRequests(job_deadline()) as stop:
            own = distinct(layers)
            predictions = stream_pls_on(devices, network, own, group, shown, settings, attributes, progress, stop)
        write_table(_score(study, ratings, predictions, group, rated, attributes), output)


def sketch_memorability(
    study: Study,
    model: str,
    ratings: str,
    block: str,
    pixels: Path,
    output: Path,
    file: Path | None = None,
    manifest: Path | None = None,
    threads: int | None = None,
    progress: Progress = no_progress,
) -> None:
    """Fit a group of layers to behavioural scores of many images from sketches, which take one forward pass."""
    layers, chosen = layers_in(study, model, manifest), study.memorability
    limit_threads(threads or study.compute.threads)
    device = choose_device(study.compute.device, study.compute.gpus)
    expected, group = resolve_preprocessing(study.model_entry(model).spec()), in_block(layers, block)
    plan = Plans(study).of(model, ratings, layers, expected.size)
    warn_of_plan([device], study.compute)
    rated, images = rated_pixels(study, model, ratings, pixels, expected)
    settings = Sketched(
        n_components=study.regression.components,
        dimensions=chosen.dimensions,
        seed=chosen.seed,
        batch_size=plan.batch_size,
        device=device,
        tf32=chosen.convolutions == "tf32",
        file=None if plan.budget.on_gpu else file,
        save_every=60 * chosen.save_every,
    )
    attributes = {
        **origins_of("sketch_memorability", study, model, images.content_hash),
        "method": "sketch",
        "dimensions": str(chosen.dimensions),
        "seed": str(chosen.seed),
    }
    alone = locked(settings.file) if settings.file else nullcontext()
    with named_memory(study.compute), alone:
        network = load_network(study, model, layers, images, expected, device)
        shown = RatedImages(images, expected, rated.scores, rated.splits)
        with StopRequests(job_deadline()) as stop:
            predictions = sketch_pls(network, group, shown, settings, attributes, progress, stop)
        table = _score(study, ratings, predictions, group, rated, attributes)
        table.attrs["sketch_error"] = {study.rating(ratings).measure: measured_error(chosen.dimensions)}
        write_table(table, output)


def _score(
    study: Study,
    ratings: str,
    predictions: NDArray[np.float64],
    group: Sequence[LayerSpec],
    rated: Ratings,
    attributes: Mapping[str, str],
) -> pd.DataFrame:
    """Correlate predictions [layer, image, split] with the scores that the study names."""
    measure, components = study.rating(ratings).measure, study.regression.components
    table = score_predictions(predictions, group, rated, measure, components, attributes)
    return _numbered(table, study, ratings)


def _numbered(table: pd.DataFrame, study: Study, ratings: str) -> pd.DataFrame:
    """Give the one split of a fine-tuned network the number that it has in the ratings."""
    own = own_split(study, table["model"].iloc[0], ratings) if len(table) else None
    return table if own is None else table.assign(split=own)
