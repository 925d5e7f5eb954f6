"""What can be known of a study before anything runs: whatever would make a job fail is found at once, without torch.

Each check is a short function that yields sentences. What is there and wrong (a `Problem`) stops even the planning of
jobs; what is not there yet (an `Absence`) stops a run of the jobs that need it, since studies are planned on clones
without data.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from layerwise.config import Study
from layerwise.config.data import RatingEntry, RecordingEntry, SplitsEntry
from layerwise.config.models import ModelEntry
from layerwise.data.folders import find_files, has_images, list_images
from layerwise.data.listed import IMAGE_COLUMNS, SCORE_COLUMNS, choose_column, read_rows
from layerwise.data.presentations import is_empty
from layerwise.data.problems import did_you_mean, list_problems
from layerwise.data.rdms import list_rdm
from layerwise.data.recordings import Labels, read_labels
from layerwise.files.defined import defined_names
from layerwise.interfaces import FITTED, PLS, Measure
from layerwise.models import timm_names
from layerwise.study.regions import brain_columns, regions
from layerwise.study.stimuli import kept_share, stimulus_files

LEAST_COMPARED = 4  # stimuli, of measures that are one number a layer


@dataclass(frozen=True)
class Problem:
    """What would make jobs fail.

    Parameters
    ----------
    kind : {"model", "recording", "rating", "study"}
        What it is about.
    name : str
        Name of that in the study.
    told : str
        A sentence: what is wrong, and what to do.
    """

    kind: str
    name: str
    told: str

    def __str__(self) -> str:
        return self.told if self.kind == "study" else f"{_WORDS[self.kind]} {self.name!r}: {self.told}"


class Absence(Problem):
    """A file or folder that is not there yet."""


_WORDS = {"model": "model", "recording": "recording", "rating": "ratings"}


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
    return [
        *_told("study", study.study, chain(_region_problems(study), _pca_problems(study))),
        *(found for entry in study.models for found in _told("model", entry.name, _model_problems(entry))),
        *(
            found
            for recording in study.recordings
            for found in _told("recording", recording.name, _recording_problems(recording, study))
        ),
        *(found for rating in study.ratings for found in _told("rating", rating.name, _rating_problems(rating, study))),
    ]


def find_absences(study: Study) -> list[Absence]:
    """Find what is not there yet, of what no job makes."""
    return [
        *(Absence("model", entry.name, told) for entry in study.models for told in _absent_weights(entry)),
        *(Absence("recording", entry.name, told) for entry in study.recordings for told in _absent_recording(entry)),
        *(Absence("rating", entry.name, told) for entry in study.ratings for told in _absent_rating(entry)),
    ]


def find_notes(study: Study) -> list[Problem]:
    """Find what is allowed and worth knowing: stimuli that lose their rim."""
    return [
        Problem("recording", entry.name, told)
        for entry in study.recordings
        for told in _tried(lambda entry=entry: _rim(entry, study))  # type: ignore[misc]
    ]


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
        What each job is about: model, region, stimuli, ratings.

    Raises
    ------
    ValueError
        It names all that is not there.
    """
    asked = {(key, value) for job in jobs for key, value in job.items()}
    recordings = {region.name: region.recording for region in regions(study)}
    recorded = {recordings.get(name) for key, name in asked if key == "region"}
    keys = {"model": ("model",), "recording": ("stimuli",), "rating": ("stimuli", "ratings")}
    lacking = [
        absence
        for absence in find_absences(study)
        if asked & {(key, absence.name) for key in keys[absence.kind]}
        or (absence.kind == "recording" and absence.name in recorded)
    ]
    refuse(lacking, f"the study {study.study!r}")


def refuse(problems: Sequence[Problem], source: str) -> None:
    """Raise one error that names all problems, if there are any."""
    if problems:
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        raise ValueError("\n".join([f"{source} has {count}:", *(_indented(problem) for problem in problems)]))


def _indented(problem: Problem) -> str:
    return "\n".join(f"  {line}" for line in str(problem).splitlines())


def _told(kind: str, name: str, sentences: Iterable[str]) -> Iterator[Problem]:
    return (Problem(kind, name, told) for told in _tried(lambda: sentences))


def _tried(find: Callable[[], Iterable[str]]) -> Iterator[str]:
    """Yield what is found; that a file cannot be read is told likewise, and ends the search in it."""
    try:
        yield from find()
    except (ValueError, OSError) as error:
        yield str(error)


