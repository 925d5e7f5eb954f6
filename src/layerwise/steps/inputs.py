"""Opens the data that a config names."""

from pathlib import Path

from layerwise.analyses.reliability import keep_reliable
from layerwise.config import Study
from layerwise.config.data import RatingEntry
from layerwise.config.study import PCA_IMAGES
from layerwise.data.folders import images_in
from layerwise.data.pixels import JoinedPixels, PixelCache
from layerwise.data.ratings import check_defined, read_lamem, read_ratings
from layerwise.data.rdms import read_rdm
from layerwise.data.recordings import read_recordings, stimuli_of
from layerwise.interfaces import Distances, LayerSpec, Preprocessing, Ratings, Recordings, StimulusSet
from layerwise.layers.manifest import read_manifest
from layerwise.models.preprocessing import geometry_for
from layerwise.study import find_region, finetuning_geometry, layers_of, own_split


def region_recordings(study: Study, name: str) -> Recordings:
    """Read the responses of one region of the study, less the neuroids that are not reliable enough for it."""
    region = find_region(study, name)
    entry = study.recording(region.recording)
    recordings = read_recordings(entry.file, [region.label], entry.animals)
    if entry.min_reliability is None:
        return recordings
    return keep_reliable(recordings, entry.min_reliability, study.regression.halves)


def is_of_distances(study: Study, region: str) -> bool:
    """Whether distances between stimuli are known of a region of the study, instead of responses."""
    return study.recording(find_region(study, region).recording).is_rdm


def region_distances(study: Study, region: str) -> Distances:
    """Read the distances between stimuli in a region of the study."""
    return read_rdm(study.recording(find_region(study, region).recording).file)


def rated_images(study: Study, name: str) -> tuple[Ratings, StimulusSet]:
    """Read one set of ratings of the study, and the images they belong to.

    Raises
    ------
    ValueError
        They cannot be read, or no split of them has a rank correlation.
    """
    ratings, images = _read_ratings(study.rating(name), name)
    check_defined(ratings, f"the ratings {name!r}")
    return ratings, images


def _read_ratings(entry: RatingEntry, name: str) -> tuple[Ratings, StimulusSet]:
    if entry.splits is not None:
        return read_lamem(entry.splits, entry.images, name=name)
    if entry.scores is None:
        raise ValueError(f"ratings {name!r} name neither scores nor splits")
    return read_ratings(
        entry.scores,
        entry.images,
        image_column=entry.image_column,
        score_column=entry.score_column,
        n_folds=entry.folds,
        seed=entry.seed,
        fold_column=entry.fold_column,
        unscored_images=entry.unscored_images,
        rater_columns=entry.rater_columns,
        name=name,
    )


def stimulus_set(study: Study, name: str) -> StimulusSet:
    """Find the images of a recording or of a set of ratings."""
    for entry in study.recordings:
        if entry.name == name:
            return stimuli_of(entry.file, entry.images, name=name)
    if study.brain.pca and name == PCA_IMAGES:
        return images_in(study.brain.pca.images, name, study.brain.pca.n_images)
    rated = [entry.name for entry in study.ratings]
    if name not in rated:
        known = ", ".join([*(entry.name for entry in study.recordings), *rated])
        raise ValueError(f"no recording or ratings {name!r} in the study; there are: {known}")
    return rated_images(study, name)[1]


def pixels_for(path: Path, expected: Preprocessing) -> PixelCache:
    """Open the pixels of a stimulus set, cut as a network expects them.

    Raises
    ------
    ValueError
        They were cut for a network that expects another size or interpolation.
    """
    pixels = PixelCache(path)
    found = pixels.geometry
    wanted = geometry_for(expected, "square" if found.kind == "square" else "crop", found.canvas)
    if found != wanted:
        raise ValueError(
            f"{path} holds images cut as {found.key}, but the network expects {wanted.key}: run pack-stimuli "
            f"with --geometry {wanted.key}"
        )
    return pixels


def with_pca_images(
    pixels: PixelCache, path: Path | None, study: Study, expected: Preprocessing
) -> PixelCache | JoinedPixels:
    """Put the images on which principal components are fitted behind the stimuli, where there are such.

    Raises
    ------
    ValueError
        There are not more of them than components, or the study has no such images.
    """
    if path is None:
        return pixels
    if study.brain.pca is None:
        raise ValueError(f"{path} is given for principal components, which the study does not ask for (brain.pca)")
    fitted, components = pixels_for(path, expected), study.brain.pca.components
    if len(fitted) <= components:
        raise ValueError(
            f"{components} principal components need more images than that to be fitted on, and "
            f"{study.brain.pca.images} holds {len(fitted)}: add images, or lower brain.pca.components"
        )
    return JoinedPixels(pixels, fitted)


def scored_images(study: Study, model: str, ratings: str) -> Ratings:
    """Read ratings with the splits on which a network is scored; of a fine-tuned one its own alone.

    Raises
    ------
    ValueError
        As of `rated_images` and `own_split`.
    """
    rated, own = rated_images(study, ratings)[0], own_split(study, model, ratings)
    return rated if own is None else Ratings(rated.stimuli, rated.scores[own : own + 1], [rated.splits[own]])


def rated_pixels(
    study: Study, model: str, ratings: str, path: Path, expected: Preprocessing
) -> tuple[Ratings, PixelCache]:
    """Read the ratings that a network is scored on, and open the pixels of their images, in the same order.

    Raises
    ------
    ValueError
        The pixels are of other images, or cut for another network.
    """
    rated, pixels = scored_images(study, model, ratings), pixels_for(path, expected)
    _require_same(path, pixels, rated, ratings)
    return rated, pixels


def rated_squares(study: Study, ratings: str, path: Path, expected: Preprocessing) -> tuple[Ratings, PixelCache]:
    """Read ratings, and open the pixels of their images, in the same order, from which crops are taken.

    Raises
    ------
    ValueError
        The pixels are of other images, or made for another network.
    """
    rated, pixels = rated_images(study, ratings)[0], PixelCache(path)
    wanted = finetuning_geometry(study, expected)
    if pixels.geometry != wanted:
        raise ValueError(
            f"{path} holds images cut as {pixels.geometry.key}, but the network is shown crops of {wanted.key}: run "
            f"pack-stimuli with --geometry {wanted.key}"
        )
    _require_same(path, pixels, rated, ratings)
    return rated, pixels


def _require_same(path: Path, pixels: PixelCache, rated: Ratings, ratings: str) -> None:
    if pixels.ids != rated.stimuli:
        raise ValueError(f"{path} holds other images than the ratings {ratings!r}: run pack-stimuli again")


def layers_in(study: Study, model: str, manifest: Path | None) -> list[LayerSpec]:
    """Read the layers of a network of the study, from a table or, without one, from what ships.

    Raises
    ------
    ValueError
        Nothing ships for a network of your own.
    """
    if manifest is not None:
        return read_manifest(manifest)
    layers = layers_of(study.model_entry(model))
    if layers is None:
        raise ValueError(f"no list of layers ships for {model!r}: make one with list-layers, and give it as --manifest")
    return layers
