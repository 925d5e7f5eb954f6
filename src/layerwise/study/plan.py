"""The plan of a network's jobs over one stimulus set. Rules, jobs and `layerwise plan` read the same one.

Without torch. A plan is made from the config, the layers and the tables of the stimuli alone, so that whoever makes it
gets the same.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal, TypeVar

from layerwise.activations.parts import (
    kind_of,
    largest_write,
    pass_bytes,
    plan_extraction,
    reserved_bytes,
    stored_bytes,
)
from layerwise.config import Study
from layerwise.config.study import PCA_IMAGES
from layerwise.interfaces import LayerSpec, Preprocessing
from layerwise.layers.blocks import blocks, distinct, in_block, name_block
from layerwise.passes.memory import NETWORK, working
from layerwise.sketching import groups as sketches
from layerwise.sketching.groups import SketchDemand, plan_sketches
from layerwise.streaming.groups import (
    Demand,
    Room,
    fit_batch,
    keeps_pixels,
    on_device,
    plan_groups,
)
from layerwise.study.budget import Budget
from layerwise.study.counts import Count, count_set
from layerwise.study.layers import layers_of, listed_layers, listed_preprocessing, preprocessing_of
from layerwise.study.profiles import count_scored_splits
from layerwise.study.rates import SHIPPED, SOLVER, Machines, Rates
from layerwise.study.ratings import Method, method_of
from layerwise.study.regions import regions
from layerwise.study.stimuli import shared_stimuli

AnyDemand = TypeVar("AnyDemand", Demand, SketchDemand)
Step = Literal["extract_activations", "score_brain", "score_memorability", "stream_memorability", "sketch_memorability"]

DOUBLE = 8  # bytes of a float64
PREDICTIONS = 2  # copies of the predictions on the host: of each device, and of all
SIZE = 331  # pixels, the largest input of the networks that layerwise knows, where a network's is not known yet
# As `analyses.brain` scores layers (tests/study/test_plan.py compares):
COPIES = 6  # of a Gram matrix, that a fit of a layer takes
SQUARES = 5  # matrices [neuroid, neuroid], that a fit of a layer and split takes
READ = 15 * 10**8  # bytes of Gram matrices that are read at once
ALPHAS = 25  # of 99 of ridge regression that are tried, where one is chosen: mostly 20 to 28
MOST_AT_ONCE = 32  # layers that a GPU scores together


@dataclass(frozen=True)
class Job:
    """One job, or so many alike.

    Parameters
    ----------
    step : str
        The rule, and with hyphens the command.
    block : str
        Its layers, as `layerwise.layers.blocks.in_block` reads them.
    passes : int
        Forward passes over the images; 0 where no network runs.
    device : int
        Bytes of its budget that it takes on each GPU; 0 without one. Extraction leaves the rest to the network.
    host : int
        Bytes of the machine's memory, beside Python and its libraries.
    disk : int
        Bytes that it writes: kept by extractions; of others there until the job ends.
    seconds : float
        Expected, on the machine of `layerwise.study.rates`, without its start.
    count : int
        One for each region.
    """

    step: Step
    block: str
    passes: int
    device: int
    host: int
    disk: int
    seconds: float
    count: int = 1


@dataclass(frozen=True)
class Plan:
    """The jobs of one network over one stimulus set.

    Parameters
    ----------
    model, stimuli : str
        Names in the study.
    method : {"stored", "streamed", "sketched"}
        What becomes of the activations.
    n_images : int
        Images, with those for principal components.
    layers : tuple of LayerSpec
        Of the network.
    size : int
        Side of the network's input, pixels.
    batch_size : int
        Images in a forward pass.
    budget : Budget
        That it was made from.
    jobs : tuple of Job
        An extraction and then the scoring of blocks of layers; or the fits of groups of layers.
    demand : Demand, SketchDemand or None
        What layers need, of streamed and sketched fits.
    machines : Machines
        That its seconds are of.
    """

    model: str
    stimuli: str
    method: Method
    n_images: int
    layers: tuple[LayerSpec, ...]
    size: int
    batch_size: int
    budget: Budget
    jobs: tuple[Job, ...]
    demand: Demand | SketchDemand | None = None
    machines: Machines = SHIPPED

    @property
    def running(self) -> list[Job]:
        """The jobs that run the network."""
        return [job for job in self.jobs if job.passes]

    @property
    def blocks(self) -> list[str]:
        """Names of the blocks of layers that one job each scores."""
        return [job.block for job in self.jobs if job.step != "extract_activations"]

    @property
    def passes(self) -> int:
        """Forward passes of all jobs."""
        return sum(job.passes for job in self.jobs)

    @property
    def seconds(self) -> float:
        """Expected, of all jobs one after another."""
        return sum(job.count * job.seconds for job in self.jobs)

    def job(self, step: str, block: str = "") -> Job:
        """Find a job by its rule, and by its block of layers where there are several."""
        return self._found[step, block or self._whole]

    @cached_property
    def _found(self) -> dict[tuple[str, str], Job]:
        return {(job.step, job.block): job for job in self.jobs}

    @property
    def _whole(self) -> str:
        return name_block(1, len(self.layers), len(self.layers))

    def require_devices(self, block: str, n_devices: int) -> None:
        """Refuse to stream a group of layers on fewer GPUs than it was planned for, if they cannot hold it.

        Raises
        ------
        ValueError
            They cannot.
        """
        planned, demand = self.budget.n_devices, self.demand
        if n_devices >= planned or not isinstance(demand, Demand):
            return
        group = in_block(self.layers, block)
        if not _room(self.layers, demand, replace(self.budget, n_devices=n_devices)).holds(group, demand):
            raise ValueError(
                f"this group of {len(group)} layers was planned for the memory of {planned} GPUs (compute.gpus), and "
                f"{n_devices} of them can be seen: run it where all are, or set compute.gpus to {n_devices}, which "
                "plans smaller groups"
            )


@dataclass
class Plans:
    """The plans of a study, each made once in a process.

    Parameters
    ----------
    study : Study
        The study.
    machines : Machines
        That seconds are of; nothing else of a plan depends on them.
    """

    study: Study
    machines: Machines = SHIPPED
    _made: dict[tuple[str, str], Plan] = field(default_factory=dict)
    _shipped: dict[str, tuple[LayerSpec, ...]] = field(default_factory=dict)

    @cached_property
    def budget(self) -> Budget:
        """What a job may take."""
        return Budget.of(self.study)

    def of(self, model: str, stimuli: str, layers: Sequence[LayerSpec] | None = None, size: int | None = None) -> Plan:
        """Return the plan of a network over one stimulus set.

        Parameters
        ----------
        model : str
            The network.
        stimuli : str
            Name of a recording or of ratings.
        layers : sequence of LayerSpec, optional
            Its layers; default: those that ship with layerwise, or that a job has listed. Those that repeat another one
            are not in the plan.
        size : int, optional
            Side of its input; default: what is known about it beforehand. It decides neither batches nor groups.

        Raises
        ------
        ValueError
            Its layers are not listed yet, its images not counted, or a layer does not fit the budget; the message
            names the network.
        """
        wanted = tuple(distinct(self.layers(model) if layers is None else layers))
        made = self._made.get((model, stimuli))
        if made is None or made.layers != wanted or (size is not None and made.size != size):
            made = self._make(model, stimuli, wanted, size or self._size(model))
            self._made[model, stimuli] = made
        return made

    def blocks(self, model: str, stimuli: str, layers: Sequence[LayerSpec] | None = None) -> list[str]:
        """Name the blocks of layers that one job each scores; of stored activations, whether or not those are there.

        Raises
        ------
        ValueError
            As in `of`.
        """
        if _find_method(self.study, stimuli) != "stored":
            return self.of(model, stimuli, layers).blocks
        n_layers = len(distinct(self.layers(model) if layers is None else layers))
        return _scored_blocks(self.study, stimuli, n_layers, self.budget)

    def layers(self, model: str) -> tuple[LayerSpec, ...]:
        """Return the layers of a network: those that ship with layerwise, or that a job has listed.

        Raises
        ------
        ValueError
            It is one of the user's own, and its layers are not listed yet.
        """
        if model not in self._shipped:
            shipped = layers_of(self.study.model_entry(model))
            if shipped is None:
                return self._listed(model)
            self._shipped[model] = tuple(shipped)
        return self._shipped[model]

    def _listed(self, model: str) -> tuple[LayerSpec, ...]:
        layers = listed_layers(self.study, model)
        if layers is None:
            raise ValueError(f"{model}: a job lists its layers first, and what runs over them is counted then")
        return tuple(layers)

    def preprocessing(self, model: str) -> Preprocessing | None:
        """Return what a network expects of its input; None where that is known once a job has listed its layers."""
        return preprocessing_of(self.study.model_entry(model)) or listed_preprocessing(self.study, model)

    def _size(self, model: str) -> int:
        expected = self.preprocessing(model)
        return expected.size if expected else SIZE

    def _make(self, model: str, stimuli: str, layers: tuple[LayerSpec, ...], size: int) -> Plan:
        try:
            return make_plan(self.study, model, stimuli, layers, size, self.budget, self.machines)
        except ValueError as error:
            raise ValueError(f"{model} over {stimuli}: {error}") from error


def make_plan(
    study: Study,
    model: str,
    stimuli: str,
    layers: Sequence[LayerSpec],
    size: int,
    budget: Budget,
    machines: Machines = SHIPPED,
) -> Plan:
    """Plan the jobs of a network over one stimulus set.

    Parameters
    ----------
    study : Study
        The study.
    model, stimuli : str
        Names in it.
    layers : sequence of LayerSpec
        Of the network.
    size : int
        Side of its input, pixels.
    budget : Budget
        What a job may take.
    machines : Machines
        That seconds are of.

    Raises
    ------
    ValueError
        Images are not counted yet, or a layer does not fit the budget.
    """
    method = _find_method(study, stimuli)
    n_images = _count_images(study, stimuli)
    batch_size = budget.batch_sizes[0]
    empty = Plan(model, stimuli, method, n_images, tuple(layers), size, batch_size, budget, (), machines=machines)
    if method == "streamed":
        return _stream(study, empty)
    return _sketch(study, empty) if method == "sketched" else _store(study, empty)


def _find_method(study: Study, stimuli: str) -> Method:
    """Return what becomes of a network's activations to a stimulus set."""
    return method_of(study, stimuli) if _is_rated(study, stimuli) else "stored"