# --- the study --------------------------------------------------------------------------------------------------------


def _region_problems(study: Study) -> Iterator[str]:
    brain_columns(study)
    yield from ()


def _pca_problems(study: Study) -> Iterator[str]:
    pca = study.brain.pca
    if pca is None or not pca.images.is_dir():
        return
    there, needed = len(list_images(pca.images)), pca.n_images or pca.components + 1
    if there < needed:
        yield (
            f"brain.pca: {pca.images} holds {there} images, and {needed} are needed for {pca.components} principal "
            "components: add images, or lower `components` or `n_images`"
        )


# --- networks ---------------------------------------------------------------------------------------------------------


def _model_problems(entry: ModelEntry) -> Iterator[str]:
    """Find names that nothing has, from texts alone: what importing shows besides, `check-config` finds."""
    if entry.factory:
        yield from _wrong_factory(entry.factory)
    if entry.timm and timm_names.is_unknown(entry.timm):
        near = get_close_matches(entry.timm.partition(".")[0], timm_names.names_in_text(), n=3)
        yield f"timm has no network {entry.timm!r}" + (f": did you mean {' or '.join(near)}?" if near else "")


def _wrong_factory(factory: str) -> Iterator[str]:
    module, _, function = factory.partition(":")
    try:
        names = defined_names(module)
    except ModuleNotFoundError:
        yield f"its factory {factory!r} cannot be imported: there is no module or package {module!r} here"
        return
    if names is not None and function not in names:
        hint = did_you_mean(function, names)
        yield f"its factory {factory!r} cannot be imported: {module} has no {function!r}; {hint}"


def _absent_weights(entry: ModelEntry) -> Iterator[str]:
    path = entry.weights_file()
    if path is not None and not path.is_file():
        yield (
            f"its file of weights {path} is not there: check the path, which counts from the folder of the study file; "
            "or give `imagenet` or `random`"
        )


# --- recordings -------------------------------------------------------------------------------------------------------


def _recording_problems(entry: RecordingEntry, study: Study) -> Iterator[str]:
    if not entry.file.is_file():
        return
    kept_share(study, entry.name)  # refuses what the file says of visual degrees
    if entry.is_rdm:  # distances between stimuli: nothing is fitted to them
        yield from _wrong_images(entry.images, frozenset(list_rdm(entry.file)))
        return
    splits = entry.splits
    labels = read_labels(entry.file, [name for name in (splits.by, splits.order) if name is not None])
    yield from _wrong_neuroids(entry, labels)
    wrong = [told for key in ("by", "order") for told in _wrong_property(splits, key, labels, entry.file)]
    yield from wrong
    if not wrong:
        column = None if splits.by is None else np.asarray(labels.columns[splits.by])
        measures = study.measures_of(entry.name)
        fitted = PLS in measures
        yield from _too_few(splits, len(labels.stimuli), column, study.regression.components if fitted else 1)
        yield from _too_few_compared(splits, len(labels.stimuli), column, measures)
    yield from _wrong_images(stimulus_files(study, entry.name)[1], labels.images)


def _wrong_neuroids(entry: RecordingEntry, labels: Labels) -> Iterator[str]:
    wanted = list(entry.regions or dict.fromkeys(labels.regions))
    unknown = [name for name in wanted if name not in labels.regions]
    for name in unknown:
        yield f"{entry.file} has no region {name!r}: {did_you_mean(name, set(labels.regions))}"
    if entry.animals is None:
        return
    if not labels.animals:
        yield f"{entry.file} does not say of which animal its neuroids are: leave `animals` out"
        return
    strange = [name for name in entry.animals if name not in labels.animals]
    for name in strange:
        yield f"{entry.file} has no animal {name!r}: {did_you_mean(name, set(labels.animals) - {''})}"
    pairs = set(zip(labels.regions, labels.animals, strict=True))
    for region in wanted:
        if region not in unknown and not strange and not pairs & {(region, animal) for animal in entry.animals}:
            yield f"the animals {', '.join(entry.animals)} have no neuroid in {region}: leave the region out"


