"""Neural recordings: a netCDF4 file of presentations, read as [repetition, stimulus, neuroid].

The file holds the variable ``responses`` [presentation, neuroid]. Coordinates on the presentations:
``stimulus``, ``image`` (name in the folder of images), optionally ``repetition``, and any property of the
stimuli (``object_name``, ``movie``, ...); on the neuroids: ``neuroid``, ``region`` and optionally ``animal``.
Attributes: ``format`` ("layerwise recordings"), ``version`` (1), ``images`` (that folder, relative to the file), and
optionally ``units``, ``source`` and ``visual_degrees``.
"""

import math
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
from numpy.typing import NDArray

from layerwise.data.folders import find_files
from layerwise.data.missing import NEVER_WRITTEN, decode, fill_of
from layerwise.data.presentations import arrange, properties_of, property_of
from layerwise.data.problems import check_format, did_you_mean, list_problems
from layerwise.data.rdms import is_rdm, list_rdm
from layerwise.files import atomic_path, check_seal, is_sealed, reraise_memory, seal, try_hdf5
from layerwise.files.hdf5 import reraise_filter
from layerwise.files.mistaken import check_is_data
from layerwise.interfaces import DegenerateWarning, Recordings, StimulusSet, agreeing, counted

if TYPE_CHECKING:  # planning reads attributes and regions, and is not to wait for xarray and pandas
    import xarray as xr

FORMAT = "layerwise recordings"
VERSION = 1
_NOT_PROPERTIES = ("presentation", "stimulus", "repetition", "image", "neuroid", "region", "responses")
_DAMAGED = (
    "copy or import it again; if it was edited, write it anew (`nccopy IN OUT` will do, and leaves the checksum out)"
)
_ADVICE = "write it with layerwise.data.recordings.write_recordings, or set the attributes as its docstring says"


def write_recordings(
    recordings: Recordings,
    path: str | Path,
    images: StimulusSet,
    source: str = "",
    visual_degrees: float | None = None,
) -> None:
    """Write recordings as netCDF4, whole or not at all.

    Repetitions in which a stimulus was not shown take no space; the other responses keep their precision.

    Parameters
    ----------
    recordings : Recordings
        What was recorded.
    path : path
        File to write.
    images : StimulusSet
        The image of each stimulus. The file keeps their folder relative to itself, so both can move together.
    source : str
        Where the recordings come from, for people.
    visual_degrees : float, optional
        Side of the images as they were seen.

    Raises
    ------
    ValueError
        A stimulus has no image, a property has a name that the format uses itself, or images cannot be of this size.
    OSError
        The disk is full.
    """
    path = Path(path).absolute()
    if visual_degrees is not None:
        _check_degrees(visual_degrees, "the recordings")
    taken = sorted(set(recordings.columns) & {*_NOT_PROPERTIES, *(["animal"] if recordings.animals else [])})
    if taken:
        raise ValueError(f"a property of the stimuli cannot be called {taken[0]!r}, a name of the format: rename it")
    folder, names = _relative_images(recordings, images)
    attributes = {
        "format": FORMAT,
        "version": VERSION,
        "images": Path(os.path.relpath(folder, path.parent)).as_posix(),
        "units": recordings.units,
        "source": source,
        **({} if visual_degrees is None else {"visual_degrees": visual_degrees}),
    }
    # The checksums make a damaged disk block an error instead of a wrong response.
    encoding = {"responses": {"zlib": True, "complevel": 4, "shuffle": True, "fletcher32": True}}
    # In memory first: where a disk is full, HDF5 brings the interpreter down.
    content = BytesIO()
    dataset = _dataset(recordings, names).assign_attrs(attributes)
    dataset.to_netcdf(content, engine="h5netcdf", encoding=encoding)
    with atomic_path(path) as temporary:
        temporary.write_bytes(content.getbuffer())
        seal(temporary)


