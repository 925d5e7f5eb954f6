"""Checksums at the end of a file, by which damage is found before a library reads the file.

HDF5 and its kind trust what they read: of a flipped bit come other numbers, and of a broken heap a loop without an end.
They ignore what follows their own bytes, so the checksums stand there.
"""

import hashlib
import json
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

Extent = tuple[int, int]  # first byte, and the one after the last

_END = struct.Struct(">Q16s")  # length of the note, and what tells that there is one
_MAGIC = b"layerwise seal 1"
_DIGEST = hashlib.sha256().digest_size
_AT_ONCE = 2**20


def seal(path: str | Path, apart: Sequence[Extent] = ()) -> None:
    """Append checksums to a file whose content is complete.

    Parameters
    ----------
    path : path
        The file.
    apart : sequence of pairs of int
        Extents that are left out: they are written later, or have checksums of their own.
    """
    with Path(path).open("r+b") as file:
        size = file.seek(0, 2)
        left_out = sorted((start, stop) for start, stop in apart if stop > start)
        note = json.dumps({"size": size, "apart": left_out, "sha256": _digest(file, size, left_out)}).encode()
        file.seek(size)
        file.write(note + hashlib.sha256(note).digest() + _END.pack(len(note), _MAGIC))


def is_sealed(path: str | Path) -> bool:
    """Return whether a file ends with checksums, right or wrong."""
    with Path(path).open("rb") as file:
        return _ending(file)[1] == _MAGIC


def check_seal(path: str | Path, advice: str) -> None:
    """Compare a file with the checksums at its end.

    Parameters
    ----------
    path : path
        The file.
    advice : str
        What to do if it is damaged.

    Raises
    ------
    ValueError
        It has no checksums, or they differ.
    """
    damage = find_damage(path)
    if damage:
        raise ValueError(f"{path} {damage}; {advice}")


def find_damage(path: str | Path) -> str:
    """Return what is wrong with a file, by the checksums at its end, said after its name; empty if nothing is."""
    with Path(path).open("rb") as file:
        length, magic = _ending(file)
        if magic != _MAGIC:
            return "has no checksums at its end: it is cut, was written by an older layerwise, or is another file"
        return "" if _fits(file, length) else "is damaged (its bytes do not fit their checksum)"


def _ending(file: BinaryIO) -> tuple[int, bytes]:
    size = file.seek(0, 2)
    if size < _END.size:
        return 0, b""
    file.seek(size - _END.size)
    length, magic = _END.unpack(file.read(_END.size))
    return length, magic


def _fits(file: BinaryIO, length: int) -> bool:
    start = file.seek(0, 2) - _END.size - _DIGEST - length
    if start < 0:
        return False
    file.seek(start)
    note, digest = file.read(length), file.read(_DIGEST)
    if hashlib.sha256(note).digest() != digest:
        return False
    told = json.loads(note)
    return bool(told["size"] == start and told["sha256"] == _digest(file, start, told["apart"]))


def _digest(file: BinaryIO, size: int, apart: Sequence[Sequence[int]]) -> str:
    digest = hashlib.sha256()
    for start, stop in _between(size, apart):
        file.seek(start)
        while start < stop:
            piece = file.read(min(_AT_ONCE, stop - start))
            digest.update(piece)
            start += len(piece) or stop  # a file that another process has cut meanwhile
    return digest.hexdigest()


def _between(size: int, apart: Sequence[Sequence[int]]) -> Iterator[Extent]:
    start = 0
    for first, last in apart:
        yield start, first
        start = last
    yield start, size
