"""LNSIM: recognition of 2,632 natural scenes without salient objects (Lu, Xu, Yang & Wang)."""

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import spearmanr

from layerwise.data.recipes.files import find_file, find_images, load_mat
from layerwise.data.recipes.recipe import UNKNOWN, Recipe, Scored, compared

N_IMAGES, N_HALVINGS = 2632, 25
MEAN, AGREEMENT = 0.602, 0.7785
FOLDERS = ("images", "Images", ".")


def read(folder: Path, images: Path | None) -> Scored:
    """Read the hit rates of both halves of the people, of which the mean is an image's score."""
    one, two = (_half(folder, number) for number in (1, 2))
    if one.shape != two.shape:
        raise ValueError(
            f"the halves in {folder} have the shapes {one.shape} and {two.shape}: take both files as they are"
        )
    rates = (one + two).mean(axis=0) / 2
    names = [f"{number:04d}.jpg" for number in range(1, len(rates) + 1)]
    root, _ = find_images(folder, images, FOLDERS, names)
    agreement = np.mean([spearmanr(a, b).statistic for a, b in zip(one, two, strict=True)])
    facts = [
        compared("images", len(names), N_IMAGES),
        compared("mean hit rate", float(rates.mean()), MEAN, ".3f"),
        compared("mean rank correlation of halves", float(agreement), AGREEMENT, ".4f"),
    ]
    return Scored(pd.DataFrame({"image": names, "hit_rate": rates}), root, facts)


def _half(folder: Path, number: int) -> NDArray[np.float64]:
    """Read hit rates [halving, image]."""
    name = f"subject_hrs{number}"
    path = find_file(folder, f"Random_splits/{name}.mat", f"{name}.mat")
    rates = np.asarray(load_mat(path, name)[name], np.float64)
    if rates.ndim != 2 or len(rates) != N_HALVINGS or not ((rates >= 0) & (rates <= 1)).all():
        raise ValueError(
            f"{name} in {path} has the shape {rates.shape}, and must be {N_HALVINGS} halvings by images, of rates "
            "from 0 to 1: take the authors' file as it is"
        )
    return rates


RECIPE = Recipe(
    name="lnsim",
    about="hit rates of 2,632 natural scenes",
    gives="scores",
    needs=(
        "Random_splits/subject_hrs1.mat",
        "Random_splits/subject_hrs2.mat",
        "0001.jpg to 2632.jpg, or --images FOLDER",
    ),
    host="github JiaxinLu-home/Natural-Scene-Memorability-Dataset",
    licence="none is given",
    size=UNKNOWN,
    paper="Lu, Xu, Yang & Wang, arXiv 1810.06679",
    cites=("lu2018",),
    make=read,
)
