"""Exports recordings of Brain-Score to the file that layerwise reads, and their images to a folder.

    .venv-brainscore/bin/python workflow/scripts/export_brainscore.py FreemanZiemba2013.public \
        --output data/FreemanZiemba2013.public.nc --images data/FreemanZiemba2013.public

It runs in Brain-Score's own environment (envs/brainscore.lock), which has no layerwise. Public recordings are open to
everybody; for private ones Brain-Score takes the credentials that AWS's usual settings name. Of Papale2025 and
Hebart2023_fmri the responses are public and the images are not: they are images of THINGS, which --images then names
(its folder object_images), and of which no copy is made. --assembly names a file of responses that is here already.
"""

import argparse
import importlib
import os
import re
import shutil
import sys
import tempfile
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

os.environ["BS_INSTALL_DEPENDENCIES"] = "no"  # else loading a data set runs an installer
os.environ.setdefault("RESULTCACHING_DISABLE", "1")

import numpy as np

FORMAT = "layerwise recordings"
VERSION = 1
RANK = "brainscore_rank"
OWN_NAMES = ("presentation", "stimulus", "repetition", "image", "neuroid", "region", "responses", RANK)


@dataclass(frozen=True)
class Protocol:
    """What Brain-Score's benchmarks do with a data set.

    Parameters
    ----------
    window : tuple of two int
        Start and end of the responses that are averaged, milliseconds after the onset of the stimulus.
    visual_degrees : float
        Side of the images.
    stratum : str
        The property whose shares are kept equal when stimuli are split.
    above : tuple of str and float, optional
        A property of neuroids, and what it must be above.
    things : bool
        Whether the images are those of THINGS, which Brain-Score may not give.
    """

    window: tuple
    visual_degrees: float
    stratum: str
    above: tuple = ()
    things: bool = False


PROTOCOLS = {
    "FreemanZiemba2013": Protocol((50, 200), 4, "texture_type"),
    "MajajHong2015": Protocol((70, 170), 8, "object_name"),
    "Papale2025_train": Protocol((70, 170), 18, "object_name", ("reliability", 0.3), things=True),
    "Papale2025_test": Protocol((70, 170), 18, "object_name", ("reliability", 0.3), things=True),
    "Hebart2023_fmri_train": Protocol((70, 170), 10, "object_name", ("nc_testset", 30), things=True),
    "Hebart2023_fmri_test": Protocol((70, 170), 10, "object_name", ("nc_testset", 30), things=True),
}


def find_protocol(identifier, window=None, visual_degrees=None, stratum=None):
    """Return the protocol of a data set; what is given goes before what is known.

    Raises
    ------
    ValueError
        The data set is not known and not all of its protocol is given.
    """
    known = PROTOCOLS.get(identifier.split(".")[0])
    if known is None and None in (window, visual_degrees, stratum):
        raise ValueError(
            f"the protocol of {identifier!r} is not known (known: {', '.join(PROTOCOLS)}): give --window START STOP, "
            "--visual-degrees and --stratum"
        )
    if known is None:
        return Protocol(tuple(window), visual_degrees, stratum)
    given = {"window": window and tuple(window), "visual_degrees": visual_degrees, "stratum": stratum}
    return replace(known, **{name: value for name, value in given.items() if value})


def export(assembly, stimulus_set, protocol, output, images, source):
    """Write the recordings and copy their images; the recordings come last, so a file there is whole.

    Parameters
    ----------
    assembly : NeuroidAssembly [presentation, neuroid] or [presentation, neuroid, time_bin]
        With coordinates stimulus_id, repetition and the properties of stimuli on the presentations, and neuroid_id
        and region on the neuroids.
    stimulus_set : StimulusSet or None
        Finds the image of a stimulus; None where they are those of THINGS, in `images`.
    protocol : Protocol
        Time window, visual angle and stratum.
    output, images : path
        File and folder to write; or of THINGS, the folder in which they are.
    source : str
        Where the recordings come from.

    Raises
    ------
    ValueError
        The assembly lacks a coordinate or a time bin, a stimulus has no image, or presentations of one stimulus
        differ in their properties.
    """
    output, images = Path(output).absolute(), Path(images).absolute()
    assembly.load()  # what Brain-Score opened is still on disk
    assembly = average_window(assembly, protocol.window).transpose("presentation", "neuroid")
    if protocol.above:
        assembly = reliable(assembly, *protocol.above)
    coordinates = presentation_coordinates(assembly)
    missing = {"stimulus_id", "repetition", protocol.stratum} - set(coordinates)
    if missing:
        raise ValueError(
            f"the presentations have no {sorted(missing)[0]!r}; they have: {', '.join(sorted(coordinates))}"
        )
    stimuli = coordinates.pop("stimulus_id").astype(str)
    columns = {
        "stimulus": stimuli,
        "repetition": coordinates.pop("repetition"),
        **({RANK: rank(assembly, stimuli)} if stimulus_set is not None else {}),  # of THINGS no splits are drawn
        **properties(coordinates, stimuli),
    }
    ids = np.unique(coordinate_values(assembly, "stimulus_id"))
    names = copy_images(stimulus_set, ids, images) if stimulus_set is not None else find_things(ids, images)
    columns["image"] = np.array([names[stimulus] for stimulus in stimuli])
    attributes = {
        "format": FORMAT,
        "version": VERSION,
        "images": Path(os.path.relpath(images, output.parent)).as_posix(),
        "units": "as in Brain-Score",
        "source": source,
        "visual_degrees": float(protocol.visual_degrees),
        "stratum": protocol.stratum,
        "window_ms": "{}-{}".format(*protocol.window),
    }
    with whole_file(output) as temporary:
        write(temporary, assembly.values, columns, name_neuroids(assembly), attributes)


