"""What can be known of a study before a network runs, where tables are read whole and networks' libraries imported."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from layerwise.analyses.brain import draw_splits, require_distances
from layerwise.analyses.dividing import SplitPlan
from layerwise.config import Study
from layerwise.config.models import ModelEntry
from layerwise.data.rdms import read_rdm
from layerwise.interfaces import RSA, Split, counted
from layerwise.layers import survey_layers
from layerwise.models import build, build_empty, resolve_preprocessing
from layerwise.models.adapters.factory import find_factory
from layerwise.steps.inputs import rated_images, region_recordings, stimulus_set
from layerwise.study import regions, stimulus_files
from layerwise.study.foreseen import Problem


def find_deeper_problems(study: Study, known: Iterable[Problem]) -> list[Problem]:
    """Find what `layerwise.study.foreseen.find_problems` cannot, as jobs would.

    Timm's names and factories are imported, and networks built of which layers were chosen, without weights; recordings
    and scores are read whole, and their splits drawn.

    Parameters
    ----------
    study : Study
        The study.
    known : iterable of Problem
        What was found before: what it is about is left out here, and so is all whose files are not there.
    """
    wrong = {(problem.kind, problem.name) for problem in known}
    checks: list[tuple[str, str, Callable[[], None]]] = [
        *(("model", entry.name, _importing(entry)) for entry in study.models),
        *(("recording", entry.name, _reading_recording(study, entry.name)) for entry in study.recordings),
        *(("rating", entry.name, _reading_ratings(study, entry.name)) for entry in study.ratings),
    ]
    return [
        Problem(kind, name, told)
        for kind, name, check in checks
        if (kind, name) not in wrong and _is_there(study, kind, name)
        for told in _failure(check)
    ]


def _failure(check: Callable[[], None]) -> Iterator[str]:
    try:
        check()
    except (ValueError, OSError) as error:
        yield str(error)


def _is_there(study: Study, kind: str, name: str) -> bool:
    if kind == "model":
        return True
    tables, folder = stimulus_files(study, name)
    return bool(tables) and all(path.is_file() for path in tables) and folder is not None and folder.is_dir()


def _importing(entry: ModelEntry) -> Callable[[], None]:
    def check() -> None:
        if entry.timm:
            resolve_preprocessing(entry.spec())
        if entry.factory:
            find_factory(entry.factory)
        if not isinstance(entry.choice.which, str) or entry.choice.tokens == "cls":
            _survey(entry)

    return check


def _survey(entry: ModelEntry) -> None:
    """Find the layers that were chosen, as the job that lists them does."""
    spec = entry.spec()  # a user's own function may need tensors with values
    network = build(spec, "built") if spec.library == "factory" else build_empty(spec)
    survey_layers(network, resolve_preprocessing(spec).size, choice=entry.choice)


def _reading_recording(study: Study, name: str) -> Callable[[], None]:
    def check() -> None:
        stimulus_set(study, name)
        entry = study.recording(name)
        if entry.is_rdm:
            read_rdm(entry.file)
            return
        plan, measures = SplitPlan(**entry.splits.model_dump()), study.measures_of(name)
        for region in regions(study):
            if region.recording == name:
                recordings = region_recordings(study, region.name)
                drawn = draw_splits(recordings, plan)
                _require_enough(drawn, study.regression.components if "pls" in measures else 1, region.name)
                if RSA in measures:
                    with _of(region.name):
                        require_distances(recordings, drawn, plan.is_given, study.brain.settings())

    return check


@contextmanager
def _of(region: str) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{region}: {error}") from None


def _reading_ratings(study: Study, name: str) -> Callable[[], None]:
    def check() -> None:
        _require_enough(rated_images(study, name)[0].splits, study.regression.components, name)

    return check


def _require_enough(splits: Iterable[Split], n_components: int, what: str) -> None:
    fewest = min(len(split.train) for split in splits)
    if fewest < n_components:
        raise ValueError(
            f"the smallest split of {what} trains on {counted(fewest, 'stimulus', 'stimuli')}, and {n_components} "
            "components need as many: use more stimuli, a larger training part, or fewer `regression.components`"
        )
