"""Checksums of zip archives, among them the files of torch, which does not look at them itself."""

import errno
import struct
import zipfile
import zlib
from pathlib import Path

from layerwise.files.memory import reraise_memory

_BROKEN = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, OverflowError, RuntimeError, ValueError)


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
    except _BROKEN as error:
        reraise_memory(error, f"reading {path}")
        raise ValueError(f"its zip archive is broken: {error}") from error
    except OSError as error:
        if error.errno != errno.EINVAL:  # what comes of a wrong place in the file
            raise
        raise ValueError("its zip archive is broken: it leads to a place outside") from error
    if wrong is not None:
        raise ValueError(f"{wrong!r} in it does not fit its checksum")