def average_window(assembly, window):
    """Average the time bins of a window; an assembly without time bins, or with a single one, has none to average.

    Raises
    ------
    ValueError
        The bins do not fill the window exactly.
    """
    if "time_bin" not in assembly.dims:
        return assembly
    start, stop = (np.asarray(assembly[f"time_bin_{end}"].values) for end in ("start", "end"))
    inside = (start >= window[0]) & (stop <= window[1])
    if np.sum((stop - start)[inside]) != window[1] - window[0] or len(np.unique(start[inside])) < inside.sum():
        raise ValueError(
            f"the time bins ({len(start)} from {start.min()} to {stop.max()} ms) do not fill the window "
            f"{window[0]}-{window[1]} ms: choose another window"
        )
    return assembly.isel(time_bin=np.flatnonzero(inside)).mean(dim="time_bin", keep_attrs=True)


def reliable(assembly, name, least):
    """Keep the neuroids of which a property is above a number, as Brain-Score's benchmark does.

    Raises
    ------
    ValueError
        They have no such property, or none is above it.
    """
    if name not in assembly.coords:
        raise ValueError(
            f"the neuroids have no {name!r}, so this is another assembly: take Brain-Score's file as it is"
        )
    kept = np.flatnonzero(coordinate_values(assembly, name).astype(float) > least)
    if not len(kept):
        raise ValueError(f"no neuroid has a {name} above {least}: take Brain-Score's file as it is")
    return assembly.isel(neuroid=kept)


def rank(assembly, stimuli):
    """Position of each presentation's stimulus in the order on which Brain-Score draws its splits.

    That is the order after averaging over repetitions. Brain-Score groups by all coordinates of the presentations, and
    which of them comes first differs between data sets.
    """
    from brainscore_vision.benchmark_helpers.neural_common import average_repetition

    order = average_repetition(assembly.isel(neuroid=[0]))["stimulus_id"].values.astype(str)
    if len(order) != len(np.unique(stimuli)):
        twice, _ = Counter(order.tolist()).most_common(1)[0]
        raise ValueError(
            f"presentations of one stimulus ({twice!r}, for one) differ in their properties, so Brain-Score would not "
            "average them: drop the coordinate in which they differ"
        )
    places = {stimulus: place for place, stimulus in enumerate(order.tolist())}
    return np.array([places[stimulus] for stimulus in stimuli], dtype=np.int64)


def presentation_coordinates(assembly):
    """All coordinates of the presentations, by name."""
    if "presentation" not in assembly.indexes:  # as its file has them
        return {
            str(name): np.asarray(values)
            for name, values in assembly.coords.items()
            if values.dims == ("presentation",)
        }
    from brainscore_core.supported_data_standards.brainio.assemblies import walk_coords

    return {name: np.asarray(values) for name, dims, values in walk_coords(assembly) if dims == ("presentation",)}


def coordinate_values(assembly, name):
    """Values of a coordinate."""
    return np.asarray(assembly[name].values)


def properties(coordinates, stimuli):
    """Keep what describes stimuli: coordinates that all presentations of a stimulus agree in."""
    _, first, rows = np.unique(stimuli, return_index=True, return_inverse=True)
    kept = {}
    for name, values in coordinates.items():
        plain = plain_values(values)
        differs = (plain != plain[first][rows]) & ~((plain != plain) & (plain[first][rows] != plain[first][rows]))
        if name in OWN_NAMES or differs.any():
            print(f"left out: the coordinate {name!r}", file=sys.stderr)
        else:
            kept[name] = plain
    return kept