def read_recordings(
    path: str | Path, regions: Sequence[str] | None = None, animals: Sequence[str] | None = None
) -> Recordings:
    """Read recordings.

    Parameters
    ----------
    path : path
        File in the format of this module.
    regions : sequence of str, optional
        Regions whose neuroids are kept; default: all.
    animals : sequence of str, optional
        Animals whose neuroids are kept; default: all.

    Returns
    -------
    Recordings
        With all stimuli of the file, whatever the regions.

    Raises
    ------
    ValueError
        The file is missing, truncated, of another format or newer version; a variable, region or animal is not in it;
        its responses are all NaN, or infinite; two presentations contradict each other; neuroids share an id.
    """
    if is_rdm(path):
        raise ValueError(f"{path} holds distances between stimuli (an RDM), and no responses")
    with _opened(path) as dataset:
        neuroids, labels = _text(dataset, "neuroid", "neuroid"), _text(dataset, "region", "neuroid")
        owners = _animals(dataset)
        kept = _chosen(labels, regions, "region") & _chosen(owners, animals, "animal")
        if not kept.any():
            raise ValueError(f"the animals {', '.join(animals or ())} have no neuroid in {', '.join(regions or ())}")
        _check_unique(neuroids[kept])
        responses = _responses(dataset)[:, kept]
        _check_finite(responses, neuroids[kept])
        stimuli = _text(dataset, "stimulus", "presentation")
        cube, ids = arrange(responses, stimuli, _repetitions(dataset))
        columns, varying = properties_of(_columns(dataset), stimuli)
        return Recordings(
            responses=cube,
            stimuli=ids,
            neuroids=tuple(neuroids[kept].tolist()),
            regions=tuple(labels[kept].tolist()),
            columns=columns,
            units=str(dataset.attrs.get("units", "")),
            animals=tuple(owners[kept].tolist()) if owners.any() else (),
            varying=varying,
        )


def stimuli_of(path: str | Path, folder: str | Path | None = None, name: str | None = None) -> StimulusSet:
    """Find the images of the stimuli of a file of recordings.

    Parameters
    ----------
    path : path
        File in the format of this module.
    folder : path, optional
        Folder of the images; default: the one that the file names.
    name : str, optional
        Name of the set; default: the file's.

    Raises
    ------
    ValueError
        As `read_recordings`; or a stimulus has no image, two images, or one that is not in the folder.
    """
    path = Path(path)
    if is_rdm(path):
        return _stimuli_of_rdm(path, folder, name)
    with _opened(path) as dataset:
        stimuli = _text(dataset, "stimulus", "presentation")
        images = property_of("image", _text(dataset, "image", "presentation", may_be_empty=True), stimuli)
        given = dataset.attrs.get("images")
    if folder is None and given is None:
        raise ValueError(f"{path} does not name the folder of its images: give it in the config, `images: folder`")
    folder = path.parent / str(given) if folder is None else Path(folder)
    ids = np.unique(stimuli).tolist()
    found = find_files(folder, images.tolist())
    _check_images(dict(zip(ids, images.tolist(), strict=True)), folder, found)
    return StimulusSet(name or path.stem, tuple(ids), tuple(found[image] for image in images.tolist()))


def list_regions(path: str | Path) -> tuple[str, ...]:
    """List the regions of a file, in the order in which they first occur; quick, for planning.

    Raises
    ------
    ValueError
        The file is missing, truncated, of another format or newer version, or has no coordinate ``region``.
    """
    return tuple(dict.fromkeys(_labels(path, "region")))


def count_stimuli(path: str | Path) -> int:
    """Count the stimuli of a file; quick, for planning.

    Raises
    ------
    ValueError
        The file is missing, truncated, of another format or newer version, or has no coordinate ``stimulus``.
    """
    return len(set(_labels(path, "stimulus")))


def count_neuroids(path: str | Path) -> int:
    """Count the neuroids of a file, of all its regions; quick, for planning.

    Raises
    ------
    ValueError
        The file is missing, truncated, of another format or newer version, or has no coordinate ``neuroid``.
    """
    return len(_labels(path, "neuroid"))


def list_named_images(path: str | Path) -> set[str]:
    """List the images that a file names, relative to their folder; quick, for planning.

    Raises
    ------
    ValueError
        The file is missing, truncated, of another format or newer version, or has no coordinate ``image``.
    """
    return set(_labels(path, "image")) - {""}


