"""Which of a user's files are there, and what they hold."""

import shutil
from collections.abc import Iterable
from pathlib import Path

from layerwise.config import Study
from layerwise.config.models import ModelEntry
from layerwise.config.study import PCA_IMAGES
from layerwise.data.folders import files_below, images_in
from layerwise.data.listed import named_in_scores, named_in_splits
from layerwise.data.recordings import list_named_images
from layerwise.files import Contents, hash_object
from layerwise.interfaces import agreeing
from layerwise.models.labelled import read_labelled
from layerwise.models.registry import row_of
from layerwise.models.weights import find_weights
from layerwise.study.layout import Layout
from layerwise.study.ratings import method_of
from layerwise.study.regions import regions
from layerwise.study.stimuli import shared_stimuli, stimulus_files

ROOM = 10**6  # bytes that Snakemake is left for its locks and logs


def present(paths: Iterable[Path]) -> list[str]:
    """Return the files that exist.

    A file that is not there yet is left out rather than asked for, so that a study can be planned on a clone without
    data; the step that needs it says what is missing.
    """
    return [str(path) for path in paths if path.is_file()]


def fingerprint(study: Study, stimuli: str, contents: Contents) -> str:
    """Hash names and contents of the images of a stimulus set, so that a changed one makes its pixels stale.

    Parameters
    ----------
    study : Study
        The study.
    stimuli : str
        Name of a recording, of ratings, or of the images for principal components.
    contents : Contents
        Knows the contents of files that it read before.

    Returns
    -------
    str
        Of the images that the tables name, whatever their names end in and wherever links lead; of no others. Where
        the tables cannot be read, or name what is not there, all files in the folder count: the step that packs them
        says what is wrong, or finds them in a way of its own.
    """
    folder = stimulus_files(study, stimuli)[1]
    if folder is None:
        return hash_object([])
    try:
        names = _named(study, stimuli)
        return _hash_all(folder, names, contents)
    except ValueError:
        return _hash_all(folder, set(files_below(folder)), contents, may_lack=True)


def kept_activations(study: Study, model: str, layout: Layout) -> dict[str, Path]:
    """Find the files of a network's activations from which regions and measures were predicted; those that are kept.

    Temporary ones may be removed at any moment.
    """
    if study.storage.activations == "temporary":
        return {}
    stored = {entry.measure: entry.name for entry in study.ratings if method_of(study, entry.name) == "stored"}
    sets = {region.name: region.recording for region in regions(study)} | stored
    paths = {name: Path(layout.activations(model, shared_stimuli(study, stimuli))) for name, stimuli in sets.items()}
    return {name: path for name, path in paths.items() if path.is_file()}


def imagenet_fingerprint(study: Study, contents: Contents) -> dict[str, str]:
    """Hash the images and the labels on which a network's accuracy is measured; empty where they cannot be read."""
    chosen = study.imagenet
    labels = contents.of([chosen.labels])[0] if chosen.labels else ""
    try:
        paths = {str(path.relative_to(chosen.images)) for path, _ in read_labelled(chosen.images, chosen.labels)}
    except ValueError:  # the step says what is wrong with them
        paths = set()
    return {"images": _hash_all(chosen.images, paths, contents, may_lack=True), "labels": labels}


def own_weights(entry: ModelEntry, folder: Path) -> Path | None:
    """Find the file of weights that a user gives: the config names it, or it lies in the folder for a network of timm.

    None where none is given or it is not there; official weights are not the user's.
    """
    named = entry.weights_file()
    if named is not None or row_of(entry.spec()) is not None:
        return named
    return find_weights(entry.spec(), folder)


def require_room(folder: str | Path = ".") -> None:
    """See that there is room for what Snakemake itself writes, which ends in a traceback on a full disk.

    Raises
    ------
    ValueError
        The disk is full.
    """
    free = shutil.disk_usage(folder).free
    if free < ROOM:
        raise ValueError(
            f"the disk of {Path(folder).resolve()} is full ({free / 1e6:.1f} MB free): free some space, and start again"
        )


def require_weights(study: Study, contents: Contents) -> None:
    """Compare local files of weights with the SHA-256 that the config gives of them.

    Raises
    ------
    ValueError
        A file is another one, or damaged.
    """
    for entry in study.models:
        path = entry.weights_file()
        found = contents.of([path])[0] if path and entry.sha256 else ""
        told = (entry.sha256 or "")[: len(found)]
        if not found.startswith(told):
            raise ValueError(
                f"{path}, the weights of {entry.name!r}, is damaged or another file: its SHA-256 begins with "
                f"{found[: len(told)]}, and the config says {told}; put the right file there, or give its sha256"
            )


def _named(study: Study, stimuli: str) -> set[str]:
    """List the images that the tables of a stimulus set name."""
    files, _ = stimulus_files(study, stimuli)
    if study.brain.pca and stimuli == PCA_IMAGES:
        paths = images_in(study.brain.pca.images, stimuli, study.brain.pca.n_images).paths
        return {str(path.relative_to(study.brain.pca.images)) for path in paths}
    if any(entry.name == stimuli for entry in study.recordings):
        return list_named_images(files[0])
    rating = study.rating(stimuli)
    return named_in_scores(rating.scores, rating.image_column) if rating.scores else named_in_splits(files)


def _hash_all(folder: Path, names: set[str], contents: Contents, may_lack: bool = False) -> str:
    listed = sorted(names)
    hashes = contents.of(f"{folder}/{name}" for name in listed)
    if "" in hashes and not may_lack:
        verb = agreeing(hashes.count(""), "is", "are")
        raise ValueError(f"{hashes.count('')} of {len(hashes)} images {verb} not in {folder}")
    return hash_object(list(zip(listed, hashes, strict=True)))
