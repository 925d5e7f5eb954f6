"""Looks a file of recordings over."""

import math
import warnings
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from layerwise.data.codes import find_codes
from layerwise.data.folders import ENDINGS
from layerwise.data.presentations import is_empty
from layerwise.data.problems import SHOWN
from layerwise.data.recordings import read_attributes, read_recordings, read_visual_degrees, stimuli_of
from layerwise.data.reports import Report, show, show_range
from layerwise.interfaces import Recordings, StimulusSet, counted

Consistency = Callable[[NDArray[np.floating]], NDArray[np.float64]]


def report_recordings(
    path: Path, consistency: Consistency, images: Path | None = None, screen_degrees: float = math.inf
) -> Report:
    """Look a file of recordings over.

    Parameters
    ----------
    path : Path
        The file.
    consistency : callable
        Takes responses [repetition, stimulus, neuroid] and gives ceilings [half, neuroid].
    images : Path, optional
        Folder of the images; default: the one that the file names.
    screen_degrees : float
        What the input of networks is taken to cover; what wider stimuli lose is noted.

    Returns
    -------
    Report
    """
    report = Report(path, "recordings")
    recordings = _try(report, lambda: read_recordings(path))
    if recordings is None:
        return report
    attributes = read_attributes(path)
    stimuli = _try(report, lambda: stimuli_of(path, images))
    report.notes += _cut_rim(_try(report, lambda: read_visual_degrees(path)), screen_degrees)
    report.add_table("What the file says", ("", ""), _statements(recordings, attributes, stimuli))
    report.add_table(
        "Regions", _REGION_COLUMNS, [_region(recordings, name, consistency) for name in _names(recordings)]
    )
    if recordings.animals:
        report.add_table("Animals", ("region", "animal", "neuroids"), _animals(recordings))
    if recordings.columns:
        report.add_table(
            "Properties of the stimuli", ("property", "values", "stimuli of each"), _properties(recordings)
        )
    for sentence in recordings.varying.values():
        report.notes.append(f"{sentence}: it does not describe stimuli, or is wrong; nothing can be split by it")
    report.notes += _without_property(recordings)
    for name in _names(recordings):
        _look_at_region(report, recordings, name)
    report.problems += _missing_codes(recordings)
    if stimuli is not None:
        report.notes += _shared_images(stimuli) + _unused_images(stimuli)
    return report


_REGION_COLUMNS = (
    "region", "neuroids", "stimuli", "repetitions", "trials of a neuroid", "missing trials", "mean",
    "ceiling (quartiles)", "below .5",
)  # fmt: skip


def _try(report: Report, read: Callable[[], Any]) -> Any:
    try:
        return read()
    except ValueError as error:
        report.problems.append(str(error))
        return None


def _cut_rim(degrees: float | None, screen: float) -> list[str]:
    if degrees is None or degrees <= screen:
        return []
    told = (
        f"the stimuli are {degrees:g} degrees wide, and a network's input is taken to cover {screen:g} "
        f"(`screen_degrees`): their rim is cut, and {(screen / degrees) ** 2:.0%} of their area is kept; "
        f"`beyond_screen: fit` under the recording shows all of them, as does `screen_degrees: {degrees:g}`"
    )
    return [told]


def _names(recordings: Recordings) -> tuple[str, ...]:
    return tuple(dict.fromkeys(recordings.regions))


def _of_region(recordings: Recordings, region: str) -> NDArray[np.floating]:
    return recordings.responses[:, :, np.array(recordings.regions) == region]


def _shown(responses: NDArray[np.floating]) -> NDArray[np.intp]:
    """How often each stimulus was presented to any neuroid: [stimulus]."""
    return np.asarray((~np.isnan(responses).all(axis=2)).sum(axis=0))


def _statements(
    recordings: Recordings, attributes: Mapping[str, Any], stimuli: StimulusSet | None
) -> list[tuple[str, object]]:
    return [
        ("stimuli", len(recordings.stimuli)),
        ("images", "not all found" if stimuli is None else f"all in {stimuli.paths[0].parent.resolve()}"),
        ("responses", f"{recordings.responses.dtype}, {recordings.units or 'no unit given'}"),
        ("visual degrees", attributes.get("visual_degrees", "not given")),
        ("source", attributes.get("source") or "not given"),
    ]


def _region(recordings: Recordings, region: str, consistency: Consistency) -> tuple[object, ...]:
    responses = _of_region(recordings, region)
    shown = _shown(responses)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # neuroids without a ceiling are reported by name
        ceilings = consistency(responses[:, shown > 0])
        median = float(np.nanmean(np.nanmedian(ceilings, axis=1)))
        of_neuroids = np.nanmean(ceilings, axis=0)
        quartiles = " to ".join(show(value) for value in np.nanquantile(of_neuroids, (0.25, 0.75)))
    trials = (~np.isnan(responses)).sum(axis=0)
    presented = ~np.isnan(responses).all(axis=2)  # repetitions that a stimulus never had are not missing
    return (
        region,
        responses.shape[2],
        int(np.sum(shown > 0)),
        show_range(shown[shown > 0]),
        show_range(trials[shown > 0]),
        f"{100 * np.isnan(responses[presented]).mean():.2g} %",
        float(np.nanmean(responses)),
        f"{show(median)} ({quartiles})" if np.isfinite(median) else "undefined",
        int(np.sum(of_neuroids < 0.5)) if np.isfinite(median) else "-",
    )


