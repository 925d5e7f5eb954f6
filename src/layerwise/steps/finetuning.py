"""The step that trains a network on to predict scores of images."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from copy import deepcopy
from dataclasses import asdict, dataclass, replace
from functools import cached_property, partial
from pathlib import Path

import torch

from layerwise.config import Study
from layerwise.data.pixels import PixelCache
from layerwise.files import hash_arrays, hash_object, writable
from layerwise.files.tables import write_table
from layerwise.finetuning import Epoch, FineTuned, Fold, StopRequests, fine_tune, make_fold
from layerwise.finetuning.probing import probe_classifiers
from layerwise.finetuning.tables import history_table, predictions_table
from layerwise.finetuning.training import Pace
from layerwise.finetuning.weights import FineTunedModel, write_weights
from layerwise.interfaces import FinetuneSettings, Ratings
from layerwise.models import build, find_classifiers, resolve_preprocessing
from layerwise.steps.devices import choose_device, hold_pixels, limit_threads, require_planned
from layerwise.steps.inputs import rated_squares
from layerwise.steps.limits import job_deadline
from layerwise.steps.origins import origins_of
from layerwise.study import Budget, finetuned_ratings, finetuning_of
from layerwise.study.layout import FINETUNED_FILES, HISTORY, PREDICTIONS, WEIGHTS
from layerwise.study.resources import pixel_bytes

EpochReport = Callable[[str, Epoch, Pace], None]  # told of each epoch of each split
ShowEpochs = Callable[[str, int], AbstractContextManager[EpochReport]]  # given the network and the epochs at most
log = logging.getLogger(__name__)


@contextmanager
def show_nothing(model: str, epochs: int) -> Iterator[EpochReport]:
    """Tell of no epoch."""
    del model, epochs
    yield lambda split, epoch, pace: None


def finetune_network(
    study: Study,
    model: str,
    splits: Sequence[str],
    pixels: Path,
    output_folder: Path,
    state_folder: Path,
    threads: int | None = None,
    show: ShowEpochs = show_nothing,
) -> None:
    """Train a network on to predict the ratings of a study, on some splits.

    Each split gets a folder with its history, its predictions and, last, its weights: where these are, all is. A run
    that is killed or asked to stop leaves its state, from which the same call goes on. States are removed once the
    results of all splits are written.

    Parameters
    ----------
    study : Study
        The study.
    model : str
        Name of the network.
    splits : sequence of str
        Numbers of the splits, from 1.
    pixels : path
        File that `pack_stimuli` made, in the geometry of `finetuning_geometry`.
    output_folder, state_folder : path
        Where results, and states until then, lie.
    threads : int, optional
        Threads; default: the config's.
    show : callable
        Shows how far it has come.

    Raises
    ------
    StoppedError
        It was asked to stop, or its time limit came near; its state is saved.
    ValueError
        The study does not fine-tune, or the network cannot be trained on these data.
    """
    for split in splits:
        for file in FINETUNED_FILES:
            writable(output_folder / split / file)
    limit_threads(threads or study.compute.threads)
    device = choose_device(study.compute.device)
    require_planned([device], Budget.of(study).on_gpu, study.compute)
    training = _Training.prepare(study, model, splits, pixels, device)
    states = _States(state_folder, training)
    with show(model, training.settings.max_epochs) as report, StopRequests(job_deadline()) as stop:
        for fold, result in training.run(states, report, stop):
            _write(output_folder / training.about(fold).split, result, training.images.ids, training.about(fold))
    states.remove()


@dataclass(frozen=True, eq=False)
class _Training:
    """A network, and the splits that it is trained on."""

    study: Study
    model: str
    device: str
    images: PixelCache
    folds: Sequence[Fold]
    network: torch.nn.Module
    whole: FineTunedModel  # what is the same for all splits

    @classmethod
    def prepare(cls, study: Study, model: str, splits: Sequence[str], pixels: Path, device: str) -> "_Training":
        """Open the data, and build and probe the network."""
        settings, ratings, spec = (
            finetuning_of(study).settings(),
            finetuned_ratings(study),
            study.model_entry(model).spec(),
        )
        expected, measure = resolve_preprocessing(spec), study.rating(ratings).measure
        rated, images = rated_squares(study, ratings, pixels, expected)
        folds = [_make_fold(rated, split, ratings, settings) for split in splits]
        network = build(spec, weights_folder=study.storage.weights)
        classifiers = find_classifiers(network, spec, expected.size)
        probe_classifiers(network, classifiers, images, expected, device)
        origins = origins_of("finetune_network", study, model, images.content_hash)
        origins["settings"] = hash_object(asdict(settings))
        whole = FineTunedModel(spec, classifiers, expected, images.geometry, ratings, measure, "", settings, origins)
        return cls(study, model, device, images, folds, network, whole)

    @property
    def settings(self) -> FinetuneSettings:
        return self.whole.settings

    def about(self, fold: Fold) -> FineTunedModel:
        """Describe the network that is trained on a split."""
        parts = fold.train, fold.validation, fold.test
        scores = hash_arrays(*(array for part in parts for array in (part.images, part.scores)))
        return replace(self.whole, split=str(fold.split + 1), origins={**self.whole.origins, "scores": scores})

    def run(self, states: "_States", report: EpochReport, stop: StopRequests) -> Iterator[tuple[Fold, FineTuned]]:
        """Train on one split after another."""
        resident = hold_pixels(
            self.study, self.model, pixel_bytes(len(self.images), self.images.geometry.size), len(self.folds),
            self.device,
        )  # fmt: skip
        for fold in self.folds:
            yield fold, fine_tune(
                deepcopy(self.network), self.whole.classifiers, self.images, self.whole.preprocessing, fold,
                self.settings, torch.device(self.device), state=states.path(fold), depends_on=states.depends_on,
                resident=resident, stop=stop,
                report=partial(report, str(fold.split + 1)),
            )  # fmt: skip


def _make_fold(rated: Ratings, split: str, ratings: str, settings: FinetuneSettings) -> Fold:
    count = len(rated.splits)
    if not split.isdecimal() or not 1 <= int(split) <= count:
        raise ValueError(f"there is no split {split!r} of {ratings!r}: give a number from 1 to {count}")
    place = int(split) - 1
    parts = rated.splits[place]
    return make_fold(place, rated.scores[place], parts.train, parts.validation, parts.test, settings)


def _write(folder: Path, result: FineTuned, stimuli: Sequence[str], about: FineTunedModel) -> None:
    """Write the results of a split; the weights come last, and earlier ones go first, so that no sets are mixed."""
    tables = {
        HISTORY: history_table(result, about.spec.name, about.split),
        PREDICTIONS: predictions_table(result, stimuli, about.split),
    }
    (folder / WEIGHTS).unlink(missing_ok=True)
    for name, table in tables.items():
        table.attrs = {"origins": dict(about.origins), "measure": about.measure}
        write_table(table, folder / name)
    write_weights(folder / WEIGHTS, result.weights, about)


class _States:
    """Where the states of splits lie: one that was made of anything else has another name, and is no hindrance."""

    def __init__(self, folder: Path, training: _Training) -> None:
        self._folder, self._about = folder, [training.about(fold) for fold in training.folds]
        origins = training.whole.origins
        self.depends_on = {"code": origins["code"], "version of a library": origins["versions"]}
        if self._others:
            log.warning(
                "%d files of states in %s are of other settings, data, code or versions of libraries: training starts "
                "anew, and they are removed once it has ended",
                len(self._others), folder,
            )  # fmt: skip

    def path(self, fold: Fold) -> Path:
        """Return the file of a split's state."""
        return next(self._path(about) for about in self._about if about.split == str(fold.split + 1))

    def remove(self) -> None:
        """Remove all states of these splits, also those of other settings, which were never ended."""
        for path in self._all():
            path.unlink(missing_ok=True)

    def _path(self, about: FineTunedModel) -> Path:
        return self._folder / f"{about.split}-{hash_object(dict(about.origins))}.state"

    def _all(self) -> set[Path]:
        return {path for about in self._about for path in self._folder.glob(f"{about.split}-*.state*")}

    @cached_property
    def _others(self) -> set[Path]:
        own = [self._path(about) for about in self._about]
        return self._all() - {*own, *(path.with_name(f"{path.name}.previous") for path in own)}
