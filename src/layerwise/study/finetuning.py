"""What a study fine-tunes: which networks, on which ratings and splits, from which pixels."""

import logging
import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from layerwise.config import Study
from layerwise.config.finetuning import UNTRAINED, FinetuningSettings
from layerwise.interfaces import Geometry, Preprocessing
from layerwise.models.preprocessing import geometry_to_crop_from
from layerwise.study.counts import count_splits
from layerwise.study.layout import FINETUNED_FILES, WEIGHTS, Layout

_log = logging.getLogger(__name__)


def finetuning_of(study: Study) -> FinetuningSettings:
    """Return how a study fine-tunes.

    Raises
    ------
    ValueError
        It does not.
    """
    if study.finetuning is None:
        raise ValueError("the study fine-tunes no network: give it a section `finetuning`, or leave this step out")
    return study.finetuning


def finetuned_ratings(study: Study) -> str:
    """Name the ratings that networks are trained to predict."""
    return finetuning_of(study).ratings or study.ratings[0].name


def finetuned_models(study: Study) -> list[str]:
    """Name the networks that are trained on; none where the study fine-tunes none."""
    if study.finetuning is None:
        return []
    named = study.finetuning.models
    trained = [entry.name for entry in study.models if entry.weights != UNTRAINED]
    return trained if named is None else [entry.name for entry in study.models if entry.name in named]


def finetuned_splits(study: Study) -> list[str]:
    """Name the splits that networks are trained on, by their numbers from 1; none where the study fine-tunes none.

    Raises
    ------
    ValueError
        The config names one that the ratings do not have.
    """
    if study.finetuning is None:
        return []
    name = finetuned_ratings(study)
    count = count_splits(study.rating(name))
    wanted = study.finetuning.splits or range(1, count + 1)
    beyond = [split for split in wanted if split > count]
    if beyond:
        raise ValueError(f"finetuning.splits: there is no split {beyond[0]}: {name} is divided into {count}")
    return [str(split) for split in sorted(wanted)]


def finetuning_groups(study: Study) -> list[list[str]]:
    """Divide the splits into those that one job trains a network on."""
    splits, size = finetuned_splits(study), study.finetuning.folds_per_job if study.finetuning else 1
    return [splits[start : start + size] for start in range(0, len(splits), size)]


def splits_of(outputs: Iterable[str]) -> list[str]:
    """Name the splits whose weights are among the outputs of a job."""
    return [Path(path).parent.name for path in outputs if Path(path).name == WEIGHTS]


def set_aside(layout: Layout, model: str, outputs: Iterable[str]) -> list[str]:
    """Keep what is finished of a job that is to run again, since Snakemake removes all of its outputs before.

    As links, which take no room. The job puts back what it would train to again, and removes the links at its end.

    Parameters
    ----------
    layout : Layout
        Of the study.
    model : str
        The network that the job trains on.
    outputs : iterable of str
        Of the job.

    Returns
    -------
    list of str
        The splits that were set aside.
    """
    folder = finished_folder(Path(layout.finetuning_states(model)))
    finished = {
        split: [Path(layout.finetuned(model, split, file)) for file in FINETUNED_FILES] for split in splits_of(outputs)
    }
    return [split for split, files in finished.items() if _link_all(files, folder / split)]


def finished_folder(states: Path) -> Path:
    """Return where results of finished splits are set aside while a job trains on the others."""
    return states / "finished"


def _link_all(files: Sequence[Path], folder: Path) -> bool:
    if not all(path.is_file() for path in files):
        return False
    folder.mkdir(parents=True, exist_ok=True)
    try:
        for path in files:
            (folder / path.name).unlink(missing_ok=True)
            os.link(path, folder / path.name)
    except OSError as error:
        _log.warning("%s cannot be linked (%s): it is trained again", files[0].parent, error.strerror)
        shutil.rmtree(folder, ignore_errors=True)
        return False
    return True


def finetuning_geometry(study: Study, expected: Preprocessing) -> Geometry:
    """Return how the rated images become the squares from which a network is shown crops."""
    return geometry_to_crop_from(expected, study.rating(finetuned_ratings(study)).geometry)


def finetuning_pixels_for(study: Study, layout: Layout, stimuli: str, expected: Preprocessing) -> str:
    """Return these pixels of the rated images, which a network shares with all others of its geometry."""
    return layout.pixels(stimuli, finetuning_geometry(study, expected).key)


def finetuned_results(study: Study, layout: Layout, models: Sequence[str] | None = None) -> list[str]:
    """List all files of the networks of a study, or of some, after they were trained on."""
    return [
        layout.finetuned(model, split, file)
        for model in (finetuned_models(study) if models is None else models)
        for split in finetuned_splits(study)
        for file in FINETUNED_FILES
    ]
