"""TVSD: V1, V4 and IT of two macaques that saw 22,248 images of THINGS once, and 100 thirty times.

Papale, Wang, Self & Roelfsema (2025). Responses are means over a window of each region, and already normalised by day.
Monkey F's electrodes are V1, IT, V4 in the order of the array, monkey N's V1, V4, IT.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from layerwise.data.recipes.files import check_unique, dataset, find_file, opened_hdf5, slices
from layerwise.data.recipes.recipe import Fact, Recipe, Recorded, compared
from layerwise.data.recipes.things import IMAGES, concept_of, memorability_of, record

N_ELECTRODES = 1024
RELIABLE = 0.3  # the paper's and Brain-Score's threshold: of the mean over all pairs of repetitions, strictly above
DEGREES = 18.0  # 500 pixels: 17.3 degrees for monkey N and 18.6 for F; Brain-Score says 18
REGIONS = {
    "F": {"V1": (0, 512), "V4": (832, 1024), "IT": (512, 832)},
    "N": {"V1": (0, 512), "V4": (512, 768), "IT": (768, 1024)},
}
PUBLISHED = {"F": {"V1": 332, "V4": 117, "IT": 157}, "N": {"V1": 410, "V4": 198, "IT": 141}}
FULL = (22_248, 100)
_FIRST_OF_N = (0.197251, -0.363297, -0.174299)  # of the first three electrodes for aardvark_01b
_MEANS_OF_N = {"V1": -0.409440, "V4": -0.041298, "all": -0.149905}  # of electrodes, for the same image
_OF_F = {"mean": 0.020, "standard deviation": 0.443, "minimum": -2.59, "maximum": 71.0}  # of all of train_MUA
_LISTS = ("train_imgs", "test_imgs")
_READ = ("train_MUA", "test_MUA_reps", "reliab")
_NEEDS = tuple(
    f"monkey{monkey}/{name}" for monkey in REGIONS for name in ("THINGS_normMUA.mat (194 MB)", "_logs/things_imgs.mat")
)


@dataclass(frozen=True)
class Lists:
    """Names of the images of the training and the test part, in the order of the rows."""

    train: tuple[str, ...]
    test: tuple[str, ...]


@dataclass(frozen=True)
class Monkey:
    """What is kept of one monkey.

    Parameters
    ----------
    train : float32 array [image, electrode]
    test : float32 array [repetition, image, electrode]
        Of the reliable electrodes, ordered by region.
    neuroids, regions : tuple of str
    facts : list of Fact
    """

    train: NDArray[np.float32]
    test: NDArray[np.float32]
    neuroids: tuple[str, ...]
    regions: tuple[str, ...]
    facts: list[Fact]


def read_lists(path: Path) -> Lists:
    """Read which images were shown: text in UTF-16, behind references.

    Raises
    ------
    ValueError
        It is another file; or a list is in another order than the rows, names an image twice or one of the other list.
    """
    with opened_hdf5(path) as file:
        train, test = (_names(file, path, name) for name in _LISTS)
    check_unique([*train, *test], str(path))
    return Lists(train, test)


def names_of(folder: Path) -> tuple[str, ...]:
    """Name all images of TVSD, by the list of either monkey."""
    lists = read_lists(find_file(folder, *(f"monkey{monkey}/_logs/things_imgs.mat" for monkey in REGIONS)))
    return (*lists.train, *lists.test)


def read_all(folder: Path, images: Path | None) -> Recorded:
    """Read the responses to all images, those of the test part averaged, with the property `set`."""
    lists, monkeys, notes = _read(folder)
    names = (*lists.train, *lists.test)
    rows = [np.concatenate([monkey.train, np.nanmean(monkey.test, axis=0)]) for monkey in monkeys]
    parts = np.repeat(["train", "test"], [len(lists.train), len(lists.test)])
    notes.append(
        "one response an image, so no ceilings: with room for 30 repetitions of each image the file would be "
        "nearly all empty; tvsd-test keeps those of the test images, for ceilings of the same electrodes and images"
    )
    return _recorded(names, np.concatenate(rows, axis=1)[None], parts, monkeys, (folder, images), notes)


def read_test(folder: Path, images: Path | None) -> Recorded:
    """Read the responses to the test images, repetition by repetition."""
    lists, monkeys, notes = _read(folder)
    responses = np.concatenate([monkey.test for monkey in monkeys], axis=2)
    parts = np.repeat("test", len(lists.test))
    return _recorded(lists.test, responses, parts, monkeys, (folder, images), notes)


def _read(folder: Path) -> tuple[Lists, list[Monkey], list[str]]:
    there = [name for name in REGIONS if (folder / f"monkey{name}").is_dir()] or list(REGIONS)
    notes = [f"there is no folder monkey{name}: it is left out" for name in REGIONS if name not in there]
    lists = {name: read_lists(find_file(folder, f"monkey{name}/_logs/things_imgs.mat")) for name in there}
    if len(set(lists.values())) > 1:
        raise ValueError(
            f"the lists of images of the two monkeys in {folder} differ, and the authors' are equal: take both "
            "_logs/things_imgs.mat as they are"
        )
    known = lists[there[0]]
    monkeys = [_read_monkey(name, find_file(folder, f"monkey{name}/THINGS_normMUA.mat"), known) for name in there]
    if len(monkeys) == 2 and np.array_equal(monkeys[0].train[:, :1], monkeys[1].train[:, :1]):
        raise ValueError(f"{folder}: monkeyF and monkeyN hold the same responses: one of them is the other's file")
    return known, monkeys, notes


def _read_monkey(name: str, path: Path, lists: Lists) -> Monkey:
    n_train, n_test = len(lists.train), len(lists.test)
    with opened_hdf5(path, *_READ) as file:
        train = dataset(file, "train_MUA", n_train, N_ELECTRODES)
        test = np.asarray(dataset(file, "test_MUA_reps", None, n_test, N_ELECTRODES)[()])
        pairs = np.asarray(dataset(file, "reliab", len(test) * (len(test) - 1) // 2, N_ELECTRODES)[()])
        _check_reliabilities(test, pairs, path)
        reliable = _mean(pairs) > RELIABLE
        _check_monkey(name, train, reliable, path)
        kept = {region: np.flatnonzero(reliable[low:high]) + low for region, (low, high) in REGIONS[name].items()}
        chosen = np.concatenate(list(kept.values()))
        if not len(chosen):
            raise ValueError(
                f"no electrode of {path} has a mean reliability above {RELIABLE}: it is not the authors' file"
            )
        values, moments = _read_train(train, chosen)
        facts = _facts(name, train, kept, moments)
    return Monkey(
        values,
        test[:, :, chosen].astype(np.float32),
        tuple(f"{name}-{electrode + 1:04d}" for electrode in chosen),
        tuple(region for region, electrodes in kept.items() for _ in electrodes),
        facts,
    )


def _mean(pairs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean reliability of each electrode over pairs of repetitions [pair, electrode]; NaN where all are."""
    found = np.isfinite(pairs)
    sums, counts = np.where(found, pairs, 0).sum(axis=0), found.sum(axis=0)
    means = np.full(len(sums), np.nan)
    np.divide(sums, counts, out=means, where=counts > 0)
    return means


