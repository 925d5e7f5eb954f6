"""Recordings: what a study names of them must be in their files, and leave enough stimuli to train on."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np

from layerwise.config import Study
from layerwise.config.data import RecordingEntry, SplitsEntry
from layerwise.data.presentations import is_empty
from layerwise.data.problems import did_you_mean
from layerwise.data.rdms import list_rdm
from layerwise.data.recordings import Labels, read_labels
from layerwise.interfaces import PLS
from layerwise.study.foreseen.images import wrong_images
from layerwise.study.foreseen.paths import IMAGES, Named, find_absent, find_wrong, of_recording
from layerwise.study.foreseen.splits import too_few, too_few_compared
from layerwise.study.stimuli import kept_share, stimulus_files

OWN_IMAGES = "give `images` under the recording"


def recording_problems(entry: RecordingEntry, study: Study) -> Iterator[str]:
    """Find what is wrong with a recording whose file is there."""
    yield from find_wrong(of_recording(entry))
    if not entry.file.is_file():
        return
    kept_share(study, entry.name)  # refuses what the file says of visual degrees
    if entry.is_rdm:  # distances between stimuli: nothing is fitted to them
        yield from wrong_images(entry.images, frozenset(list_rdm(entry.file)))
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
        yield from too_few(splits, len(labels.stimuli), column, study.regression.components if fitted else 1)
        yield from too_few_compared(splits, len(labels.stimuli), column, measures)
    yield from wrong_images(stimulus_files(study, entry.name)[1], labels.images)


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


def absent_recording(entry: RecordingEntry, study: Study) -> Iterator[str]:
    """Find which file or folder of a recording is not there; what the workflow exports itself does not count."""
    if entry.brainscore is not None:
        return  # the workflow exports both
    named = of_recording(entry)
    with suppress(ValueError, OSError):  # of a file that is broken, which is a problem
        folder = stimulus_files(study, entry.name)[1]
        if entry.images is None and folder is not None:
            named.append(Named("the folder of images that its file names,", folder, True, IMAGES, OWN_IMAGES))
    yield from find_absent(named)


def cut_rim(entry: RecordingEntry, study: Study) -> Iterator[str]:
    """Find that stimuli are wider than the screen, and lose their rim."""
    share, degrees = kept_share(study, entry.name)
    if share < 1:
        yield (
            f"its stimuli of {degrees:g} degrees are wider than the {study.screen_degrees:g} degrees that a network's "
            f"input covers (`screen_degrees`): their rim is cut, and {share:.0%} of their area is kept; "
            f"`beyond_screen: fit` under the recording shows all of them, and `screen_degrees: {degrees:g}` widens the "
            "input for all recordings"
        )