def list_shown(path: str | Path) -> frozenset[tuple[str, str]]:
    """List the stimuli of a file, each with its image; quick, for planning.

    Raises
    ------
    ValueError
        The file is missing, truncated, of another format or newer version, or has no such coordinates.
    """
    return frozenset(zip(_labels(path, "stimulus"), _labels(path, "image"), strict=True))


@dataclass(frozen=True)
class Labels:
    """What a file of recordings says beside the responses.

    Parameters
    ----------
    stimuli : tuple of str
        Ids, sorted.
    images : frozenset of str
        Names that presentations give, relative to the folder of the images.
    regions, animals : tuple of str
        Of each neuroid; no animals where the file does not say.
    columns : mapping of str to array [stimulus]
        The properties that were asked for, and that describe stimuli.
    varying : mapping of str to str
        Those in which the presentations of a stimulus differ, each with a sentence that says where.
    properties : tuple of str
        Names of all properties.
    """

    stimuli: tuple[str, ...]
    images: frozenset[str]
    regions: tuple[str, ...]
    animals: tuple[str, ...]
    columns: Mapping[str, NDArray[np.generic]]
    varying: Mapping[str, str]
    properties: tuple[str, ...]


def read_labels(path: str | Path, wanted: Sequence[str] = ()) -> Labels:
    """Read what a file says beside the responses, without them; quick, for planning.

    Parameters
    ----------
    path : path
        The file.
    wanted : sequence of str
        Properties of the stimuli to read; those that the file lacks are left out.

    Raises
    ------
    ValueError
        The file is missing, truncated, of another format or newer version, or lacks a coordinate that all have.
    """
    stimuli = np.array(_labels(path, "stimulus"), dtype=np.str_)
    properties = _list_properties(path, len(stimuli))
    kept, varying = properties_of({name: _read_property(path, name) for name in wanted if name in properties}, stimuli)
    regions = tuple(_labels(path, "region"))
    return Labels(
        stimuli=tuple(np.unique(stimuli).tolist()),
        images=frozenset(list_named_images(path)),
        regions=regions,
        animals=_animal_labels(path, len(regions)),
        columns=kept,
        varying=varying,
        properties=properties,
    )


def _list_properties(path: str | Path, n_presentations: int) -> tuple[str, ...]:
    with _readable(path) as file:
        along = [name for name, item in file.items() if _lies_along(item, "presentation", n_presentations)]
        return tuple(name for name in along if name not in _NOT_PROPERTIES)


def _lies_along(item: Any, dimension: str, length: int) -> bool:
    """Return whether a member of a file holds labels along a dimension, by its name or else by its length."""
    if not isinstance(item, h5py.Dataset) or not item.ndim or len(item) != length:
        return False
    scales = item.dims[0]
    return not len(scales) or str(scales[0].name).rpartition("/")[2] == dimension


def _read_property(path: str | Path, name: str) -> NDArray[Any]:
    with _readable(path, name) as file:
        item = file[name]
        if item.dtype.kind in "iuf":
            return np.asarray(decode(item[()], dict(item.attrs), f"{name!r}", NEVER_WRITTEN))
    return np.array(_labels(path, name), dtype=np.str_)


def _animal_labels(path: str | Path, n_neuroids: int) -> tuple[str, ...]:
    with _readable(path, "animal") as file:
        known = _lies_along(file.get("animal"), "neuroid", n_neuroids)
    return tuple(_labels(path, "animal")) if known else ()


def read_attributes(path: str | Path) -> dict[str, Any]:
    """Read the attributes of a file; quick, for planning.

    Raises
    ------
    ValueError
        The file is missing, truncated, of another format or newer version.
    """
    if is_rdm(path):
        return {}
    with _readable(path) as file:
        return _attributes(file)


def read_visual_degrees(path: str | Path) -> float | None:
    """Read how large the images were seen, degrees of visual angle; None where the file does not say. Quick.

    Raises
    ------
    ValueError
        As in `read_attributes`; or it is not a number above 0 and up to 360.
    """
    given = read_attributes(path).get("visual_degrees")
    return None if given is None else _check_degrees(given, str(path))