def _read_train(train: h5py.Dataset, chosen: NDArray[np.intp]) -> tuple[NDArray[np.float32], dict[str, float]]:
    """Read the chosen electrodes by slices, and what is said of all."""
    values = np.empty((train.shape[0], len(chosen)), np.float32)
    sums, low, high = np.zeros(2), np.inf, -np.inf
    for part in slices(train):
        block = np.asarray(train[part], np.float64)
        values[part] = block[:, chosen]
        sums += np.nansum(block), np.nansum(block**2)
        low, high = min(low, float(np.nanmin(block))), max(high, float(np.nanmax(block)))
    mean, square = sums / train.size
    spread = float(np.sqrt(max(0.0, square - mean**2)))
    return values, {"mean": float(mean), "standard deviation": spread, "minimum": low, "maximum": high}


def _check_reliabilities(test: NDArray[np.float64], pairs: NDArray[np.float64], path: Path) -> None:
    """See that axes are as they are taken to be: the file's reliabilities are those of its repetitions."""
    means = pairs.mean(axis=0)  # electrodes with a NaN among them are not looked at
    best = np.argsort(np.nan_to_num(means, nan=-1))[-3:]
    upper = np.triu_indices(len(test), 1)
    for electrode in best:
        found = np.asarray(np.corrcoef(test[:, :, electrode]))[upper].mean()
        if not np.isclose(found, means[electrode], rtol=0, atol=1e-4):
            raise ValueError(
                f"the reliabilities in {path} are not those of its repetitions (electrode {electrode + 1}): its layout "
                "is another one than this recipe knows, so take the file as the authors publish it"
            )


def _check_monkey(name: str, train: h5py.Dataset, reliable: NDArray[np.bool_], path: Path) -> None:
    """Refuse the other monkey's file, by its first numbers or its counts of reliable electrodes."""
    other = "N" if name == "F" else "F"
    first = np.allclose(train[0, :3], _FIRST_OF_N, rtol=0, atol=1e-6)
    if (name == "F" and first) or _counts(other, reliable) == PUBLISHED[other]:
        raise ValueError(f"{path} holds the responses of monkey {other}: lay that file in monkey{other}")


def _counts(name: str, reliable: NDArray[np.bool_]) -> dict[str, int]:
    return {region: int(reliable[low:high].sum()) for region, (low, high) in REGIONS[name].items()}


