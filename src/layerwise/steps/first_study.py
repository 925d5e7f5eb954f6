"""A first study file, from what a user has: a folder of images, and a table of scores, of responses, or both."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from layerwise.config import validate_study
from layerwise.config.base import NAME_LENGTH, NAME_PATTERN, check_column
from layerwise.config.paths import count_from
from layerwise.config.settings import RegressionSettings
from layerwise.data.folders import find_files, list_images
from layerwise.data.kinds import kind_of
from layerwise.data.listed import IMAGE_COLUMNS, SCORE_COLUMNS, with_usual_name
from layerwise.data.recordings import list_regions, read_labels, write_recordings
from layerwise.data.tables import read_text_table
from layerwise.data.wide import find_image_column, find_score_column, read_wide
from layerwise.files import atomic_path, writable
from layerwise.files.documents import parse_yaml
from layerwise.study.foreseen import find_problems, refuse

COMPONENTS: int = RegressionSettings.model_fields["components"].default
FOLDS, TESTED = 5, 3  # folds if there are images enough, and images that each must test
TRAINED = 0.9  # share of stimuli that are trained on
HEAD = """\
# A first study, written by `layerwise init`. Paths count from the folder of this file.
#
#   layerwise check-config --config {path}
#   snakemake --profile profiles/local --configfile {path}
#
# Networks are names that `layerwise models list` shows, or entries of your own; the README and the comments in
# config.yaml say what else there is.
"""
FEW = """\
# {default} components, the default, need more images to train on than the {fewest} of the smallest split; half as many
# as these are no more than a start.
"""


@dataclass(frozen=True)
class Given:
    """What a user has.

    Parameters
    ----------
    images : Path
        Folder of the images.
    scores : Path, optional
        CSV with a row an image.
    responses : Path, optional
        Recordings (.nc), or a CSV with a row an image and a column a neuroid.
    image_column, score_column : str, optional
        Where the tables do not tell.
    visual_degrees : float, optional
        Side of the images as they were seen when responses were recorded.
    models, timm, factories : sequence of str
        Networks; none: resnet18.
    """

    images: Path
    scores: Path | None = None
    responses: Path | None = None
    image_column: str | None = None
    score_column: str | None = None
    visual_degrees: float | None = None
    models: Sequence[str] = ()
    timm: Sequence[str] = ()
    factories: Sequence[str] = ()


def write_first_study(given: Given, output: Path, name: str | None = None) -> list[Path]:
    """Write a study file, and the file of recordings where responses came as a CSV.

    Parameters
    ----------
    given : Given
        What the study is made of.
    output : Path
        The YAML file; it must not be there yet.
    name : str, optional
        Of the study; default: the file's.

    Returns
    -------
    list of Path
        What was written.

    Raises
    ------
    ValueError
        A file is there already, something given cannot be read or does not fit, or there is neither a table of scores
        nor one of responses. Nothing is written then.
    """
    recorded = output.with_name(f"{output.stem}-responses.nc") if _is_table(given.responses) else given.responses
    made = [path for path in (output, recorded) if path is not None and path != given.responses]
    _refuse_overwriting(made)
    if given.scores is None and given.responses is None:
        raise ValueError("a study predicts something: give --scores, --responses, or both")
    if not given.images.is_dir():
        raise ValueError(f"there is no folder {given.images}: check --images")
    if not list_images(given.images):
        raise ValueError(f"the folder {given.images} holds no image: check the path")
    if given.responses is not None and not _is_table(given.responses):
        kind_of(given.responses)  # says what to do with an array
    if _is_table(given.responses):
        _import_responses(given, Path(recorded or ""))
    try:
        _write(given, recorded, output, name or slug(output.stem))
    except BaseException:
        for path in made[1:]:
            path.unlink(missing_ok=True)
        raise
    return made


def slug(text: str, otherwise: str = "study") -> str:
    """Make of a text what may name a folder."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("._-")[:NAME_LENGTH] or otherwise


def _is_table(path: Path | None) -> bool:
    return path is not None and path.suffix.lower() == ".csv"


def _refuse_overwriting(paths: Sequence[Path]) -> None:
    there = [str(path) for path in paths if writable(path).exists()]
    if there:
        raise ValueError(f"{' and '.join(there)} is there already: remove it, or give another --output")


