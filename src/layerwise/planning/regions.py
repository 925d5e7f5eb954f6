"""The regions of a study: one region of one recording, under a name of its own."""

from collections import Counter
from dataclasses import dataclass

from layerwise.config import Study
from layerwise.config.data import RecordingEntry
from layerwise.data.recordings import list_regions


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
        Two recordings give a region the same name, a region is named like a measure, or the regions of a recording
        are neither in the config nor in a file that is there.
    """
    found = tuple(region for entry in study.recordings for region in _regions_of(entry))
    names = [region.name for region in found] + [rating.measure for rating in study.ratings]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        where = ", ".join(f"{region.recording} ({region.label})" for region in found if region.name in twice)
        raise ValueError(
            f"the name {twice[0]!r} is given twice, in {where}: rename one in the config, with "
            f"`regions: {{{found[0].label}: another_name}}` under the recording"
        )
    return found


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
            raise ValueError(
                f"recording {entry.name!r}: {entry.file} is not there, so its regions are not known; put the file "
                f"there, or name them in the config: `regions: [V1]`"
            )
        names = {label: label for label in list_regions(entry.file)}
    else:
        given = entry.regions
        names = given if isinstance(given, dict) else {label: label for label in given}
    return tuple(Region(name, entry.name, label) for label, name in names.items())
