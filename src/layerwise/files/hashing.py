"""Hashes of content: equal content, equal hash, on every machine."""

import hashlib
import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np

LENGTH = 16  # hexadecimal digits kept: 64 bits, far from a chance collision among the files of a study


def hash_file(path: str | Path) -> str:
    """Return the full SHA-256 of a file, as published checksums are given."""
    with Path(path).open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def hash_object(value: Any) -> str:
    """Return a short hash of a value that JSON can hold (or whose parts can be turned into text)."""
    text = json.dumps(value, sort_keys=True, default=str, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:LENGTH]


def hash_arrays(*arrays: np.ndarray) -> str:
    """Return a short hash of the types, shapes and values of arrays."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:LENGTH]


def checksum(array: np.ndarray) -> int:
    """Return the CRC-32 of the bytes of an array, in the order of its rows: quick, and enough to find damage."""
    return zlib.crc32(np.ascontiguousarray(array).data)