def shown_sets(study: Study) -> list[str]:
    """Name the stimulus sets that networks are run over, those that serve several recordings once."""
    shown = [name for name in study.stimulus_sets() if study.brain.pca is None or name != PCA_IMAGES]
    return [name for name in shown if shared_stimuli(study, name) == name]


def counts_of(study: Study, stimuli: str) -> list[Count]:
    """Count a stimulus set, and the images for principal components behind it."""
    fitted = study.brain.pca is not None and any(entry.name == stimuli for entry in study.recordings)
    return [count_set(study, stimuli), *([count_set(study, PCA_IMAGES)] if fitted else [])]


def _is_rated(study: Study, stimuli: str) -> bool:
    return any(entry.name == stimuli for entry in study.ratings)


def _count_images(study: Study, stimuli: str) -> int:
    counts = counts_of(study, stimuli)
    for count in counts:
        if not count.images:
            raise ValueError(count.lacking or "it has no images")
    return sum(count.images for count in counts)


# --- stored activations ---------------------------------------------------------------------------------------------


def _store(study: Study, plan: Plan) -> Plan:
    n_images, layers, budget = plan.n_images, plan.layers, plan.budget
    pixels = 3 * plan.size**2 * n_images
    divided, plans = plan_extraction(layers, n_images, pixels, budget.device, budget.on_gpu, budget.n_devices)
    taken = max(pass_bytes(passes, n_images) for passes in plans) + reserved_bytes(layers, n_images)
    taken += divided.resident + divided.backlog
    n_passes = max(map(len, plans))
    # On a GPU the host holds what is being written, of each device; else all.
    landing = sum(largest_write(passes, n_images) for passes in plans)
    extraction = Job(
        "extract_activations",
        name_block(1, len(layers), len(layers)),
        n_passes,
        taken if budget.on_gpu else 0,
        landing if budget.on_gpu else taken + working(layers, plan.batch_size) - NETWORK,
        stored_bytes(layers, n_images),
        _time_extraction(plan, n_passes),
    )
    return replace(plan, jobs=(extraction, *_score_jobs(study, plan)))