def _check_degrees(given: Any, what: str) -> float:
    try:
        degrees = float(given)
    except (TypeError, ValueError):
        degrees = math.nan
    if not 0 < degrees <= 360:
        raise ValueError(
            f"visual_degrees of {what} is {given!r}, and must be a number above 0 and up to 360: correct it there, or "
            "give `visual_degrees` under the recording in the config"
        )
    return degrees


def average_repetitions(responses: NDArray[np.floating]) -> NDArray[np.float64]:
    """Average over repetitions, leaving out missing trials (as Brain-Score does).

    Parameters
    ----------
    responses : float array [repetition, stimulus, neuroid]
        NaN where a trial is missing.

    Returns
    -------
    float64 array [stimulus, neuroid]
        NaN, with one warning, where every repetition is missing.
    """
    counts = np.sum(~np.isnan(responses), axis=0)
    sums = np.nansum(responses, axis=0, dtype=np.float64)
    missing = int(np.sum(counts == 0))
    if missing:
        warnings.warn(
            f"{missing} of {counts.size} pairs of stimulus and neuroid {agreeing(missing, 'has', 'have')} no response "
            "in any repetition: their mean is NaN",
            DegenerateWarning,
            stacklevel=2,
        )
    means = np.full(counts.shape, np.nan)
    np.divide(sums, counts, out=means, where=counts > 0)
    return means


def leaves_folder(image: str) -> bool:
    """Return whether a name, taken relative to a folder, leads out of it on any system."""
    path = PurePosixPath(image.replace("\\", "/"))
    return path.is_absolute() or ".." in path.parts or bool(PureWindowsPath(image).drive)


_checked: set[tuple[object, ...]] = set()  # files, as they were, and the names of what was looked at


def _check_bytes(path: Path, names: tuple[str, ...] | None) -> None:
    """See that HDF5 can read a file: by its checksum, or by trying in another process to read what has these names."""
    state = path.stat()
    file = path, state.st_size, state.st_mtime_ns
    if _checked & {(*file, names), (*file, None)}:
        return
    if is_sealed(path):
        check_seal(path, _DAMAGED)
        _checked.add((*file, None))
    else:
        try_hdf5(path, names)
        _checked.add((*file, names))


@contextmanager
def _readable(path: str | Path, *names: str, everything: bool = False) -> Iterator[h5py.File]:
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"no file of recordings {path}: check the path in the config")
    check_is_data(path, "recordings", "download or export it again")
    _check_bytes(path, None if everything else names)
    with _damage_named(path), h5py.File(path, "r", locking=False) as file:
        check_format(_attributes(file), path, FORMAT, VERSION, _ADVICE)
        yield file


@contextmanager
def _opened(path: str | Path) -> Iterator["xr.Dataset"]:
    import xarray as xr

    with _readable(path, everything=True):
        pass  # this says what is wrong with a file of another kind
    unlocked = {"locking": False}  # network file systems may have no locks, and nothing is written
    with (
        _damage_named(Path(path)),
        # Times are left as numbers, of which `units = "ms since stimulus"` says nothing that xarray could read; and it
        # would miss a missing_value that is not of the array's own type.
        xr.open_dataset(
            path, engine="h5netcdf", driver_kwds=unlocked, decode_times=False, mask_and_scale=False
        ) as dataset,
    ):
        try:
            yield dataset
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error


@contextmanager
def _damage_named(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, RuntimeError, LookupError, UnicodeError, TypeError) as error:
        reraise_memory(error, f"reading {path}")
        reraise_filter(error, path)
        raise ValueError(f"{path} is truncated, or no netCDF4 file ({error}): copy or export it again") from error
    except ValueError as error:
        if str(path) in str(error):
            raise
        raise ValueError(f"{path} is damaged ({error}): copy or export it again") from error  # so says h5py at times


