"""Studies whose truth is known: recordings and scores planted in the layers of a network, the teacher.

A read-out is linear in the leading principal components of a layer, so that a regression with 25 latent
variables can find it, and a layer whose leading components differ cannot give all of it.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from layerwise.data.drawing import CATEGORIES, draw_image
from layerwise.data.recordings import write_recordings
from layerwise.files import atomic_path
from layerwise.files.tables import write_csv
from layerwise.interfaces import Progress, Recordings, StimulusSet, no_progress

N_COMPONENTS = 12
Teacher = Callable[[StimulusSet, Sequence[str]], Mapping[str, NDArray[np.floating]]]
_BLOCK = 2**16  # units taken at a time, so that large layers are not copied whole


@dataclass(frozen=True)
class Planted:
    """What is read from where, and how well it can be predicted at best.

    Parameters
    ----------
    layer : str
        The teacher's layer.
    reliability : float
        Share of the variance, over stimuli, that the layer explains after averaging over repetitions.
    best : float
        Expected correlation of a perfect prediction with the average: the root of the reliability.
    """

    layer: str
    reliability: float
    best: float


def draw_stimuli(
    folder: str | Path,
    n_images: int,
    rng: np.random.Generator,
    size: int = 256,
    progress: Progress = no_progress,
) -> tuple[StimulusSet, NDArray[np.str_]]:
    """Draw images, as many of each category, and write them as JPEG.

    Parameters
    ----------
    folder : path
        Where to; its name becomes the set's.
    n_images : int
        How many.
    rng : numpy.random.Generator
        Decides what they show.
    size : int
        Side, pixels.
    progress : Progress
        Shows how far it has come.

    Returns
    -------
    stimuli : StimulusSet
        File names are the ids.
    categories : str array [stimulus]
        What each shows.
    """
    folder = Path(folder)
    categories = rng.permutation(np.resize(np.array(CATEGORIES), n_images))
    ids = tuple(f"image{index:05d}.jpg" for index in range(n_images))
    shown = zip(ids, categories.tolist(), strict=True)
    for name, category in progress(shown, f"drawing {folder.name}", n_images):
        with atomic_path(folder / name) as temporary:
            Image.fromarray(draw_image(rng, size, category)).save(temporary, quality=95)
    return StimulusSet(folder.name, ids, tuple(folder / name for name in ids)), categories


def read_out(
    activations: NDArray[np.floating],
    n_targets: int,
    rng: np.random.Generator,
    n_components: int = N_COMPONENTS,
) -> NDArray[np.float64]:
    """Read random linear targets from a layer.

    Each target weighs half of the leading principal components, drawn anew, with normal weights. A component
    counts by the root of its standard deviation: else the first, which layers share, would make the target.

    Parameters
    ----------
    activations : float array [stimulus, unit]
        Outputs of the layer.
    n_targets : int
        How many.
    rng : numpy.random.Generator
        Draws the weights.
    n_components : int
        Number of leading components.

    Returns
    -------
    float64 array [stimulus, target]
        Each with mean 0 and standard deviation 1.

    Raises
    ------
    ValueError
        The layer has fewer components than asked for over these stimuli, or values that are not finite.
    """
    values, vectors = np.linalg.eigh(_gram(activations))
    found = int(np.sum(values > 1e-10 * max(values[-1], np.finfo(float).tiny)))
    if found < n_components:
        raise ValueError(
            f"a layer of {activations.shape[1]} units has {found} principal components over "
            f"{len(activations)} stimuli, and the read-out needs {n_components}: plant it in another layer, "
            "or draw more images"
        )
    components = vectors[:, -n_components:] * values[-n_components:] ** 0.25
    chosen = np.tile(np.arange(n_components) < (n_components + 1) // 2, (n_targets, 1)).T
    weights = rng.normal(size=chosen.shape) * rng.permuted(chosen, axis=0)
    return _standardise(components @ weights)


def simulate_recordings(
    activations: Mapping[str, NDArray[np.floating]],
    stimuli: Sequence[str],
    rng: np.random.Generator,
    n_neuroids: int = 40,
    n_repetitions: int = 10,
    ceiling: float = 0.8,
    columns: Mapping[str, NDArray[np.generic]] | None = None,
) -> Recordings:
    """Simulate neuroids that read one layer a region, with noise from repetition to repetition.

    The noise of a repetition has the variance R (1 - c) / c for R repetitions and the ceiling c, so that
    split halves, corrected to the full number of repetitions (Spearman-Brown), correlate with c on average.

    Parameters
    ----------
    activations : mapping of region to float array [stimulus, unit]
        Outputs of the layer that the region reads.
    stimuli : sequence of str
        Ids, sorted, in the order of the activations.
    rng : numpy.random.Generator
        Draws read-outs and noise.
    n_neuroids : int
        In each region.
    n_repetitions : int
        Of each stimulus.
    ceiling : float
        Internal consistency of the neuroids.
    columns : mapping of str to array [stimulus], optional
        Properties of the stimuli.

    Returns
    -------
    Recordings
        Responses float32, in standard deviations of the noise-free response.

    Raises
    ------
    ValueError
        The ceiling is not between 0 and 1, or a layer cannot be read (see `read_out`).
    """
    spread = math.sqrt(n_repetitions) * _noise(ceiling)
    signals = np.concatenate([read_out(layer, n_neuroids, rng) for layer in activations.values()], axis=1)
    noise = rng.normal(0, spread, (n_repetitions, *signals.shape))
    return Recordings(
        responses=(signals + noise).astype(np.float32),
        stimuli=tuple(stimuli),
        neuroids=tuple(f"{region}-{index:03d}" for region in activations for index in range(n_neuroids)),
        regions=tuple(region for region in activations for _ in range(n_neuroids)),
        columns=dict(columns or {}),
        units="standard deviations",
    )


def simulate_scores(
    activations: NDArray[np.floating], rng: np.random.Generator, reliability: float = 0.8
) -> NDArray[np.float64]:
    """Simulate memorability scores that read one layer, with noise.

    Parameters
    ----------
    activations : float array [stimulus, unit]
        Outputs of the layer.
    rng : numpy.random.Generator
        Draws the read-out and the noise.
    reliability : float
        Share of the variance that the layer explains, before scores are squeezed into their range.

    Returns
    -------
    float64 array [stimulus]
        Between 0 and 1, about .75 on average, as memorability is.

    Raises
    ------
    ValueError
        The reliability is not between 0 and 1, or the layer cannot be read (see `read_out`).
    """
    signal = read_out(activations, 1, rng)[:, 0]
    noisy = signal + rng.normal(0, _noise(reliability), signal.shape)
    return np.asarray(1 / (1 + np.exp(-1.1 - 0.7 * noisy * math.sqrt(reliability))))


def simulate_study(
    folder: str | Path,
    teacher: Teacher,
    regions: Mapping[str, str],
    score_layer: str,
    n_recorded: int = 180,
    n_rated: int = 300,
    n_neuroids: int = 40,
    n_repetitions: int = 10,
    ceiling: float = 0.8,
    size: int = 256,
    seed: int = 1,
    progress: Progress = no_progress,
) -> dict[str, Planted]:
    """Write a study with planted truth, in the formats of real data.

    Writes recorded/ (images), recordings.nc, rated/ (images), scores.csv and truth.json.

    Parameters
    ----------
    folder : path
        Where to.
    teacher : callable
        Takes a StimulusSet and names of layers; gives their activations [stimulus, unit].
    regions : mapping of str to str
        The layer that each region reads.
    score_layer : str
        The layer that the scores read.
    n_recorded, n_rated : int
        Number of images for the recordings and for the scores.
    n_neuroids, n_repetitions, ceiling
        See `simulate_recordings`; the scores are as reliable as the neuroids.
    size : int
        Side of the images, pixels.
    seed : int
        Decides everything.
    progress : Progress
        Shows how far drawing has come.

    Returns
    -------
    dict of str to Planted
        For each region, and for "memorability"; truth.json holds the same.
    """
    folder = Path(folder)
    drawing, reading = np.random.default_rng(seed).spawn(2)
    recorded, categories = draw_stimuli(folder / "recorded", n_recorded, drawing, size, progress)
    seen = teacher(recorded, sorted(set(regions.values())))
    layers = {region: seen[layer] for region, layer in regions.items()}
    columns = {"object_name": categories}
    recordings = simulate_recordings(layers, recorded.ids, reading, n_neuroids, n_repetitions, ceiling, columns)
    write_recordings(recordings, folder / "recordings.nc", recorded, "simulated by layerwise", visual_degrees=8)
    rated, _ = draw_stimuli(folder / "rated", n_rated, drawing, size, progress)
    scores = simulate_scores(teacher(rated, [score_layer])[score_layer], reading, ceiling)
    write_csv(pd.DataFrame({"image": rated.ids, "score": scores.round(6)}), folder / "scores.csv")
    planted = {**regions, "memorability": score_layer}
    truth = {name: Planted(layer, ceiling, math.sqrt(ceiling)) for name, layer in planted.items()}
    _write_truth(truth, folder / "truth.json")
    return truth


def read_truth(path: str | Path) -> dict[str, Planted]:
    """Read the truth.json of a simulated study: what was planted, by region and for "memorability"."""
    return {name: Planted(**planted) for name, planted in json.loads(Path(path).read_text()).items()}


def _write_truth(truth: Mapping[str, Planted], path: Path) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps({name: asdict(planted) for name, planted in truth.items()}, indent=2) + "\n")


def _noise(reliability: float) -> float:
    if not 0 < reliability < 1:
        raise ValueError(f"a reliability (or ceiling) of {reliability}: it must be between 0 and 1")
    return math.sqrt((1 - reliability) / reliability)


def _gram(activations: NDArray[np.floating]) -> NDArray[np.float64]:
    gram = np.zeros((len(activations), len(activations)))
    for start in range(0, activations.shape[1], _BLOCK):
        block = activations[:, start : start + _BLOCK].astype(np.float64)
        if not np.isfinite(block).all():
            raise ValueError("activations are not finite: choose another layer of the teacher, or other weights")
        block -= block.mean(axis=0)
        gram += block @ block.T
    return gram


def _standardise(targets: NDArray[np.float64]) -> NDArray[np.float64]:
    targets = targets - targets.mean(axis=0)
    return np.asarray(targets / targets.std(axis=0))