def _wrong_property(splits: SplitsEntry, key: str, labels: Labels, file: Path) -> Iterator[str]:
    name = getattr(splits, key)
    if name is None:
        return
    if name not in labels.properties:
        yield (
            f"its splits name the property {name!r} (`{key}`), which {file} lacks: "
            f"{did_you_mean(name, labels.properties)}"
        )
    elif name in labels.varying:
        yield f"nothing can be split by {name!r} (`{key}`): {labels.varying[name]}; name a property of the stimuli"
    else:
        empty = int(is_empty(np.asarray(labels.columns[name])).sum())
        if empty:
            yield (
                f"nothing can be split by {name!r} (`{key}`): it is empty for {empty} of {len(labels.stimuli)} "
                "stimuli; fill it in, or name another property"
            )


def _too_few(splits: SplitsEntry, n_stimuli: int, column: NDArray[Any] | None, n_components: int) -> Iterator[str]:
    groups = None if column is None else Counter(column.tolist())
    if splits.method == "given" and groups is not None:
        words = {str(value) for value in groups}
        lacking = [name for name in (splits.train, splits.test) if name not in words]
        if lacking:
            yield (
                f"no stimulus has {lacking[0]!r} as its {splits.by!r}, which tells training from test stimuli: "
                f"{did_you_mean(lacking[0], words)}; name two values with `train` and `test`"
            )
            return
    parted, unit = (n_stimuli, "stimuli") if groups is None else (len(groups), f"values of {splits.by!r}")
    if splits.method == "kfold" and parted < splits.n_splits:
        yield f"{splits.n_splits} folds need as many {unit}, and there are {parted}: lower `n_splits`"
        return
    if splits.method == "shuffle" and groups is not None:
        yield from _few_strata(splits, groups)
    most = most_trained(splits, n_stimuli, column)
    if most < n_components:
        yield (
            f"{n_stimuli} stimuli leave at most {most} for training in the smallest split, and {n_components} "
            "components need as many: use more stimuli, a larger `train_size`, or fewer `regression.components`"
        )


def _too_few_compared(
    splits: SplitsEntry, n_stimuli: int, column: NDArray[Any] | None, measures: Sequence[Measure]
) -> Iterator[str]:
    """Find what leaves a correlation over test stimuli, or over pairs of stimuli, without enough of them."""
    single = [one for one in measures if one not in FITTED]
    tested = n_stimuli
    if splits.method == "given" and column is not None:
        tested = sum(str(value) == splits.test for value in column.tolist())
        if tested == 1:
            yield f"one stimulus has {splits.test!r} as its {splits.by!r}: nothing correlates over fewer than two"
    if single and 1 < tested < LEAST_COMPARED:
        yield f"{tested} stimuli are compared, and {single[0]} needs {LEAST_COMPARED} or more: use more"


def _few_strata(splits: SplitsEntry, groups: Counter[Any]) -> Iterator[str]:
    """Find what scikit-learn refuses: each value must be in both parts, as far as there are two stimuli of it."""
    several = [count for count in groups.values() if count > 1]
    n_trained = math.floor(splits.train_size * sum(several))
    n_tested = sum(several) - n_trained
    if not several:
        yield f"all stimuli differ in {splits.by!r}, so that no split can keep its shares: name another property"
    elif min(n_trained, n_tested) < len(several):
        yield (
            f"splits by {splits.by!r} train on {n_trained} and test on {n_tested} of the {sum(several)} stimuli that "
            f"share a value, and each part is to hold all {len(several)} values: set another `train_size`, or split "
            "by another property, or by none"
        )


def most_trained(splits: SplitsEntry, n_stimuli: int, column: NDArray[Any] | None = None) -> int:
    """Count how many stimuli the smallest training part holds, or, where whole groups are held out, at most can.

    Parameters
    ----------
    splits : SplitsEntry
        How stimuli are divided.
    n_stimuli : int
        How many there are.
    column : array [stimulus], optional
        The property `by`.
    """
    if splits.method == "given" and column is not None:
        return sum(str(value) == splits.train for value in column.tolist())
    if splits.method == "kfold":
        return n_stimuli - math.ceil(n_stimuli / splits.n_splits)
    if column is None:
        return math.floor(splits.train_size * n_stimuli)
    sizes = sorted(Counter(column.tolist()).values(), reverse=True)
    if splits.method == "grouped":
        return sum(sizes[: math.floor(splits.train_size * len(sizes))])
    alone = sum(size == 1 for size in sizes)
    return math.floor(splits.train_size * (n_stimuli - alone)) + alone


def _absent_recording(entry: RecordingEntry) -> Iterator[str]:
    if entry.brainscore is not None:
        return  # the workflow exports both
    if not entry.file.is_file():
        yield f"its file {entry.file} is not there"
    if entry.images is not None and not entry.images.is_dir():
        yield f"its folder of images {entry.images} is not there"


