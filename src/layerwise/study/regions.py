"""The regions of a study: one region of one recording, under a name of its own."""

import json
import re
from collections import Counter
from dataclasses import dataclass

from layerwise.config import Study
from layerwise.config.base import NAME_LENGTH, NAME_PATTERN, check_column
from layerwise.config.data import RecordingEntry
from layerwise.data.recordings import list_regions
from layerwise.interfaces import PLS, column_of


@dataclass(frozen=True)
class Region:
    """A region to score.

    Parameters
    ----------
    name : str
        Name in the study: a panel of figure 2 and a column of layers.parquet.
    recording : str
        Name of the recording that holds it.
    label : str
        What the recording's file calls it.
    """

    name: str
    recording: str
    label: str


def regions(study: Study) -> tuple[Region, ...]:
    """List the regions of all recordings, in the order of the config.

    Raises
    ------
    ValueError
        Two recordings give a region the same name, a region is named like a measure or another column of
        layers.parquet, a file's name of a region cannot be that of a folder, or the regions of a recording are
        neither in the config nor in a file that is there.
    """
    found = tuple(region for entry in study.recordings for region in _regions_of(entry))
    names = [region.name for region in found] + [rating.measure for rating in study.ratings]
    folded = Counter(name.casefold() for name in names)  # some disks make one folder of `IT` and `it`
    twice = [name for name in names if folded[name.casefold()] > 1]
    if twice:
        same = [region for region in found if region.name.casefold() == twice[0].casefold()]
        where = ", ".join(f"{region.recording} ({region.label})" for region in same)
        raise ValueError(
            f"the name {twice[0]!r} is given twice, in {where} (case does not count): rename one in the config, with "
            f"`regions: {{{same[-1].label}: another_name}}` under the recording {same[-1].recording}"
        )
    return found


def brain_columns(study: Study) -> list[str]:
    """List the columns of layers.parquet that hold layers against the brain: for each region one of each measure.

    Raises
    ------
    ValueError
        One is named as a region or a measure of ratings.
    """
    found = regions(study)
    pairs = [(region.name, one) for region in found for one in study.measures_of(region.recording)]
    taken = {region.name.casefold() for region in found} | {rating.measure.casefold() for rating in study.ratings}
    for column in (column_of(*pair) for pair in pairs if pair[1] != PLS):
        if column.casefold() in taken:
            raise ValueError(
                f"{column!r} is the column of a region by one of brain.measures, and the name of another region or "
                "measure of ratings: rename that in the config"
            )
    return [column_of(*pair) for pair in pairs]


def main_columns(study: Study) -> list[str]:
    """List the columns that figures show: for each region the first measure."""
    return [column_of(region.name, study.measures_of(region.recording)[0]) for region in regions(study)]


def find_region(study: Study, name: str) -> Region:
    """Find a region by its name in the study."""
    found = regions(study)
    for region in found:
        if region.name == name:
            return region
    raise ValueError(f"no region {name!r} in the study; there are: {', '.join(region.name for region in found)}")


def _regions_of(entry: RecordingEntry) -> tuple[Region, ...]:
    if entry.regions is None:
        if not entry.file.is_file():
            if entry.file.exists():
                raise ValueError(f"recording {entry.name!r}: {entry.file} is no file, so its regions are not known")
            raise ValueError(
                f"recording {entry.name!r}: {entry.file} is not there, so its regions are not known; put the file "
                f"there, or name them in the config: `regions: [V1]`"
            )
        names = {label: _as_name(label, entry) for label in list_regions(entry.file)}
    else:
        given = entry.regions
        names = given if isinstance(given, dict) else {label: label for label in given}
    for label, name in names.items():
        _check_column(name, label, entry)
    return tuple(Region(name, entry.name, label) for label, name in names.items())


def _as_name(label: str, entry: RecordingEntry) -> str:
    if re.fullmatch(NAME_PATTERN, label) and len(label) <= NAME_LENGTH:
        return label
    suggested = re.sub(r"[^A-Za-z0-9._-]", "", label).lstrip("._-")[:NAME_LENGTH] or "a_name"
    raise ValueError(
        f"recording {entry.name!r}: {entry.file} holds a region {label!r}, which cannot be the name of a folder; name "
        f"those that you want in the config: `regions: {{{json.dumps(label)}: {suggested}}}`"
    )


def _check_column(name: str, label: str, entry: RecordingEntry) -> None:
    try:
        check_column(name)
    except ValueError as error:
        raise ValueError(
            f"recording {entry.name!r}: a region cannot be named so: {error}, with "
            f"`regions: {{{json.dumps(label)}: another_name}}` under the recording"
        ) from error
