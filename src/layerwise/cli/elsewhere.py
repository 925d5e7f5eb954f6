"""Results that are looked for in the wrong folder: they count from the working folder, and not from the study file."""

import shlex
from pathlib import Path


def tell_elsewhere(config: Path, folder: str) -> str:
    """Say where results were looked for, and what to do, if there is no such folder; else nothing.

    Parameters
    ----------
    config : path
        The study file.
    folder : str
        Of the study's results, from the working folder.
    """
    if Path(folder).is_dir():
        return ""
    place = _find(config.resolve().parent, folder)
    advice = (
        "go to where it ran, or run it first"
        if place is None
        else f"there is one in {place}, so `cd {shlex.quote(str(place))}` first"
    )
    return f"no folder {Path(folder).absolute()}: results count from the working folder of Snakemake; {advice}"


def _find(start: Path, folder: str) -> Path | None:
    """Find the nearest folder above a study file in which there are such results; the file may be one of them."""
    return next((place for place in (start, *start.parents) if (place / folder).is_dir()), None)