def _animals(recordings: Recordings) -> list[tuple[object, ...]]:
    counts = Counter(zip(recordings.regions, recordings.animals, strict=True))
    return [(region, animal, count) for (region, animal), count in counts.items()]


def _properties(recordings: Recordings) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    for name, values in recordings.columns.items():
        counts = np.unique(np.asarray(values), return_counts=True)[1]
        rows.append((name, len(counts), show_range(counts)))
    return rows


def _without_property(recordings: Recordings) -> list[str]:
    without = {name: int(is_empty(np.asarray(values)).sum()) for name, values in recordings.columns.items()}
    return [
        f"{name!r} is empty for {count} of {len(recordings.stimuli)} stimuli: nothing can be split by it"
        for name, count in without.items()
        if count
    ]


def _look_at_region(report: Report, recordings: Recordings, region: str) -> None:
    responses = _of_region(recordings, region)
    shown = _shown(responses)
    if _are_trials(responses):
        report.notes.append(
            f"{region}: no two stimuli share a repetition; if the repetition is a number of the trial, leave it out, "
            "so that the presentations of each stimulus are numbered, and the halves of a ceiling hold all stimuli"
        )
    if shown.max() == 1:
        report.notes.append(f"{region}: one repetition of each stimulus, so its ceiling is undefined")
    elif shown[shown > 0].min() == 1:
        report.notes.append(
            f"{region}: {counted(np.sum(shown == 1), 'stimulus has', 'stimuli have')} one repetition only"
        )
    if (shown == 0).any():
        report.notes.append(
            f"{region}: {counted(np.sum(shown == 0), 'stimulus was', 'stimuli were')} never shown (such as "
            f"{_first(recordings, shown == 0)}); its scores leave them out"
        )
    report.problems += _useless_neuroids(recordings, region, shown)


def _are_trials(responses: NDArray[np.floating]) -> bool:
    """Return whether there are repetitions, each of one stimulus alone: [repetition, stimulus, neuroid]."""
    stimuli = (~np.isnan(responses).all(axis=2)).sum(axis=1)
    return len(stimuli) > 1 and responses.shape[1] > 1 and int(stimuli.max()) == 1


def _first(recordings: Recordings, chosen: NDArray[np.bool_]) -> str:
    return recordings.stimuli[int(np.flatnonzero(chosen)[0])]


def _useless_neuroids(recordings: Recordings, region: str, shown: NDArray[np.intp]) -> list[str]:
    problems = []
    for column in np.flatnonzero(np.array(recordings.regions) == region):
        values = recordings.responses[:, :, column]
        found = values[~np.isnan(values)]
        name = f"{region}, neuroid {recordings.neuroids[column]!r} (column {column + 1})"
        unseen = int(np.sum(np.isnan(values).all(axis=0) & (shown > 0)))
        if not found.size:
            problems.append(f"{name}: has no response at all; take it out")
        elif found.min() == found.max():
            problems.append(f"{name}: always responds with {show(found[0])}, so nothing can be predicted; take it out")
        elif unseen:
            problems.append(
                f"{name}: has no response to {counted(unseen, 'stimulus', 'stimuli')} that others of its region saw"
            )
    return problems


def _missing_codes(recordings: Recordings) -> list[str]:
    problems = []
    for code, sentence in find_codes(recordings.responses, "responses"):
        repetition, stimulus, column = (int(index[0]) for index in np.nonzero(recordings.responses == code))
        problems.append(
            f"{sentence} (first: stimulus {recordings.stimuli[stimulus]!r}, repetition {repetition + 1}, neuroid "
            f"{recordings.neuroids[column]!r}): if it marks missing trials, write NaN instead"
        )
    return problems


def _shared_images(stimuli: StimulusSet) -> list[str]:
    counts = Counter(stimuli.paths)
    shared = sorted(path.name for path, count in counts.items() if count > 1)
    if not shared:
        return []
    advice = (
        "hold these stimuli out together (`splits: {method: grouped, by: ...}`), or an image is trained and tested on"
    )
    return [f"images that several stimuli show: {len(shared)} (such as {shared[0]}); {advice}"]


def _unused_images(stimuli: StimulusSet) -> list[str]:
    known = {path.name for path in stimuli.paths}
    folders = {path.parent for path in stimuli.paths}
    unused = sorted(
        path.name
        for folder in folders
        for path in folder.iterdir()
        if path.suffix.lower() in ENDINGS and path.name not in known and path.is_file()
    )
    if not unused:
        return []
    names = ", ".join(unused[:3]) + (", ..." if len(unused) > SHOWN else "")
    return [f"{counted(len(unused), 'image has', 'images have')} no responses ({names})"]
