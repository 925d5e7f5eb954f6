"""How many images and neuroids the sets of a study have, from their tables, or what is taken where these lack."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from layerwise.config import Study
from layerwise.config.data import RatingEntry, RecordingEntry
from layerwise.config.study import PCA_IMAGES
from layerwise.data.folders import list_images
from layerwise.data.recordings import count_neuroids, count_stimuli

LAMEM = 58_741  # images in each of its splits
LAMEM_SPLITS = 5
PUBLIC = {"FreemanZiemba2013.public": (135, 205), "MajajHong2015.public": (3_200, 256)}  # images and neuroids


@dataclass(frozen=True)
class Count:
    """How many there are.

    Parameters
    ----------
    images : int
        0 where nothing says how many.
    neuroids : int
        Of all regions of a recording; 0 of ratings, and where nothing says how many.
    lacking : str
        A sentence on what is not there, so that they were not counted; else empty.
    """

    images: int
    neuroids: int = 0
    lacking: str = ""


def count_set(study: Study, stimuli: str) -> Count:
    """Count the images of a recording, of ratings or for principal components."""
    for recording in study.recordings:
        if recording.name == stimuli:
            return _count_recording(recording)
    if study.brain.pca is not None and stimuli == PCA_IMAGES:
        return _count_pca_images(study.brain.pca.images, study.brain.pca.n_images)
    entry = study.rating(stimuli)
    n_images = count_images(entry)
    lacking = "" if n_images else f"{entry.name}: its table is not there yet, so that its images are not counted"
    return Count(n_images, 0, lacking)


def count_images(entry: RatingEntry) -> int:
    """Count the rated images."""
    if entry.scores is not None:
        return max(0, _count_lines(entry.scores) - 1) if entry.scores.is_file() else 0
    parts = [Path(entry.splits or "") / f"{part}_1.txt" for part in ("train", "val", "test")]
    counted = sum(_count_lines(path) for path in parts if path.is_file())
    return counted or LAMEM


def count_splits(entry: RatingEntry) -> int:
    """Count the splits: LaMem's, those that a column names, or as many folds as are drawn."""
    if entry.splits is not None:
        return len(list(entry.splits.glob("train_*.txt"))) or LAMEM_SPLITS
    if entry.fold_column is None or entry.scores is None or not entry.scores.is_file():
        return entry.folds
    from layerwise.data.tables import read_text_table  # here: few studies need it to be planned

    table = read_text_table(entry.scores, "table of scores", "image")
    return int(table[entry.fold_column].nunique()) if entry.fold_column in table else entry.folds


def _count_recording(entry: RecordingEntry) -> Count:
    if entry.file.is_file():
        return Count(*_count_presentations(entry.file, *_sign(entry.file)))
    if entry.brainscore in PUBLIC:
        images, neuroids = PUBLIC[entry.brainscore]
        taken = f"planned with the {images:,} images of {entry.brainscore}"
        return Count(images, neuroids, f"{entry.name}: {entry.file} is not there yet: {taken}")
    return Count(0, 0, f"{entry.name}: {entry.file} is not there yet, so that its stimuli are not counted")


def _count_pca_images(folder: Path, wanted: int | None) -> Count:
    if folder.is_dir():
        return Count(wanted or _count_files(folder))
    if wanted:
        return Count(wanted, 0, f"{PCA_IMAGES}: the folder {folder} is not there yet: planned with {wanted:,} images")
    return Count(0, 0, f"{PCA_IMAGES}: the folder {folder} is not there yet, so that its images are not counted")


@cache
def _count_files(folder: Path) -> int:
    return len(list_images(folder))


@cache
def _count_presentations(path: Path, *sign: int) -> tuple[int, int]:
    return count_stimuli(path), count_neuroids(path)


def _sign(path: Path) -> tuple[int, int, int]:
    status = path.stat()
    return status.st_mtime_ns, status.st_size, status.st_ino


def _count_lines(path: Path) -> int:
    return _count_lines_once(path, *_sign(path))


@cache
def _count_lines_once(path: Path, *sign: int) -> int:
    """Count lines that are not empty; once, since every network asks."""
    return sum(1 for line in path.read_bytes().splitlines() if line.strip())
