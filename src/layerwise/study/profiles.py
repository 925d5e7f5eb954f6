"""Fine-tuned networks whose every layer is scored, and what their layers may be held against."""

from pathlib import Path

from layerwise.config import Study
from layerwise.config.data import RatingEntry
from layerwise.config.models import FineTunedEntry, ModelEntry, name_finetuned
from layerwise.study.counts import count_splits
from layerwise.study.finetuning import finetuned_models, finetuned_ratings, finetuned_splits
from layerwise.study.layout import WEIGHTS, Layout


def networks_of(study: Study) -> dict[str, ModelEntry]:
    """List the networks that jobs run, by their names: those of the study, and the fine-tuned that are profiled."""
    profiled = [study.model_entry(name) for name in profiled_networks(study)]
    return {entry.name: entry for entry in [*study.models, *profiled]}


def profiled_networks(study: Study) -> dict[str, tuple[str, str]]:
    """Name the fine-tuned networks whose every layer is scored: of each the network and split; none if not asked."""
    if study.finetuning is None or not study.finetuning.profile:
        return {}
    return {
        name_finetuned(model, split): (model, split)
        for model in finetuned_models(study)
        for split in finetuned_splits(study)
    }


def weights_files(entry: ModelEntry, layout: Layout) -> tuple[list[str], list[Path]]:
    """Return the files that hold a network's weights: those that the study makes, and those that its config names."""
    return trained_weights(entry, layout), list(filter(None, [entry.weights_file()]))


def trained_weights(entry: ModelEntry, layout: Layout) -> list[str]:
    """Return the weights of a fine-tuned network, which are a result of the study; none of another one."""
    return [layout.finetuned(entry.network, entry.split, WEIGHTS)] if isinstance(entry, FineTunedEntry) else []


def scored_ratings(study: Study, model: str) -> list[RatingEntry]:
    """List the ratings that a network is held against: a fine-tuned one against those that it was trained on alone.

    Images of others may be among those that it was trained on, under other names.
    """
    fine_tuned = isinstance(study.model_entry(model), FineTunedEntry)
    return [study.rating(finetuned_ratings(study))] if fine_tuned else study.ratings


def own_split(study: Study, model: str, ratings: str) -> int | None:
    """Return the only split on which a fine-tuned network is scored, from 0: it was trained on test images of others.

    None for any other network, which is scored on all.

    Raises
    ------
    ValueError
        The ratings are none that a fine-tuned network may be held against, or have no such split.
    """
    entry = study.model_entry(model)
    if not isinstance(entry, FineTunedEntry):
        return None
    trained = finetuned_ratings(study)
    if ratings != trained:
        raise ValueError(
            f"{model} was trained on images of {trained}, which may be among those of {ratings} too: it is held "
            f"against {trained} alone"
        )
    if entry.split not in finetuned_splits(study):
        raise ValueError(f"{model}: the study does not train on a split {entry.split!r} of {ratings}")
    return int(entry.split) - 1


def count_scored_splits(study: Study, model: str, ratings: str) -> int:
    """Count the splits on which a network is scored."""
    return count_splits(study.rating(ratings)) if own_split(study, model, ratings) is None else 1
