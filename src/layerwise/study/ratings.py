"""How a network's layers are scored against ratings: from stored activations, streamed or sketched; by which jobs."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Literal, TypeVar

from layerwise.config import Study
from layerwise.config.data import RatingEntry
from layerwise.config.settings import CPU_BATCH
from layerwise.interfaces import LayerSpec
from layerwise.layers.blocks import blocks
from layerwise.sketching import groups as sketches
from layerwise.sketching.groups import SketchDemand, plan_sketches
from layerwise.streaming.groups import Demand, Room, fit_batch, plan_groups

AnyDemand = TypeVar("AnyDemand", Demand, SketchDemand)

Way = Literal["stored", "streamed", "sketched"]

LAMEM = 58_741  # images in each of its splits
LAMEM_SPLITS = 5


def way_of(study: Study, ratings: str) -> Way:
    """Tell how ratings are predicted: from stored activations, or, of too many images for that, as the config says.

    Ratings whose tables are not there yet are taken to be small, and LaMem's to be LaMem's: a study can be planned on
    a clone without data, and is planned anew once they are there.
    """
    if count_images(study.rating(ratings)) <= study.memorability.small:
        return "stored"
    return "sketched" if study.memorability.method == "sketch" else "streamed"


def rating_blocks(study: Study, ratings: str, layers: Sequence[LayerSpec]) -> list[str]:
    """Name the blocks of layers that one job each scores against ratings.

    Raises
    ------
    ValueError
        One layer does not fit the memory, or the disk, that a job may take.
    """
    way, memory = way_of(study, ratings), memory_of(study)
    if way == "stored":
        return blocks(len(layers), study.compute.layers_per_job)
    if way == "sketched":
        return plan_sketches(layers, sketch_demand(study, ratings, layers), memory, study.memorability.disk)
    return plan_groups(layers, demand_of(study, ratings, layers), memory, host_of(study), n_devices_of(study))


def demand_of(study: Study, ratings: str, layers: Sequence[LayerSpec]) -> Demand:
    """Say what streaming a network's layers needs, with the largest batches that make no group more than small ones."""
    entry, memory, host = study.rating(ratings), memory_of(study), host_of(study)
    demand = Demand(count_images(entry), _count_splits(entry), study.regression.components, 224, CPU_BATCH)
    fitting = [fit_batch(layers, replace(demand, batch_size=size), memory, host) for size in _batches(study)]
    return _fewest_groups(fitting, lambda one: plan_groups(layers, one, memory, host, n_devices_of(study)))


def require_room(
    study: Study, ratings: str, layers: Sequence[LayerSpec], group: Sequence[LayerSpec], n_devices: int
) -> None:
    """Refuse to stream a group of layers on fewer GPUs than it was planned for, if they cannot hold it.

    Raises
    ------
    ValueError
        They cannot.
    """
    planned = n_devices_of(study)
    if n_devices >= planned:
        return
    demand = demand_of(study, ratings, layers)
    if not Room(memory_of(study) - demand.working(layers), host_of(study), n_devices).holds(group, demand):
        raise ValueError(
            f"this group of {len(group)} layers was planned for the memory of {planned} GPUs (compute.gpus), and "
            f"{n_devices} of them can be seen: run it where all are, or set compute.gpus to {n_devices}, which plans "
            "smaller groups"
        )


def sketch_demand(study: Study, ratings: str, layers: Sequence[LayerSpec]) -> SketchDemand:
    """Say what sketching a network's layers needs, with the largest batches that make no group more than small ones.

    Sketches stay in the memory of a GPU if jobs ask for one; else they lie in a file.
    """
    memory, chosen = memory_of(study), study.memorability
    demand = SketchDemand(count_images(study.rating(ratings)), chosen.dimensions, CPU_BATCH, on_gpu(study))
    fitting = [sketches.fit_batch(layers, replace(demand, batch_size=size), memory) for size in _batches(study)]
    return _fewest_groups(fitting, lambda one: plan_sketches(layers, one, memory, chosen.disk))


def memory_of(study: Study) -> int:
    """Give the bytes that a job of many images may take for layers: of a GPU if jobs ask for one, else of the job."""
    return study.compute.gpu_memory if on_gpu(study) else study.compute.memory


def host_of(study: Study) -> int:
    """Give the bytes of a job's memory that it may take beside that of its GPUs; 0 where it has no other."""
    return study.compute.memory if on_gpu(study) else 0


def n_devices_of(study: Study) -> int:
    """Give the number of devices that a job divides the layers of a group over, if it gets what it asks for."""
    return max(1, study.compute.gpus) if on_gpu(study) else 1


def on_gpu(study: Study) -> bool:
    """Tell whether jobs that run a network ask for a GPU, and may use it."""
    compute = study.compute
    return compute.device == "cuda" or (compute.device == "auto" and compute.gpus > 0)


def _batches(study: Study) -> list[int]:
    """Give the sizes of batches that may be taken, the largest first: that of the config, or halves of the default."""
    largest = study.compute.images_at_once(on_gpu(study))
    if study.compute.batch_size is not None:
        return [largest]
    return [largest // 2**halved for halved in range(4) if largest // 2**halved >= CPU_BATCH]


def _fewest_groups(demands: Sequence[AnyDemand], plan: Callable[[AnyDemand], list[str]]) -> AnyDemand:
    """Choose the first of several demands that no other beats: each group costs passes, small batches little."""
    if len(demands) == 1:
        return demands[0]  # whether it can be planned is for the planner to say
    fewest: dict[int, AnyDemand] = {}
    for demand in dict.fromkeys(demands):  # those that were halved until they fit may be equal
        n_groups = len(plan(demand))
        fewest.setdefault(n_groups, demand)
        if n_groups == 1:
            break
    return fewest[min(fewest)]


def count_images(entry: RatingEntry) -> int:
    """Count the rated images."""
    if entry.scores is not None:
        return max(0, _count_lines(entry.scores) - 1) if entry.scores.is_file() else 0
    parts = [Path(entry.splits or "") / f"{part}_1.txt" for part in ("train", "val", "test")]
    counted = sum(_count_lines(path) for path in parts if path.is_file())
    return counted or LAMEM


def _count_splits(entry: RatingEntry) -> int:
    """Count the splits: LaMem's, those that a column names, or as many folds as are drawn."""
    if entry.splits is not None:
        return len(list(entry.splits.glob("train_*.txt"))) or LAMEM_SPLITS
    if entry.fold_column is None or entry.scores is None or not entry.scores.is_file():
        return entry.folds
    from layerwise.data.tables import read_text_table  # here: few studies need it to be planned

    table = read_text_table(entry.scores, "table of scores", "image")
    return int(table[entry.fold_column].nunique()) if entry.fold_column in table else entry.folds


def _count_lines(path: Path) -> int:
    status = path.stat()
    return _count_lines_once(path, status.st_mtime_ns, status.st_size, status.st_ino)


@cache
def _count_lines_once(path: Path, *sign: int) -> int:
    """Count lines that are not empty; once, since every network asks."""
    return sum(1 for line in path.read_bytes().splitlines() if line.strip())
