"""What can be known of a study before anything runs: whatever would make a job fail is found at once, without torch.

Each check is a short function that yields sentences. What is there and wrong (a `Problem`) stops even the planning of
jobs; what is not there yet (an `Absence`) stops a run of the jobs that need it, since studies are planned on clones
without data.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import chain

from layerwise.config import Study
from layerwise.config.study import PCA_IMAGES
from layerwise.files import explain_denial
from layerwise.study.foreseen.images import pca_problems
from layerwise.study.foreseen.networks import cut_photographs, model_problems
from layerwise.study.foreseen.paths import find_absent, find_wrong, of_gate, of_model, of_pca, of_rating, of_storage
from layerwise.study.foreseen.problems import Absence, Problem, refuse, tell
from layerwise.study.foreseen.ratings import rating_problems
from layerwise.study.foreseen.recordings import absent_recording, cut_rim, recording_problems
from layerwise.study.regions import brain_columns, regions

__all__ = [
    "Absence",
    "Problem",
    "find_absences",
    "find_notes",
    "find_problems",
    "refuse",
    "require_sound",
    "require_there",
]

GATE = "check_accuracy"  # the step that reads ImageNet's images


def find_problems(study: Study) -> list[Problem]:
    """Find what is wrong with what is there, quickly: neither torch nor a table of responses is read.

    Parameters
    ----------
    study : Study
        The study.

    Returns
    -------
    list of Problem
        All of them. Splits that hold out groups are drawn nowhere here, so that of too few stimuli in the smallest of
        them only what is certain is told.
    """
    found = [
        *(found for entry in study.models for found in tell("model", entry.name, model_problems(entry))),
        *(
            found
            for recording in study.recordings
            for found in tell("recording", recording.name, recording_problems(recording, study))
        ),
        *(found for rating in study.ratings for found in tell("rating", rating.name, rating_problems(rating, study))),
    ]
    told = {problem.told for problem in found}  # of a file that nothing can be read of, all of it is told once
    ours = tell(
        "study",
        study.study,
        chain(_region_problems(study), pca_problems(study), find_wrong([*of_gate(study), *of_storage(study)])),
    )
    return [*(problem for problem in ours if problem.told not in told), *found]


def find_absences(study: Study) -> list[Absence]:
    """Find what is not there yet, of what no job makes."""
    named = [
        *(("model", entry.name, find_absent(of_model(entry))) for entry in study.models),
        *(("recording", entry.name, absent_recording(entry, study)) for entry in study.recordings),
        *(("rating", entry.name, find_absent(of_rating(entry))) for entry in study.ratings),
        ("study", PCA_IMAGES, find_absent(of_pca(study))),
        ("study", GATE, find_absent(of_gate(study))),
    ]
    return [Absence(kind, name, told) for kind, name, found in named for told in _unless_denied(found)]


def _unless_denied(found: Iterable[str]) -> Iterator[str]:
    with suppress(PermissionError):  # which is a problem
        yield from found


def find_notes(study: Study) -> list[Problem]:
    """Find what is allowed and worth knowing: images that lose their rim, of networks and of files that can be read."""
    notes: list[Problem] = []
    if "crop" in {*(entry.geometry for entry in study.ratings), *(entry.geometry for entry in study.recordings)}:
        notes += [Problem("model", entry.name, told) for entry in study.models for told in cut_photographs(entry)]
    for entry in study.recordings:
        with suppress(ValueError, OSError):  # which are problems
            notes += [Problem("recording", entry.name, told) for told in cut_rim(entry, study)]
    return notes


def require_sound(study: Study) -> None:
    """Refuse a study of which something would fail.

    Raises
    ------
    ValueError
        It names all that is wrong.
    """
    refuse(find_problems(study), f"the study {study.study!r}")


def require_there(study: Study, jobs: Iterable[Mapping[str, str]]) -> None:
    """Refuse a run that lacks what its jobs need.

    Parameters
    ----------
    study : Study
        The study.
    jobs : iterable of mapping of str to str
        What each job is about: model, region, stimuli, ratings; and its step, as the rule is called.

    Raises
    ------
    ValueError
        It names all that is not there.
    """
    asked = {(key, value) for job in jobs for key, value in job.items()}
    recordings = {region.name: region.recording for region in regions(study)}
    recorded = {recordings.get(name) for key, name in asked if key == "region"}
    asked |= {("step", GATE) for key, value in asked if key == "step" and f"_{value}".endswith(f"_{GATE}")}
    keys = {
        "model": ("model",),
        "recording": ("stimuli",),
        "rating": ("stimuli", "ratings"),
        "study": ("stimuli", "step"),
    }
    lacking = [
        absence
        for absence in find_absences(study)
        if asked & {(key, absence.name) for key in keys[absence.kind]}
        or (absence.kind == "recording" and absence.name in recorded)
    ]
    refuse(lacking, f"the study {study.study!r}")


def _region_problems(study: Study) -> Iterator[str]:
    """Find the first clash of names of regions or of their columns, or what keeps them from being known."""
    try:
        brain_columns(study)
    except (ValueError, OSError) as error:
        yield explain_denial(error)
