"""The file of activations: one HDF5 file for a network and a stimulus set, a dataset a layer. Without torch.

``/stimuli`` holds the ids; ``/layers/<name>`` holds float32 [stimulus, unit], or, where a layer has more
units than there are stimuli, float64: the packed upper triangle of the Gram matrix of the centred activations, then the
sum of each stimulus over units, then its product with the mean over stimuli. A ``/`` in a layer's name is written
``%2F``. Each dataset has checksums of its parts, and all other bytes have one together,
behind those of HDF5 (`layerwise.files.sealed`).
"""

import errno
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from layerwise.activations.packing import kept_size, packed_size, unpack
from layerwise.activations.partial import Columns, Done, Journal, Values
from layerwise.activations.parts import Kind, Part, kind_of, stored_bytes
from layerwise.files import (
    check_seal,
    checksum,
    hash_object,
    locked,
    move_whole,
    reraise_memory,
    seal,
    writable,
)
from layerwise.files.hdf5 import reserve, write_hdf5
from layerwise.interfaces import LayerSpec, counted

FORMAT = "layerwise activations"
VERSION = 3  # 1 had no checksums, 2 no sums and products behind a Gram matrix
TYPES: dict[Kind, type[np.floating]] = {"activations": np.float32, "gram": np.float64}
REQUIRED = ("model", "weights", "preprocessing", "stimuli", "code")
OF_FORMAT = ("format", "version", "complete")

_ADVICE = "delete it, and run the step that extracts activations again"
_DAMAGED = (OSError, LookupError, RuntimeError, TypeError, ValueError, AttributeError)  # what h5py raises


@dataclass(frozen=True)
class Stored:
    """What is kept of one layer.

    Parameters
    ----------
    kind : {"activations", "gram"}
        What `array` is.
    array : float32 array [stimulus, unit], float64 array [stimulus, stimulus] or [stimulus * (stimulus + 1) / 2]
        The activations, or the Gram matrix of the centred activations, whole or packed.
    nonfinite : bool
        The layer gave NaN or infinite values: nothing can be predicted from it.
    patterns : float64 array [2, stimulus], optional
        Of a layer whose Gram matrix is kept: the sum of each stimulus over units, and its product with the mean over
        stimuli. None where the file is of a version that had none.
    """

    kind: Kind
    array: NDArray[np.floating]
    nonfinite: bool
    patterns: NDArray[np.float64] | None = None


class ActivationStore:
    """A file of activations, open for reading; any number of processes may read it at once.

    Parameters
    ----------
    path : path
        File that `extract_activations` wrote.
    model : str, optional
        The network whose activations are expected.

    Attributes
    ----------
    model : str
        Name of the network.
    stimuli : tuple of str
        Ids, in the order of the rows.
    layers : list of LayerSpec
        In order of depth.
    attributes : dict of str to str
        Hashes of weights, preprocessing, stimuli and code, and what else was written with them.

    Raises
    ------
    ValueError
        The file is missing, damaged, unfinished, of another format or network, or from a newer version.
    """

    def __init__(self, path: str | Path, model: str | None = None) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise ValueError(f"no activations {path}: run the step that extracts them first")
        check_seal(self.path, _ADVICE)
        with self._opened() as file:
            attributes = dict(file.attrs)
            _check_format(attributes, self.path)
            told = {name: str(value) for name, value in attributes.items() if name not in OF_FORMAT}
            self.attributes = {name: told[name] for name in dict.fromkeys([*REQUIRED, *told])}
            self.stimuli: tuple[str, ...] = tuple(file["stimuli"].asstr()[:].tolist())
            self._n_kept = len(self.stimuli)
            self.layers = sorted((_layer(item) for item in file["layers"].values()), key=lambda layer: layer.depth)
        self.model = self.attributes["model"]
        if model is not None and model != self.model:
            raise ValueError(f"{path} holds activations of {self.model!r}, not of {model!r}: {_ADVICE}")

    def check_stimuli(self, stimuli: Sequence[str]) -> None:
        """See that the rows belong to these stimuli, in this order.

        Raises
        ------
        ValueError
            They do not.
        """
        if tuple(stimuli) == self.stimuli:
            return
        strange = [*(set(stimuli) - set(self.stimuli)), *(set(self.stimuli) - set(stimuli))]
        detail = "they are in another order"
        if strange:
            detail = f"{counted(len(strange), 'id differs', 'ids differ')}, such as {min(strange)!r}"
        raise ValueError(
            f"{self.path} was made from other stimuli ({len(self.stimuli)} of them, here {len(stimuli)}): "
            f"{detail}; {_ADVICE}"
        )

    def read(self, layer: str, packed: bool = False) -> Stored:
        """Read one layer; a Gram matrix whole, or packed, as it is kept.

        Raises
        ------
        ValueError
            The file has no such layer, or is damaged.
        """
        known = [spec.name for spec in self.layers]
        if layer not in known:
            near = get_close_matches(layer, known, n=3)
            hint = f": did you mean {' or '.join(near)}?" if near else ""
            raise ValueError(f"{self.path} has no layer {layer!r}{hint}")
        with self._opened() as file:
            dataset = file["layers"][_key(layer)]
            kind: Kind = "gram" if dataset.attrs["kind"] == "gram" else "activations"
            values, nonfinite = dataset[:], bool(dataset.attrs["nonfinite"])
            if any(checksum(values[..., start:stop]) != known for start, stop, known in dataset.attrs["checksums"]):
                raise _UnusableError(
                    f"{self.path} is damaged (the layer {layer!r} does not fit its checksum): {_ADVICE}"
                )
        if kind == "activations":
            return Stored(kind, values, nonfinite)
        n = self._n_kept
        triangle, rest = np.split(values, [packed_size(n)])
        patterns = rest.reshape(2, n) if rest.size else None
        return Stored(kind, triangle if packed else unpack(triangle, n).numpy(), nonfinite, patterns)

    @contextmanager
    def _opened(self) -> Iterator[h5py.File]:
        try:
            with h5py.File(self.path, "r", locking=False) as file:
                yield file
        except _UnusableError:
            raise
        except _DAMAGED as error:
            reraise_memory(error, f"reading {self.path}")
            raise ValueError(f"{self.path} is damaged or not a file of activations ({error}): {_ADVICE}") from error


