"""What a recipe is, and what it makes."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from layerwise.data.recordings import write_recordings
from layerwise.files import atomic_path
from layerwise.interfaces import Recordings, StimulusSet

UNKNOWN = "not known"
ENDINGS = {"recordings": ".nc", "scores": ".csv"}
COLUMN = "recipe"  # of a table of scores: which recipe made it, for `layerwise cite`


@dataclass(frozen=True)
class Fact:
    """A number of the data at hand, beside the one that was published of them.

    Parameters
    ----------
    what : str
        What was counted or computed.
    found, published : str
        Both written alike; `published` is empty where no number is known.
    """

    what: str
    found: str
    published: str = ""

    @property
    def differs(self) -> bool:
        """Whether the data at hand are not those that were published, or not all of them."""
        return bool(self.published) and self.found != self.published


def compared(what: str, found: float, published: float | None = None, form: str = ",") -> Fact:
    """Write a number and the published one alike, as `form` of Python's format says."""
    return Fact(what, format(found, form), "" if published is None else format(published, form))


@dataclass(frozen=True)
class Recorded:
    """Recordings that a recipe read: what `write_recordings` takes, and what is to be said of them."""

    recordings: Recordings
    images: StimulusSet
    visual_degrees: float
    facts: list[Fact]
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Scored:
    """Scores that a recipe read.

    Parameters
    ----------
    table : DataFrame
        A row an image, with the column `image`, relative to `folder`.
    folder : Path or None
        Folder of the images; None where they are `pictures`.
    facts : list of Fact
    notes : list of str
    pictures : callable or None
        Gives names and pixels [row, column, colour] where the data set has images in an array; they are written beside
        the table.
    """

    table: pd.DataFrame
    folder: Path | None
    facts: list[Fact]
    notes: list[str] = field(default_factory=list)
    pictures: Callable[[], Iterator[tuple[str, NDArray[np.uint8]]]] | None = None


@dataclass(frozen=True)
class Recipe:
    """How the files of a public data set become a file of a study.

    Parameters
    ----------
    name : str
        Its name on the command line.
    about : str
        What is in the file that it makes.
    gives : {"recordings", "scores"}
        Which kind of file.
    needs : tuple of str
        Files, relative to the user's folder, as the authors name them, with what is to be known of each.
    host : str
        Where the authors publish them.
    licence, size, paper : str
        `UNKNOWN` where nobody has verified it.
    cites : tuple of str
        Keys of the bibliography.
    make : callable
        Takes the user's folder and, if it was given, that of the images.
    """

    name: str
    about: str
    gives: Literal["recordings", "scores"]
    needs: tuple[str, ...]
    host: str
    licence: str
    size: str
    paper: str
    cites: tuple[str, ...]
    make: Callable[[Path, Path | None], Recorded | Scored]


def source_of(recipe: Recipe) -> str:
    """Write what a file says of its origin; `recipe_in` reads it."""
    return f"layerwise data recipe {recipe.name}: {recipe.paper}"


def recipe_in(source: str) -> str:
    """Return the name of the recipe that a file of recordings says it was made by; empty if by none."""
    start = "layerwise data recipe "
    return source.removeprefix(start).partition(":")[0] if source.startswith(start) else ""


def check_output(recipe: Recipe, output: Path) -> None:
    """See that the file has the ending of its kind, before hours are spent.

    Raises
    ------
    ValueError
        It has another one.
    """
    ending = ENDINGS[recipe.gives]
    if output.suffix.lower() != ending:
        raise ValueError(
            f"the recipe {recipe.name} makes {recipe.gives}: name a file that ends in {ending} as --output"
        )


def write_made(recipe: Recipe, made: Recorded | Scored, output: Path) -> Path | None:
    """Write what a recipe read, whole or not at all; images, where it has them, before the table that names them.

    Returns
    -------
    Path or None
        Folder of the images that a table names; recordings name it themselves.
    """
    if isinstance(made, Recorded):
        write_recordings(made.recordings, output, made.images, source_of(recipe), made.visual_degrees)
        return None
    folder = made.folder or output.with_name(f"{output.stem}-images")
    for name, pixels in made.pictures() if made.pictures else ():
        with atomic_path(folder / name) as temporary:
            Image.fromarray(pixels).save(temporary)
    text = made.table.assign(**{COLUMN: recipe.name}).to_csv(index=False)  # with all digits: these are measurements
    with atomic_path(output) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return folder
