"""The step that trains a network on to predict scores of images."""

import logging
import shutil
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import asdict, replace
from pathlib import Path

import torch

from layerwise.config import Study
from layerwise.data.pixels import PixelCache
from layerwise.files import atomic_path, hash_arrays, hash_object, locked, writable
from layerwise.files.tables import read_table, write_table
from layerwise.finetuning import Epoch, FineTuned, Fold, StopRequests, fine_tune_folds, make_fold
from layerwise.finetuning.parts import warn_of_copies
from layerwise.finetuning.probing import probe_classifiers, probe_head
from layerwise.finetuning.tables import history_table, predictions_table
from layerwise.finetuning.training import Pace
from layerwise.finetuning.weights import FineTunedModel, read_about, write_weights
from layerwise.interfaces import DegenerateWarning, FinetuneSettings, Ratings, counted
from layerwise.interfaces.finetuning import DIVERGED
from layerwise.models import build, find_classifiers, resolve_preprocessing
from layerwise.steps.cluster import job_deadline
from layerwise.steps.devices import choose_device, hold_pixels, limit_threads, warn_of_plan
from layerwise.steps.inputs import rated_squares
from layerwise.steps.origins import origins_of
from layerwise.study import finetuned_ratings, finetuning_of
from layerwise.study.finetuning import finished_folder
from layerwise.study.layout import FINETUNED_FILES, HISTORY, PREDICTIONS, WEIGHTS
from layerwise.study.resources import pixel_bytes

