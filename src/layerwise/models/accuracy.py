"""ImageNet accuracy of a network: the check that weights, labels and preprocessing belong together."""

import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from layerwise.interfaces import Preprocessing, Progress, no_progress
from layerwise.models.inputs import normalise

TOLERANCE = 0.5  # percentage points: decoders and resizes differ by less, wrong preprocessing by more
ENOUGH = 2000  # images; of fewer, chance alone moves top1 by more than two points, and the comparison says little
CLASSES = 1000
LINE = re.compile(r"(?P<file>.+?)(\s*,\s*|\s+)(?P<label>[^\s,]+)")  # split at the last separator
IMAGES = (".jpeg", ".jpg", ".png")

Reader = Callable[[Path], NDArray[np.uint8]]


@dataclass(frozen=True)
class Accuracy:
    """How often a network is right.

    Parameters
    ----------
    top1, top5 : float
        Images whose class has the highest, or one of the five highest scores, per cent.
    n_images : int
        Images.
    published : float or None
        top1 that the library publishes, per cent.
    """

    top1: float
    top5: float
    n_images: int
    published: float | None = None

    @property
    def passed(self) -> bool | None:
        """Whether top1 is the published one, within `TOLERANCE` and the chance of so many images.

        None: nothing is published, or there are fewer than `ENOUGH` images to tell. The allowance for chance is two
        standard errors, so that a part of the validation set can be used.
        """
        if self.published is None or self.n_images < ENOUGH:
            return None
        rate = self.published / 100
        chance = 2 * 100 * math.sqrt(rate * (1 - rate) / self.n_images)
        return abs(self.top1 - self.published) <= TOLERANCE + chance


def read_labelled(folder: str | Path, labels: str | Path | None = None) -> list[tuple[Path, int]]:
    """Find the images of ImageNet's validation set, with their classes.

    Parameters
    ----------
    folder : path
        One folder a class, called by its synset (n01440764 ...; sorted, they are the classes 0 to 999), or, with
        `labels`, the images themselves.
    labels : path, optional
        Text, a line an image: file name, which may hold blanks and commas, and class, which is a number from 0 or a
        synset, separated by blanks, a tab or a comma. With synsets the file must name all 1000.

    Returns
    -------
    list of (path, class)

    Raises
    ------
    ValueError
        There are no such images, or the labels do not fit; the message names the line.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError(f"no folder {folder}: give the folder of ImageNet's validation images")
    return _read_labels(folder, Path(labels)) if labels is not None else _read_synsets(folder)


def measure_accuracy(
    network: nn.Module,
    images: Sequence[tuple[Path, int]],
    preprocessing: Preprocessing,
    read: Reader,
    published: float | None = None,
    batch_size: int = 32,
    device: str = "cpu",
    progress: Progress = no_progress,
) -> Accuracy:
    """Count how often a network is right about labelled images.

    Parameters
    ----------
    network : nn.Module
        In eval mode, with 1000 outputs.
    images : sequence of (path, class)
        From `read_labelled`.
    preprocessing : Preprocessing
        The network's own.
    read : callable
        Gives the pixels uint8 [size, size, 3] of an image as the network is shown it.
    published : float, optional
        Accuracy to compare with, per cent.
    batch_size : int
        Images at once.
    device : str
        Where to compute.
    progress : Progress
        Shows how far it has come.

    Raises
    ------
    ValueError
        There are no images, or the network gives another number of scores.
    """
    if not images:
        raise ValueError("no images to measure accuracy on")
    network = network.to(device)
    right1 = right5 = 0
    batches = list(_batches(images, batch_size))
    for batch in progress(batches, "accuracy", len(batches)):
        pixels = torch.from_numpy(np.stack([read(path) for path, _ in batch])).to(device)
        classes = torch.tensor([label for _, label in batch], device=device)
        with torch.inference_mode():
            best = _best(network(normalise(pixels, preprocessing)))
        hits = best == classes[:, None]
        right1 += int(hits[:, 0].sum())
        right5 += int(hits.any(1).sum())
    return Accuracy(100 * right1 / len(images), 100 * right5 / len(images), len(images), published)


def _best(scores: torch.Tensor) -> torch.Tensor:
    if scores.ndim != 2 or scores.shape[1] != CLASSES:
        raise ValueError(f"the network gives {tuple(scores.shape[1:])} scores an image, not {CLASSES}")
    return scores.topk(5).indices


def _batches(images: Sequence[tuple[Path, int]], size: int) -> Iterator[Sequence[tuple[Path, int]]]:
    return (images[start : start + size] for start in range(0, len(images), size))


def _read_synsets(folder: Path) -> list[tuple[Path, int]]:
    synsets = sorted(path for path in folder.iterdir() if path.is_dir())
    strange = [path.name for path in synsets if not re.fullmatch(r"n\d{8}", path.name)]
    if strange:
        raise ValueError(f"{folder} holds folders that are no synsets (n and eight digits), such as {strange[0]!r}")
    if len(synsets) != CLASSES:
        raise ValueError(
            f"{folder} holds {len(synsets)} folders of synsets, not {CLASSES}: without all of them the classes "
            "cannot be numbered; give a file of labels"
        )
    images = [(path, label) for label, synset in enumerate(synsets) for path in _images(synset.iterdir())]
    if not images:
        raise ValueError(f"the folders in {folder} hold no images ({', '.join(IMAGES)})")
    return images


def _images(paths: Iterable[Path]) -> list[Path]:
    return sorted(path for path in paths if path.suffix.lower() in IMAGES)


def _read_labels(folder: Path, labels: Path) -> list[tuple[Path, int]]:
    if not labels.is_file():
        raise ValueError(f"no file of labels {labels}")
    rows: list[tuple[int, str, str]] = []
    for number, line in enumerate(_text(labels).splitlines(), start=1):
        if not line.strip():
            continue
        cells = LINE.fullmatch(line.strip())
        if cells is None:
            raise ValueError(f"{labels}, line {number}: a line is a file name and a class, not {line!r}")
        if not (folder / cells["file"]).is_file():
            raise ValueError(f"{labels}, line {number}: no image {folder / cells['file']}")
        rows.append((number, cells["file"], cells["label"]))
    if not rows:
        raise ValueError(f"{labels} is empty")
    classes = _classes([label for _, _, label in rows], labels)
    return [(folder / name, classes(number, label)) for number, name, label in rows]


def _text(labels: Path) -> str:
    try:
        return labels.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{labels} is no text in UTF-8 ({error}): save it as such") from error


def _classes(found: list[str], labels: Path) -> Callable[[int, str], int]:
    synsets = sorted(set(found))
    if all(label.startswith("n") for label in synsets):
        if len(synsets) != CLASSES:
            raise ValueError(
                f"{labels} names {len(synsets)} synsets, not {CLASSES}: without all of them the classes cannot be "
                "numbered; give numbers from 0"
            )
        numbers = {synset: index for index, synset in enumerate(synsets)}
        return lambda number, label: numbers[label]

    def parse(number: int, label: str) -> int:
        if not label.isdecimal() or int(label) >= CLASSES:
            raise ValueError(f"{labels}, line {number}: a class is a number from 0 to 999, not {label!r}")
        return int(label)

    return parse
