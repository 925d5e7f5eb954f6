"""Find out what kind of data a path holds."""

from pathlib import Path
from typing import Literal

from layerwise.data.rdms import names_itself
from layerwise.files.mistaken import check_is_data, check_is_table

Kind = Literal["recordings", "ratings", "lamem", "distances"]
_HDF5, _NETCDF3 = b"\x89HDF\r\n\x1a\n", b"CDF"
TABLES = (".csv", ".tsv", ".txt")


def kind_of(path: Path) -> Kind:
    """Return the kind of data by a file's first bytes and its ending, or by the files in a folder.

    Raises
    ------
    ValueError
        Nothing is there, or it is none of the known kinds.
    """
    if path.is_dir():
        return _kind_of_folder(path)
    if not path.is_file():
        raise ValueError(f"there is no {path}: check its spelling (a link that leads to itself counts as nothing)")
    if path.suffix.lower() in TABLES:
        check_is_table(path)
        return "distances" if names_itself(path) else "ratings"
    check_is_data(path, "data", "download or export it again")
    with path.open("rb") as file:
        start = file.read(8)
    if start == _HDF5 or (path.suffix in (".nc", ".h5", ".hdf5") and not start.startswith(_NETCDF3)):
        return "recordings"
    if start.startswith(_NETCDF3):
        raise ValueError(f"{path} is netCDF 3, and netCDF 4 is needed: convert it with `nccopy -k nc4 IN OUT`")
    raise ValueError(
        f"{path} is neither a file of recordings (netCDF 4 or HDF5: .nc) nor a table of scores (.csv): an array of "
        "responses becomes one by `layerwise data import`, one of scores by `layerwise data "
        "import-scores`; if it is an archive, unpack it first"
    )


def _kind_of_folder(folder: Path) -> Kind:
    if _has_splits(folder) or _has_splits(folder / "splits"):
        return "lamem"
    raise ValueError(
        f"the folder {folder} holds no split files such as train_1.txt; give the file of recordings (.nc) or the table "
        "of scores (.csv) itself"
    )


def _has_splits(folder: Path) -> bool:
    return any(any(folder.glob(f"{part}_[0-9]*.txt")) for part in ("train", "val", "test"))
