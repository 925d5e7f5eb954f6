"""Folders of images: those that a table names must be in them."""

from collections.abc import Iterator
from pathlib import Path

from layerwise.config import Study
from layerwise.data.folders import find_files, has_images, list_images
from layerwise.data.problems import list_problems
from layerwise.interfaces import counted
from layerwise.study.foreseen.paths import find_wrong, of_pca


def wrong_images(folder: Path | None, named: frozenset[str]) -> Iterator[str]:
    """Find that a folder holds no image, or lacks some that are named; a folder that is not there is no matter here."""
    if folder is None or not folder.is_dir():
        return
    if not named and not has_images(folder):
        yield f"the folder {folder} holds no image: check the path"
    lacking = sorted(named - find_files(folder, named).keys())
    if lacking:
        of = f"of {len(named)} images that the file names"
        yield list_problems(lacking, f"{of} is", f"{of} are", f"not in {folder}")


def pca_problems(study: Study) -> Iterator[str]:
    """Find that there are too few images for the principal components that are asked for."""
    yield from find_wrong(of_pca(study))
    pca = study.brain.pca
    if pca is None or not pca.images.is_dir():
        return
    there, needed = len(list_images(pca.images)), pca.n_images or pca.components + 1
    if there < needed:
        yield (
            f"brain.pca: {pca.images} holds {counted(there, 'image')}, and {needed} are needed for {pca.components} "
            "principal components: add images, or lower `components` or `n_images`"
        )