def _import_responses(given: Given, recorded: Path) -> None:
    recordings, images = read_wide(given.responses or "", given.images, "responses", given.image_column)
    write_recordings(recordings, recorded, images, f"from {given.responses}", given.visual_degrees)


def _write(given: Given, recorded: Path | None, output: Path, name: str) -> None:
    recordings, n_recorded = _recordings(given, recorded, output.parent) if recorded is not None else ([], 0)
    ratings, n_rated = _ratings(given, given.scores, output.parent) if given.scores is not None else ([], 0)
    if recordings and ratings and recordings[0]["name"].casefold() == ratings[0]["name"].casefold():
        recordings[0]["name"] += "-recorded"
    sections = {"study": name, "models": _models(given), "recordings": recordings, "ratings": ratings}
    text = HEAD.format(path=output) + "".join(f"\n{_dump({key: value})}" for key, value in sections.items() if value)
    fewest = min(_trained(n_recorded, n_rated, ratings))
    if fewest < COMPONENTS:
        few = FEW.format(default=COMPONENTS, fewest=fewest)
        text += "\n" + few + _dump({"regression": {"components": max(1, fewest // 2)}})
    content = parse_yaml(text, str(output))
    refuse(find_problems(validate_study(content, str(output), [(content, output.parent)])), str(output))
    with atomic_path(output) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _dump(section: dict[str, Any]) -> str:
    return str(yaml.safe_dump(section, sort_keys=False, allow_unicode=True, width=100))


def _trained(n_recorded: int, n_rated: int, ratings: list[dict[str, Any]]) -> list[int]:
    """Count what the smallest training parts hold."""
    recorded = [math.floor(TRAINED * n_recorded)] if n_recorded else []
    rated = [n_rated - math.ceil(n_rated / entry.get("folds", FOLDS)) for entry in ratings]
    return recorded + rated


def _models(given: Given) -> list[Any]:
    others = [{"name": slug(name), "timm": name} for name in given.timm]
    others += [{"name": slug(text.replace(":", "-")), "factory": text} for text in given.factories]
    return [*given.models, *others] or ["resnet18"]


def _recordings(given: Given, recorded: Path, folder: Path) -> tuple[list[dict[str, Any]], int]:
    entry: dict[str, Any] = {"name": slug(recorded.stem, "recorded"), "file": count_from(recorded, folder)}
    if not _is_table(given.responses):
        entry["images"] = count_from(given.images, folder)
    names = {label: slug(label, "region") for label in list_regions(recorded)}
    if any(re.fullmatch(NAME_PATTERN, label) is None for label in names):
        entry["regions"] = names
    if given.visual_degrees is not None and not _is_table(given.responses):
        entry["visual_degrees"] = given.visual_degrees
    return [entry], len(read_labels(recorded).stimuli)


def _ratings(given: Given, scores: Path, folder: Path) -> tuple[list[dict[str, Any]], int]:
    table = read_text_table(scores, "table of scores", "image")
    named = find_image_column(table, given.images, scores, given.image_column)
    scored = find_score_column(table, named, scores, given.score_column)
    places = {"images": count_from(given.images, folder), "scores": count_from(scores, folder)}
    entry: dict[str, Any] = {"name": slug(scores.stem, "rated"), **places}
    for key, column, usual in (("image_column", named, IMAGE_COLUMNS), ("score_column", scored, SCORE_COLUMNS)):
        if with_usual_name([str(name) for name in table.columns], usual) != [column]:
            entry[key] = column
    entry["measure"] = _measure(scored)
    there = {
        str(path.relative_to(given.images)) for path in find_files(given.images, table[named].str.strip()).values()
    }
    if list_images(given.images) - there:
        entry["unscored_images"] = "ignore"
    folds = min(FOLDS, len(table) // TESTED)
    if folds < 2:
        raise ValueError(f"{scores} has {len(table)} images, and two folds that test {TESTED} each need {2 * TESTED}")
    return [entry | ({} if folds == FOLDS else {"folds": folds})], len(table)


def _measure(column: str) -> str:
    """Name what is scored after its column, if that can name a column of layers.parquet."""
    name = slug(column.strip().lower().replace(" ", "_"), "score")
    if name == "hit_rate":
        return "memorability"
    try:
        return check_column(name)
    except ValueError:
        return "score"
