"""What a table of distances between stimuli holds, and what is wrong with it."""

from pathlib import Path

import numpy as np

from layerwise.data.folders import list_images
from layerwise.data.problems import list_problems
from layerwise.data.rdms import read_rdm
from layerwise.data.reports import Report, show_range

_SIDES = "RSA needs no responses: a study takes this file as a recording, with `images` and one region"


def report_rdm(path: Path, images: Path | None = None) -> Report:
    """Describe a table of distances, and look for its images in a folder, if one is given."""
    report = Report(path, "distances between stimuli (an RDM)")
    try:
        found = read_rdm(path)
    except (ValueError, OSError) as error:
        report.problems.append(str(error))
        return report
    pairs = found.matrix[np.triu_indices(len(found.stimuli), 1)]
    report.add_table("distances", ("stimuli", "pairs", "values"), [(len(found.stimuli), len(pairs), show_range(pairs))])
    report.notes.append(_SIDES)
    absent = sorted({*found.stimuli} - {*list_images(images)}) if images else []
    if absent:
        report.problems.append(list_problems(absent, "stimulus has", "stimuli have", f"no image in {images}"))
    return report
