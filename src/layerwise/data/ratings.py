"""Behavioural scores of images: a user's table, or LaMem with its official splits."""

import logging
import warnings
from collections.abc import Collection, Mapping, Sequence
from itertools import combinations
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np
import pandas as pd
import pandera.pandas as pa
from numpy.typing import NDArray
from sklearn.model_selection import KFold

from layerwise.data.folders import find_files, list_images
from layerwise.data.listed import IMAGE_COLUMNS, PARTS, SCORE_COLUMNS, SPLIT_FILE, choose_column
from layerwise.data.problems import list_problems
from layerwise.data.tables import read_text_table
from layerwise.files.mistaken import check_is_table
from layerwise.interfaces import DegenerateWarning, Ratings, Split, StimulusSet, agreeing, counted

FEWEST = 3  # images of which a rank correlation is defined

_MISSING = ("", "nan", "na", "n/a", "none", "null")
_log = logging.getLogger(__name__)


def read_ratings(
    scores: str | Path,
    folder: str | Path,
    image_column: str | None = None,
    score_column: str | None = None,
    n_folds: int = 5,
    seed: int = 1,
    fold_column: str | None = None,
    unscored_images: Literal["error", "ignore"] = "error",
    name: str | None = None,
    rater_columns: Sequence[str] | None = None,
) -> tuple[Ratings, StimulusSet]:
    """Read a table of scores and find the images they belong to.

    Parameters
    ----------
    scores : path
        CSV with a row an image: its file's name in `folder` (which is its id from then on) and its score.
    folder : path
        Folder of the images; other files in it do not matter, unless the table names them.
    image_column, score_column : str, optional
        Columns of the file names and of the scores; default: the one that has a usual name.
    n_folds : int
        Number of folds; each image is tested once.
    seed : int
        Seed of the folds.
    fold_column : str, optional
        Column that names the fold in which an image is tested; `n_folds` and `seed` then do nothing.
    unscored_images : {"error", "ignore"}
        What to do about images in the folder that the table does not name.
    name : str, optional
        Name of the images' set; default: the folder's.
    rater_columns : sequence of str, optional
        Columns of one rater each, instead of a column of scores: an image's score is the mean over its raters.

    Returns
    -------
    Ratings
        With the same scores in each fold.
    StimulusSet

    Raises
    ------
    ValueError
        The table cannot be read; a column is not there or not clear; scores are missing or no numbers; an
        image is named twice, is not in the folder, or has no score; there are fewer images than folds. All
        problems of the rows are counted, and ten are shown with their lines.
    """
    scores, folder = Path(scores), Path(folder)
    table = read_text_table(scores, "table of scores", "image")
    if rater_columns is not None:
        score_column = _add_means(table, read_raters(scores, rater_columns), score_column)
    columns = {
        "image": find_column(table, image_column, IMAGE_COLUMNS, "image", scores),
        "score": find_column(table, score_column, SCORE_COLUMNS, "score", scores),
        **({} if fold_column is None else {"fold": find_column(table, fold_column, (), "fold", scores)}),
    }
    rows = pd.DataFrame({new: table[old].str.strip() for new, old in columns.items()})
    rows["image"] = [str(PurePosixPath(image)) if image else "" for image in rows["image"]]
    images = list_images(folder)
    found = find_files(folder, rows["image"])
    _check_rows(rows, found, images, folder, scores, unscored_images)
    rows = rows.sort_values("image")
    splits = (
        _draw_folds(len(rows), n_folds, seed, scores) if fold_column is None else _given_folds(rows["fold"], scores)
    )
    ids = tuple(rows["image"])
    _log.info(
        "%s: %s, each an image and its score", scores, counted(len(rows), "row")
    )  # a table that was cut may look whole
    values = np.tile(rows["score"].to_numpy(dtype=np.float64), (len(splits), 1))
    return Ratings(ids, values, splits), StimulusSet(name or folder.name, ids, tuple(found[i] for i in ids))


