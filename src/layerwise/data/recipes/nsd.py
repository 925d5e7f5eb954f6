"""NSD: how often eight people recognised the 1,000 images that all of them saw, among 9,000 of each person's own.

Allen et al. (2022). A person answered "old" or "new" at up to three showings of an image, of which two can be hits; the
time since the last one is from seconds to months. These are noisy scores, and no crowd's memorability.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from layerwise.data.recipes.files import find_file, find_images, load_mat, numbers
from layerwise.data.recipes.recipe import UNKNOWN, Recipe, Scored, compared
from layerwise.files.mistaken import check_is_data

PERSONS = range(1, 9)
N_IMAGES, N_SHARED = 73_000, 1000
ENDS = (2951, 72_949)  # first and last of sharedix, which counts from 1
TRIALS, FIRST = 213_000, 46_003  # of all; image of the first trial of the first person
FOLDERS = ("nsddata_stimuli/stimuli/nsd/shared1000", "shared1000")
_DESIGN = ("nsddata/experiments/nsd/nsd_expdesign.mat", "nsd_expdesign.mat")
_READ = ("SUBJECT", "73KID", "ISOLD", "ISCORRECT", "MISSINGDATA")


def read(folder: Path, images: Path | None) -> Scored:
    """Read the answers of all eight, and average those to images that were shown before."""
    shared = _shared(find_file(folder, *_DESIGN))
    answers = [_read_answers(find_file(folder, *_places(person)), person) for person in PERSONS]
    names = [f"shared{place + 1:04d}_nsd{number:05d}.png" for place, number in enumerate(shared)]
    root, _ = find_images(folder, images, FOLDERS, names)
    rates = np.array([_rates(table, shared, old=True)[0] for table in answers])
    counts = np.array([_rates(table, shared, old=True)[1] for table in answers])
    alarms, new = (np.array([_rates(table, shared, old=False)[part] for table in answers]) for part in (0, 1))
    hits, total = np.nansum(rates * counts, axis=0), counts.sum(axis=0)
    if not total.all():
        raise ValueError(f"{names[int(np.argmin(total))]} was shown to nobody twice: take all eight responses.tsv")
    table = pd.DataFrame({"image": names, "hit_rate": hits / total, "answers": total})
    table["false_alarms"] = np.nansum(alarms * new, axis=0) / np.maximum(new.sum(axis=0), 1)
    for person, row in zip(PERSONS, rates, strict=True):
        table[f"subj{person:02d}"] = row
    facts = [
        compared("trials", sum(len(answer) for answer in answers), TRIALS),
        compared("73KID of the first trial of subj01", int(answers[0]["73KID"].iloc[0]), FIRST, "d"),
        compared("images", len(names), N_SHARED),
    ]
    notes = [
        "hits are answers to an image shown before, seconds to months earlier; subj01 to subj08 are for `rater_columns`"
    ]
    return Scored(table, root, facts, notes)


def _places(person: int) -> tuple[str, str]:
    return f"nsddata/ppdata/subj{person:02d}/behav/responses.tsv", f"subj{person:02d}/behav/responses.tsv"


def _shared(path: Path) -> NDArray[np.int64]:
    """Read the numbers of the shared images, counted from 1."""
    shared = np.ravel(load_mat(path, "sharedix")["sharedix"]).astype(np.int64)
    if len(shared) != N_SHARED or (np.diff(shared) <= 0).any() or (shared[0], shared[-1]) != ENDS:
        raise ValueError(
            f"sharedix in {path} is not that of NSD ({N_SHARED} ascending numbers from {ENDS[0]} to {ENDS[1]}): take "
            "the authors' file as it is"
        )
    return shared


def _read_answers(path: Path, person: int) -> pd.DataFrame:
    """Read the trials of one person that are not missing."""
    check_is_data(path)
    try:
        table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no table with tabs between columns ({error}): download it again") from error
    missing = [name for name in _READ if name not in table.columns]
    if missing:
        raise ValueError(f"{path} has no column {missing[0]!r} between tabs, so it is not the authors' file")
    values = pd.DataFrame({name: numbers(table, name, path) for name in _READ})
    others = set(values["SUBJECT"]) - {person}
    if others:
        raise ValueError(
            f"{path} is of the person {min(others):g} and not of {person}: lay each file in its own folder"
        )
    if not values["73KID"].between(1, N_IMAGES).all():
        raise ValueError(
            f"73KID in {path} is not from 1 to {N_IMAGES}: its numbers do not count from 1, as the authors' do"
        )
    return values


def _rates(
    table: pd.DataFrame, shared: NDArray[np.int64], *, old: bool
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Of each shared image, where it was shown before (old) or not: how often people said so, of how many answers."""
    asked = table[(table["MISSINGDATA"] == 0) & table["ISCORRECT"].notna() & (table["ISOLD"] == old)]
    said_old = asked["ISCORRECT"] if old else 1 - asked["ISCORRECT"]
    grouped = said_old.groupby(asked["73KID"].astype(np.int64)).agg(["mean", "size"]).reindex(shared)
    return grouped["mean"].to_numpy(np.float64), grouped["size"].fillna(0).to_numpy(np.int64)


RECIPE = Recipe(
    name="nsd-recognition",
    about="recognition of the 1,000 shared images by the eight people of NSD, a column each",
    gives="scores",
    needs=(
        "nsddata/ppdata/subj01/behav/responses.tsv to subj08/...",
        "nsddata/experiments/nsd/nsd_expdesign.mat",
        "nsddata_stimuli/stimuli/nsd/shared1000/*.png, or --images FOLDER",
    ),
    host="s3://natural-scenes-dataset, after NSD's form of terms",
    licence=UNKNOWN,
    size=UNKNOWN,
    paper="Allen et al. (2022), Nature Neuroscience 25, doi 10.1038/s41593-021-00962-x",
    cites=("allen2022",),
    make=read,
)
