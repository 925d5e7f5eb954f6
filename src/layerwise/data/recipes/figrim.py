"""FIGRIM: recognition of scenes (Bylinskii et al. 2015), as its repository and as its website publish it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from layerwise.data.recipes.files import check_unique, find_file, find_images, load_mat, numbers, read_csv
from layerwise.data.recipes.recipe import UNKNOWN, Fact, Recipe, Scored, compared

COUNTS = ("hits", "misses", "false_alarms", "correct_rejections")
N_ACROSS, N_WITHIN = 630, 1754
_MEANS = {"hit_rate": 0.6712, "false_alarm_rate": 0.0998}  # over the 630 targets
_MAT = ("targetData/allImages_release.mat", "allImages_release.mat")


def read_release(folder: Path, images: Path | None) -> Scored:
    """Read the repository's structure of 630 targets."""
    path = find_file(folder, *_MAT)
    entries = np.ravel(load_mat(path, "allImages")["allImages"])
    try:
        names = [_text(entry.impath) for entry in entries]
        answers = [np.ravel(entry.AMT_comb)[0] for entry in entries]
        counts = {name: np.array([float(np.ravel(getattr(answer, name))[0]) for answer in answers]) for name in COUNTS}
    except (AttributeError, IndexError, TypeError, ValueError) as error:
        raise ValueError(
            f"allImages in {path} lacks impath or AMT_comb ({error}): it is not the authors' file"
        ) from error
    made = _rates([name.replace("\\", "/") for name in names], counts, path)
    root, _ = find_images(folder, images, (".", "targetData"), made["image"].tolist())
    facts = [compared("images", len(made), N_ACROSS), *_means(made)]
    return Scored(made, root, facts)


def read_within(folder: Path, images: Path | None) -> Scored:
    """Read the website's table of scenes that were shown among others of their category."""
    return _read_website(folder, images, "within_category.csv", N_WITHIN)


def read_across(folder: Path, images: Path | None) -> Scored:
    """Read the website's table of scenes that were shown among those of all categories."""
    return _read_website(folder, images, "across_category.csv", N_ACROSS)


def _read_website(folder: Path, images: Path | None, name: str, n_images: int) -> Scored:
    path = find_file(folder, name)
    table = read_csv(path, "image", ["filename", "scene category", *COUNTS])
    places = [f"{a.strip()}/{b.strip()}" for a, b in zip(table["scene category"], table["filename"], strict=True)]
    made = _rates(places, {count: numbers(table, count, path) for count in COUNTS}, path)
    usual = ("images/SCENES_TARGETS", "SCENES_TARGETS")
    root, _ = find_images(folder, images, usual, made["image"].tolist())
    facts = [compared("images", len(made), n_images), *(_means(made) if n_images == N_ACROSS else [])]
    return Scored(made, root, facts)


def _rates(images: Sequence[str], counts: Mapping[str, NDArray[np.float64]], path: Path) -> pd.DataFrame:
    """Hit rates and false-alarm rates of images."""
    check_unique(images, str(path))
    shown, new = counts["hits"] + counts["misses"], counts["false_alarms"] + counts["correct_rejections"]
    lacking = np.flatnonzero(~(shown > 0) | ~(new > 0))
    if len(lacking):
        raise ValueError(f"{path} has no answers to {images[lacking[0]]}: take the authors' file as it is")
    rates = {"hit_rate": counts["hits"] / shown, "false_alarm_rate": counts["false_alarms"] / new}
    scenes = [PurePosixPath(name).parent.name for name in images]
    return pd.DataFrame({"image": images, **rates, "answers": shown.astype(int), "category": scenes}).sort_values(
        "image"
    )


def _means(made: pd.DataFrame) -> list[Fact]:
    return [
        compared(f"mean {name.replace('_', ' ')}", float(made[name].mean()), published, ".4f")
        for name, published in _MEANS.items()
    ]


def _text(value: Any) -> str:
    return str(np.ravel(value)[0])


RELEASE = Recipe(
    name="figrim",
    about="hit rates of 630 scenes, from the repository",
    needs=(_MAT[0], "Targets/<category>/<file> (Targets.zip), or --images FOLDER above Targets"),
    host="github cvzoya/figrim; images: figrim.mit.edu",
    size="3.2 MB, and the images",
    make=read_release,
    gives="scores",
    licence=UNKNOWN,
    paper="Bylinskii, Isola, Bainbridge et al. (2015), Vision Research 116, doi 10.1016/j.visres.2015.03.005",
    cites=("bylinskii2015",),
)
ACROSS = replace(
    RELEASE,
    name="figrim-across",
    about="hit rates of 630 scenes shown among all categories, from the website's table",
    needs=("across_category.csv", "images/SCENES_TARGETS/<scene category>/<file>, or --images FOLDER"),
    host="figrim.mit.edu",
    size=UNKNOWN,
    make=read_across,
)
WITHIN = replace(
    RELEASE,
    name="figrim-within",
    about="hit rates of 1,754 scenes shown among their own category, from the website's table",
    needs=("within_category.csv", "images/SCENES_TARGETS/<scene category>/<file>, or --images FOLDER"),
    host="figrim.mit.edu",
    size=UNKNOWN,
    make=read_within,
)
