"""How a network's layers are scored against ratings: from stored activations, or streamed; and by which jobs."""

from collections.abc import Sequence
from pathlib import Path

from layerwise.config import Study
from layerwise.config.data import RatingEntry
from layerwise.interfaces import LayerSpec
from layerwise.layers.blocks import blocks
from layerwise.streaming.planner import Demand, fit_batch, plan_groups

LAMEM = 58_741  # images in each of its splits
LAMEM_SPLITS = 5


def is_streamed(study: Study, ratings: str) -> bool:
    """Tell whether ratings are of so many images that nothing of their activations is stored.

    Ratings whose tables are not there yet are taken to be small, and LaMem's to be LaMem's: a study can be planned on
    a clone without data, and is planned anew once they are there.
    """
    return _count(study.rating(ratings)) > study.memorability.small


def rating_blocks(study: Study, ratings: str, layers: Sequence[LayerSpec]) -> list[str]:
    """Name the blocks of layers that one job each scores against ratings.

    Raises
    ------
    ValueError
        The layers are streamed, and one does not fit the memory of a job.
    """
    if not is_streamed(study, ratings):
        return blocks(len(layers), study.compute.layers_per_job)
    return plan_groups(layers, demand_of(study, ratings, layers), streaming_memory(study))


def demand_of(study: Study, ratings: str, layers: Sequence[LayerSpec]) -> Demand:
    """Say what streaming a network's layers needs, with the largest batches up to `compute.batch_size` that fit."""
    entry = study.rating(ratings)
    n_splits = entry.folds if entry.splits is None else LAMEM_SPLITS
    demand = Demand(_count(entry), n_splits, study.regression.components, 224, study.compute.batch_size)
    return fit_batch(layers, demand, streaming_memory(study))


def streaming_memory(study: Study) -> int:
    """Give the bytes that streamed layers may take: of a GPU if jobs ask for one, else of the job."""
    on_gpu = study.compute.gpus > 0 or study.compute.device == "cuda"
    return study.compute.gpu_memory if on_gpu else study.compute.memory


def _count(entry: RatingEntry) -> int:
    """Count the rated images."""
    if entry.scores is not None:
        return max(0, len(_lines(entry.scores)) - 1) if entry.scores.is_file() else 0
    parts = [Path(entry.splits or "") / f"{part}_1.txt" for part in ("train", "val", "test")]
    counted = sum(len(_lines(path)) for path in parts if path.is_file())
    return counted or LAMEM


def _lines(path: Path) -> list[bytes]:
    return [line for line in path.read_bytes().splitlines() if line.strip()]
