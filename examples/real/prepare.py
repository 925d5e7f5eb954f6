"""Writes the macaque V1 responses to natural movies in the format that layerwise reads.

    python examples/real/prepare.py ../shared/data/v1_natural_movies results/real-data/movies.nc

The archive holds spike counts [repetition, neuroid, stimulus] as bytes, 255 where a trial is missing.
"""

import sys
from pathlib import Path

import numpy as np

from layerwise.data.recordings import write_recordings
from layerwise.interfaces import Recordings, StimulusSet

MISSING = 255


def read_movies(folder: Path) -> tuple[Recordings, StimulusSet]:
    """Read the archive: responses with NaN for missing trials, and the frame that each stimulus is."""
    with np.load(folder / "responses.npz") as archive:
        counts = archive["spike_counts"].transpose(0, 2, 1)
        frames, recording = archive["stimulus"], archive["recording"]
        columns = {name: archive[name] for name in ("movie", "scale", "category")}
    order = np.argsort(frames)
    responses = np.where(counts == MISSING, np.nan, counts).astype(np.float32)[:, order]
    stimuli = tuple(frames[order].tolist())
    recordings = Recordings(
        responses=responses,
        stimuli=stimuli,
        neuroids=tuple(f"{name}-{index:03d}" for index, name in enumerate(recording)),
        regions=("V1",) * len(recording),
        columns={name: values[order] for name, values in columns.items()},
        units="spikes a trial",
    )
    return recordings, StimulusSet("movies", stimuli, tuple(folder / "stimuli" / name for name in stimuli))


if __name__ == "__main__":
    source, target = map(Path, sys.argv[1:])
    movies, images = read_movies(source)
    write_recordings(movies, target, images, source="macaque V1, natural and synthetic movies")