def _rim(entry: RecordingEntry, study: Study) -> Iterator[str]:
    share, degrees = kept_share(study, entry.name)
    if share < 1:
        yield (
            f"its stimuli of {degrees:g} degrees are wider than the {study.screen_degrees:g} degrees that a network's "
            f"input covers (`screen_degrees`): their rim is cut, and {share:.0%} of their area is kept; "
            f"`beyond_screen: fit` under the recording shows all of them, and `screen_degrees: {degrees:g}` widens the "
            "input for all recordings"
        )


# --- ratings ----------------------------------------------------------------------------------------------------------


def _rating_problems(entry: RatingEntry, study: Study) -> Iterator[str]:
    if entry.scores is None:
        yield from _wrong_splits(entry, study.regression.components)
    elif entry.scores.is_file():
        yield from _wrong_scores(entry, entry.scores, study.regression.components)
    yield from _wrong_images(entry.images, frozenset())


def _wrong_splits(entry: RatingEntry, n_components: int) -> Iterator[str]:
    folder = entry.splits or Path()
    if folder.is_dir() and not any(folder.glob("train_*.txt")):
        yield f"no split files in {folder}: it should hold train_1.txt, val_1.txt, test_1.txt and so on"
    for path in sorted(folder.glob("train_*.txt")):
        lines = sum(1 for line in path.read_bytes().splitlines() if line.strip())
        if lines < n_components:
            yield (
                f"{path} names {lines} images to train on, and {n_components} components need as many: give more "
                "images, or fewer `regression.components`"
            )


def _wrong_scores(entry: RatingEntry, scores: Path, n_components: int) -> Iterator[str]:
    header, *rows = read_rows(scores)
    wrong = list(_wrong_columns(entry, scores, header))
    yield from wrong
    if not wrong and entry.rater_columns is None:
        place = header.index(choose_column(header, entry.score_column, SCORE_COLUMNS, "score", scores))
        cells = [row[place].strip() if len(row) > place else "" for row in rows if any(row)]
        bad = [f"line {line}: {cell!r}" for line, cell in enumerate(cells, 2) if not _is_number(cell)]
        if bad:
            yield list_problems(bad, f"cells of the column {header[place]!r} of {scores} are no finite numbers")
    yield from _few_images(entry, len([row for row in rows if any(row)]), n_components)


def _wrong_columns(entry: RatingEntry, scores: Path, header: list[str]) -> Iterator[str]:
    asked: list[tuple[str | None, Sequence[str], str]] = [(entry.image_column, IMAGE_COLUMNS, "image")]
    if entry.rater_columns is None:
        asked.append((entry.score_column, SCORE_COLUMNS, "score"))
    asked += [(name, (), "rater") for name in entry.rater_columns or ()]
    asked += [(name, (), "fold") for name in (entry.fold_column,) if name is not None]
    for given, usual, what in asked:
        try:
            choose_column(header, given, usual, what, scores)
        except ValueError as error:
            yield str(error)


def _few_images(entry: RatingEntry, n_images: int, n_components: int) -> Iterator[str]:
    if entry.fold_column is not None:
        return
    most = n_images - math.ceil(n_images / entry.folds)
    if n_images < entry.folds:
        yield f"{entry.folds} folds need as many images, and {entry.scores} has {n_images}: lower `folds`"
    elif most < n_components:
        yield (
            f"{n_images} images leave {most} for training in the smallest of {entry.folds} folds, and {n_components} "
            "components need as many: rate more images, or set more `folds` or fewer `regression.components`"
        )


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _absent_rating(entry: RatingEntry) -> Iterator[str]:
    if entry.scores is not None and not entry.scores.is_file():
        yield f"its table of scores {entry.scores} is not there"
    if entry.splits is not None and not entry.splits.is_dir():
        yield f"its folder of splits {entry.splits} is not there"
    if not entry.images.is_dir():
        yield f"its folder of images {entry.images} is not there"


# --- images -----------------------------------------------------------------------------------------------------------


def _wrong_images(folder: Path | None, named: frozenset[str]) -> Iterator[str]:
    if folder is None or not folder.is_dir():
        return
    if not named and not has_images(folder):
        yield f"the folder {folder} holds no image: check the path"
    lacking = sorted(named - find_files(folder, named).keys())
    if lacking:
        yield list_problems(lacking, f"of {len(named)} images that the file names are not in {folder}")
