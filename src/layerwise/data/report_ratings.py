"""Check behavioural scores: a user's table, or LaMem's split files."""

from collections.abc import Callable, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from layerwise.data.codes import find_codes
from layerwise.data.listed import IMAGE_COLUMNS, PARTS, SCORE_COLUMNS
from layerwise.data.ratings import find_column, read_lamem, read_raters, read_ratings
from layerwise.data.reports import Report, show_range
from layerwise.data.tables import read_text_table
from layerwise.interfaces import Ratings, counted

Consistency = Callable[[NDArray[np.float64]], NDArray[np.float64]]
OFFICIAL = {"train": 45_000, "val": 3_741, "test": 10_000}
"""Images in each of LaMem's five official splits."""


def report_ratings(
    path: Path,
    consistency: Consistency,
    images: Path | None = None,
    image_column: str | None = None,
    score_column: str | None = None,
    rater_columns: Sequence[str] | None = None,
) -> Report:
    """Check a table of scores.

    Parameters
    ----------
    path : Path
        CSV.
    consistency : callable
        Takes scores [rater, image] and gives the consistency of their means [half].
    images : Path, optional
        Folder of the images; default: `images` beside the table, else the table's own.
    image_column, score_column : str, optional
        Columns, where the usual names do not tell.
    rater_columns : sequence of str, optional
        Columns of single raters, instead of a column of scores.

    Returns
    -------
    Report
    """
    beside = path.parent / "images"
    folder = images or (beside if beside.is_dir() else path.parent)
    report = Report(path, "ratings")
    try:
        ratings, stimuli = read_ratings(path, folder, image_column, score_column, 2, rater_columns=rater_columns)
    except ValueError as error:
        report.problems.append(str(error))
        if images is None and f"is not in {folder}" in str(error):
            report.notes.append(f"images were looked for in {folder}: name another folder with --images")
        return report
    scores = ratings.scores[0]
    table = read_text_table(path, "table of scores", "image")
    named = find_column(table, image_column, IMAGE_COLUMNS, "image", path)
    scored = list(rater_columns or [find_column(table, score_column, SCORE_COLUMNS, "score", path)])
    others = [str(name) for name in table.columns if name not in (named, *scored)]
    report.add_table(
        "What the table says",
        ("", ""),
        [
            ("images", f"{len(stimuli.ids)}, all in {folder}"),
            ("columns", f"{named} (images), {', '.join(scored)} (scores)"),
            ("other columns", ", ".join(others) or "none"),
            ("scores", show_range(scores)),
            ("mean and standard deviation", f"{scores.mean():.3f}, {scores.std(ddof=1):.3f}"),
            ("quartiles", ", ".join(f"{value:.3f}" for value in np.quantile(scores, (0.25, 0.5, 0.75)))),
            ("different scores", len(np.unique(scores))),
        ],
    )
    if rater_columns:
        report.add_table("Raters", ("", ""), _raters(read_raters(path, rater_columns), consistency))
    report.problems += _missing_codes(table[scored])
    if len(np.unique(scores)) == 1:
        report.problems.append(f"all images have the score {scores[0]:g}: there is nothing to predict")
    return report


def _missing_codes(texts: pd.DataFrame) -> list[str]:
    values = texts.apply(pd.to_numeric, errors="coerce").to_numpy(np.float64)
    problems = []
    # An image needs a score, but not that of every rater.
    advice = "take the image out" if len(texts.columns) == 1 else "leave the cells empty"
    for code, sentence in find_codes(values, "scores"):
        row, column = np.argwhere(values == code)[0]
        where = f"line {texts.index[row] + 2}, column {texts.columns[column]!r}"
        problems.append(f"{sentence} (first: {where}): if it marks missing scores, {advice}")
    return problems


def _raters(raters: NDArray[np.float64], consistency: Consistency) -> list[tuple[str, object]]:
    seen = ~np.isnan(raters)
    return [
        ("raters", len(raters)),
        ("raters of an image", show_range(seen.sum(axis=0))),
        ("missing", f"{100 * (1 - seen.mean()):.2g} %"),
        ("consistency (split halves, Spearman-Brown)", _mean_defined(consistency(raters))),
    ]


def _mean_defined(values: NDArray[np.float64]) -> float:
    defined = values[np.isfinite(values)]
    return float(defined.mean()) if len(defined) else float("nan")


def report_lamem(splits: Path, images: Path | None = None) -> Report:
    """Check LaMem's split files.

    Parameters
    ----------
    splits : Path
        Folder of train_1.txt and so on, or the folder above it.
    images : Path, optional
        Folder of the images; default: `images` beside the splits, and without one images are not looked for.

    Returns
    -------
    Report
    """
    splits = splits / "splits" if (splits / "splits").is_dir() else splits
    report = Report(splits, "LaMem's splits")
    beside = splits.parent / "images"
    folder = images or (beside if beside.is_dir() else None)
    try:
        ratings, _ = read_lamem(splits, folder or splits, check_images=folder is not None)
    except ValueError as error:
        report.problems.append(str(error))
        return report
    scores, members = ratings.scores, _members(ratings)
    rows = [
        (number, *(int(inside[part].sum()) for part in PARTS), show_range(row[inside["all"]]), float(np.nanmean(row)))
        for number, (row, inside) in enumerate(zip(scores, members, strict=True), 1)
    ]
    report.add_table("Splits", ("split", *PARTS, "scores", "mean"), rows)
    report.add_table("All splits", ("", ""), _over_splits(ratings))
    report.notes += _unusual_counts(members)
    if folder is None:
        report.notes.append("the images were not looked for: give their folder with --images")
    return report


def _members(ratings: Ratings) -> list[dict[str, NDArray[np.bool_]]]:
    found = []
    for scores, split in zip(ratings.scores, ratings.splits, strict=True):
        parts = {"train": split.train, "val": split.validation, "test": split.test}
        inside = {part: np.isin(np.arange(len(scores)), places) for part, places in parts.items()}
        found.append({**inside, "all": np.isfinite(scores)})
    return found


def _over_splits(ratings: Ratings) -> list[tuple[str, object]]:
    scores = ratings.scores
    tests = [set(split.test.tolist()) for split in ratings.splits]
    shared = [len(one & two) for one, two in combinations(tests, 2)]
    ranges = np.nanmax(scores, axis=0) - np.nanmin(scores, axis=0)
    rows: list[tuple[str, object]] = [
        ("images", len(ratings.stimuli)),
        ("tested in at least one split", len(set().union(*tests))),
        ("with another score in another split", int(np.sum(ranges > 0))),
    ]
    if shared:
        differences = [np.nanmean(np.abs(one - two)) for one, two in combinations(scores, 2)]
        rows.append(("shared by two test parts", show_range(np.array(shared), " images")))
        rows.append(("mean difference of an image's scores", float(np.mean(differences))))
        rho = pd.DataFrame(scores.T).corr(method="spearman").to_numpy()
        rows.append(("their rank correlation (rho)", show_range(rho[np.triu_indices(len(rho), 1)])))
    return rows


def _unusual_counts(members: list[dict[str, NDArray[np.bool_]]]) -> list[str]:
    return [
        f"split {number}: {counted(int(inside[part].sum()), 'image')} in {part}, and LaMem's own have {count:,}"
        for number, inside in enumerate(members, 1)
        for part, count in OFFICIAL.items()
        if inside[part].sum() != count
    ]
