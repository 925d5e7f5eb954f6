"""The file of activations: one HDF5 file for a network and a stimulus set, a dataset a layer. Without torch.

``/stimuli`` holds the ids; ``/layers/<name>`` holds float32 [stimulus, unit], or, where a layer has more
units than there are stimuli, the packed upper triangle of the Gram matrix of the centred activations. A ``/``
in a layer's name is written ``%2F``. Each dataset has checksums of its parts, and all other bytes have one together,
behind those of HDF5 (`layerwise.files.sealed`).
"""

import errno
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from layerwise.activations.packing import packed_size, unpack
from layerwise.activations.parts import Kind, Part, kind_of, stored_bytes
from layerwise.files import Extent, atomic_path, check_seal, checksum, reraise_memory, seal
from layerwise.files.hdf5 import write_hdf5
from layerwise.interfaces import LayerSpec

FORMAT = "layerwise activations"
VERSION = 2  # 1 had no checksums
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
    """

    kind: Kind
    array: NDArray[np.floating]
    nonfinite: bool


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
        detail = f"{len(strange)} ids differ, such as {min(strange)!r}" if strange else "they are in another order"
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
        if kind == "gram" and not packed:
            values = unpack(values, len(self.stimuli)).numpy()
        return Stored(kind, values, nonfinite)

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
    """A file of activations while it is written; made by `write_store`."""

    def __init__(self, file: h5py.File, n_stimuli: int, check_disk: Callable[[], None]) -> None:
        self._layers = file.create_group("layers")
        self._n_stimuli, self._check_disk = n_stimuli, check_disk
        self._checksums: dict[str, list[tuple[int, int, int]]] = {}  # of columns from, to

    def add(self, layer: LayerSpec) -> None:
        """Make room for a layer."""
        shape = _stored_shape(layer, self._n_stimuli)
        kind = kind_of(layer, self._n_stimuli)
        dataset = self._layers.create_dataset(_key(layer.name), shape, TYPES[kind])
        dataset.attrs["layer"], dataset.attrs["class"] = layer.name, layer.kind
        dataset.attrs["shape"], dataset.attrs["units"] = layer.shape, layer.units
        dataset.attrs["depth"], dataset.attrs["kind"] = layer.depth, kind
        dataset.attrs["nonfinite"] = False
        self._checksums[layer.name] = []

    def put_activations(self, part: Part, values: NDArray[np.float32]) -> None:
        """Write the columns of some units, float32 array [stimulus, unit]."""
        values = values.astype(TYPES["activations"], copy=False)
        self._checksums[part.layer.name].append((part.start, part.stop, checksum(values)))
        self._layers[_key(part.layer.name)][:, part.start : part.stop] = values
        self._check_disk()

    def put_gram(self, layer: LayerSpec, packed: NDArray[np.float64]) -> None:
        """Write the packed Gram matrix of a layer."""
        packed = packed.astype(TYPES["gram"], copy=False)
        self._checksums[layer.name] = [(0, len(packed), checksum(packed))]
        self._layers[_key(layer.name)][:] = packed
        self._check_disk()

    def mark_nonfinite(self, layer: LayerSpec) -> None:
        """Note that a layer gave values that are not finite."""
        self._layers[_key(layer.name)].attrs["nonfinite"] = True

    def finish(self) -> list[Extent]:
        """Write the checksums; return where in the file the values are that they stand for."""
        for name, checksums in self._checksums.items():
            self._layers[_key(name)].attrs["checksums"] = np.array(checksums, np.int64).reshape(-1, 3)
        return [_extent(self._layers[_key(name)]) for name, checksums in self._checksums.items() if checksums]


@contextmanager
def write_store(
    path: str | Path, layers: Sequence[LayerSpec], stimuli: Sequence[str], attributes: Mapping[str, str]
) -> Iterator[StoreWriter]:
    """Write a file of activations: it appears under its name when the block ends well, or not at all.

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
    with atomic_path(path) as temporary:
        _check_space(temporary.parent, layers, len(stimuli))
        with write_hdf5(temporary) as (file, check_disk):
            file.attrs.update({"format": FORMAT, "version": VERSION, **attributes, "complete": False})
            file["stimuli"] = np.array(stimuli, dtype=object)
            writer = StoreWriter(file, len(stimuli), check_disk)
            for layer in layers:
                writer.add(layer)
            yield writer
            apart = writer.finish()
            file.attrs["complete"] = True
        seal(temporary, apart)


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
    return (packed_size(n_stimuli),) if kind_of(layer, n_stimuli) == "gram" else (n_stimuli, layer.units)


def _extent(dataset: h5py.Dataset) -> Extent:
    start = int(dataset.id.get_offset())
    return start, start + dataset.nbytes


def _layer(dataset: h5py.Dataset) -> LayerSpec:
    attributes = dataset.attrs
    shape = tuple(int(side) for side in attributes["shape"])
    return LayerSpec(
        str(attributes["layer"]),
        str(attributes["class"]),
        shape,
        int(attributes["units"]),
        int(attributes["depth"]),
    )


def _key(layer: str) -> str:
    return layer.replace("%", "%25").replace("/", "%2F")
