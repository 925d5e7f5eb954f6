"""ImageNet's validation images and their classes, as people keep them on disk. Without torch."""

import re
from collections.abc import Callable, Iterable
from pathlib import Path

CLASSES = 1000
LINE = re.compile(r"(?P<file>.+?)(\s*,\s*|\s+)(?P<label>[^\s,]+)")  # split at the last separator
IMAGES = (".jpeg", ".jpg", ".png")


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
