"""The step that decodes images."""

import logging
from pathlib import Path

from layerwise.config import Study
from layerwise.data.pixels import pack_pixels
from layerwise.interfaces import Geometry, Progress, no_progress
from layerwise.passes.stopping import StopRequests
from layerwise.steps.cluster import job_deadline
from layerwise.steps.inputs import stimulus_set

log = logging.getLogger(__name__)


def pack_stimuli(
    study: Study,
    stimuli: str,
    geometry: str,
    output: Path,
    threads: int | None = None,
    progress: Progress = no_progress,
) -> None:
    """Decode the images of a stimulus set once, into one HDF5 file of pixels."""
    shape = Geometry.from_key(geometry)
    if shape.kept_share < 1:
        log.info(
            "%s: stimuli are wider than the screen (screen_degrees): %.0f %% of their area is kept, and their rim is "
            "cut; `beyond_screen: fit` under the recording keeps all of it",
            *(stimuli, 100 * shape.kept_share),
        )
    images, workers = stimulus_set(study, stimuli), threads or study.compute.threads
    with StopRequests(job_deadline()) as stop:
        pack_pixels(images, shape, output, progress, workers, stop)
