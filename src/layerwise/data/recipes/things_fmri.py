"""THINGS-fMRI: V1, V2, V4 and IT of three people who saw 8,640 images of THINGS once, and 100 twelve times.

Hebart et al. (2023), as tables ("betas_csv"). Regions are Brain-Score's: V4 is hV4, and IT is nine of Glasser's areas.
A voxel of two regions stands in both.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from layerwise.data.recipes.files import dataset, find_file, numbers, opened_hdf5, read_csv, read_rows
from layerwise.data.recipes.recipe import UNKNOWN, Fact, Recipe, Recorded, compared
from layerwise.data.recipes.things import IMAGES, concept_of, memorability_of, record
from layerwise.interfaces import counted

PERSONS = ("01", "02", "03")
CEILING = 30.0  # per cent of the variance of the test images, strictly above; Brain-Score's threshold
DEGREES = 10.0
_AREAS = ("TE1p", "TE2p", "FFC", "VVC", "VMV2", "VMV3", "PHA1", "PHA2", "PHA3")
REGIONS = {"V1": ("V1",), "V2": ("V2",), "V4": ("hV4",), "IT": tuple(f"glasser-{area}" for area in _AREAS)}
PUBLISHED = {
    "01": {"V1": 385, "V2": 257, "V4": 152, "IT": 250},
    "02": {"V1": 356, "V2": 278, "V4": 225, "IT": 389},
    "03": {"V1": 174, "V2": 131, "V4": 101, "IT": 120},
}
IN_REGIONS = 18_394  # voxels of the four regions, of all three
VOXELS = 211_339  # of the first person
_VALUES = "ResponseData/block{}_values"
_FILES = ("ResponseData.h5", "StimulusMetadata.csv", "VoxelMetadata.csv")


@dataclass(frozen=True)
class Person:
    """What is kept of one person.

    Parameters
    ----------
    betas : float32 array [trial, voxel]
    trials : DataFrame
        Names of images, and whether they train or test.
    neuroids, regions : tuple of str
    facts : list of Fact
    shared : int
        Voxels that are in two regions.
    """

    betas: NDArray[np.float32]
    trials: pd.DataFrame
    neuroids: tuple[str, ...]
    regions: tuple[str, ...]
    facts: list[Fact]
    shared: int


def names_of(folder: Path) -> tuple[str, ...]:
    """Name all images of THINGS-fMRI, by the table of any person."""
    path = find_file(folder, *(name for person in PERSONS for name in _places(person, _FILES[1])))
    return tuple(dict.fromkeys(_read_trials(path, path.name[4:6])["stimulus"]))


def read_all(folder: Path, images: Path | None) -> Recorded:
    """Read the responses to all images, those of the test part averaged, with the property `set`."""
    people, notes = _read(folder)
    names = list(dict.fromkeys(people[0].trials["stimulus"]))
    means = [_average(person, names) for person in people]
    notes.append(
        "one response an image, so no ceilings: with room for 12 repetitions of each image the file would be "
        "nearly all empty; things-fmri-test keeps those of the test images, for ceilings of the same voxels and images"
    )
    return _recorded(names, np.concatenate(means, axis=1)[None], people, (folder, images), notes)


def read_test(folder: Path, images: Path | None) -> Recorded:
    """Read the responses to the test images, repetition by repetition."""
    people, notes = _read(folder)
    trials = people[0].trials
    names = list(dict.fromkeys(trials["stimulus"][trials["trial_type"] == "test"]))
    cubes = [_repeat(person, names) for person in people]
    most = max(len(cube) for cube in cubes)
    padded = [np.pad(cube, ((0, most - len(cube)), (0, 0), (0, 0)), constant_values=np.nan) for cube in cubes]
    return _recorded(names, np.concatenate(padded, axis=2), people, (folder, images), notes)


def _read(folder: Path) -> tuple[list[Person], list[str]]:
    there = [name for name in PERSONS if any((folder / place).exists() for place in _places(name, _FILES[0]))]
    people = [
        _read_person(name, *(find_file(folder, *_places(name, file)) for file in _FILES)) for name in there or PERSONS
    ]
    notes = [f"there is no sub-{name}_ResponseData.h5: sub-{name} is left out" for name in PERSONS if name not in there]
    shared = sum(person.shared for person in people)
    notes += [f"{counted(shared, 'voxel is', 'voxels are')} in two regions: taken in both"] if shared else []
    kinds = [set(zip(person.trials["stimulus"], person.trials["trial_type"], strict=True)) for person in people]
    for name, kind in zip(there, kinds, strict=True):
        if kind != kinds[0]:
            raise ValueError(
                f"sub-{name} in {folder} was shown other images than sub-{there[0]}, and the authors' three saw "
                "the same: take their tables of stimuli as they are"
            )
    return people, notes


def _places(person: str, file: str) -> tuple[str, str]:
    name = f"sub-{person}_{file}"
    return f"betas_csv/{name}", name


def _read_person(name: str, responses: Path, stimuli: Path, voxels: Path) -> Person:
    trials, table = _read_trials(stimuli, name), _read_voxels(voxels, name)
    ceilings = numbers(table, "nc_testset", voxels)
    inside = {region: _inside(table, columns, voxels) for region, columns in REGIONS.items()}
    kept = {region: np.flatnonzero(member & (ceilings > CEILING)) for region, member in inside.items()}
    rows = np.concatenate(list(kept.values()))
    if not len(rows):
        raise ValueError(
            f"no voxel of a region in {voxels} has nc_testset above {CEILING:g} %: it is not the authors' file"
        )
    ids = table["voxel_id"].str.strip()
    with opened_hdf5(responses) as file:
        wanted, place = np.unique(rows, return_inverse=True)
        betas = _read_betas(file, ids, len(trials), wanted, responses)[place]
    counts = np.sum(list(inside.values()), axis=0)
    facts = [compared(f"sub-{name}, voxels", len(table), VOXELS)] if name == "01" else []
    facts += [
        compared(f"sub-{name}, {region}: voxels with a noise ceiling above 30 %", len(found), PUBLISHED[name][region])
        for region, found in kept.items()
    ]
    labels = [(f"sub-{name}-{region}-{ids.iloc[row]}", region) for region, found in kept.items() for row in found]
    neuroids, regions = zip(*labels, strict=True)
    return Person(betas.T, trials, neuroids, regions, facts, int(np.sum(counts > 1)))


def _read_trials(path: Path, name: str) -> pd.DataFrame:
    """Read what was shown, a row a trial, in the order of the columns of responses."""
    table = read_csv(path, "trial", ["trial_type", "subject_id", "trial_id", "stimulus", "concept"])
    _check_person(table, path, name)
    table = table.apply(lambda column: column.str.strip())
    if (np.diff(numbers(table, "trial_id", path)) <= 0).any():
        raise ValueError(
            f"the trials of {path} were sorted anew (trial_id does not ascend): take the authors' file as it is"
        )
    strange = set(table["trial_type"]) - {"train", "test"}
    if strange:
        raise ValueError(
            f"{path} has trials of the type {min(strange)!r}, and not train or test: it is not the authors' file"
        )
    wrong = [
        a
        for a, b in zip(table["stimulus"], table["concept"], strict=True)
        if concept_of(a) != b or not a.endswith(".jpg")
    ]
    if wrong:
        raise ValueError(
            f"{path} has {wrong[0]!r} beside another concept: its columns were shifted, so take the authors' file"
        )
    return pd.DataFrame(table.reset_index(drop=True))


def _read_voxels(path: Path, name: str) -> pd.DataFrame:
    table = read_csv(path, "voxel", ["voxel_id", "subject_id", "nc_testset"])
    _check_person(table, path, name)
    return table


def _check_person(table: pd.DataFrame, path: Path, name: str) -> None:
    """Refuse another person's table: ids may be 1, 01 or sub-01."""
    for text in table["subject_id"].unique():
        digits = str(text).strip().removeprefix("sub-")
        if not digits.isdecimal() or int(digits) != int(name):
            raise ValueError(
                f"{path} is of the person {text!r} and not of sub-{name}: lay each person's file under its name"
            )