def read_raters(scores: str | Path, columns: Sequence[str]) -> NDArray[np.float64]:
    """Read the columns of single raters.

    Parameters
    ----------
    scores : path
        CSV with a row an image.
    columns : sequence of str
        One a rater.

    Returns
    -------
    float64 array [rater, image]
        NaN where a rater did not see an image; images as in the table.

    Raises
    ------
    ValueError
        There are fewer than two columns, one is not there, or a cell is neither empty nor a number: all such cells
        are counted, and ten are shown with line and column.
    """
    path = Path(scores)
    table = read_text_table(path, "table of scores", "image")
    if len(set(columns)) < 2 or len(set(columns)) < len(columns):
        raise ValueError(f"the columns of raters are {list(columns)}: name two or more, each once")
    texts = {name: table[find_column(table, name, (), "rater", path)].str.strip() for name in columns}
    problems = [
        f"line {table.index[row] + 2}, column {name!r}: {cells.iloc[row]!r} is not a finite number"
        for name, cells in texts.items()
        for row in np.flatnonzero(~(_is_missing(cells) | _is_number(cells))).tolist()
    ]
    if problems:
        raise ValueError(list_problems(problems, "problem", "problems", f"with {path}"))
    _log.info("%s: %d rows of %d raters", path, len(table), len(texts))
    return np.array([pd.to_numeric(cells, errors="coerce").to_numpy(np.float64) for cells in texts.values()])


def read_lamem(
    splits: str | Path, folder: str | Path, check_images: bool = True, name: str = "lamem"
) -> tuple[Ratings, StimulusSet]:
    """Read LaMem's official splits.

    They are files train_1.txt, val_1.txt, test_1.txt and so on, with lines such as ``00051110.jpg 0.675``. An
    image has another score in each split, so scores are kept by split. PLS trains on `train` and is tested on
    `test`; `val` becomes the split's validation part, which PLS leaves out.

    Parameters
    ----------
    splits : path
        Folder of the split files.
    folder : path
        Folder of the images.
    check_images : bool
        Whether to check that all images are there.
    name : str
        Name of the images' set.

    Returns
    -------
    Ratings
    StimulusSet

    Raises
    ------
    ValueError
        A split file is missing; a line is not an image and a score in (0, 1]; an image is twice in a split;
        images are not in the folder. All problems are counted, and ten are shown with file and line.

    References
    ----------
    Khosla, Raju, Torralba & Oliva (2015). Understanding and predicting image memorability at a large scale.
    ICCV, 2390-2398. https://doi.org/10.1109/ICCV.2015.275
    """
    problems: list[str] = []
    parsed = [{part: _read_part(path, problems) for part, path in files.items()} for files in _find_parts(Path(splits))]
    problems += [problem for number, parts in enumerate(parsed, 1) for problem in _overlaps(number, parts)]
    if problems:
        raise ValueError(list_problems(problems, "problem", "problems", f"in the split files of {splits}"))
    ids = tuple(sorted({image for parts in parsed for scored in parts.values() for image in scored}))
    paths = _find_images(ids, Path(folder), Path(splits)) if check_images else [Path(folder) / image for image in ids]
    scores, parts_of = _by_split(parsed, ids)
    return Ratings(ids, scores, parts_of), StimulusSet(name, ids, tuple(paths))


def check_defined(ratings: Ratings, what: str) -> None:
    """Check that the scores of test images have a rank correlation with anything.

    Parameters
    ----------
    ratings : Ratings
        Scores and splits.
    what : str
        What they are, for messages.

    Raises
    ------
    ValueError
        No split tests three images whose scores differ.

    Warns
    -----
    DegenerateWarning
        Some do not: their rho is NaN.
    """
    tested = [scores[split.test] for scores, split in zip(ratings.scores, ratings.splits, strict=True)]
    undefined = sum(len(scores) < FEWEST or np.ptp(scores) == 0 for scores in tested)
    verb = agreeing(undefined, "tests", "test")
    told = f"{undefined} of {len(tested)} splits of {what} {verb} fewer than {FEWEST} images, or images of one score"
    if undefined == len(tested):
        raise ValueError(f"{told}, which have no rank correlation: set fewer `folds`, or give scores that differ")
    if undefined:
        warnings.warn(f"{told}: their rho is NaN", DegenerateWarning, stacklevel=2)


