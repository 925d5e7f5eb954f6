"""Opens the results of a study, or says why a folder holds none."""

from os import PathLike
from pathlib import Path

from layerwise.config import load_study
from layerwise.results.names import suggest
from layerwise.results.study import Results

CONFIG = "config.yaml"
LEFT = ("models", "tables", "layers.parquet")  # one of which every study that ran has


def open_study(folder: str | PathLike[str]) -> Results:
    """Open the results of a study.

    Parameters
    ----------
    folder : path
        The study's folder of results.

    Raises
    ------
    ValueError
        There is no such folder, or it holds no results of a study.
    """
    path = Path(folder)
    if not path.is_dir():
        raise ValueError(f"no folder {str(path)!r}{_suggest_beside(path)}")
    if not (path / CONFIG).is_file():
        raise ValueError(f"{path} holds no results of a study (no {CONFIG} is in it){_suggest_within(path)}")
    if not _has_results(path):
        raise ValueError(f"{path} holds a config and no results: these are in results/STUDY, once the workflow ran")
    return Results(path, load_study(path / CONFIG))


def _has_results(folder: Path) -> bool:
    return any((folder / name).exists() for name in LEFT)


def _studies(folder: Path) -> list[str]:
    return sorted(path.parent.name for path in folder.glob(f"*/{CONFIG}") if _has_results(path.parent))


def _suggest_beside(path: Path) -> str:
    there = _studies(path.parent) if path.parent.is_dir() else []
    return suggest(path.name, there) if there else ": a study's results are in results/STUDY"


def _suggest_within(path: Path) -> str:
    studies = _studies(path)
    return f"; the folders in it that do: {', '.join(studies)}" if studies else ": open its folder, results/STUDY"