def _inside(table: pd.DataFrame, wanted: tuple[str, ...], path: Path) -> NDArray[np.bool_]:
    """Whether each voxel is in a region, of one or several columns of 0 and 1."""
    names = {str(name).strip().lower().replace("_", "-"): str(name) for name in table.columns}
    member = np.zeros(len(table), bool)
    for column in wanted:
        if column.lower() not in names:
            raise ValueError(f"{path} has no column {column!r} of regions, so it is not the authors' file")
        values = np.nan_to_num(numbers(table, names[column.lower()], path))
        if not np.isin(values, (0, 1)).all():
            raise ValueError(
                f"the column {column!r} of {path} holds other numbers than 0 and 1: it is not the authors' file"
            )
        member |= values == 1
    return member


def _read_betas(
    file: h5py.File, ids: pd.Series, n_trials: int, rows: NDArray[np.intp], path: Path
) -> NDArray[np.float32]:
    """Read the rows of voxels [voxel, trial] from the block of pandas that has a column for each trial."""
    blocks = list(_blocks(file))
    for block in blocks:  # pandas keeps columns of whole numbers, as voxel_id, in a block of their own
        if block.shape == (len(ids), 1) and not np.array_equal(block[:, 0].astype(str), _whole(ids)):
            raise ValueError(f"the voxels in {path} are not those of VoxelMetadata.csv: take the files of one person")
    shapes = [block.shape for block in blocks]
    if (len(ids), n_trials) in shapes:
        return read_rows(blocks[shapes.index((len(ids), n_trials))], rows)
    if (len(ids), n_trials + 1) in shapes:
        values = read_rows(blocks[shapes.index((len(ids), n_trials + 1))], rows)
        expected = pd.to_numeric(ids.iloc[rows]).to_numpy(np.float32)
        same = [column for column in (0, n_trials) if np.array_equal(values[:, column], expected)]
        if same:
            return np.delete(values, same[0], axis=1)
    raise ValueError(
        f"{path} holds arrays of the shapes {shapes}, and none has {len(ids)} voxels by {n_trials} trials, as the "
        "tables beside it say: take the three files of one person as they are"
    )


