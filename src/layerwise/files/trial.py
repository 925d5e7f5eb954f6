"""Reads an HDF5 file to the end, as a program: `python trial.py SECONDS FILE [-- NAME ...]`; see `foreign`.

It says nothing of a file that can be read, or that HDF5 itself refuses, which whoever reads it next reports. Of one
with parts in other files it prints a line.
"""

import resource
import sys
from collections.abc import Iterator
from contextlib import suppress

import h5py

AT_ONCE = 2**26  # bytes


def main(seconds: str, path: str, *rest: str) -> None:
    """Read the file within so many seconds of a processor."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (int(seconds), int(seconds) + 1))
    with suppress(OSError, RuntimeError), h5py.File(path, "r", locking=False) as file:
        for sentence in look_through(file, rest[1:] if rest else None, set()):
            print(sentence)
            return


def look_through(group: h5py.Group, names: tuple[str, ...] | None, seen: set[object]) -> Iterator[str]:
    """Read everything in a group, or the datasets with these names; yield a sentence for each part in another file."""
    seen.add(h5py.h5o.get_info(group.id).addr)
    read_attributes(group)
    for name in group:
        with suppress(LookupError, OSError, RuntimeError, ValueError, TypeError):
            if isinstance(group.get(name, getlink=True), h5py.ExternalLink):
                yield f"has {name!r} in another file (an external link), which is not read"
            elif not isinstance(group.get(name, getlink=True), h5py.SoftLink):
                item = group[name]
                if h5py.h5o.get_info(item.id).addr in seen:
                    continue
                if isinstance(item, h5py.Group):
                    yield from look_through(item, None, seen) if names is None else ()
                elif isinstance(item, h5py.Dataset):
                    yield from look_at(item, names is None or name in names)


def look_at(dataset: h5py.Dataset, read: bool) -> Iterator[str]:
    """Read a dataset; yield a sentence if it lies in another file."""
    sources = [source.file_name for source in dataset.virtual_sources()] if dataset.is_virtual else []
    if dataset.external or any(source != "." for source in sources):
        yield f"has the values of {dataset.name!r} in another file (external storage), which is not read"
    elif read:
        read_attributes(dataset)
        read_values(dataset)


def read_attributes(item: h5py.Group | h5py.Dataset) -> None:
    """Read each attribute, whether it can be or not."""
    for name in item.attrs:
        with suppress(LookupError, OSError, RuntimeError, ValueError, TypeError):
            item.attrs[name]


def read_values(dataset: h5py.Dataset) -> None:
    """Read all values, in pieces that are made of whole chunks."""
    if not dataset.shape:
        dataset[()]
        return
    step = dataset.chunks[0] if dataset.chunks else 1
    row = max(1, dataset.nbytes // max(1, dataset.shape[0]))
    step *= max(1, AT_ONCE // (row * step))
    for start in range(0, dataset.shape[0], step):
        dataset[start : start + step]


if __name__ == "__main__":
    main(*sys.argv[1:])
