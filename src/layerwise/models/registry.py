"""The networks that layerwise knows, from ``models.tsv``: a row a network, an empty cell for "not verified".

Without torch: the workflow plans with it.
"""

import csv
import logging
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Literal, cast

from layerwise.interfaces import ModelSpec, Preprocessing
from layerwise.interfaces.images import Crop

log = logging.getLogger(__name__)

Library = Literal["torchvision", "pretrainedmodels", "efficientnet_pytorch", "cornet", "timm", "factory"]

TABLE = Path(__file__).with_name("models.tsv")
MISPRINT = " [sic]"  # after an alias: the paper prints it, but no network has that name

REFUSED = "not offered: "  # before the reason, in place of a mirror


@dataclass(frozen=True)
class Mirror:
    """Weights of another library for the same architecture, used when the official host is gone.

    Where the file is another than the official one, nobody has verified that its values are the same.

    Parameters
    ----------
    network : str
        timm's name of the network whose tensors, in their order, are those of ours. A test proves it: equal
        parameters give equal outputs of every layer.
    file, url : str
        File name (here) and address.
    sha256 : str
        First digits of its SHA-256, as published in the file's name; empty: asked of the host, which
        publishes it with the file.
    """

    network: str
    file: str
    url: str
    sha256: str


@dataclass(frozen=True)
class RegistryRow:
    """What is known about one network; None (or an empty text) is "not verified".

    Parameters
    ----------
    name : str
        Name here.
    aliases : tuple of str
        Its names in the paper's table S1 and in the count of its layers; all find the row.
    library, constructor : str
        The adapter, and the library's name of the network.
    preprocessing : Preprocessing or None
        What the network was trained to see.
    file, url, sha256 : str
        The official weights: file name, address, SHA-256 (or the first digits of it, as published).
    file_2020, sha256_2020 : str
        The file that the study had, where the library has written the weights anew since and says, unverified, that
        the values are equal; else empty.
    mapping : {"name", "order"}
        How the tensors of `file` find their place: by name, or in their order (the file names them
        otherwise).
    package : str
        Importable Python package that carries `file`.
    mirror : Mirror or None
        Where weights of the same architecture are, if the official host is gone.
    no_mirror : str
        Why a copy that exists is not offered.
    top1 : float or None
        ImageNet accuracy that the library publishes for these weights, per cent.
    top1_stated : float or None
        One that is stated of the network, but that nobody has verified for these weights and this preprocessing.
    parameters, layers, penultimate_dim : int or None
        Trainable values; layers with at least 25 units; units of the input of the classifier.
    classifier : str
        Dotted name of the module that turns the penultimate representation into classes.
    later_modules : tuple of str
        Modules that the library added after the study; the manifest leaves them out.
    in_paper : bool
        One of the paper's 64 networks.
    note : str
        What else a user should know.
    """

    name: str
    aliases: tuple[str, ...]
    library: Library
    constructor: str
    preprocessing: Preprocessing | None
    file: str
    url: str
    sha256: str
    file_2020: str
    sha256_2020: str
    mapping: Literal["name", "order"]
    package: str
    mirror: Mirror | None
    no_mirror: str
    top1: float | None
    top1_stated: float | None
    parameters: int | None
    layers: int | None
    penultimate_dim: int | None
    classifier: str
    later_modules: tuple[str, ...]
    in_paper: bool
    note: str

    @property
    def unverified(self) -> tuple[str, ...]:
        """Name the facts that nobody has verified.

        "mirror_values": that another library's copy, whose file differs, holds the same values. "same_as_2020": that
        the file of today holds the values that the study had.
        """
        facts = {
            "url": self.url or self.package,
            "sha256": self.sha256,
            "top1": self.top1,
            "parameters": self.parameters,
            "layers": self.layers,
            "penultimate": self.penultimate_dim,
            "preprocessing": self.preprocessing,
            "mirror_sha256": self.mirror is None or self.mirror.sha256,
            "mirror_values": self.mirror is None or self.mirror.file == self.file,
            "same_as_2020": not self.file_2020,
        }
        return tuple(name for name, value in facts.items() if not value)


def names() -> tuple[str, ...]:
    """Return the names of all networks, in the table's order."""
    return tuple(row.name for row in _rows())