class StoreWriter:
    """A file of activations while it is written; made by `write_store`.

    Attributes
    ----------
    nonfinite : list of str
        Layers that gave NaN or infinite values, as far as they are written.
    """

    def __init__(self, values: Values, layers: Sequence[LayerSpec], n_stimuli: int, journal: Journal) -> None:
        self._values, self._n_stimuli, self._journal = values, n_stimuli, journal
        self._units = {layer.name: layer.units for layer in layers}
        self._checksums: dict[str, list[Columns]] = {}
        self._done: set[str] = set()
        self.nonfinite: list[str] = []

    def take_over(self, layers: Sequence[LayerSpec], done: Mapping[str, Done]) -> None:
        """Take over the layers that a stopped run has written."""
        for layer in layers:
            known = done.get(_key(layer.name))
            if known is not None:
                self._checksums[layer.name] = list(known.checksums)
                self._done.add(layer.name)
                self.nonfinite += [layer.name] if known.nonfinite else []

    def left(self, layers: Sequence[LayerSpec]) -> list[LayerSpec]:
        """Return those layers that are not written yet."""
        return [layer for layer in layers if layer.name not in self._done]

    def put_activations(self, part: Part, values: NDArray[np.float32], finite: bool = True) -> None:
        """Write the columns of some units, float32 array [stimulus, unit], and note whether all are finite."""
        values = values.astype(TYPES["activations"], copy=False)
        name = part.layer.name
        self._put(name, part.start, values, finite)
        if sum(stop - start for start, stop, _ in self._checksums[name]) == self._units[name]:
            self._finish_layer(name)

    def put_gram(self, layer: LayerSpec, kept: NDArray[np.float64], finite: bool = True) -> None:
        """Write what is kept of a large layer, and note whether its values were finite.

        Parameters
        ----------
        layer : LayerSpec
            With more units than there are stimuli.
        kept : float64 array [stimulus * (stimulus + 1) / 2 + 2 * stimulus]
            The packed Gram matrix, the sums over units, and the products with the mean.
        finite : bool
            Whether all activations were.
        """
        kept = kept.astype(TYPES["gram"], copy=False)
        if kept.size != kept_size(self._n_stimuli):
            raise ValueError(f"{kept.size} values of {layer.name} are given, not {kept_size(self._n_stimuli)}")
        self._put(layer.name, 0, kept, finite)
        self._finish_layer(layer.name)

    def describe(self, file: h5py.File) -> None:
        """Write the checksums of all values, and that the file is complete."""
        for name, checksums in self._checksums.items():
            attributes = file["layers"][_key(name)].attrs
            attributes["checksums"] = np.array(checksums, np.int64).reshape(-1, 3)
            attributes["nonfinite"] = name in self.nonfinite
        file.attrs["complete"] = True

    def _put(self, name: str, first: int, values: NDArray[np.floating], finite: bool) -> None:
        self._checksums.setdefault(name, []).append((first, first + values.shape[-1], checksum(values)))
        self._values.put(_key(name), first, values)
        if not finite and name not in self.nonfinite:
            self.nonfinite.append(name)

    def _finish_layer(self, name: str) -> None:
        self._journal.add(_key(name), Done(tuple(self._checksums[name]), name in self.nonfinite))
        self._done.add(name)


