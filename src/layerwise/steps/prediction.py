"""Scores of anybody's photographs, predicted by fine-tuned networks; no study is needed."""

import logging
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from layerwise.data.folders import files_below, list_images
from layerwise.data.images import load_square
from layerwise.data.problems import list_problems
from layerwise.finetuning.ensembles import predict_with_all
from layerwise.finetuning.weights import FineTunedModel, load_finetuned, read_about
from layerwise.interfaces import DegenerateWarning, Geometry, Progress, counted, no_progress
from layerwise.steps.devices import choose_device, limit_threads

FILE = "weights.safetensors"
SAME = ("classifiers", "preprocessing", "geometry", "ratings", "measure")  # beside the network itself
SHOWN = 5  # files named in a message
log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class PredictedScores:
    """What fine-tuned networks predict of photographs.

    Parameters
    ----------
    table : DataFrame
        `image`, as it was given; `mean` and `spread` (standard deviation, of a sample) over the folds, the latter empty
        for a single one; `split_1` ... for each. Empty for images that cannot be read.
    problems : tuple of str
        A sentence for each image that cannot be read.
    """

    table: pd.DataFrame
    problems: tuple[str, ...]


def predict_images(
    weights: Sequence[Path],
    images: Sequence[Path],
    device: str = "auto",
    batch_size: int = 32,
    threads: int | None = None,
    progress: Progress = no_progress,
) -> PredictedScores:
    """Predict the scores of photographs, shown as the networks were shown their test images.

    Parameters
    ----------
    weights : sequence of path
        Files of fine-tuned networks, a split each, or folders of such.
    images : sequence of path
        Files, and folders, of which all images count, those in folders below them too.
    device : {"auto", "cpu", "cuda"}
        Where to compute.
    batch_size : int
        Images at once.
    threads : int, optional
        Of PyTorch; default: its own choice.
    progress : Progress
        Shows how far it has come.

    Raises
    ------
    ValueError
        There are no images, a file is missing, or none can be read; weights are of several networks or scores, or of a
        split twice; or the device is not there.
    """
    place = torch.device(choose_device(device, setting="--device"))
    files, chosen = find_images(images), find_folds(weights)
    if threads is not None:
        limit_threads(threads)
    networks = [load_finetuned(path)[0] for path in chosen.values()]
    about = read_about(next(iter(chosen.values())))
    log.info(
        "%s of %s, fine-tuned on %s, predicts %s of %d images",
        _count(chosen),
        about.spec.name,
        about.ratings,
        about.measure,
        len(files),
    )
    photographs = Photographs(files, about.geometry)
    predicted = predict_with_all(networks, photographs, about.preprocessing, place, batch_size, progress)
    problems = [sentence for _, sentence in sorted(photographs.problems.items())]
    if len(problems) == len(files):
        raise ValueError(list_problems(problems, "image", "images", "cannot be read, and no other is given"))
    predicted[list(photographs.problems)] = np.nan
    return PredictedScores(_table(files, tuple(chosen), predicted), tuple(problems))


class Photographs:
    """Photographs that are decoded when they are read; one that cannot be is noted, and is black.

    Parameters
    ----------
    files : sequence of path
        Images.
    geometry : Geometry
        How they become squares.

    Attributes
    ----------
    problems : dict of int to str
        What is wrong with which image.
    """

    def __init__(self, files: Sequence[Path], geometry: Geometry) -> None:
        self.ids, self.content_hash = tuple(map(str, files)), ""
        self._files, self._geometry = files, geometry
        self.problems: dict[int, str] = {}

    def __len__(self) -> int:
        return len(self._files)

    def read(self, start: int, stop: int) -> NDArray[np.uint8]:
        """Return images, uint8 [image, size, size, 3]."""
        return np.stack([self._decode(index) for index in range(start, stop)])

    def _decode(self, index: int) -> NDArray[np.uint8]:
        try:
            return load_square(self._files[index], self._geometry)
        except ValueError as error:
            self.problems[index] = str(error)
            return np.zeros((self._geometry.size, self._geometry.size, 3), np.uint8)


def find_images(given: Sequence[Path]) -> list[Path]:
    """List the images of files and folders, each once, in the order in which they are given; folders by name.

    Raises
    ------
    ValueError
        There is none, a folder holds none, or a file is missing.
    """
    missing = [str(path) for path in given if not path.exists()]
    if missing:
        raise ValueError(
            f"{_some(missing)} {'is' if len(missing) == 1 else 'are'} not there: name images, or folders of them"
        )
    found = list(dict.fromkeys(image for path in given for image in _images(path)))
    if not found:
        raise ValueError("no images are given: name some files, or folders of them")
    return found