EpochReport = Callable[[str, Epoch, Pace], None]  # told of each epoch of each split
ShowEpochs = Callable[[str, int], AbstractContextManager[EpochReport]]  # given the network and the epochs at most
PREDICTED = "predictions"  # in what results say that they were made from
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
    results of all splits are written. A split whose training diverges has results like any other, so that nothing waits
    for it: its weights and predictions are NaN, and its last good state stays. Results of a split that were set aside
    (`layerwise.study.set_aside`) are put back if training would give them again.

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

    Warns
    -----
    DegenerateWarning
        Training on a split diverged.

    Raises
    ------
    StoppedError
        It was asked to stop, or its time limit came near; its state is saved.
    ValueError
        The study does not fine-tune, or the network cannot be trained on these data.
    """
    splits = list(dict.fromkeys(splits))
    for split in splits:
        for path in (*(output_folder / split / file for file in FINETUNED_FILES), state_folder / f"{split}.state"):
            writable(path)
    limit_threads(threads or study.compute.threads)
    device = choose_device(study.compute.device, study.compute.gpus)
    warn_of_plan([device], study.compute)
    ratings, settings = finetuned_ratings(study), finetuning_of(study).settings()
    expected = resolve_preprocessing(study.model_entry(model).spec())
    rated, images = rated_squares(study, ratings, pixels, expected)
    folds = [_make_fold(rated, split, ratings, settings) for split in splits]
    alike = images.alike()
    for fold in folds:
        warn_of_copies(fold, alike, images.ids)
    network, classifiers = _load(study, model, images, device)
    common = _describe(study, model, classifiers, images)
    trained = {fold.split: _describe_split(common, fold) for fold in folds}
    states = _States(state_folder, list(trained.values()))
    finished = finished_folder(state_folder)
    size = pixel_bytes(len(images), images.geometry.size)

    diverged: list[str] = []

    def done(fold: Fold, result: FineTuned) -> None:
        _write(output_folder, result, images.ids, trained[fold.split])
        if result.diverged:
            diverged.append(_name(fold))

    alone, stopping = _alone(state_folder, splits), StopRequests(job_deadline())
    with alone, show(model, settings.max_epochs) as report, stopping as stop:
        folds = [fold for fold in folds if not _put_back(finished, output_folder, trained[fold.split], study)]
        if folds:
            fine_tune_folds(
                network, classifiers, images, expected, folds, settings, torch.device(device),
                states=[states.paths[_name(fold)] for fold in folds], depends_on=states.depends_on,
                resident=hold_pixels(study, model, size, len(folds), device),
                stop=stop, report=lambda fold, epoch, pace: report(_name(fold), epoch, pace), done=done,
                keep_diverged=True,
            )  # fmt: skip
        states.remove(but=diverged)
        _forget(finished, splits)
    _warn_diverged(model, diverged, len(splits))


def _warn_diverged(model: str, diverged: Sequence[str], known: int) -> None:
    if diverged:
        message = (
            f"training of {model} diverged on {len(diverged)} of {known} splits ({', '.join(diverged)}): their weights "
            "and predictions are NaN, and so are all scores of them; to train one again as it is, delete its folder"
        )
        warnings.warn(message, DegenerateWarning, stacklevel=3)


@contextmanager
def _alone(folder: Path, splits: Sequence[str]) -> Iterator[None]:
    """Wait for other processes that train on these splits, such as one that a killed workflow left."""
    with ExitStack() as locks:
        for split in sorted(splits):
            locks.enter_context(locked(folder / split))
        yield


def _load(study: Study, model: str, images: PixelCache, device: str) -> tuple[torch.nn.Module, tuple[str, ...]]:
    """Build a network with its weights, and find what gives its classes."""
    spec = study.model_entry(model).spec()
    network, expected = build(spec, weights_folder=study.storage.weights), resolve_preprocessing(spec)
    classifiers = find_classifiers(network, spec, expected.size)
    probe_classifiers(network, classifiers, images, expected, device)
    probe_head(network, classifiers, images, expected, device)
    return network, classifiers


def _describe(study: Study, model: str, classifiers: tuple[str, ...], images: PixelCache) -> FineTunedModel:
    """Say what is the same of a network whatever the split."""
    ratings, settings, spec = finetuned_ratings(study), finetuning_of(study).settings(), study.model_entry(model).spec()
    origins = origins_of("finetune_network", study, model, images.content_hash)
    return FineTunedModel(
        spec, classifiers, resolve_preprocessing(spec), images.geometry, ratings, study.rating(ratings).measure,
        split="", settings=settings, origins={**origins, "settings": hash_object(asdict(settings))},
    )  # fmt: skip


def _describe_split(common: FineTunedModel, fold: Fold) -> FineTunedModel:
    parts = fold.train, fold.validation, fold.test
    scores = hash_arrays(*(array for part in parts for array in (part.images, part.scores)))
    return replace(common, split=_name(fold), origins={**common.origins, "scores": scores})


def _name(fold: Fold) -> str:
    return str(fold.split + 1)


def _make_fold(rated: Ratings, split: str, ratings: str, settings: FinetuneSettings) -> Fold:
    count = len(rated.splits)
    if split not in map(str, range(1, count + 1)):
        raise ValueError(f"there is no split {split!r} of {ratings!r}: give a number from 1 to {count}")
    place = int(split) - 1
    parts = rated.splits[place]
    return make_fold(place, rated.scores[place], parts.train, parts.validation, parts.test, settings)


def _write(folder: Path, result: FineTuned, stimuli: Sequence[str], about: FineTunedModel) -> None:
    """Write the results of a split; the weights come last, and earlier ones go first, so that no sets are mixed.

    Each file carries a hash of the predictions, since a GPU may train the same to other weights.
    """
    predicted = hash_arrays(result.validation.predicted, result.test.predicted)
    broken = {DIVERGED: result.diverged} if result.diverged else {}
    about = replace(about, origins={**about.origins, PREDICTED: predicted, **broken})
    tables = {
        HISTORY: history_table(result, about.spec.name, about.split),
        PREDICTIONS: predictions_table(result, stimuli, about.split),
    }
    (folder / about.split / WEIGHTS).unlink(missing_ok=True)
    for name, table in tables.items():
        table.attrs = {"origins": dict(about.origins), "measure": about.measure}
        write_table(table, folder / about.split / name)
    write_weights(folder / about.split / WEIGHTS, result.weights, about)
    for left in (folder / about.split).glob(".tmp*"):  # the library's own, where a run was killed as it wrote
        left.unlink(missing_ok=True)


def _put_back(finished: Path, output_folder: Path, wanted: FineTunedModel, study: Study) -> bool:
    """Put the results of a split back that were set aside, if training would give the same again."""
    folder = finished / wanted.split
    if not folder.is_dir():
        return False
    try:
        about = read_about(folder / WEIGHTS)
        whole = all(read_table(folder / name).attrs.get("origins") == about.origins for name in (HISTORY, PREDICTIONS))
    except ValueError as error:
        log.warning("%s", error)
        return False
    if not whole or _decisive(about, study) != _decisive(wanted, study):
        return False
    for name in FINETUNED_FILES:
        with atomic_path(output_folder / wanted.split / name) as temporary:
            shutil.copyfile(folder / name, temporary)
    log.info("%s, split %s: it was trained before, and its results are kept", about.spec.name, wanted.split)
    return True


def _forget(finished: Path, splits: Sequence[str]) -> None:
    for split in splits:
        shutil.rmtree(finished / split, ignore_errors=True)
    if finished.is_dir() and not any(finished.iterdir()):
        finished.rmdir()


def _decisive(about: FineTunedModel, study: Study) -> tuple[str, dict[str, str]]:
    """Return all that decides what training gives; versions of libraries only where the study says that they do."""
    apart = {PREDICTED, DIVERGED, *(() if study.compute.versions == "rerun" else ("versions",))}
    return about.measure, {name: value for name, value in about.origins.items() if name not in apart}


class _States:
    """Where the states of splits lie: one that was made of anything else has another name, and is no hindrance."""

    def __init__(self, folder: Path, trained: Sequence[FineTunedModel]) -> None:
        self._folder, self._splits = folder, [about.split for about in trained]
        self.paths = {
            about.split: folder / f"{about.split}-{hash_object(dict(about.origins))}.state" for about in trained
        }
        origins = trained[0].origins
        self.depends_on = {"code": origins["code"], "version of a library": origins["versions"]}
        self._tell_of_others()

    def remove(self, but: Collection[str] = ()) -> None:
        """Remove all states of these splits but some, also those of other settings, which were never ended."""
        for path in self._of(split for split in self._splits if split not in but):
            path.unlink(missing_ok=True)

    def _of(self, splits: Iterable[str]) -> set[Path]:
        return {path for split in splits for path in self._folder.glob(f"{split}-*.state*")}

    def _tell_of_others(self) -> None:
        own = self.paths.values()
        others = self._of(self._splits) - {*own, *(path.with_name(f"{path.name}.previous") for path in own)}
        if others:
            log.warning(
                "in %s, %s of other settings, data, code or versions of libraries: training starts anew, and what is "
                "old is removed once it has ended",
                self._folder, counted(len(others), "file of states is", "files of states are"),
            )  # fmt: skip