def _facts(name: str, train: h5py.Dataset, kept: dict[str, NDArray[np.intp]], moments: dict[str, float]) -> list[Fact]:
    facts = [
        compared(f"monkey {name}, {region}: reliable electrodes", len(found), PUBLISHED[name][region])
        for region, found in kept.items()
    ]
    if name == "N":
        row = np.asarray(train[0], np.float64)
        shown = ("electrode 1", "electrode 2", "electrode 3")
        facts += [
            compared(f"monkey N, aardvark_01b, {what}", value, published, ".6f")
            for what, value, published in zip(shown, row[:3], _FIRST_OF_N, strict=True)
        ]
        spans = REGIONS["N"] | {"all": (0, N_ELECTRODES)}
        facts += [
            compared(
                f"monkey N, aardvark_01b, mean of {region}", float(row[slice(*spans[region])].mean()), published, ".6f"
            )
            for region, published in _MEANS_OF_N.items()
        ]
        return facts
    forms = {"mean": ".3f", "standard deviation": ".3f", "minimum": ".2f", "maximum": ".0f"}
    return facts + [
        compared(f"monkey F, {what} of train_MUA", moments[what], published, forms[what])
        for what, published in _OF_F.items()
    ]


def _recorded(
    names: Iterable[str],
    responses: NDArray[np.float32],
    parts: NDArray[np.str_],
    monkeys: list[Monkey],
    folders: tuple[Path, Path | None],
    notes: list[str],
) -> Recorded:
    """Order responses [repetition, image, electrode] by the ids of their images."""
    neuroids = (
        tuple(neuroid for monkey in monkeys for neuroid in monkey.neuroids),
        tuple(region for monkey in monkeys for region in monkey.regions),
        tuple(neuroid[0] for monkey in monkeys for neuroid in monkey.neuroids),
    )
    told = "normalised multi-unit activity (THINGS_normMUA)"
    recordings, stimuli = record(responses, list(names), parts, neuroids, folders, told)
    counts = [int(np.sum(parts == part)) for part in ("train", "test")]
    facts = [
        compared("training images", counts[0], FULL[0] if counts[0] else None),
        compared("test images", counts[1], FULL[1]),
        compared("reliable electrodes", len(recordings.neuroids), 1355),
    ]
    return Recorded(recordings, stimuli, DEGREES, facts + [fact for monkey in monkeys for fact in monkey.facts], notes)


def _names(file: h5py.File, path: Path, group: str) -> tuple[str, ...]:
    """Read the names of images of a list, and see that its rows are numbered as they stand."""
    references = dataset(file, f"{group}/things_path", None, 1)[:, 0]
    local = dataset(file, f"{group}/local_path", len(references), 1)
    other = _LISTS[1 - _LISTS.index(group)]
    for row in {0, len(references) - 1}:
        shown = _text(file, local[row, 0]).replace("\\", "/")
        part, _, name = shown.rpartition("/")
        number = name.partition(".")[0]
        if part.lower().endswith(other.replace("_imgs", "")) or (number.isdecimal() and int(number) != row + 1):
            raise ValueError(
                f"row {row + 1} of {group} in {path} was shown as {shown}: the lists were swapped or sorted anew, so "
                "take the authors' file as it is"
            )
    paths = [_text(file, reference).replace("\\", "/") for reference in references]
    wrong = [
        text
        for text in paths
        if text.count("/") != 1 or not text.endswith(".jpg") or text.split("/")[0] != concept_of(text)
    ]
    if wrong:
        raise ValueError(
            f"{group} in {path} names {wrong[0]!r}, and not <concept>/<file>.jpg: it is not the authors' file"
        )
    return tuple(text.split("/")[1] for text in paths)


def _text(file: h5py.File, reference: h5py.Reference) -> str:
    codes = np.asarray(file[reference][()])
    if codes.dtype != np.uint16:
        raise ValueError(
            f"{file.filename} holds {codes.dtype} where MATLAB's text is expected: it is not the authors' file"
        )
    return codes.tobytes().decode("utf-16-le")


ALL = Recipe(
    name="tvsd",
    about="V1, V4, IT of two macaques: 22,248 images seen once and the means of 100, told apart by `set`",
    make=read_all,
    gives="recordings",
    needs=(*_NEEDS, IMAGES),
    host="GIN paolo_papale/TVSD; images: OSF jum2f",
    licence="data CC BY 4.0; the images have terms of their own",
    size="396 MB, and images 4.7 GB; THINGS_MUA_trials.mat (58 GB each) is not needed",
    paper="Papale, Wang, Self & Roelfsema (2025), Neuron 113, doi 10.1016/j.neuron.2024.12.003",
    cites=("papale2025", "hebart2019"),
)
TEST = replace(
    ALL,
    name="tvsd-test",
    about="V1, V4, IT of two macaques: the 100 test images, 30 repetitions",
    make=read_test,
)
MEMORABILITY = memorability_of(
    "tvsd-memorability",
    "memorability of the 22,348 images that the macaques of TVSD saw",
    ("monkeyF/_logs/things_imgs.mat or monkeyN/_logs/things_imgs.mat",),
    names_of,
    (22_347, 1),
)
