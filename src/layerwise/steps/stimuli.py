"""The step that decodes images."""

from pathlib import Path

from layerwise.config import Study
from layerwise.data.pixels import pack_pixels
from layerwise.interfaces import Geometry, Progress, no_progress
from layerwise.passes.stopping import StopRequests
from layerwise.steps.cluster import job_deadline
from layerwise.steps.inputs import stimulus_set


def pack_stimuli(
    study: Study,
    stimuli: str,
    geometry: str,
    output: Path,
    threads: int | None = None,
    progress: Progress = no_progress,
) -> None:
    """Decode the images of a stimulus set once, into one HDF5 file of pixels."""
    images, workers = stimulus_set(study, stimuli), threads or study.compute.threads
    with StopRequests(job_deadline()) as stop:
        pack_pixels(images, Geometry.from_key(geometry), output, progress, workers, stop)