def plain_values(values):
    """Numbers as they are, truth values as 0 and 1, all else as text."""
    if values.dtype.kind == "b":
        return values.astype(np.int8)
    return values if values.dtype.kind in "fiu" else values.astype(str)


def name_neuroids(assembly):
    """Ids that are unique in the file (V1 and V2 may both count from 1), regions and, where they are known, animals.

    Animals are called subjects in some assemblies, and neuroids may be counted anew in each.

    Raises
    ------
    ValueError
        Two neuroids of a region share an id.
    """
    regions = coordinate_values(assembly, "region").astype(str)
    ids = coordinate_values(assembly, "neuroid_id").astype(str)
    animals = animals_of(assembly)
    if len(np.unique(ids)) < len(ids):
        ids = np.array([f"{region}-{name}" for region, name in zip(regions, ids, strict=True)])
    if len(np.unique(ids)) < len(ids) and animals is not None:
        ids = np.array([f"{animal}-{name}" for animal, name in zip(animals, ids, strict=True)])
    name, count = Counter(ids.tolist()).most_common(1)[0]
    if count > 1:
        raise ValueError(f"{count} neuroids share the id {name!r}")
    return {"neuroid": ids, "region": regions, **({} if animals is None else {"animal": animals})}


def animals_of(assembly):
    """Animal or person of each neuroid; None where the assembly does not say."""
    for name in ("animal", "subject"):
        try:
            found = assembly[name]  # also a level of an index, which is not among the assembly's coordinates
        except KeyError:
            continue
        if found.dims == ("neuroid",):
            return found.values.astype(str)
    return None


def find_things(ids, folder):
    """Find the images of THINGS by their ids; gives their names in the folder by id.

    Raises
    ------
    ValueError
        An image is not there.
    """
    names = {str(stimulus): f"{str(stimulus).rsplit('_', 1)[0]}/{stimulus}.jpg" for stimulus in ids}
    missing = [name for name in names.values() if not (folder / name).is_file()]
    if missing:
        raise ValueError(
            f"{len(missing)} of {len(names)} images of THINGS are not in {folder} (first: {missing[0]}): unpack "
            "images_THINGS.zip, and give its folder object_images with --images"
        )
    return names


def copy_images(stimulus_set, ids, folder):
    """Copy the image of each stimulus under a name of its own; gives the names by id.

    Raises
    ------
    ValueError
        A stimulus has no image file.
    """
    paths = {str(stimulus): Path(stimulus_set.get_stimulus(stimulus)) for stimulus in ids}
    missing = [stimulus for stimulus, path in paths.items() if not path.is_file()]
    if missing:
        raise ValueError(f"{len(missing)} stimuli have no image, such as {missing[0]!r} ({paths[missing[0]]})")
    names = {stimulus: re.sub(r"[^\w.()+-]", "_", path.name) for stimulus, path in paths.items()}
    if len({name.lower() for name in names.values()}) < len(names):
        names = {stimulus: f"{place:06d}-{name}" for place, (stimulus, name) in enumerate(names.items())}
    folder.mkdir(parents=True, exist_ok=True)
    for stimulus, path in paths.items():
        with whole_file(folder / names[stimulus]) as temporary:
            shutil.copyfile(path, temporary)
    return names


@contextmanager
def whole_file(target):
    """Yield a temporary path that becomes the target only if all goes well."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".export-") as folder:
        temporary = Path(folder) / target.name
        yield temporary
        temporary.replace(target)


def require_file(output):
    """Refuse what is no file, such as a device, which renaming would replace.

    Raises
    ------
    ValueError
        It is something else, or lies below something else than a folder.
    """
    above = next(folder for folder in output.absolute().parents if folder.exists())
    if (output.exists() and not output.is_file()) or not above.is_dir():
        raise ValueError(f"{output} cannot be written, since it, or a folder of it, is something else: name a file")


def write(path, responses, presentations, neuroids, attributes):
    """Write netCDF4: responses in their own precision, with checksums.

    Parameters
    ----------
    path : path
        File to write.
    responses : array [presentation, neuroid]
        NaN where nothing was recorded.
    presentations, neuroids : dict of str to array
        Coordinates of the two dimensions.
    attributes : dict
        Of the file.
    """
    import netCDF4

    checked = {"zlib": True, "complevel": 4, "shuffle": True, "fletcher32": True}
    responses = np.asarray(responses)
    responses = responses if responses.dtype.kind == "f" else responses.astype(np.float64)
    with netCDF4.Dataset(path, "w", format="NETCDF4") as file:
        for name, value in attributes.items():
            (file.setncattr_string if isinstance(value, str) else file.setncattr)(name, value)
        for dimension, size in zip(("presentation", "neuroid"), responses.shape, strict=True):
            file.createDimension(dimension, size)
        file.createVariable("responses", responses.dtype, ("presentation", "neuroid"), **checked)[:] = responses
        for dimension, columns in (("presentation", presentations), ("neuroid", neuroids)):
            for name, values in columns.items():
                values = plain_values(np.asarray(values))
                text = values.dtype.kind == "U"
                variable = file.createVariable(name, str if text else values.dtype, (dimension,))
                variable[:] = values.astype(object) if text else values


def not_installed(error):
    """Say what to do where an import failed, since this is another environment than Brain-Score's."""
    return (
        f"Brain-Score is not installed here ({error}): `make .venv-brainscore/installed` sets up an environment for "
        "it, whose Python runs this script"
    )


