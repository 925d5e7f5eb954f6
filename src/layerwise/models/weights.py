"""Where trained weights are found, and how they are identified. Without torch."""

import logging
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from layerwise.files import hash_file, hash_object, own_code
from layerwise.interfaces import ModelSpec
from layerwise.models.downloads import Address, download, kept_hash
from layerwise.models.pages import refuse_page
from layerwise.models.registry import RegistryRow, row_of
from layerwise.models.versions import module_of, versions_of

log = logging.getLogger(__name__)

UNTRAINED = ("random", "built")  # "built": a factory keeps what it was built with
SUFFIXES = (".safetensors", ".pth", ".pt")


@dataclass(frozen=True)
class Official:
    """A file of official weights.

    Parameters
    ----------
    path : Path
        The file.
    sha256 : str
        First digits of its SHA-256, which were checked; empty: none is known.
    kind : str
        Whose file it is, for people.
    """

    path: Path
    sha256: str
    kind: str


class UnreachableError(ValueError):
    """Weights that are downloaded did not come; another attempt may get them."""

    may_heal = True


def find_weights(spec: ModelSpec, folder: str | Path | None = None) -> Path | None:
    """Find the file of weights of a network, without downloading anything.

    For official weights see `find_official`. Those of a timm network that the registry does not hold may lie in the
    folder under the name of the constructor.

    Parameters
    ----------
    spec : ModelSpec
        Network.
    folder : path, optional
        Folder of weights.

    Returns
    -------
    Path or None
        None: random weights, or official ones that are not on this machine.

    Raises
    ------
    ValueError
        A file that the study names does not exist, or an official file is not what was published.
    """
    if spec.weights in UNTRAINED:
        return None
    if spec.weights != "imagenet":
        return _named_file(spec)
    row = row_of(spec)
    if row is None:
        return _first([Path(folder) / f"{spec.constructor}{end}" for end in SUFFIXES] if folder else [])
    found = find_official(row, folder)
    return found.path if found is not None else None


def find_official(row: RegistryRow, folder: str | Path | None = None) -> Official | None:
    """Find the official weights of a network on this machine.

    They are looked for in the folder under the file name of their official address, then in the Python package that
    carries them, then in the folder under the name that their file had in 2020, then under that of their mirror.

    Parameters
    ----------
    row : RegistryRow
        Network.
    folder : path, optional
        Folder of weights.

    Raises
    ------
    ValueError
        The file is not what was published.
    """
    for found in _places(row, Path(folder) if folder else None):
        if found.path.is_file():
            if not found.sha256:
                log.warning(
                    "no checksum is known for %s: it is used as it is; write the SHA-256 that its host shows into "
                    "%s.sha256 to have it checked",
                    found.path,
                    found.path.name,
                )
            check_hash(found.path, found.sha256)
            return found
    return None


def fetch_weights(spec: ModelSpec, folder: str | Path | None = None) -> Path:
    """Find the official weights of a network of the registry, or download them into the folder.

    The official address is tried first, then the mirror. What was downloaded is used once its checksum is
    right; a download that broke off is kept aside and continued the next time. Processes that fetch the same
    file at once wait for each other.

    Raises
    ------
    ValueError
        They are not here and cannot be obtained, or what came is not what was published; the message says what was
        tried and where to put the file.
    """
    found = find_weights(spec, folder)
    if found is not None:
        return found
    row = row_of(spec)
    if row is None:
        raise ValueError(f"no official weights are known for {spec.name!r}: give the path of a file, or `random`")
    addresses = _addresses(row)
    if not addresses:
        package = row.package.replace("_", "-")
        raise ValueError(
            f"the weights of {row.name!r} come with the Python package {package}, which is not installed: "
            f"install layerwise[demo], or put {row.file} ({_checksum(row.sha256)}) into "
            f"{folder or 'the folder of weights'}"
        )
    if folder is None:
        raise ValueError(f"the weights of {row.name!r} are not here: give a folder to download {row.url} into")
    return _fetch_first(row, addresses, Path(folder))


