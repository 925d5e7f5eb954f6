"""Which images a recording or a set of ratings brings, and how they become the input of a network."""

from functools import cache
from pathlib import Path
from typing import Any, Literal

from layerwise.config import Study
from layerwise.config.data import RecordingEntry
from layerwise.config.study import PCA_IMAGES
from layerwise.data.listed import SPLIT_FILE
from layerwise.data.recordings import list_shown, read_attributes, read_visual_degrees
from layerwise.interfaces import Geometry, Preprocessing
from layerwise.models.preprocessing import geometry_for


def stimulus_files(study: Study, stimuli: str) -> tuple[list[Path], Path | None]:
    """Return the tables that describe a stimulus set, and the folder of its images (None: the recording names it)."""
    for recording in study.recordings:
        if recording.name == stimuli:
            return [recording.file], recording.images or _own_folder(recording.file)
    if study.brain.pca and stimuli == PCA_IMAGES:
        return [], study.brain.pca.images
    rating = study.rating(stimuli)
    return ([rating.scores] if rating.scores else _split_files(rating.splits or Path())), rating.images


def shared_stimuli(study: Study, stimuli: str) -> str:
    """Return the stimulus set whose pixels and activations serve another: the first that shows the same images alike.

    Recordings share theirs where they are of one file, or where two files, neither of which the workflow exports
    itself, name the same stimuli with the same images. Ratings have their own.
    """
    entries = {entry.name: entry for entry in study.recordings}
    alike = (name for name in entries if stimuli in entries and _shown_alike(study, entries[name], entries[stimuli]))
    return next(alike, stimuli)


def _shown_alike(study: Study, one: RecordingEntry, other: RecordingEntry) -> bool:
    if one.name == other.name:
        return True
    folders = [entry.images or _own_folder(entry.file) for entry in (one, other)]
    if folders[0] != folders[1] or _kind_and_canvas(study, one.name) != _kind_and_canvas(study, other.name):
        return False
    if one.file == other.file:
        return True
    # A file that is exported meanwhile would change what jobs there are.
    there = all(entry.file.is_file() and not entry.brainscore for entry in (one, other))
    return there and _list_shown(one.file, *_sign(one.file)) == _list_shown(other.file, *_sign(other.file))


@cache
def _list_shown(path: Path, *sign: int) -> frozenset[tuple[str, str]]:
    """List the stimuli of a file and their images; once, since every network asks."""
    return list_shown(path)


def _sign(path: Path) -> tuple[int, int, int]:
    status = path.stat()
    return status.st_mtime_ns, status.st_size, status.st_ino


def geometry_of(study: Study, stimuli: str, preprocessing: Preprocessing) -> Geometry:
    """Return how the images of a stimulus set become the input of a network.

    Parameters
    ----------
    study : Study
        The study.
    stimuli : str
        Name of the recording or of the ratings.
    preprocessing : Preprocessing
        What the network expects.
    """
    kind, canvas = _kind_and_canvas(study, stimuli)
    return geometry_for(preprocessing, kind, canvas)


def pca_geometry(study: Study, recording: str, preprocessing: Preprocessing) -> Geometry | None:
    """Return how the images of the principal components are shown for a recording; None where none are fitted.

    They fill the input, and are resized as its stimuli are; `recording` may also be the name of ratings, which are
    never reduced.
    """
    kinds = {entry.name: entry.geometry for entry in study.recordings}
    reduced = study.brain.pca is not None and recording in kinds
    return geometry_for(preprocessing, kinds[recording]) if reduced else None


def kept_share(study: Study, recording: str) -> tuple[float, float | None]:
    """Return the share of the area of a recording's stimuli that lies within the screen, and their side in degrees.

    The share is 1 where nothing is cut, or the side is not known.
    """
    return min(1.0, _kind_and_canvas(study, recording)[1]) ** 2, _degrees(study.recording(recording))


def _kind_and_canvas(study: Study, stimuli: str) -> tuple[Literal["square", "crop"], float]:
    for recording in study.recordings:
        if recording.name == stimuli:
            degrees = _degrees(recording)
            canvas = study.screen_degrees / degrees if degrees else 1.0
            return recording.geometry, max(1.0, canvas) if recording.beyond_screen == "fit" else canvas
    return study.rating(stimuli).geometry, 1.0


def _degrees(recording: RecordingEntry) -> float | None:
    """Return the side of stimuli as they were seen; None where neither the config nor the file says."""
    if recording.visual_degrees is not None or not recording.file.is_file():
        return recording.visual_degrees
    return read_visual_degrees(recording.file)


def _split_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.txt") if SPLIT_FILE.fullmatch(path.name))


def _own_folder(file: Path) -> Path | None:
    folder = _attribute(file, "images")
    return file.parent / str(folder) if folder else None


def _attribute(file: Path, name: str) -> Any:
    return read_attributes(file).get(name) if file.is_file() else None