def _add_means(table: pd.DataFrame, raters: NDArray[np.float64], score_column: str | None) -> str:
    if score_column is not None:
        raise ValueError(f"give either the column of scores ({score_column!r}) or the columns of raters")
    counts = (~np.isnan(raters)).sum(axis=0)
    means = np.nansum(raters, axis=0) / np.maximum(counts, 1)
    name = "the mean over raters"
    table[name] = [repr(float(mean)) if count else "" for mean, count in zip(means, counts, strict=True)]
    return name


def find_column(table: pd.DataFrame, given: str | None, usual: Sequence[str], what: str, path: Path) -> str:
    """Find the column that is given, or the only one that has a usual name.

    Raises
    ------
    ValueError
        The given one is not there; none or several have a usual name.
    """
    return choose_column([str(column) for column in table.columns], given, usual, what, path)


def _check_rows(
    rows: pd.DataFrame,
    found: Mapping[str, Path],
    images: Collection[str],
    folder: Path,
    path: Path,
    unscored_images: str,
) -> None:
    problems = _row_problems(rows, found, images, folder)
    unscored = sorted(set(images) - {file.relative_to(folder).as_posix() for file in found.values()})
    if unscored_images == "error":
        problems += [f"{folder / image}: has no score" for image in unscored]
    elif unscored:
        _log.info("%s no score in %s: left out", counted(len(unscored), "image has", "images have"), folder)
    if problems:
        advice = " (`unscored_images: ignore` leaves out images without a score)" if unscored else ""
        raise ValueError(list_problems(problems, "problem", "problems", f"with {path}{advice}"))


def _row_problems(rows: pd.DataFrame, found: Mapping[str, Path], images: Collection[str], folder: Path) -> list[str]:
    try:
        _schema(found, images, folder, list(rows.columns)).validate(rows, lazy=True)
    except pa.errors.SchemaErrors as error:
        cases = error.failure_cases.sort_values(["index", "column"])
        # The first line of the file holds the names, and lines are counted from 1.
        return [
            f"line {case.index + 2}: the {case.column} {case.failure_case!r} {case.check}"
            for case in cases[["index", "column", "failure_case", "check"]].itertuples(index=False)
        ]
    return []


def _schema(
    found: Mapping[str, Path], images: Collection[str], folder: Path, columns: Sequence[str]
) -> pa.DataFrameSchema:
    example = f", which holds names like {min(images)!r}" if images else ", which holds no images"
    checks = {
        "image": [
            pa.Check(lambda names: names != "", error="is empty"),
            pa.Check(lambda names: ~_same_file(names, found).duplicated(keep=False), error="is named more than once"),
            pa.Check(lambda names: names.isin({*found, ""}), error=f"is not in {folder}{example}"),
        ],
        "score": [
            pa.Check(lambda texts: ~_is_missing(texts), error="is missing"),
            pa.Check(lambda texts: ~_has_comma(texts), error="has a decimal comma: write a point"),
            pa.Check(
                lambda texts: _is_missing(texts) | _has_comma(texts) | _is_number(texts), error="is not a finite number"
            ),
        ],
        "fold": [pa.Check(lambda labels: labels != "", error="is empty")],
    }
    return pa.DataFrameSchema({column: pa.Column(checks=checks[column]) for column in columns})


def _same_file(names: pd.Series, found: Mapping[str, Path]) -> pd.Series:
    """Return the file of each name, of which two may differ in how an accent is written."""
    return pd.Series([str(found.get(name, name)) for name in names], index=names.index)


def _is_missing(texts: pd.Series) -> pd.Series:
    return texts.str.lower().isin(_MISSING)


def _has_comma(texts: pd.Series) -> pd.Series:
    return texts.str.fullmatch(r"[+-]?\d*,\d+")


def _is_number(texts: pd.Series) -> pd.Series:
    return pd.Series(np.isfinite(pd.to_numeric(texts, errors="coerce")), index=texts.index)


def _draw_folds(n_images: int, n_folds: int, seed: int, path: Path) -> list[Split]:
    if not 2 <= n_folds <= n_images:
        raise ValueError(
            f"the {n_images} images of {path} cannot make {n_folds} folds: there must be 2 folds or more, and an image "
            "for each"
        )
    folds = KFold(n_folds, shuffle=True, random_state=seed).split(np.zeros(n_images))
    return [Split(train.astype(np.int64), test.astype(np.int64)) for train, test in folds]


