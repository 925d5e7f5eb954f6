"""Checksums of zip archives, among them the files of torch, which does not look at them itself."""

import errno
import struct
import zipfile
import zlib
from pathlib import Path

from layerwise.files.memory import reraise_memory

_BROKEN = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, OverflowError, RuntimeError, ValueError)
FOLDER = 0x10  # attribute of an entry. Where it is set, torch reads nothing, and gives memory as it happens to be


def check_zip(path: str | Path) -> None:
    """Compare everything in a zip archive with its CRC-32.

    Raises
    ------
    ValueError
        Something differs, or the file is no zip archive.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            wrong = archive.testzip()
            folders = [one.filename for one in archive.infolist() if one.external_attr & FOLDER and one.file_size]
    except _BROKEN as error:
        reraise_memory(error, f"reading {path}")
        raise ValueError(f"its zip archive is broken: {error}") from error
    except OSError as error:
        if error.errno != errno.EINVAL:  # what comes of a wrong place in the file
            raise
        raise ValueError("its zip archive is broken: it leads to a place outside") from error
    if wrong is not None:
        raise ValueError(f"{wrong!r} in it does not fit its checksum")
    if folders:
        raise ValueError(f"{folders[0]!r} in it has content and says that it is a folder")