def check_hash(path: Path, expected: str) -> None:
    """Compare a file with its published SHA-256, or with the first digits of it.

    Raises
    ------
    ValueError
        They differ.
    """
    found = hash_file(path)
    if not found.startswith(expected):
        refuse_page(path)
        raise ValueError(
            f"{path} is not the published file of weights: its SHA-256 begins with {found[: len(expected)]}, "
            f"published is {expected}. It is damaged or another file, and is not used: delete it "
            "and start again"
        )


def hash_weights(spec: ModelSpec, folder: str | Path | None = None, apart: Path | None = None) -> str:
    """Hash what decides the weights of a network: the content of their file, or the recipe that draws them.

    Parameters
    ----------
    spec : ModelSpec
        Network.
    folder : path, optional
        Folder of weights.
    apart : Path, optional
        Folder of results, whose files are no part of a factory's own code.

    Returns
    -------
    str
        SHA-256 of the file; for random weights and for those that a library fetches by itself, a hash of the
        network, its options, the seed, a factory's own code, and the versions of the library and of torch.

    Raises
    ------
    ValueError
        The weights are not on this machine.
    """
    found = find_weights(spec, folder)
    if found is not None:
        return hash_file(found)
    row = row_of(spec)
    if spec.weights == "imagenet" and row is not None:
        raise ValueError(f"the weights of {spec.name!r} are not on this machine: {row.url or row.package}")
    return hash_object([spec.library, spec.constructor, spec.options, spec.weights, spec.seed, _origin(spec, apart)])


def _named_file(spec: ModelSpec) -> Path:
    path = Path(spec.weights)
    if not path.is_file():
        raise ValueError(
            f"the weights of {spec.name!r} are neither imagenet nor random, and there is no file {spec.weights!r}"
        )
    return path


def _places(row: RegistryRow, folder: Path | None) -> list[Official]:
    places = [Official(path, row.sha256, f"official, from the package {row.package}") for path in _packaged(row)]
    if folder is None:
        return places
    places.insert(0, Official(folder / row.file, row.sha256, "official"))
    if row.file_2020:
        path = folder / row.file_2020
        places.append(Official(path, row.sha256_2020 or kept_hash(path), "official, the file of 2020"))
    if row.mirror is not None and row.mirror.file != row.file:
        path = folder / row.mirror.file
        places.append(Official(path, row.mirror.sha256 or kept_hash(path), "mirror (values not verified)"))
    return places


def _addresses(row: RegistryRow) -> list[Address]:
    official = [Address(row.url, row.file, row.sha256)] if row.url else []
    if row.mirror is None:
        return official
    return [*official, Address(row.mirror.url, row.mirror.file, row.mirror.sha256)]


def _fetch_first(row: RegistryRow, addresses: list[Address], folder: Path) -> Path:
    failures = [f"{folder / address.file}: not there" for address in addresses]
    if row.package:
        failures.append(f"the package {row.package}: not installed")
    for address in addresses:
        try:
            return download(address, folder)
        except ValueError as error:
            failures.append(f"{address.url}: {error}")
    tried = "\n  ".join(dict.fromkeys(failures))
    wanted = "\n  ".join(f"{address.url} as {address.file} ({_checksum(address.sha256)})" for address in addresses)
    raise UnreachableError(
        f"the weights of {row.name!r} could not be obtained. Tried:\n  {tried}\n"
        f"Fetch one of these elsewhere and put it into {folder}:\n  {wanted}"
    )


def _checksum(sha256: str) -> str:
    return f"its SHA-256 begins with {sha256}" if sha256 else "its host shows its SHA-256"


def _first(candidates: list[Path]) -> Path | None:
    return next((path for path in candidates if path.is_file()), None)


def _packaged(row: RegistryRow) -> list[Path]:
    # The package is located but not imported: it is somebody else's code, and only its data are wanted.
    package = find_spec(row.package) if row.package else None
    roots = package.submodule_search_locations if package is not None else None
    return [path for root in roots or [] for path in sorted(Path(root).rglob(row.file))]


def _origin(spec: ModelSpec, apart: Path | None) -> list[Any]:
    if spec.library == "cornet":
        return [versions_of(spec), hash_file(Path(__file__).with_name("cornet.py"))]
    source = own_code(module_of(spec.constructor), apart).hash if spec.library == "factory" else ""
    return [versions_of(spec), source]
