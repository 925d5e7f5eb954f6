"""THINGS: its images, and how memorable each is."""

from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from layerwise.data.recipes.files import check_unique, find_file, find_images, numbers, read_csv
from layerwise.data.recipes.recipe import UNKNOWN, Fact, Recipe, Scored, compared
from layerwise.interfaces import Recordings, StimulusSet, counted

FOLDERS = ("object_images", "THINGS/object_images", "images")
IMAGES = "object_images/<concept>/<file>.jpg (images_THINGS.zip of OSF jum2f, 4.7 GB, unpacked), or --images FOLDER"
SCORES = "THINGS_Memorability_Scores.csv"
NEEDS = f"{SCORES} (OSF 5a7z6)"
PAPER = "Kramer, Hebart, Baker & Bainbridge (2023), Science Advances 9, doi 10.1126/sciadv.add2981"
CITES = ("kramer2023", "hebart2019")
_FIRST = {
    "aardvark_01b.jpg": 0.825,
    "aardvark_02s.jpg": 0.8,
    "aardvark_03s.jpg": 0.878049,
    "aardvark_04s.jpg": 0.731707,
    "aardvark_05s.jpg": 0.825,
}


def concept_of(name: str) -> str:
    """Return the concept of an image: `air_conditioner` of `air_conditioner_01b.jpg`."""
    return PurePosixPath(name).stem.rsplit("_", 1)[0]


def place_of(name: str) -> str:
    """Return where an image lies in the folder of THINGS."""
    return f"{concept_of(name)}/{name}"


def stimuli_of(names: Sequence[str], folder: Path, images: Path | None) -> StimulusSet:
    """Find the images of stimuli, whose ids are the names without ending, sorted.

    Raises
    ------
    ValueError
        As `find_images`.
    """
    _, found = find_images(folder, images, FOLDERS, [place_of(name) for name in names])
    paths = {PurePosixPath(name).stem: found[place_of(name)] for name in names}
    ids = tuple(sorted(paths))
    return StimulusSet("things", ids, tuple(paths[name] for name in ids))


def record(
    responses: NDArray[np.float32],
    names: Sequence[str],
    parts: NDArray[np.str_],
    neuroids: tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]],
    folders: tuple[Path, Path | None],
    units: str,
) -> tuple[Recordings, StimulusSet]:
    """Order responses by the ids of their images, and find the images.

    Parameters
    ----------
    responses : float32 array [repetition, image, neuroid]
        In the order of the names.
    names : sequence of str
        File names of the images.
    parts : str array [image]
        Whether each is for training or test.
    neuroids : three tuples of str
        Id, region, and animal or person of each.
    folders : tuple of path
        Of the data set, and of the images, if these lie elsewhere.
    units : str
        Of the responses.

    Raises
    ------
    ValueError
        As `find_images`.
    """
    stems = np.array([name.removesuffix(".jpg") for name in names])
    order = np.argsort(stems)
    stimuli = stimuli_of([f"{stem}.jpg" for stem in stems], *folders)
    ids, regions, animals = neuroids
    columns = {"object_name": np.array([concept_of(f"{stem}.jpg") for stem in stems[order]]), "set": parts[order]}
    return Recordings(responses[:, order], stimuli.ids, ids, regions, columns, units, animals), stimuli


def score(
    names: Sequence[str] | None, folder: Path, images: Path | None, published: tuple[int | None, int | None]
) -> Scored:
    """Read how memorable images are.

    Parameters
    ----------
    names : sequence of str or None
        File names of the images that are wanted; None: all.
    folder : Path
        The user's folder.
    images : Path, optional
        Folder of the images, if it lies elsewhere.
    published : tuple of two int or None
        How many have a score, and how many have an empty one, in what others read.

    Raises
    ------
    ValueError
        The table is another one, scores none of these images, or an image is not there.
    """
    path = find_file(folder, SCORES)
    table = _read(path)
    wanted = table if names is None else table[table["name"].isin(set(names))]
    scored = wanted[np.isfinite(wanted["cr"])]
    if scored.empty:
        raise ValueError(f"{path} scores none of the images that are wanted: take the authors' file as it is")
    places = [place_of(name) for name in scored["name"]]
    root, _ = find_images(folder, images, FOLDERS, places)
    made = pd.DataFrame({"image": places, "memorability": scored["cr"].to_numpy()}).sort_values("image")
    unscored, unlisted = len(wanted) - len(scored), len(set(names or ()) - set(wanted["name"]))
    facts = [
        compared("images with a score", len(scored), published[0]),
        compared("images whose cr is empty", unscored, published[1]),
        *_first(table),
    ]
    notes = [f"{counted(unscored, 'image has', 'images have')} an empty cr: left out"] if unscored else []
    notes += [f"{counted(unlisted, 'image is', 'images are')} not in {path.name}: left out"] if unlisted else []
    return Scored(made, root, facts, notes)


def memorability_of(
    name: str,
    about: str,
    needs: tuple[str, ...] = (),
    list_names: Callable[[Path], Sequence[str]] | None = None,
    published: tuple[int | None, int | None] = (None, None),
) -> Recipe:
    """Make the recipe of the scores of THINGS' images, or of those that a list of another data set names."""

    def make(folder: Path, images: Path | None) -> Scored:
        return score(list_names(folder) if list_names else None, folder, images, published)

    return Recipe(
        name=name,
        about=about,
        gives="scores",
        needs=(NEEDS, *needs, IMAGES),
        host="OSF 5a7z6 (scores), OSF jum2f (images)",
        licence=UNKNOWN,
        size="a CSV of 26,107 rows; images 4.7 GB",
        paper=PAPER,
        cites=CITES,
        make=make,
    )


def _read(path: Path) -> pd.DataFrame:
    """Read file names and scores, by the names of their columns."""
    table = read_csv(path, "image", ["cr"])
    columns = {str(name).strip().lower(): str(name) for name in table.columns}
    if not {"image_name", "file_path"} & set(columns):
        raise ValueError(f"{path} has neither the column 'image_name' nor 'file_path': take the authors' file as it is")
    parts = {
        key: [PurePosixPath(text.strip().replace("\\", "/")).name for text in table[columns[key]]]
        for key in ("image_name", "file_path")
        if key in columns
    }
    if len(parts) == 2 and parts["image_name"] != parts["file_path"]:
        place = next(i for i, (a, b) in enumerate(zip(*parts.values(), strict=True)) if a != b)
        raise ValueError(
            f"line {table.index[place] + 2} of {path} names {parts['image_name'][place]!r} and the file "
            f"{parts['file_path'][place]!r}: its columns were shifted, so take the authors' file as it is"
        )
    names = next(iter(parts.values()))
    check_unique(names, str(path))
    scores = numbers(table, "cr", path)
    if not np.isfinite(scores).any():
        raise ValueError(f"the column 'cr' of {path} is empty: take the authors' file as it is")
    return pd.DataFrame({"name": names, "cr": scores})


def _first(table: pd.DataFrame) -> list[Fact]:
    scores = dict(zip(table["name"], table["cr"], strict=True))
    return [
        compared(f"cr of {name}", scores.get(name, float("nan")), published, ".6f")
        for name, published in _FIRST.items()
    ]


ALL = memorability_of("things-memorability", "memorability of all images of THINGS")