def _time_extraction(plan: Plan, n_passes: int) -> float:
    """Return seconds: passes end at their last layer, so that they are half as long on average; then products."""
    rates, n_images = _rates(plan), plan.n_images
    grams = sum(layer.units for layer in plan.layers if kind_of(layer, n_images) == "gram")
    forward = (n_passes + 1) / 2 * n_images * (rates.exact_image + rates.exact_unit * _units(plan.layers))
    products = rates.gram * n_images**2 * grams / plan.budget.n_devices
    return _shared(plan, forward + products) + rates.write * stored_bytes(plan.layers, n_images)


def _score_jobs(study: Study, plan: Plan) -> list[Job]:
    """Return a job for each block of layers; one for each region of a recording."""
    names = _scored_blocks(study, plan.stimuli, len(plan.layers), plan.budget)
    rated, recorded = _is_rated(study, plan.stimuli), [one.recording for one in regions(study)]
    scored = sum(plan.stimuli in (one, shared_stimuli(study, one)) for one in recorded)
    step: Step = "score_memorability" if rated else "score_brain"
    # Of memorability, each layer by itself and without a GPU, though one that is there is used.
    on_gpu = plan.budget.on_gpu and not rated
    n_targets = 1 if rated else counts_of(study, plan.stimuli)[0].neuroids
    n_splits = _count_splits(study, plan) if rated else study.recording(plan.stimuli).splits.n_splits
    fit = _bytes_of_fit(plan, n_targets, n_splits)
    together = _at_once(plan, fit) if on_gpu else 1
    read = 2 * together * _largest_stored(plan)  # those in use, and the next ones
    seconds = _time_score(study, plan, on_gpu, n_splits) + (0 if rated else _time_ridge(study, plan, on_gpu))
    return [
        Job(step, name, 0, together * fit if on_gpu else 0, read + (0 if on_gpu else fit), 0, size * seconds, count)
        for name in names
        for size in [len(in_block(plan.layers, name))]
        for count in [1 if rated else scored]
    ]


