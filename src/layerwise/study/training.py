"""The plan of the jobs that train a network on, for rules, jobs and `layerwise plan` alike. Without torch."""

from dataclasses import dataclass
from math import ceil

from layerwise.passes.memory import NETWORK
from layerwise.study.budget import Budget
from layerwise.study.counts import count_images, count_splits
from layerwise.study.finetuning import (
    finetuned_ratings,
    finetuned_splits,
    finetuning_geometry,
    finetuning_groups,
    finetuning_of,
)
from layerwise.study.layers import listed_parameters
from layerwise.study.plan import SIZE, Plans
from layerwise.study.training_rates import UNKNOWN, TrainingRate, compiled, parameters_of, slowed, training_rate

EPOCHS = 25  # that are expected until early stopping. Not measured: a guess, as long as no study was run
STATE = 48  # bytes of a parameter in three states while one is written: itself, two of AdamW, and the best so far
WEIGHT = 4  # bytes of a parameter in the file of weights
READ = 3 * 1024 * 400**2  # bytes of pixels that are read at once, of large images


@dataclass(frozen=True)
class TrainingPlan:
    """The jobs that train a network on.

    Parameters
    ----------
    model : str
        Name in the study.
    splits : tuple of str
        All that it is trained on.
    folds_per_job : int
        Splits that a job trains on at most.
    images : int
        Images trained on in an epoch.
    pixels : int
        Bytes of the pixels of all images.
    epochs : int
        Expected.
    rate : TrainingRate
        Of the network.
    parameters : int
        Of the network, or a bound.
    budget : Budget
        That it was made from.
    """

    model: str
    splits: tuple[str, ...]
    folds_per_job: int
    images: int
    pixels: int
    epochs: int
    rate: TrainingRate
    parameters: int
    budget: Budget

    @property
    def jobs(self) -> int:
        """Number of jobs."""
        return ceil(len(self.splits) / self.folds_per_job)

    @property
    def training(self) -> int:
        """Bytes of the device for the training of a job's splits, without pixels."""
        return self.folds_per_job * self.rate.memory

    def holds_pixels(self, memory: int) -> bool:
        """Return whether so many bytes of the device hold all pixels beside the training."""
        return self.training + self.pixels <= memory

    @property
    def divides(self) -> bool:
        """Return whether the batches, or the splits of a job, do not fit into a GPU at once."""
        return self.budget.on_gpu and self.training > self.budget.device

    @property
    def device(self) -> int:
        """Bytes of the GPU that a job takes; 0 without one."""
        return self._taken if self.budget.on_gpu else 0

    @property
    def host(self) -> int:
        """Bytes of the machine's memory, beside Python and its libraries."""
        network = NETWORK + self.folds_per_job * 3 * WEIGHT * self.parameters
        return READ + network + (0 if self.budget.on_gpu else self._taken)

    @property
    def states(self) -> int:
        """Bytes of a job's states, until it ends."""
        return self.folds_per_job * STATE * self.parameters

    @property
    def weights(self) -> int:
        """Bytes of the weights of all splits, which stay."""
        return len(self.splits) * WEIGHT * self.parameters

    @property
    def disk(self) -> int:
        """Bytes that a job writes."""
        return self.states + self.folds_per_job * WEIGHT * self.parameters

    @property
    def seconds(self) -> float:
        """Expected, of a job: one split after another, each prepared."""
        seconds = self.folds_per_job * (self.rate.prepared + self.epochs * self.images * self.rate.seconds)
        return seconds if self.budget.on_gpu else seconds / self.budget.threads

    @property
    def _taken(self) -> int:
        return self.training + (self.pixels if self.holds_pixels(self.budget.device) else 0)


def plan_training(plans: Plans, model: str, on_gpu: bool | None = None) -> TrainingPlan:
    """Plan the jobs that train a network on.

    Parameters
    ----------
    plans : Plans
        Of the study.
    model : str
        Name of the network.
    on_gpu : bool, optional
        Whether a job has a GPU; default: as the config asks.

    Raises
    ------
    ValueError
        The study fine-tunes none, its layers are not listed yet, or its images not counted.
    """
    study = plans.study
    chosen, budget = finetuning_of(study), Budget.of(study, on_gpu)
    entry = study.model_entry(model)
    at_once = ceil(chosen.batch_size / (chosen.accumulate or 1))
    parameters = parameters_of(entry.registered) or listed_parameters(study, model) or UNKNOWN
    shipped = training_rate(entry.registered, plans.layers(model), chosen.precision, at_once, budget.on_gpu, parameters)
    ratings = study.rating(finetuned_ratings(study))
    n_images = count_images(ratings)
    if not n_images:
        raise ValueError(f"{ratings.name}: its table is not there yet, so that its images are not counted")
    expected = plans.preprocessing(model)
    side = finetuning_geometry(study, expected).size if expected else SIZE
    groups = finetuning_groups(study)
    images = round(n_images * (1 - 1 / max(2, count_splits(ratings))))
    settings = chosen.settings()
    if settings.worth_compiling(images * shipped.seconds * settings.fewest_epochs):
        shipped = compiled(entry.registered, chosen.precision, shipped)
    return TrainingPlan(
        model,
        tuple(finetuned_splits(study)),
        max(map(len, groups)),
        images,
        3 * side**2 * n_images,
        min(EPOCHS, chosen.max_epochs),
        slowed(shipped, plans.machines.of(budget.on_gpu)),
        parameters,
        budget,
    )