def find(name: str) -> RegistryRow:
    """Return the row of a network.

    Parameters
    ----------
    name : str
        Its name, its library's name or an alias; capitals do not matter. A name that the paper misprints is
        logged as a warning.

    Raises
    ------
    ValueError
        There is no such network; the message names the nearest.
    """
    spellings = _spellings()
    row = spellings.get(name.casefold())
    if row is None:
        near = [spellings[found].name for found in get_close_matches(name.casefold(), spellings, n=3, cutoff=0.5)]
        hint = f"did you mean {' or '.join(dict.fromkeys(near))}?" if near else f"there is {', '.join(names())}"
        raise ValueError(
            f"no network {name!r}: {hint} (`layerwise models list` shows all; in a config, any network of timm is "
            "given as `timm: its name`, your own as `factory: package.module:function`)"
        )
    if name.casefold() in _misprints():
        log.warning("%s: %s", name, row.note)
    return row


def row_of(spec: ModelSpec) -> RegistryRow | None:
    """Return the row that a network of a study was resolved from; None for one that the table does not hold."""
    matches = (row for row in _rows() if (row.library, row.constructor) == (spec.library, spec.constructor))
    return next(matches, None)


@cache
def _rows() -> tuple[RegistryRow, ...]:
    with TABLE.open(encoding="utf-8", newline="") as handle:
        return tuple(_parse(cells) for cells in csv.DictReader(handle, delimiter="\t"))


@cache
def _spellings() -> dict[str, RegistryRow]:
    return {spelling.casefold(): row for row in _rows() for spelling in (*row.aliases, row.constructor, row.name)}


@cache
def _misprints() -> frozenset[str]:
    with TABLE.open(encoding="utf-8", newline="") as handle:
        cells = [cell for row in csv.DictReader(handle, delimiter="\t") for cell in _list(row["aliases"])]
    return frozenset(cell.removesuffix(MISPRINT).casefold() for cell in cells if cell.endswith(MISPRINT))


def _parse(cells: dict[str, str]) -> RegistryRow:
    return RegistryRow(
        name=cells["name"],
        aliases=tuple(cell.removesuffix(MISPRINT) for cell in _list(cells["aliases"])),
        library=cast(Library, cells["library"]),
        constructor=cells["constructor"],
        preprocessing=_preprocessing(cells) if cells["mean"] else None,
        file=cells["file"],
        url=cells["url"],
        sha256=cells["sha256"],
        file_2020=cells["file_2020"],
        sha256_2020=cells["sha256_2020"],
        mapping="order" if cells["mapping"] == "order" else "name",
        package=cells["package"],
        mirror=_mirror(cells),
        no_mirror=cells["mirror"].removeprefix(REFUSED) if cells["mirror"].startswith(REFUSED) else "",
        top1=_number(cells["top1"]),
        top1_stated=_number(cells["top1_stated"]),
        parameters=_integer(cells["parameters"]),
        layers=_integer(cells["layers"]),
        penultimate_dim=_integer(cells["penultimate_dim"]),
        classifier=cells["classifier"],
        later_modules=tuple(_list(cells["later_modules"])),
        in_paper=cells["in_paper"] == "yes",
        note=cells["note"],
    )


def _list(cell: str) -> list[str]:
    return cell.split(";") if cell else []


def _mirror(cells: dict[str, str]) -> Mirror | None:
    if not cells["mirror"] or cells["mirror"].startswith(REFUSED):
        return None
    return Mirror(cells["mirror"], cells["mirror_file"], cells["mirror_url"], cells["mirror_sha256"])


def _number(cell: str) -> float | None:
    return float(cell) if cell else None


def _integer(cell: str) -> int | None:
    return int(cell) if cell else None


def _preprocessing(cells: dict[str, str]) -> Preprocessing:
    return Preprocessing(
        size=int(cells["size"]),
        resize=int(cells["resize"]),
        interpolation="bicubic" if cells["interpolation"] == "bicubic" else "bilinear",
        mean=_triple(cells["mean"]),
        std=_triple(cells["std"]),
        channels="BGR" if cells["channels"] == "BGR" else "RGB",
        maximum=float(cells["maximum"]),
        crop=cast(Crop, cells["crop"]),
    )


def _triple(cell: str) -> tuple[float, float, float]:
    red, green, blue = (float(value) for value in cell.split(","))
    return red, green, blue
