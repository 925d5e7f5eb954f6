"""Triple-N: units of five macaques in V1, V2, V4 and IT that saw the 1,000 shared images of NSD.

Li et al. (2026). Responses are the mean rates from 70 to 220 ms (response_basic) over trials: one window for every
unit, since one found for each unit by itself (response_best) is no common code, and raises reliabilities. Regions are
Brain-Score's: all units of a session with a patch of IT are IT; of the other sessions, a unit has the area in whose
span of depths it lies.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import xlrd
from numpy.typing import NDArray
from PIL import Image

from layerwise.data.recipes.files import find_file, find_images, load_mat
from layerwise.data.recipes.recipe import UNKNOWN, Fact, Recipe, Recorded, compared
from layerwise.files.mistaken import check_is_data
from layerwise.interfaces import Recordings, StimulusSet, counted

N_SCENES, N_SHOWN = 1000, 1072  # the other 72 columns are a localizer's
RELIABLE = 0.4
DEGREES = 11.0  # 10 or 12, by session
EARLY = ("V1", "V2", "V4")
FOLDERS = ("others/StimuliNNN", "StimuliNNN")
SHARED = ("shared1000", "nsddata_stimuli/stimuli/nsd/shared1000")
PUBLISHED = {"V1": 2_556, "V2": 2_625, "V4": 3_559, "IT": 26_700}  # units with reliability_best above .4
UNITS, SESSIONS = 47_503, 90
_SESSION = re.compile(r"Processed_ses(\d+)_(\d+)_(M\d)_(\d+)\.mat")
_READ = ("response_basic", "reliability_basic", "reliability_best", "pos")
_AREAS = ("SesIdx", "y1", "y2", "AREALABEL", "Area")


@dataclass(frozen=True)
class Session:
    """Units of one session.

    Parameters
    ----------
    number : int
    animal : str
    responses : float32 array [unit, scene]
    basic, best : float64 array [unit]
        Reliabilities of both windows.
    depths : float64 array [unit]
    """

    number: int
    animal: str
    responses: NDArray[np.float32]
    basic: NDArray[np.float64]
    best: NDArray[np.float64]
    depths: NDArray[np.float64]


def read(folder: Path, images: Path | None) -> Recorded:
    """Read all sessions, and keep the reliable units of a region."""
    areas = _read_areas(find_file(folder, "others/exclude_area.xls", "exclude_area.xls"))
    sessions = [_read_session(path) for path in _sessions(folder)]
    absent = sorted({session.number for session in sessions} - set(areas["SesIdx"]))
    if absent:
        raise ValueError(
            f"exclude_area.xls has no row of session {absent[0]}, so its units have no region: take the authors' file "
            "as it is, or leave the session's file out"
        )
    labels = [_regions(areas[areas["SesIdx"] == session.number], session.depths) for session in sessions]
    return _recorded(sessions, labels, folder, images)


def _recorded(sessions: list[Session], labels: list[NDArray[np.str_]], folder: Path, images: Path | None) -> Recorded:
    chosen = [
        np.flatnonzero((where != "") & (session.basic > RELIABLE))
        for session, where in zip(sessions, labels, strict=True)
    ]
    if not any(map(len, chosen)):
        raise ValueError(
            f"no unit in {folder} has a region and a reliability_basic above {RELIABLE}: none would be left"
        )
    kept = [(session, unit) for session, units in zip(sessions, chosen, strict=True) for unit in units.tolist()]
    regions = np.concatenate([where[units] for where, units in zip(labels, chosen, strict=True)]).tolist()
    stimuli = _stimuli(folder, images)
    recordings = Recordings(
        np.concatenate([session.responses[units] for session, units in zip(sessions, chosen, strict=True)]).T[None],
        stimuli.ids,
        tuple(f"ses{session.number:02d}-{unit + 1:04d}" for session, unit in kept),
        tuple(regions),
        units="spikes/s, mean of trials, 70-220 ms",
        animals=tuple(session.animal for session, _ in kept),
    )
    nowhere = sum(int(np.sum(where == "")) for where in labels)
    notes = [f"{counted(nowhere, 'unit has', 'units have')} no region: left out"] if nowhere else []
    notes += ["responses are means of trials: one an image, so no ceilings", check_order(stimuli.paths, folder)]
    return Recorded(recordings, stimuli, DEGREES, _facts(sessions, np.concatenate(labels), Counter(regions)), notes)


def _facts(sessions: list[Session], regions: NDArray[np.str_], kept: Counter[str]) -> list[Fact]:
    """Count units, of the regions of all [unit], and of those that are kept."""
    good = Counter(regions[np.concatenate([session.best for session in sessions]) > RELIABLE].tolist())
    return [
        compared("sessions", len(sessions), SESSIONS),
        compared("units", len(regions), UNITS),
        *(compared(f"{name}: units with reliability_best above .4", good[name], PUBLISHED[name]) for name in PUBLISHED),
        *(compared(f"{name}: units that are kept (reliability_basic above .4)", kept[name]) for name in PUBLISHED),
    ]


def _stimuli(folder: Path, images: Path | None) -> StimulusSet:
    names = [f"{number:04d}.bmp" for number in range(1, N_SCENES + 1)]
    _, found = find_images(folder, images, FOLDERS, names)
    return StimulusSet("nsd", tuple(name[:4] for name in names), tuple(found[name] for name in names))


def check_order(scenes: Sequence[Path], folder: Path) -> str:
    """See by their pixels that scenes are NSD's shared images in their order, if these are there too.

    Parameters
    ----------
    scenes : sequence of Path
        Images of the columns of responses.
    folder : Path
        The user's folder.

    Returns
    -------
    str
        A note: that it holds, or that it could not be looked at.

    Raises
    ------
    ValueError
        A scene looks more like another shared image than like its own.
    """
    places = [place for name in SHARED for place in (folder / name).glob("shared????_nsd?????.png")]
    shared = sorted(places, key=lambda place: place.name)
    if len(shared) != len(scenes):
        return (
            "that 0001.bmp is NSD's shared0001, and so on, was not looked at: lay NSD's folder shared1000 there for it"
        )
    likeness = np.stack([_thumbnail(path) for path in scenes]) @ np.stack([_thumbnail(path) for path in shared]).T
    nearest = likeness.argmax(axis=1)
    wrong = np.flatnonzero(nearest != np.arange(len(scenes)))
    if len(wrong):
        raise ValueError(
            f"{len(wrong)} of {len(scenes)} scenes show another of NSD's shared images (first: {scenes[wrong[0]].name} "
            f"shows {shared[nearest[wrong[0]]].name}): their order is another one, so take the authors' folder as it is"
        )
    return f"by their pixels, all {len(scenes):,} scenes are NSD's shared images in their order"


def _thumbnail(path: Path) -> NDArray[np.float64]:
    """Shrink an image to 32 x 32 grey pixels, of mean 0 and length 1."""
    try:
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("L").resize((32, 32)), np.float64).ravel()
    except OSError as error:
        raise ValueError(f"the image {path} cannot be read ({error}): unpack it again") from error
    centred = pixels - pixels.mean()
    return np.asarray(centred / max(float(np.linalg.norm(centred)), 1e-12))


def _sessions(folder: Path) -> list[Path]:
    paths = sorted((folder / "Processed").glob("Processed_ses*.mat")) or sorted(folder.glob("Processed_ses*.mat"))
    if not paths:
        raise ValueError(f"{folder / 'Processed'} holds no Processed_ses*.mat: lay the authors' folder Processed there")
    return paths


def _read_session(path: Path) -> Session:
    match = _SESSION.fullmatch(path.name)
    if not match:
        raise ValueError(
            f"{path} is not named Processed_ses<number>_<date>_M<animal>_<k>.mat, as the authors name it: rename it"
        )
    check_is_data(path)
    found = load_mat(path, *_READ)
    responses = np.atleast_2d(found["response_basic"])
    columns = [np.ravel(found[name]).astype(np.float64) for name in _READ[1:]]
    counts = {name: len(column) for name, column in zip(_READ[1:], columns, strict=True)}
    if responses.shape[1] != N_SHOWN or set(counts.values()) != {len(responses)}:
        raise ValueError(
            f"response_basic in {path} has the shape {responses.shape} beside {counts}, and not (units, {N_SHOWN}): "
            "its layout is another one than this recipe knows, so take the file as the authors publish it"
        )
    return Session(int(match[1]), match[3], responses[:, :N_SCENES].astype(np.float32), *columns)


def _read_areas(path: Path) -> pd.DataFrame:
    """Read which areas a probe went through, and at which depths."""
    try:
        header, *rows = xlrd.open_workbook(str(path)).sheet_by_index(0).get_rows()
    except Exception as error:  # xlrd raises nearly anything on broken files
        raise ValueError(f"{path} is no table of Excel (.xls) that can be read ({error}): download it again") from error
    table = pd.DataFrame(
        [[cell.value for cell in row] for row in rows], columns=[str(name.value).strip() for name in header]
    )
    missing = [name for name in _AREAS if name not in table.columns]
    if missing:
        raise ValueError(f"{path} has no column {missing[0]!r}, so it is not the authors' file")
    table = table[table["SesIdx"] != ""]
    spans = {name: pd.to_numeric(table[name], errors="coerce") for name in ("SesIdx", "y1", "y2")}
    if any(values.isna().any() for values in spans.values()):
        raise ValueError(f"{path} has no number as SesIdx, y1 or y2 of a row: take the authors' file as it is")
    texts = {name: table[name].astype(str).str.strip() for name in ("AREALABEL", "Area")}
    return table.assign(**texts, **spans)


def _regions(rows: pd.DataFrame, depths: NDArray[np.float64]) -> NDArray[np.str_]:
    """Name the region of each unit of a session; empty where it has none."""
    if set(rows["Area"].str.upper()) != {"EVC"}:
        return np.full(len(depths), "IT")
    regions = np.full(len(depths), "", "<U2")
    spans = rows[["y1", "y2"]].to_numpy(np.float64)
    for (low, high), label in zip(spans, rows["AREALABEL"].tolist(), strict=True):
        inside = (low < depths) & (depths < high) & (regions == "")
        regions[inside] = next((area for area in EARLY if label.startswith(area)), "")
    return regions


RECIPE = Recipe(
    name="triple-n",
    about="V1, V2, V4, IT of five macaques, and the 1,000 images that everybody saw in NSD",
    gives="recordings",
    needs=(
        "Processed/Processed_ses*.mat (90 files)",
        "others/exclude_area.xls",
        "others/StimuliNNN/0001.bmp to 1000.bmp, or --images FOLDER",
        "shared1000/*.png of NSD, if you have it: the order of the images is then checked by pixels",
    ),
    host="ScienceDB, doi 10.57760/sciencedb.31427 (processed), with a login",
    licence=UNKNOWN,
    size="603 MB, and images 124 MB; the 585 GB of raw data are not needed",
    paper="Li et al. (2026), Nature Neuroscience, doi 10.1038/s41593-026-02322-z",
    cites=("li2026", "allen2022"),
    make=read,
)