def _given_folds(labels: pd.Series, path: Path) -> list[Split]:
    values = labels.to_numpy()
    names = sorted(set(values))
    if len(names) < 2:
        raise ValueError(f"all images of {path} are in the fold {names[0]!r}: there must be two or more")
    return [Split(np.flatnonzero(values != name), np.flatnonzero(values == name)) for name in names]


def _find_parts(folder: Path) -> list[dict[str, Path]]:
    matches = (SPLIT_FILE.fullmatch(path.name) for path in folder.glob("*.txt"))
    numbers = [int(match[2]) for match in matches if match]
    if not numbers:
        raise ValueError(f"no split files in {folder}: it should hold train_1.txt, val_1.txt, test_1.txt and so on")
    files = [{part: folder / f"{part}_{number}.txt" for part in PARTS} for number in range(1, max(numbers) + 1)]
    missing = [str(path) for parts in files for path in parts.values() if not path.is_file()]
    if missing:
        raise ValueError(list_problems(missing, "split file is", "split files are", "missing"))
    return files


def _read_part(path: Path, problems: list[str]) -> dict[str, float]:
    scored: dict[str, float] = {}
    try:
        check_is_table(path)
    except ValueError as error:
        problems.append(str(error))
        return scored
    for number, line in enumerate(path.read_text(encoding="utf-8-sig", errors="replace").splitlines(), 1):
        named, *rest = line.split() or [""]
        image = named and str(PurePosixPath(named))  # ./a.jpg is a.jpg
        problem = _line_problem(image, rest, scored)
        if problem:
            problems.append(f"{path.name}, line {number} ({line.strip()!r}): {problem}")
        elif image:
            scored[image] = float(rest[0])
    if not scored:
        problems.append(f"{path.name}: no image has a score")
    return scored


def _line_problem(image: str, rest: list[str], scored: Mapping[str, float]) -> str:
    if not image:
        return ""
    if len(rest) != 1:
        return "is not an image and a score"
    if image in scored:
        return "the image is named twice"
    try:
        score = float(rest[0])
    except ValueError:
        return "the score is not a number"
    return "" if 0 < score <= 1 else "the score is not above 0 and up to 1"


def _overlaps(number: int, parts: Mapping[str, Mapping[str, float]]) -> list[str]:
    shared = [(one, two, parts[one].keys() & parts[two].keys()) for one, two in combinations(PARTS, 2)]
    return [
        f"split {number}: {counted(len(images), 'image is', 'images are')} both in {one} and in {two}, such as "
        f"{min(images)}"
        for one, two, images in shared
        if images
    ]


def _find_images(ids: Sequence[str], folder: Path, splits: Path) -> list[Path]:
    found = find_files(folder, ids)
    missing = [image for image in ids if image not in found]
    if missing:
        of = f"of {len(ids)} images that {splits} names"
        raise ValueError(list_problems(missing, f"{of} is", f"{of} are", f"not in {folder}"))
    _check_apart(ids, found, splits)
    return [found[image] for image in ids]


def _check_apart(ids: Sequence[str], found: Mapping[str, Path], splits: Path) -> None:
    """Refuse two names of one image, which might be trained on under one and tested under the other."""
    names: dict[Path, str] = {}
    for image in ids:
        other = names.setdefault(found[image], image)
        if other != image:
            raise ValueError(
                f"{splits} names the image {found[image]} as {other!r} and as {image!r}, which differ in how an "
                "accent or a capital is written: write it one way in all files"
            )


def _by_split(
    parsed: Sequence[Mapping[str, Mapping[str, float]]], ids: Sequence[str]
) -> tuple[NDArray[np.float64], list[Split]]:
    rows = {image: row for row, image in enumerate(ids)}
    scores = np.full((len(parsed), len(ids)), np.nan)
    splits = []
    for values, parts in zip(scores, parsed, strict=True):
        places = {part: np.array([rows[image] for image in scored], np.int64) for part, scored in parts.items()}
        for part, scored in parts.items():
            values[places[part]] = list(scored.values())
        splits.append(Split(*(np.sort(places[part]) for part in ("train", "test", "val"))))
    return scores, splits