def _images(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    found = sorted(list_images(path))
    if not found:
        raise ValueError(f"the folder {path} holds no images: name another, or the files themselves")
    _tell_of_others(path, found)
    return [path / name for name in found]


def _tell_of_others(folder: Path, found: Sequence[str]) -> None:
    """Say what else lies in a folder: among it may be photographs of a kind that is not known, such as HEIC."""
    shown = (name for name in files_below(folder) if not any(part.startswith(".") for part in Path(name).parts))
    others = sorted(set(shown) - set(found))
    if others:
        log.info(
            "%s out, not ending as images do or leading nowhere: %s",
            counted(len(others), f"file of {folder} is left", f"files of {folder} are left"), _some(others),
        )  # fmt: skip


def find_folds(given: Sequence[Path]) -> dict[str, Path]:
    """Find the files of the folds of one network, by their splits, in the order of these.

    Warns
    -----
    DegenerateWarning
        Training on some diverged, so that they predict nothing: these are left out.

    Raises
    ------
    ValueError
        One is no such file; they are of several networks or scores; two are of one split; or training diverged on all.
    """
    paths = [file for path in given for file in _weights(path)]
    if not paths:
        raise ValueError("no weights are given: name the weights.safetensors of one fold or more")
    known = [(read_about(path), path) for path in paths]
    _check_same(known)
    folds: dict[str, Path] = {}
    for about, path in known:
        if about.split in folds:
            raise ValueError(
                f"{folds[about.split]} and {path} are both of split {about.split}: give each fold once, or it would "
                "count twice"
            )
        folds[about.split] = path
    for split in _warn_diverged([about for about, _ in known]):
        del folds[split]
    return dict(sorted(folds.items(), key=lambda fold: (len(fold[0]), fold[0])))  # 2 before 10


def _warn_diverged(folds: Sequence[FineTunedModel]) -> list[str]:
    """Name the folds that predict nothing."""
    diverged = {about.split: f"{about.split}: {about.diverged}" for about in folds if about.diverged}
    told = f"training of {folds[0].spec.name} diverged on {len(diverged)} of {len(folds)} folds"
    why = ", ".join(diverged.values())
    if len(diverged) == len(folds):
        raise ValueError(f"{told}, so that none is left to predict with: give other weights ({why})")
    if diverged:
        warnings.warn(f"{told}, which are left out ({why})", DegenerateWarning, stacklevel=4)
    return list(diverged)


def _weights(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    found = sorted([*path.glob("*.safetensors"), *path.glob(f"*/{FILE}")])
    if not found:
        raise ValueError(f"the folder {path} holds no weights: name a file, or a network's folder `finetuned`")
    return found


def _check_same(known: Sequence[tuple[FineTunedModel, Path]]) -> None:
    first, first_path = known[0]
    for about, path in known[1:]:
        differing = next((text for text in _differences(first, about)), "")
        if differing:
            raise ValueError(
                f"{first_path} and {path} are no folds of one network, and their mean would mean nothing: {differing}; "
                "predict with each network by itself"
            )


def _differences(one: FineTunedModel, other: FineTunedModel) -> Iterator[str]:
    for field in fields(one.spec):
        yield from _differ(
            f"the network's {field.name}", getattr(one.spec, field.name), getattr(other.spec, field.name)
        )
    for name in SAME:
        yield from _differ(f"the {name}", getattr(one, name), getattr(other, name))


def _differ(name: str, one: object, other: object) -> Iterator[str]:
    if one != other:
        yield f"{name} is {one} in one and {other} in the other"


def _table(files: Sequence[Path], splits: Sequence[str], predicted: NDArray[np.float64]) -> pd.DataFrame:
    """Put the predictions [image, split] of each image in a row."""
    spread = predicted.std(1, ddof=1) if len(splits) > 1 else np.full(len(files), np.nan)
    # As objects: pandas' own strings refuse a name that is no UTF-8.
    names = pd.Series(list(map(str, files)), dtype=object)
    columns = {"image": names, "mean": predicted.mean(1), "spread": spread}
    return pd.DataFrame(columns | {f"split_{split}": predicted[:, index] for index, split in enumerate(splits)})


def _count(folds: dict[str, Path]) -> str:
    return f"the mean of {len(folds)} folds" if len(folds) > 1 else "one fold"


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
