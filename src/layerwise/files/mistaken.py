"""What lies in a file in place of what its name promises: what downloads that went wrong leave, and other formats."""

import re
from pathlib import Path

HEAD = 512  # bytes, which tell
_BLANK = b"\xef\xbb\xbf \r\n\t"
_PAGES = (b"<!doctype", b"<html", b"<?xml", b"<head", b"<!--")
_POINTERS = (b"version https://git-lfs", b"annex/objects/")
_ARCHIVES = (b"PK\x03\x04", b"\x1f\x8b", b"7z\xbc\xaf", b"Rar!", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd")
_IN_SHEETS = (b"[Content_Types].xml", b"_rels/.rels", b"docProps/", b"xl/", b"opendocument.spreadsheet")
_JSON = re.compile(rb'\{\s*["}]|\[\s*[\[{"\]0-9-]')
_FORMATS = {
    b"\xd0\xcf\x11\xe0": "a spreadsheet or document of Office",
    b"\x89HDF\r\n\x1a\n": "HDF5 (netCDF 4, or MATLAB 7.3)",
    b"CDF\x01": "netCDF 3",
    b"CDF\x02": "netCDF 3",
    b"MATLAB 5.0": "a MAT file",
    b"MATLAB 7.3": "a MAT file",
    b"\x93NUMPY": "an array of NumPy",
    b"PAR1": "Parquet",
    b"\x89PNG": "an image",
    b"\xff\xd8\xff": "an image",
    b"\xff\xfe": "text in UTF-16",
    b"\xfe\xff": "text in UTF-16",
}


def check_is_data(path: Path, what: str = "data", again: str = "download it again") -> None:
    """Refuse what downloads leave in place of data.

    Parameters
    ----------
    path : Path
        The file.
    what : str
        What it should hold, for messages.
    again : str
        What the user is to do where it holds nothing of that.

    Raises
    ------
    ValueError
        As `check_is_content`; or it is a spreadsheet, or an archive.
    """
    check_is_content(path, what, again)
    head = _head(path)
    if head.startswith(_ARCHIVES[0]) and any(name in head for name in _IN_SHEETS):
        raise ValueError(f"{path} is a spreadsheet, as Excel saves it: save it as CSV (UTF-8)")
    if head.startswith(_ARCHIVES):
        raise ValueError(f"{path} is an archive: unpack it")


def check_is_content(path: Path, what: str, again: str = "download it again") -> None:
    """Refuse what stands for a file that did not come; it may be an archive, as PyTorch's files are.

    Raises
    ------
    ValueError
        It is empty, a web page, a PDF, or a pointer of git-annex or Git LFS.
    """
    head = _head(path)
    text = head.lstrip(_BLANK)
    if not text:
        raise ValueError(f"{path} is empty: {again}")
    if is_page(head):
        raise ValueError(f"{path} is a web page and no {what}, as servers send in place of a file: {again}")
    if text.startswith(b"%PDF"):
        raise ValueError(f"{path} is a PDF and no {what}: {again}")
    if text.startswith(_POINTERS[0]) or _POINTERS[1] in head:
        raise ValueError(f"{path} is a pointer to the data: get its content (`git annex get`, or `git lfs pull`)")


def check_is_table(path: Path) -> None:
    """Refuse what is no table of text in UTF-8.

    Raises
    ------
    ValueError
        As `check_is_data`; or it is JSON, or a file of another format.
    """
    check_is_data(path, "table", "download or export it again")
    head = _head(path)
    kind = next((told for start, told in _FORMATS.items() if head.startswith(start)), None)
    if kind is None and _JSON.match(head.lstrip(_BLANK)):
        kind = "JSON"
    if kind is None and b"\0" in head:
        kind = "no text"
    if kind is not None:
        raise ValueError(f"{path} is {kind}, and a table of text is needed: export it as CSV in UTF-8")


def is_page(head: bytes) -> bool:
    """Return whether a file that begins so is a web page, or what a server answers in XML."""
    return head.lstrip(_BLANK).lower().startswith(_PAGES)


def _head(path: Path) -> bytes:
    with path.open("rb") as handle:
        return handle.read(HEAD)