@contextmanager
def write_store(
    path: str | Path, layers: Sequence[LayerSpec], stimuli: Sequence[str], attributes: Mapping[str, str]
) -> Iterator[StoreWriter]:
    """Write a file of activations: it appears under its name when the block ends well, or not at all.

    A run that is stopped leaves the layers that it has written in hidden files beside it, and the same call takes them
    over; an error removes them. Of calls for the same file at the same time one writes, and the others wait for it.

    Parameters
    ----------
    path : path
        File to write.
    layers : sequence of LayerSpec
        The layers that will be written.
    stimuli : sequence of str
        Ids, in the order of the rows.
    attributes : mapping of str to str
        At least "model", and the hashes "weights", "preprocessing", "stimuli" and "code".

    Raises
    ------
    ValueError
        An attribute is missing.
    OSError
        The disk is full.
    """
    missing = [name for name in REQUIRED if not attributes.get(name)]
    if missing:
        raise ValueError(f"activations cannot be told apart later without the attributes {', '.join(missing)}")
    path = writable(path)
    journal = Journal(
        path, hash_object([VERSION, [asdict(layer) for layer in layers], list(stimuli), dict(attributes)])
    )
    with locked(path):
        done = journal.take_over()
        if done is None:
            _begin(journal, layers, stimuli, attributes)
        values = Values(journal.file)
        with journal.kept_if_stopped():
            writer = StoreWriter(values, layers, len(stimuli), journal)
            writer.take_over(layers, done or {})
            with values:
                yield writer
            with write_hdf5(journal.file, "r+") as (file, _):
                writer.describe(file)
            seal(journal.file, values.extents)
            move_whole(journal.file, path)
        journal.remove()


def _begin(
    journal: Journal, layers: Sequence[LayerSpec], stimuli: Sequence[str], attributes: Mapping[str, str]
) -> None:
    """Write the structure of a file, in which every value has its place."""
    journal.remove()
    _check_space(journal.file.parent, layers, len(stimuli))
    try:
        _write_structure(journal.file, layers, stimuli, attributes)
        seal(journal.file, Values(journal.file).extents)
        journal.begin()
    except BaseException:
        journal.remove()
        raise


def _write_structure(
    path: Path, layers: Sequence[LayerSpec], stimuli: Sequence[str], attributes: Mapping[str, str]
) -> None:
    with write_hdf5(path) as (file, _):
        file.attrs.update({"format": FORMAT, "version": VERSION, **attributes, "complete": False})
        file["stimuli"] = np.array(stimuli, dtype=object)
        group = file.create_group("layers")
        for layer in layers:
            _make_room(group, layer, len(stimuli))


def _make_room(group: h5py.Group, layer: LayerSpec, n_stimuli: int) -> None:
    kind = kind_of(layer, n_stimuli)
    attributes = reserve(group, _key(layer.name), _stored_shape(layer, n_stimuli), TYPES[kind]).attrs
    attributes.update({"layer": layer.name, "class": layer.kind, "shape": layer.shape, "units": layer.units})
    attributes.update({"depth": layer.depth, "kind": kind, "nonfinite": False, "reduced": layer.reduced})
    attributes["checksums"] = np.zeros((0, 3), np.int64)


class _UnusableError(ValueError):
    """The file is whole but cannot be used."""


def _check_format(attributes: Mapping[str, object], path: Path) -> None:
    if attributes.get("format") != FORMAT:
        raise _UnusableError(f"{path} is not a file of activations (its format is {attributes.get('format')!r})")
    version = int(str(attributes["version"]))
    if version > VERSION:
        raise _UnusableError(
            f"{path} was written by a newer layerwise (version {version} of the format; this one reads up to "
            f"{VERSION}): update layerwise, or {_ADVICE}"
        )
    if not attributes["complete"]:
        raise _UnusableError(f"{path} was not finished: {_ADVICE}")


def _check_space(folder: Path, layers: Sequence[LayerSpec], n_stimuli: int) -> None:
    # Activations are computed for hours: that there is room for all of them is asked beforehand.
    needed = stored_bytes(layers, n_stimuli)
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise OSError(
            errno.ENOSPC,
            f"the disk has {free / 1e9:.2f} GB free, and the activations need {needed / 1e9:.2f} GB",
            str(folder),
        )


def _stored_shape(layer: LayerSpec, n_stimuli: int) -> tuple[int, ...]:
    return (kept_size(n_stimuli),) if kind_of(layer, n_stimuli) == "gram" else (n_stimuli, layer.units)


def _layer(dataset: h5py.Dataset) -> LayerSpec:
    attributes = dataset.attrs
    shape = tuple(int(side) for side in attributes["shape"])
    return LayerSpec(
        str(attributes["layer"]),
        str(attributes["class"]),
        shape,
        int(attributes["units"]),
        int(attributes["depth"]),
        reduced=str(attributes.get("reduced", "")),
    )


def _key(layer: str) -> str:
    return layer.replace("%", "%25").replace("/", "%2F")