def _labels(path: str | Path, name: str) -> list[str]:
    """Read a coordinate of labels without xarray; those of distances between stimuli are names of images."""
    if is_rdm(path):
        return list(list_rdm(path)) if name in ("stimulus", "image") else [name]
    with _readable(path, name) as file:
        if name not in file:
            raise ValueError(f"{path} has no coordinate {name!r}: {did_you_mean(name, list(file))}")
        labels = file[name][()]
    if labels.ndim == 2:  # netCDF's older strings: a row of single characters
        labels = [b"".join(row) for row in labels]
    return [label.decode() if isinstance(label, bytes) else str(label) for label in labels]


def _attributes(file: h5py.File) -> dict[str, Any]:
    return {name: _plain_attribute(value) for name, value in file.attrs.items() if not name.startswith("_")}


def _plain_attribute(value: Any) -> Any:
    # Some writers store a number as an array of one, and text as bytes.
    single = value.item() if np.size(value) == 1 and hasattr(value, "item") else value
    return single.decode() if isinstance(single, bytes) else single


def _relative_images(recordings: Recordings, images: StimulusSet) -> tuple[Path, dict[str, str]]:
    paths = {name: path.absolute() for name, path in zip(images.ids, images.paths, strict=True)}
    without = [name for name in recordings.stimuli if name not in paths]
    if without:
        raise ValueError(list_problems(without, "stimulus has", "stimuli have", f"no image in the set {images.name!r}"))
    folder = Path(os.path.commonpath([path.parent for path in paths.values()]))
    return folder, {name: path.relative_to(folder).as_posix() for name, path in paths.items()}


def _dataset(recordings: Recordings, images: dict[str, str]) -> "xr.Dataset":
    import xarray as xr

    shown = ~np.isnan(recordings.responses).all(axis=2)
    shown[0] |= ~shown.any(axis=0)  # a stimulus that was never shown keeps one empty presentation
    repetition, stimulus = np.nonzero(shown)
    ids = np.array(recordings.stimuli, dtype=object)[stimulus]
    on_presentations = {
        "stimulus": ids,
        "repetition": repetition,
        "image": np.array([images[name] for name in ids], dtype=object),
        **{name: _storable(values)[stimulus] for name, values in recordings.columns.items()},
    }
    coordinates = {
        **{name: ("presentation", values) for name, values in on_presentations.items()},
        "neuroid": ("neuroid", np.array(recordings.neuroids, dtype=object)),
        "region": ("neuroid", np.array(recordings.regions, dtype=object)),
        **({"animal": ("neuroid", np.array(recordings.animals, dtype=object))} if recordings.animals else {}),
    }
    return xr.Dataset({"responses": (("presentation", "neuroid"), recordings.responses[shown])}, coordinates)


def _storable(values: NDArray[np.generic]) -> NDArray[Any]:
    values = np.asarray(values)
    return values.astype(object) if values.dtype.kind == "U" else values


def _variable(dataset: "xr.Dataset", name: str, *dimensions: str, fill: float | None = NEVER_WRITTEN) -> NDArray[Any]:
    if name not in dataset.variables:
        known = [str(variable) for variable in dataset.variables]
        raise ValueError(f"it has no {name!r}: {did_you_mean(name, known)}")
    variable = dataset.variables[name]
    if set(variable.dims) != set(dimensions):
        raise ValueError(f"{name!r} has the dimensions {variable.dims}, and must have {dimensions}")
    stored = np.asarray(variable.transpose(*dimensions).values)
    return decode(stored, variable.attrs, f"{name!r}", fill)


def _text(dataset: "xr.Dataset", name: str, dimension: str, may_be_empty: bool = False) -> NDArray[np.str_]:
    values = _variable(dataset, name, dimension)
    words = [value.decode() if isinstance(value, bytes) else str(value) for value in values.tolist()]
    if not may_be_empty and "" in words:
        raise ValueError(f"{name!r} is empty in {words.count('')} places (first: {words.index('')}): fill it in")
    return np.array(words, dtype=np.str_)


def _responses(dataset: "xr.Dataset") -> NDArray[np.floating]:
    values = _variable(dataset, "responses", "presentation", "neuroid", fill=_fill(dataset))
    if values.dtype.kind not in "fiu":
        raise ValueError(f"its responses are of type {values.dtype}, and must be numbers")
    if not values.size:
        raise ValueError(f"its responses are empty: {values.shape[0]} presentations of {values.shape[1]} neuroids")
    return values.astype(np.result_type(values.dtype, np.float32), copy=False)