def _scored_blocks(study: Study, stimuli: str, n_layers: int, budget: Budget) -> list[str]:
    """Cut layers into the blocks of the jobs that score them; those of memorability have no GPU."""
    on_gpu = budget.on_gpu and not _is_rated(study, stimuli)
    return blocks(n_layers, study.compute.layers_at_once(on_gpu, n_layers))


def _bytes_of_fit(plan: Plan, n_targets: int, n_splits: int) -> int:
    n, m = plan.n_images, min(n_targets, plan.n_images)  # more targets than stimuli are turned to as many
    return DOUBLE * (COPIES * n**2 + n_splits * (n * m + SQUARES * m**2))


def _at_once(plan: Plan, fit: int) -> int:
    return max(1, min(plan.budget.device // fit, READ // (4 * plan.n_images**2), MOST_AT_ONCE))


def _largest_stored(plan: Plan) -> int:
    return max(stored_bytes([layer], plan.n_images) for layer in plan.layers)


def _time_score(study: Study, plan: Plan, on_gpu: bool, n_splits: int) -> float:
    """Return seconds a layer."""
    slow = SOLVER if study.regression.solver == "scikit-learn" else 1
    rates = plan.machines.of(on_gpu)
    seconds = slow * n_splits * (rates.split + rates.score * plan.n_images**2)
    seconds += rates.read * stored_bytes(plan.layers, plan.n_images) / len(plan.layers)
    return seconds if on_gpu else seconds / plan.budget.threads


def _time_ridge(study: Study, plan: Plan, on_gpu: bool) -> float:
    """Return the seconds of a layer that ridge regression takes, a matrix inverted for each penalty."""
    if "ridge" not in study.measures_of(plan.stimuli):
        return 0
    rates, n_alphas = plan.machines.of(on_gpu), ALPHAS if study.brain.ridge.alpha is None else 1
    seconds = n_alphas * rates.inverse * plan.n_images**3
    return seconds if on_gpu else seconds / plan.budget.threads


# --- streamed fits --------------------------------------------------------------------------------------------------


def _stream(study: Study, plan: Plan) -> Plan:
    demand = _stream_demand(study, plan)
    names = _plan_groups(plan.layers, demand, plan.budget)
    jobs = tuple(_stream_job(plan, demand, name) for name in names)
    return replace(plan, jobs=jobs, demand=demand, batch_size=demand.batch_size)


def _stream_demand(study: Study, plan: Plan) -> Demand:
    """Return what streaming needs, with the largest batches that make no group more than small ones."""
    budget, layers = plan.budget, plan.layers
    n_splits = _count_splits(study, plan)
    wanted = [
        Demand(plan.n_images, n_splits, study.regression.components, plan.size, size) for size in budget.batch_sizes
    ]
    fitting = [fit_batch(layers, demand, budget.device, budget.host) for demand in wanted]
    return _fewest_groups(fitting, lambda demand: _plan_groups(layers, demand, budget))


def _plan_groups(layers: Sequence[LayerSpec], demand: Demand, budget: Budget) -> list[str]:
    return plan_groups(layers, demand, budget.device, budget.host, budget.n_devices)


def _room(layers: Sequence[LayerSpec], demand: Demand, budget: Budget) -> Room:
    return Room(budget.device - demand.working(layers), budget.host, budget.n_devices)


def _stream_job(plan: Plan, demand: Demand, block: str) -> Job:
    layers, budget, group = plan.layers, plan.budget, in_block(plan.layers, block)
    placed = _room(layers, demand, budget).place(group, demand)
    device = max(_stream_bytes(plan, demand, *place) for place in placed)
    hosted = sum(demand.history(layer) for _, moved in placed for layer in moved)
    predictions = PREDICTIONS * DOUBLE * len(group) * plan.n_images * demand.n_splits
    n_passes = demand.n_components + 1
    seconds = n_passes * _time_pass(plan, group, _rates(plan).product * _units(group) / budget.n_devices)
    # Beside the state that a job saves, the one before it, until it is whole.
    disk = 2 * sum(map(demand.of_layer, group))
    host = hosted + predictions if budget.on_gpu else device + predictions
    return Job("stream_memorability", block, n_passes, device if budget.on_gpu else 0, host, disk, seconds)


def _stream_bytes(plan: Plan, demand: Demand, share: Sequence[LayerSpec], hosted: Sequence[LayerSpec]) -> int:
    """Return the bytes of a device: what its layers keep, the network, and the pixels if they stay there."""
    resident = plan.budget.on_gpu and keeps_pixels(plan.layers, share, hosted, demand, plan.budget.device)
    return on_device(share, hosted, demand) + demand.working(plan.layers) + (demand.pixels() if resident else 0)


# --- sketches -------------------------------------------------------------------------------------------------------


def _sketch(study: Study, plan: Plan) -> Plan:
    budget, chosen = plan.budget, study.memorability
    wanted = [SketchDemand(plan.n_images, chosen.dimensions, size, budget.on_gpu) for size in budget.batch_sizes]
    fitting = [sketches.fit_batch(plan.layers, demand, budget.device) for demand in wanted]
    demand = _fewest_groups(fitting, lambda one: plan_sketches(plan.layers, one, budget.device, budget.disk))
    n_splits = _count_splits(study, plan)
    names = plan_sketches(plan.layers, demand, budget.device, budget.disk)
    jobs = tuple(_sketch_job(plan, demand, n_splits, name) for name in names)
    return replace(plan, jobs=jobs, demand=demand, batch_size=demand.batch_size)


def _sketch_job(plan: Plan, demand: SketchDemand, n_splits: int, block: str) -> Job:
    group = in_block(plan.layers, block)
    kept, reserve = sum(map(demand.of_layer, group)), demand.reserve(plan.layers)
    predictions = PREDICTIONS * DOUBLE * len(group) * plan.n_images * n_splits
    numbers = sum(min(layer.units, demand.dimensions) for layer in group)
    regression = _shared(plan, _rates(plan).regression * plan.n_images * numbers)
    seconds, on_gpu = _time_pass(plan, group, _rates(plan).sketch * _units(group)) + regression, plan.budget.on_gpu
    in_memory, on_disk = (kept, 0) if demand.in_memory else (0, kept)
    device = reserve + in_memory if on_gpu else 0
    host = predictions if on_gpu else reserve + in_memory + predictions
    return Job("sketch_memorability", block, 1, device, host, on_disk, seconds)


# --- shared ---------------------------------------------------------------------------------------------------------


def _count_splits(study: Study, plan: Plan) -> int:
    return count_scored_splits(study, plan.model, plan.stimuli)


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


def _time_pass(plan: Plan, group: Sequence[LayerSpec], beside: float) -> float:
    """Return seconds of a pass, which ends at the last layer of a group, with so many an image for what is beside."""
    rates, last = _rates(plan), max(layer.depth for layer in group)
    reached = sum(layer.units for layer in plan.layers if layer.depth <= last)
    return _shared(plan, plan.n_images * (rates.image + rates.unit * reached + beside))


def _shared(plan: Plan, seconds: float) -> float:
    """Divide the seconds of a core over a job's threads."""
    return seconds if plan.budget.on_gpu else seconds / plan.budget.threads


def _rates(plan: Plan) -> Rates:
    return plan.machines.of(plan.budget.on_gpu)


def _units(layers: Sequence[LayerSpec]) -> int:
    return sum(layer.units for layer in layers)
