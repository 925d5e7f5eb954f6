"""What the jobs that run a study's networks will take, said before any is started: passes, memory, disk."""

from dataclasses import dataclass

from layerwise.activations.parts import pass_bytes, plan_extraction, reserved_bytes, stored_bytes
from layerwise.config import Study
from layerwise.config.models import ModelEntry
from layerwise.data.folders import list_images
from layerwise.data.recordings import count_stimuli
from layerwise.interfaces import LayerSpec
from layerwise.layers.blocks import in_block
from layerwise.streaming.groups import Room, on_device
from layerwise.study.layers import layers_of, preprocessing_of
from layerwise.study.ratings import (
    Way,
    count_images,
    demand_of,
    host_of,
    memory_of,
    n_devices_of,
    on_gpu,
    rating_blocks,
    sketch_demand,
    way_of,
)


@dataclass(frozen=True)
class Forecast:
    """The jobs that run one network over one stimulus set.

    Parameters
    ----------
    model, stimuli : str
        Names in the study.
    way : {"stored", "streamed", "sketched"}
        What becomes of the activations.
    n_images, n_layers : int
        How many there are.
    jobs : int
        One for each group of layers.
    passes : int
        Forward passes over the images, of all jobs.
    memory : int
        Bytes that a job takes of the budget at most, on each device.
    disk : int
        Bytes that are written; of sketches, until a job ends.
    """

    model: str
    stimuli: str
    way: Way
    n_images: int
    n_layers: int
    jobs: int
    passes: int
    memory: int
    disk: int


def forecast(study: Study, entry: ModelEntry) -> tuple[list[Forecast], list[str]]:
    """Say what a network's jobs will take.

    Parameters
    ----------
    study : Study
        The study.
    entry : ModelEntry
        The network.

    Returns
    -------
    known : list of Forecast
        One for each recording and set of ratings.
    unknown : list of str
        A sentence for each that cannot be planned yet.

    Raises
    ------
    ValueError
        A budget is too small for a layer.
    """
    layers = layers_of(entry)
    if layers is None:
        return [], [f"{entry.name}: a job lists its layers first"]
    known, unknown = [], []
    for recording in study.recordings:
        if recording.file.is_file():
            count = count_stimuli(recording.file) + _count_pca_images(study)
            known.append(_stored(study, entry, recording.name, count, layers))
        else:
            unknown.append(f"{recording.name}: {recording.file} is not there yet, so that its stimuli are not counted")
    for rating in study.ratings:
        if count_images(rating):
            known.append(_of_ratings(study, entry, rating.name, layers))
        else:
            unknown.append(f"{rating.name}: its table is not there yet, so that its images are not counted")
    return known, unknown


def _of_ratings(study: Study, entry: ModelEntry, name: str, layers: list[LayerSpec]) -> Forecast:
    way = way_of(study, name)
    if way == "stored":
        return _stored(study, entry, name, count_images(study.rating(name)), layers)
    groups = [in_block(layers, block) for block in rating_blocks(study, name, layers)]
    measure = _measure_streamed if way == "streamed" else _measure_sketched
    n_images, passes, memory, disk = measure(study, name, layers, groups)
    return Forecast(entry.name, name, way, n_images, len(layers), len(groups), passes * len(groups), memory, disk)


def _stored(study: Study, entry: ModelEntry, name: str, n_images: int, layers: list[LayerSpec]) -> Forecast:
    expected = preprocessing_of(entry)
    pixels = 3 * expected.size**2 * n_images if expected else 0
    devices = memory_of(study), on_gpu(study), n_devices_of(study)
    budget, plans = plan_extraction(layers, n_images, pixels, *devices)
    needed = max(pass_bytes(passes, n_images) for passes in plans) + reserved_bytes(layers, n_images)
    memory, disk = needed + budget.resident + budget.backlog, stored_bytes(layers, n_images)
    return Forecast(entry.name, name, "stored", n_images, len(layers), 1, max(map(len, plans)), memory, disk)


def _measure_streamed(
    study: Study, name: str, layers: list[LayerSpec], groups: list[list[LayerSpec]]
) -> tuple[int, int, int, int]:
    """Give images, passes of a job, bytes of memory and of disk."""
    demand = demand_of(study, name, layers)
    room = Room(memory_of(study) - demand.working(layers), host_of(study), n_devices_of(study))
    placed = [place for group in groups for place in room.place(group, demand)]
    kept = max(on_device(share, hosted, demand) for share, hosted in placed)
    return demand.n_images, demand.n_components + 1, kept + demand.working(layers), 0


def _measure_sketched(
    study: Study, name: str, layers: list[LayerSpec], groups: list[list[LayerSpec]]
) -> tuple[int, int, int, int]:
    """Give images, passes of a job, bytes of memory and of disk."""
    demand = sketch_demand(study, name, layers)
    kept = max(sum(map(demand.of_layer, group)) for group in groups)
    in_memory = kept if demand.in_memory else 0
    return demand.n_images, 1, demand.reserve(layers) + in_memory, kept - in_memory


def _count_pca_images(study: Study) -> int:
    pca = study.brain.pca
    if pca is None:
        return 0
    return pca.n_images or (len(list_images(pca.images)) if pca.images.is_dir() else 0)
