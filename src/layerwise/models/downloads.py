"""Download one file: complete, checked, once, however often the transfer breaks off. Without torch."""

import logging
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from layerwise.files import atomic_path, explain_denial, hash_file, locked, reraise_memory
from layerwise.files.atomic import NO_ROOM
from layerwise.models.pages import refuse_page

log = logging.getLogger(__name__)

CHUNK = 2**16  # bytes; an incomplete chunk is lost when a download breaks off


@dataclass(frozen=True)
class Address:
    """Where a file is.

    Parameters
    ----------
    url, file : str
        Address, and the name it gets here.
    sha256 : str
        First digits of its SHA-256; empty: the host is asked (Hugging Face publishes it with each file).
    """

    url: str
    file: str
    sha256: str


def download(address: Address, folder: Path) -> Path:
    """Download a file into a folder, unless another process does so first.

    What has come is kept in ``file.part`` until the whole is here and its checksum right; a later call
    continues it.

    Raises
    ------
    ValueError
        The file cannot be obtained, the folder cannot be written, or what came is not what was published.
    OSError
        The disk is full.
    """
    target = folder / address.file
    try:
        with locked(target):
            if not target.is_file():
                _fetch(address, target)
    except OSError as error:
        reraise_memory(error, f"writing {target}")
        if error.errno in NO_ROOM:
            raise
        raise ValueError(f"cannot be written into {folder} ({explain_denial(error)})") from error
    return target


def kept_hash(path: Path) -> str:
    """Return the SHA-256 in the file beside it (``FILE.sha256``), which a download or a user wrote; empty without one.

    Raises
    ------
    ValueError
        There is something else in it.
    """
    kept = _beside(path)
    if not kept.is_file():
        return ""
    found = kept.read_text(encoding="utf-8", errors="replace").split()  # `sha256sum` writes the file's name behind it
    if not found or re.fullmatch("[0-9a-f]{64}", found[0].lower()) is None:
        raise ValueError(f"{kept} must begin with the SHA-256 of {path.name}, 64 hexadecimal digits: mend or delete it")
    return found[0].lower()


def _fetch(address: Address, target: Path) -> None:
    expected = address.sha256 or _ask_hash(address.url)
    part = target.with_name(f"{target.name}.part")
    continued = part.is_file() and part.stat().st_size > 0
    _continue(address.url, part)
    if continued and not hash_file(part).startswith(expected):  # the start was of another file
        part.unlink()
        _continue(address.url, part)
    _check(part, expected)
    if not address.sha256:
        with atomic_path(_beside(target)) as temporary:
            temporary.write_text(f"{expected}\n", encoding="ascii")
    with atomic_path(target) as temporary:
        part.replace(temporary)


def _continue(url: str, part: Path) -> None:
    from pooch.downloaders import HTTPDownloader
    from requests import RequestException

    done = part.stat().st_size if part.is_file() else 0
    log.info("downloading %s into %s", url, part.parent)
    fetch = HTTPDownloader(
        progressbar=sys.stderr.isatty(),
        chunk_size=CHUNK,
        headers={"Accept-Encoding": "identity"} | ({"Range": f"bytes={done}-"} if done else {}),
    )
    try:
        with part.open("ab") as handle:
            fetch(url, handle, None)
    except RequestException as error:
        reraise_memory(error, f"downloading {url}")
        if not part.stat().st_size:
            part.unlink()
        if error.response is not None and error.response.status_code == _NOTHING_LEFT:
            return
        raise ValueError(f"downloading failed ({error})") from error


_NOTHING_LEFT = 416  # HTTP: the whole file is here already


def _check(part: Path, expected: str) -> None:
    found = hash_file(part)
    if found.startswith(expected):
        return
    try:
        refuse_page(part)
    except ValueError as error:
        raise ValueError("a web page came instead of the file: it asks for a login, or the file has moved") from error
    finally:
        part.unlink()
    raise ValueError(
        f"what came is not the published file: its SHA-256 begins with {found[: len(expected)]}, "
        f"published is {expected}"
    )


def _ask_hash(url: str) -> str:
    from huggingface_hub import get_hf_file_metadata

    try:
        published = get_hf_file_metadata(url).etag or ""
    except Exception as error:  # its errors share no class over its versions and its HTTP libraries
        reraise_memory(error, f"downloading {url}")
        raise ValueError(f"its host does not say its checksum ({error})") from error
    if re.fullmatch("[0-9a-f]{64}", published) is None:
        raise ValueError("its host publishes no SHA-256 of it, so it is not used")
    return published


def _beside(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")