def load(identifier):
    """Load recordings and stimulus set from Brain-Score.

    Raises
    ------
    ValueError
        This is not Brain-Score's environment.
    """
    try:
        from brainscore_vision import load_dataset
    except ImportError as error:
        raise ValueError(not_installed(error)) from error
    assembly = load_dataset(identifier)
    return assembly, assembly.attrs["stimulus_set"]


def load_alone(identifier, path=None):
    """Load recordings without their images, from Brain-Score or from a file that is here.

    Raises
    ------
    ValueError
        This is not Brain-Score's environment, or the file is not Brain-Score's.
    """
    import xarray as xr

    if path is None:
        path = fetch_alone(identifier)
    if not Path(path).is_file():
        raise ValueError(f"no file {path}: check the path that --assembly gives")
    try:
        assembly = xr.load_dataarray(path)
    except (OSError, ValueError, RuntimeError) as error:
        raise ValueError(f"{path} is no assembly in netCDF ({error}): download it again") from error
    missing = {"presentation", "neuroid"} - set(assembly.dims)
    if missing or not {"stimulus_id", "neuroid_id", "region"} <= set(assembly.coords):
        raise ValueError(
            f"{path} is no assembly of Brain-Score's (its dimensions: {', '.join(map(str, assembly.dims))})"
        )
    return assembly


def fetch_alone(identifier):
    """Have Brain-Score download the file of responses, and return where it lies.

    Raises
    ------
    ValueError
        This is not Brain-Score's environment.
    """
    try:
        import brainscore_vision
        from brainscore_core.supported_data_standards.brainio import s3
    except ImportError as error:
        raise ValueError(f"{not_installed(error)}; or give the file of responses with --assembly") from error
    module = importlib.import_module(f"brainscore_vision.data.{identifier.rsplit('_', 1)[0].lower()}")
    found = []

    def fetch(identifier, version_id, sha1, bucket, **others):
        name, _, folder = bucket.partition("/")
        found.append(s3.get_path(identifier, "nc", name, version_id, sha1, folder_name=folder or None))

    module.load_assembly_from_s3 = fetch  # which would fetch the images, too
    brainscore_vision.data_registry[identifier]()
    return found[0]


def parse(arguments):
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("identifier", help="such as FreemanZiemba2013.public or MajajHong2015.public")
    parser.add_argument("--output", type=Path, required=True, help="netCDF file to write")
    parser.add_argument("--images", type=Path, required=True, help="folder for the images; or THINGS' object_images")
    parser.add_argument("--assembly", type=Path, help="file of responses to images of THINGS, if it is here")
    parser.add_argument("--window", type=int, nargs=2, metavar=("START", "STOP"), help="milliseconds")
    parser.add_argument("--visual-degrees", type=float, help="side of the images")
    parser.add_argument("--stratum", help="property whose shares are kept equal in splits")
    return parser.parse_args(arguments)


def main(arguments=None):
    """Export one data set."""
    given = parse(arguments)
    try:
        require_file(given.output)
        protocol = find_protocol(given.identifier, given.window, given.visual_degrees, given.stratum)
        if given.assembly and not protocol.things:
            raise ValueError("--assembly is for responses to images of THINGS: leave it out")
        assembly, stimulus_set = (
            (load_alone(given.identifier, given.assembly), None) if protocol.things else load(given.identifier)
        )
        source = f"Brain-Score, {given.identifier}"
        export(assembly, stimulus_set, protocol, given.output, given.images, source)
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