def _fill(dataset: "xr.Dataset") -> float | None:
    """What responses are where none was written: xarray does not tell."""
    with _readable(dataset.encoding["source"]) as file:
        return fill_of(file["responses"]) if "responses" in file else None


def _repetitions(dataset: "xr.Dataset") -> NDArray[Any] | None:
    if "repetition" not in dataset.variables:
        return None
    values = _variable(dataset, "repetition", "presentation")
    if values.dtype.kind == "f" and np.isnan(values).any():
        raise ValueError("'repetition' is missing in some presentations: number them all, or leave it out")
    return values.astype(np.str_) if values.dtype.kind == "O" else values


def _animals(dataset: "xr.Dataset") -> NDArray[np.str_]:
    """Animal of each neuroid; empty texts where the file does not say."""
    if "animal" not in dataset.variables or dataset.variables["animal"].dims != ("neuroid",):
        return np.full(dataset.sizes["neuroid"], "")
    return _text(dataset, "animal", "neuroid")


def _columns(dataset: "xr.Dataset") -> dict[str, NDArray[Any]]:
    names = [
        str(name)
        for name, variable in dataset.variables.items()
        if variable.dims == ("presentation",) and name not in _NOT_PROPERTIES
    ]
    return {name: _plain(dataset, name) for name in names}


def _plain(dataset: "xr.Dataset", name: str) -> NDArray[Any]:
    values = _variable(dataset, name, "presentation")
    return _text(dataset, name, "presentation", may_be_empty=True) if values.dtype.kind in "OSU" else values


def _chosen(labels: NDArray[np.str_], wanted: Sequence[str] | None, what: str) -> NDArray[np.bool_]:
    if wanted is None:
        return np.ones(len(labels), dtype=bool)
    known = set(labels.tolist()) - {""}
    if not known:
        raise ValueError(f"it does not say of which {what} its neuroids are: it has no coordinate {what!r} on them")
    for name in wanted:
        if name not in known:
            raise ValueError(f"it has no {what} {name!r}: {did_you_mean(name, known)}")
    return np.isin(labels, list(wanted))


def _check_unique(neuroids: NDArray[np.str_]) -> None:
    ids, counts = np.unique(neuroids, return_counts=True)
    if (counts > 1).any():
        twice = ids[counts > 1].tolist()
        raise ValueError(list_problems(twice, "id of a neuroid is", "ids of neuroids are", "given to several"))


def _check_finite(responses: NDArray[np.floating], neuroids: NDArray[np.str_]) -> None:
    infinite = np.isinf(responses)
    if infinite.any():
        first = neuroids[infinite.any(axis=0)][0]
        raise ValueError(
            f"{counted(infinite.sum(), 'response is', 'responses are')} infinite (first neuroid: {first}): mark "
            "missing ones as NaN"
        )
    if np.isnan(responses).all():
        raise ValueError("all of its responses are NaN: export them again")


def _stimuli_of_rdm(path: Path, folder: str | Path | None, name: str | None) -> StimulusSet:
    images, folder = sorted(list_rdm(path)), Path(folder or path.parent)
    found = find_files(folder, images)
    _check_images(dict(zip(images, images, strict=True)), folder, found)
    return StimulusSet(name or path.stem, tuple(images), tuple(found[image] for image in images))


def _check_images(images: dict[str, str], folder: Path, found: Mapping[str, Path]) -> None:
    outside = [f"{stimulus} ({image})" for stimulus, image in images.items() if leaves_folder(image)]
    if outside:
        raise ValueError(
            list_problems(outside, "image lies", "images lie", f"outside the folder {folder}, which none may")
        )
    without = [f"{stimulus} (no image in the file)" for stimulus, image in images.items() if not image]
    missing = [f"{stimulus} ({folder / image})" for stimulus, image in images.items() if image and image not in found]
    if without or missing:
        raise ValueError(list_problems(without + missing, "stimulus has", "stimuli have", "no image file"))
