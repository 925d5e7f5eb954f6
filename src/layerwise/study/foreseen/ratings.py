"""Ratings: tables of scores and split files, and how many images they leave to train on."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from layerwise.config import Study
from layerwise.config.data import RatingEntry
from layerwise.data.listed import IMAGE_COLUMNS, SCORE_COLUMNS, choose_column, read_rows
from layerwise.data.problems import list_problems
from layerwise.files.mistaken import check_is_table
from layerwise.interfaces import FinetuneSettings, counted
from layerwise.study.finetuning import finetuned_ratings
from layerwise.study.foreseen.images import wrong_images
from layerwise.study.foreseen.paths import SPLITS, find_wrong, of_rating


def rating_problems(entry: RatingEntry, study: Study) -> Iterator[str]:
    """Find what is wrong with the scores of images, as far as their table and folder are there."""
    trained = study.finetuning is not None and finetuned_ratings(study) == entry.name
    settings = study.finetuning.settings() if study.finetuning and trained else None
    yield from find_wrong(of_rating(entry))
    if entry.scores is None:
        yield from _wrong_splits(entry, study.regression.components)
    elif entry.scores.is_file():
        yield from _wrong_scores(entry, entry.scores, study.regression.components, settings)
    yield from wrong_images(entry.images, frozenset())


def _wrong_splits(entry: RatingEntry, n_components: int) -> Iterator[str]:
    folder = entry.splits or Path()
    if folder.is_dir() and not any(folder.glob("train_*.txt")):
        yield f"no split files in {folder}: it should hold {SPLITS}"
    for path in sorted(folder.glob("train_*.txt")):
        check_is_table(path)
        lines = sum(1 for line in path.read_bytes().splitlines() if line.strip())
        if lines < n_components:
            yield (
                f"{path} names {counted(lines, 'image')} to train on, and {n_components} components need as many: give "
                "more images, or fewer `regression.components`"
            )


def _wrong_scores(
    entry: RatingEntry, scores: Path, n_components: int, settings: FinetuneSettings | None
) -> Iterator[str]:
    header, *rows = read_rows(scores)
    wrong = list(_wrong_columns(entry, scores, header))
    yield from wrong
    if not wrong and entry.rater_columns is None:
        place = header.index(choose_column(header, entry.score_column, SCORE_COLUMNS, "score", scores))
        cells = [row[place].strip() if len(row) > place else "" for row in rows if any(row)]
        bad = [f"line {line}: {cell!r}" for line, cell in enumerate(cells, 2) if not _is_number(cell)]
        if bad:
            column = f"of the column {header[place]!r} of {scores}"
            yield list_problems(bad, "cell", "cells", f"{column} without a finite number")
    yield from _few_images(entry, len([row for row in rows if any(row)]), n_components, settings)


def _wrong_columns(entry: RatingEntry, scores: Path, header: list[str]) -> Iterator[str]:
    asked: list[tuple[str | None, Sequence[str], str]] = [(entry.image_column, IMAGE_COLUMNS, "image")]
    if entry.rater_columns is None:
        asked.append((entry.score_column, SCORE_COLUMNS, "score"))
    asked += [(name, (), "rater") for name in entry.rater_columns or ()]
    asked += [(name, (), "fold") for name in (entry.fold_column,) if name is not None]
    for given, usual, what in asked:
        try:
            choose_column(header, given, usual, what, scores)
        except ValueError as error:
            yield str(error)


def _few_images(
    entry: RatingEntry, n_images: int, n_components: int, settings: FinetuneSettings | None
) -> Iterator[str]:
    if entry.fold_column is not None:
        return
    most = n_images - math.ceil(n_images / entry.folds)
    if n_images < entry.folds:
        yield f"{entry.folds} folds need as many images, and {entry.scores} has {n_images}: lower `folds`"
    elif most < n_components:
        yield (
            f"{counted(n_images, 'image leaves', 'images leave')} {most} for training in the smallest of {entry.folds} "
            f"folds, and {n_components} components need as many: rate more images, or set more `folds` or fewer "
            "`regression.components`"
        )
    elif settings is not None:
        yield from _few_to_tune(entry, n_images - n_images // entry.folds, settings)


def _few_to_tune(entry: RatingEntry, n_train: int, settings: FinetuneSettings) -> Iterator[str]:
    """Tell that even the largest training part makes no batch, once what is watched is taken out of it."""
    if not settings.hold_out:
        yield (
            f"the folds of {entry.scores} have no validation images for fine-tuning to watch: set "
            "`finetuning.hold_out` to the share of training images that are watched instead, such as 0.1"
        )
        return
    held = settings.count_held(n_train)
    if n_train - held < settings.batch_size:
        yield (
            f"fine-tuning trains on {counted(n_train - held, 'image')} in each of {entry.folds} folds, beside {held} "
            f"that it watches, and a batch has {settings.batch_size}: rate more images, or set more `folds` or a "
            "smaller `finetuning.batch_size`"
        )


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
