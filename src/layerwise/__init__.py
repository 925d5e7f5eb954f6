"""layerwise: how well each layer of an image network predicts the brain, and how memorable an image is."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from os import PathLike

    from layerwise.results import Results

__version__ = "0.1.0"


def open(folder: "str | PathLike[str]") -> "Results":
    """Open the results of a study, to read them from Python.

    Nothing but its config is read until it is asked for.

    Parameters
    ----------
    folder : path
        The study's folder of results, such as "results/demo".

    Returns
    -------
    Results

    Raises
    ------
    ValueError
        There is no such folder, or it holds no results of a study.
    """
    from layerwise.results import open_study  # here, so that `import layerwise` needs no xarray

    return open_study(folder)