def _blocks(file: h5py.File) -> Iterator[h5py.Dataset]:
    number = 0
    while isinstance(file.get(_VALUES.format(number)), h5py.Dataset):
        yield dataset(file, _VALUES.format(number), None, None)
        number += 1
    if not number:
        raise ValueError(f"{file.filename} has no 'ResponseData' as pandas writes it: it is not the authors' file")


def _whole(ids: pd.Series) -> NDArray[np.str_]:
    return pd.to_numeric(ids).astype(np.int64).to_numpy().astype(str)


def _average(person: Person, names: list[str]) -> NDArray[np.float32]:
    """Mean of the trials of each image [image, voxel]."""
    place = {name: row for row, name in enumerate(names)}
    rows = np.array([place[name] for name in person.trials["stimulus"]])
    sums = np.zeros((len(names), person.betas.shape[1]))
    np.add.at(sums, rows, person.betas)
    return (sums / np.bincount(rows, minlength=len(names))[:, None]).astype(np.float32)


def _repeat(person: Person, names: list[str]) -> NDArray[np.float32]:
    """Trials of some images [repetition, image, voxel], in the order in which they were shown."""
    shown = person.trials["stimulus"].to_numpy()
    trials = [np.flatnonzero(shown == name) for name in names]
    cube = np.full((max(map(len, trials)), len(names), person.betas.shape[1]), np.nan, np.float32)
    for image, rows in enumerate(trials):
        cube[: len(rows), image] = person.betas[rows]
    return cube


def _recorded(
    names: list[str],
    responses: NDArray[np.float32],
    people: list[Person],
    folders: tuple[Path, Path | None],
    notes: list[str],
) -> Recorded:
    """Order responses [repetition, image, voxel] by the ids of their images."""
    trials = people[0].trials
    kinds = dict(zip(trials["stimulus"], trials["trial_type"], strict=True))
    neuroids = (
        tuple(neuroid for person in people for neuroid in person.neuroids),
        tuple(region for person in people for region in person.regions),
        tuple(neuroid[:6] for person in people for neuroid in person.neuroids),
    )
    parts = np.array([kinds[name] for name in names])
    recordings, stimuli = record(responses, names, parts, neuroids, folders, "betas of single trials")
    counts = trials["trial_type"].value_counts()
    facts = [
        compared("training trials", int(counts.get("train", 0)), 8640),
        compared("test trials", int(counts.get("test", 0)), 1200),
        compared("test images", sum(kind == "test" for kind in kinds.values()), 100),
    ]
    return Recorded(recordings, stimuli, DEGREES, facts + [fact for person in people for fact in person.facts], notes)


ALL = Recipe(
    name="things-fmri",
    about="V1, V2, V4, IT of three people: 8,640 images seen once and the means of 100, told apart by `set`",
    make=read_all,
    gives="recordings",
    needs=(*(f"betas_csv/sub-{name}_{file}" for name in PERSONS for file in _FILES), IMAGES),
    host="figshare+ (THINGS-data: fMRI single trial responses, table format); images: OSF jum2f",
    licence=UNKNOWN,
    size="16.6 GB a person, if the numbers are of 64 bits; images 4.7 GB",
    paper="Hebart, Contier, Teichmann et al. (2023), eLife 12, doi 10.7554/eLife.82580",
    cites=("hebart2023", "hebart2019"),
)
TEST = replace(
    ALL,
    name="things-fmri-test",
    about="V1, V2, V4, IT of three people: the 100 test images, 12 repetitions",
    make=read_test,
)
MEMORABILITY = memorability_of(
    "things-fmri-memorability",
    "memorability of the 8,740 images of THINGS-fMRI",
    ("betas_csv/sub-01_StimulusMetadata.csv (or of another person)",),
    names_of,
)
