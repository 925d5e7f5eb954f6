"""What a study will take, for people: its networks' plans, and their sums."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from layerwise.config import Study
from layerwise.config.study import PCA_IMAGES
from layerwise.study.finetuning import finetuned_models, finetuned_ratings, finetuning_geometry
from layerwise.study.plan import Plan, Plans, counts_of, shown_sets
from layerwise.study.rates import SHIPPED, Machines
from layerwise.study.resources import Needs, RuleResources
from layerwise.study.results import penultimate_weights
from layerwise.study.stimuli import geometry_of, pca_geometry
from layerwise.study.training import TrainingPlan, plan_training

Names = dict[str, str]


@dataclass(frozen=True)
class Row:
    """A network over one stimulus set.

    Parameters
    ----------
    plan : Plan
        Of its jobs.
    memory : int
        Megabytes of the machine's memory that the hungriest job asks for.
    """

    plan: Plan
    memory: int

    @property
    def device(self) -> int:
        """Bytes of each GPU that a job takes at most."""
        return max(job.device for job in self.plan.jobs)

    @property
    def disk(self) -> int:
        """Bytes of stored activations; else those of the largest job, until it ends."""
        return max(job.disk for job in self.plan.jobs)


@dataclass(frozen=True)
class TrainingRow:
    """A network that is trained on.

    Parameters
    ----------
    plan : TrainingPlan
        Of its jobs.
    memory : int
        Megabytes of the machine's memory that each asks for.
    """

    plan: TrainingPlan
    memory: int


@dataclass
class Stage:
    """The jobs of one rule.

    Parameters
    ----------
    jobs : int
        Their number.
    gpu_hours, cpu_hours : float
        Expected, of all GPUs and processor cores together, without the start of jobs.
    """

    jobs: int = 0
    gpu_hours: float = 0
    cpu_hours: float = 0

    def add(self, needs: Needs, threads: int, count: int = 1) -> None:
        """Count so many jobs."""
        self.jobs += count
        if needs.rates.on_gpu:
            self.gpu_hours += count * max(1, needs.gpus) * needs.seconds / 3600
        else:
            self.cpu_hours += count * threads * needs.seconds / 3600


@dataclass
class Forecast:
    """What the networks of a study take.

    Parameters
    ----------
    rows : list of Row
        One for each network and stimulus set that can be planned.
    trained : list of TrainingRow
        One for each network that is trained on and can be planned.
    stages : dict of str to Stage
        By rule.
    pixels, activations, scratch, weights : int
        Bytes on disk: decoded images, which networks share; stored activations; the sketches, or the saved state, of
        the largest job, until it ends; weights of networks that were trained on.
    unknown : list of str
        A sentence for each thing that is not known yet.
    failed : list of str
        A sentence for each network that the budget is too small for.
    """

    rows: list[Row] = field(default_factory=list)
    trained: list[TrainingRow] = field(default_factory=list)
    stages: dict[str, Stage] = field(default_factory=dict)
    pixels: int = 0
    activations: int = 0
    scratch: int = 0
    weights: int = 0
    unknown: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


def forecast(study: Study, models: Sequence[str], machines: Machines = SHIPPED) -> Forecast:
    """Return what some networks of a study will take.

    Parameters
    ----------
    study : Study
        The study.
    models : sequence of str
        Names of networks; one that is given twice counts once.
    machines : Machines
        That hours are of.
    """
    found, plans = Forecast(), Plans(study, machines)
    resources = RuleResources(plans)
    names = list(dict.fromkeys(models))
    for model in names:
        _add_network(found, resources, model)
    for model in names:
        if model in finetuned_models(study):
            _add_training(found, resources, model)
    for stimuli, geometry in sorted({pair for model in names for pair in _pixels(plans, model)}):
        needs = resources.of("pack_stimuli", {"stimuli": stimuli, "geometry": geometry})
        found.pixels += needs.disk
        _stage(found, "pack_stimuli").add(needs, study.compute.threads)
    found.unknown = list(dict.fromkeys(found.unknown))
    return found


def _add_network(found: Forecast, resources: RuleResources, model: str) -> None:
    plans, study = resources.plans, resources.study
    try:
        plans.layers(model)
    except ValueError as error:
        found.unknown.append(str(error))
        return
    for stimuli in shown_sets(study):
        counts = counts_of(study, stimuli)
        found.unknown += [count.lacking for count in counts if count.lacking]
        if all(count.images for count in counts):
            try:
                _add_plan(found, resources, plans.of(model, stimuli))
            except ValueError as error:
                found.failed.append(str(error))


def _add_plan(found: Forecast, resources: RuleResources, plan: Plan) -> None:
    asked = []
    for job in plan.jobs:
        needs = resources.of_job(plan, job)
        asked.append(needs.ask("mem_mb"))
        _stage(found, job.step).add(needs, plan.budget.threads, job.count)
    row = Row(plan, max(asked))
    found.rows.append(row)
    if plan.method == "stored":
        found.activations += row.disk
    else:
        found.scratch = max(found.scratch, row.disk)


def _add_training(found: Forecast, resources: RuleResources, model: str) -> None:
    try:
        plan = plan_training(resources.plans, model)
    except ValueError as error:
        found.unknown.append(str(error))
        return
    needs = resources.of_training(plan)
    found.trained.append(TrainingRow(plan, needs.ask("mem_mb")))
    _stage(found, "finetune_network").add(needs, plan.budget.threads, plan.jobs)
    found.scratch = max(found.scratch, plan.states)
    found.weights += plan.weights
    _add_penultimate(found, resources, model)


def _add_penultimate(found: Forecast, resources: RuleResources, model: str) -> None:
    try:
        needs = resources.of_penultimate(model)
    except ValueError:
        return  # what is not known of its recordings was said
    if penultimate_weights(resources.study):
        _stage(found, "score_penultimate").add(needs, resources.plans.budget.threads)


def _stage(found: Forecast, step: str) -> Stage:
    return found.stages.setdefault(step, Stage())


def _pixels(plans: Plans, model: str) -> Iterator[tuple[str, str]]:
    """Name the stimulus sets, and the geometries, whose pixels a network is shown."""
    study, expected = plans.study, plans.preprocessing(model)
    if expected is None:
        return
    for stimuli in shown_sets(study):
        yield stimuli, geometry_of(study, stimuli, expected).key
        fitted = pca_geometry(study, stimuli, expected)
        if fitted:
            yield PCA_IMAGES, fitted.key
    if model in finetuned_models(study):
        yield finetuned_ratings(study), finetuning_geometry(study, expected).key
