"""MemCat: memorability of 10,000 photographs of five categories (Goetschalckx & Wagemans 2019)."""

from pathlib import Path

import numpy as np
import pandas as pd

from layerwise.data.recipes.files import check_unique, find_file, find_images, numbers, read_csv
from layerwise.data.recipes.recipe import UNKNOWN, Recipe, Scored, compared
from layerwise.interfaces import counted

N_IMAGES, CATEGORIES = 10_000, 5
_SCORES = ("memorability_w_fa_correction", "memorability_wo_fa_correction")
_FILES = ("MemCat_data/memcat_image_data.csv", "memcat_image_data.csv")
FOLDERS = ("MemCat_images/MemCat", "MemCat", "images")


def read(folder: Path, images: Path | None) -> Scored:
    """Read scores by the names of their columns, whose order differs between readers."""
    path = find_file(folder, *_FILES)
    table = read_csv(path, "image", ["image_file", "category", "subcategory", *_SCORES])
    parts = [table[name].str.strip() for name in ("category", "subcategory", "image_file")]
    places = ["/".join(row) for row in zip(*parts, strict=True)]
    check_unique(places, str(path))
    corrected, plain = (numbers(table, name, path) for name in _SCORES)
    scored = np.isfinite(corrected)
    if not scored.any():
        raise ValueError(f"the column {_SCORES[0]!r} of {path} is empty: take the authors' file as it is")
    made = pd.DataFrame(
        {"image": places, "memorability": corrected, "hits_alone": plain, "category": parts[0].to_numpy()}
    )
    made = made[scored].sort_values("image")
    root, _ = find_images(folder, images, FOLDERS, made["image"].tolist())
    facts = [
        compared("images", len(made), N_IMAGES),
        compared("categories", made["category"].nunique(), CATEGORIES),
    ]
    notes = [f"{counted(np.sum(~scored), 'image has', 'images have')} no score: left out"] if not scored.all() else []
    return Scored(made, root, facts, notes)


RECIPE = Recipe(
    name="memcat",
    about="memorability of 10,000 photographs of five categories, corrected for false alarms",
    gives="scores",
    needs=(_FILES[0], "MemCat_images/MemCat/<category>/<subcategory>/<file>, or --images FOLDER"),
    host=UNKNOWN,
    licence=UNKNOWN,
    size=UNKNOWN,
    paper="Goetschalckx & Wagemans (2019), PeerJ 7, e8169, doi 10.7717/peerj.8169",
    cites=("goetschalckx2019",),
    make=read,
)
