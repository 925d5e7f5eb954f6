"""From a result back to what it was made from: what it carries, what its job ran with, and whether that still holds."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import h5py
from pyarrow import ArrowInvalid, parquet

from layerwise.config import Study, load_study
from layerwise.data.content import content_hash
from layerwise.data.pixels import JoinedPixels, PixelCache
from layerwise.files import hash_file
from layerwise.files.made import read_run
from layerwise.finetuning.weights import read_about
from layerwise.models import resolve_preprocessing
from layerwise.steps.inputs import (
    is_of_distances,
    region_distances,
    region_recordings,
    scored_images,
    stimulus_set,
)
from layerwise.steps.origins import origins_of
from layerwise.study import Plans, find_region, layout_of, pca_pixels_for, pixels_for, regions
from layerwise.study.ratings import method_of
from layerwise.study.tasks import FITS, Task, Tasks, list_tasks

HASHES = ("network", "weights", "preprocessing", "stimuli", "code", "versions", "recordings", "ratings")


@dataclass(frozen=True)
class Origins:
    """What a result says of what it was made from.

    Parameters
    ----------
    path : str
        The result.
    about : str
        Name of the region or measure that it is about; empty for one that is about neither.
    hashes : mapping of str to str
        Hashes, and the name of the network, by what they are of.
    """

    path: str
    about: str
    hashes: Mapping[str, str]

    @property
    def model(self) -> str:
        """Name of the network; empty where there is none."""
        return self.hashes.get("model", "")


@dataclass(frozen=True)
class Chain:
    """How a result came about.

    Parameters
    ----------
    study : Study
        The study as it was run.
    path : str
        The result.
    tasks : list of Task
        The jobs behind it, in the order of the data; the last one made it.
    carried : list of Origins
        What it says itself; else what the nearest results behind it say.
    """

    study: Study
    path: str
    tasks: list[Task]
    carried: list[Origins]


@dataclass(frozen=True)
class Difference:
    """Something that is not what a result was made from.

    Parameters
    ----------
    what : str
        What it is, such as "weights of resnet18".
    then, now : str
        Its hash when the result was made, and now, or why there is none.
    """

    what: str
    then: str
    now: str


def find_chain(path: Path) -> Chain:
    """Find how a result of a study came about.

    Raises
    ------
    ValueError
        It is no result of a study, or the command runs in another folder than the study did.
    """
    if not path.is_file():
        raise ValueError(f"{path} is not there: give a file of a study's results")
    folder = _study_folder(path)
    study = load_study(folder / "config.yaml")
    layout = layout_of(study)
    if Path(layout.folder).resolve() != folder:
        raise ValueError(f"{path} is of a study in {layout.folder}: run this in the folder where Snakemake ran")
    name = f"{layout.folder}/{path.resolve().relative_to(folder)}"
    listed = list_tasks(Plans(study))
    if name not in listed.making():
        raise ValueError(f"no job of the study makes {path}: is it of other settings, such as layers_per_job?")
    behind = list_tasks(Plans(study), [name])
    return Chain(study, name, behind.tasks, _carried(behind, name))


def read_origins(path: str | Path) -> list[Origins]:
    """Read what a result carries: a table, activations, pixels or weights; none of a figure or a text."""
    attributes = _read_attributes(Path(path))
    if "origins" in attributes:  # of a network that was trained on
        return [Origins(str(path), str(attributes.get("measure", "")), attributes["origins"])]
    return [Origins(str(path), about, hashes) for about, hashes in _flat(attributes.get("data", {}))]


def run_of(task: Task) -> dict[str, Any]:
    """Read from a job's log what it ran with; empty where it does not say."""
    try:
        return read_run(Path(task.log).read_text(encoding="utf-8", errors="replace").splitlines())
    except OSError:
        return {}


def _study_folder(path: Path) -> Path:
    for folder in path.resolve().parents:
        if (folder / "config.yaml").is_file() and (folder / "logs").is_dir():
            return folder
    raise ValueError(f"{path} lies in no study's folder of results, which has a config.yaml and logs")


def _carried(behind: Tasks, path: str) -> list[Origins]:
    """Return what a result says, or what the nearest ones behind it do."""
    making, nearest = behind.making(), [path]
    while nearest:
        found = [origins for one in nearest if Path(one).is_file() for origins in read_origins(one)]
        if found:
            return found
        nearest = list(dict.fromkeys(read for one in nearest if one in making for read in making[one].inputs))
    return []


def _read_attributes(path: Path) -> dict[str, Any]:
    try:
        if path.suffix == ".parquet":
            metadata = parquet.read_schema(path).metadata or {}
            return dict(json.loads(metadata.get(b"pandas", b"{}")).get("attributes") or {})
        if path.suffix == ".h5":
            with h5py.File(path, "r", locking=False) as file:
                told = {key: str(file.attrs[key]) for key in (*HASHES, "model") if key in file.attrs}
                pixels = {"stimuli": str(file.attrs["content_hash"])} if "content_hash" in file.attrs else {}
                return {"data": {"": told | pixels}}
        if path.suffix == ".safetensors":
            about = read_about(path)
            return {"origins": dict(about.origins), "measure": about.measure}
    except (ArrowInvalid, OSError) as error:
        raise ValueError(f"{path} cannot be read ({error}): delete it, and run the step that makes it again") from error
    return {}


def _flat(data: Mapping[str, Any], about: str = "") -> Iterator[tuple[str, dict[str, str]]]:
    """Find the innermost tables of hashes, under the name of a region or measure, maybe below that of a network."""
    if data and all(isinstance(value, str) for value in data.values()):
        yield about, dict(data)
    for name, inner in data.items():
        if isinstance(inner, Mapping):
            yield from _flat(inner, name)


# --- whether it still holds -------------------------------------------------------------------------------------------


def verify(chain: Chain) -> tuple[int, list[Difference]]:
    """Compute the hashes of what a result was made from again.

    Returns
    -------
    int
        How many were compared.
    list of Difference
        Those that differ, or can no longer be computed.
    """
    now = _Now(chain.study)
    compared: dict[tuple[str, str], Difference | None] = {}
    for origins in chain.carried:
        for what, then in origins.hashes.items():
            name, found = now.find(what, origins)
            if name:
                compared[name, then] = None if found == then else Difference(name, then, found)
    for task in chain.tasks:
        if task.step == "pack_stimuli":
            for name, then, found in _images(chain.study, task):
                compared[name, then] = None if found == then else Difference(name, then, found)
    return len(compared), [one for one in compared.values() if one is not None]


def _images(study: Study, task: Task) -> Iterator[tuple[str, str, str]]:
    """Hash each image that was packed: its name, its hash then, and now."""
    path = Path(task.outputs[0])
    if not path.is_file():
        return
    cache = PixelCache(path)
    files = dict(zip(*_paths(study, task.names["stimuli"]), strict=True))
    for name, then in zip(cache.ids, cache.sha256, strict=True):
        yield f"image {files.get(name, name)}", then, _tried(partial(_hash_image, files.get(name)))


def _hash_image(path: Path | None) -> str:
    return hash_file(path) if path else "it is not there"


def _paths(study: Study, stimuli: str) -> tuple[list[str], list[Path]]:
    try:
        images = stimulus_set(study, stimuli)
    except (ValueError, OSError):
        return [], []
    return list(images.ids), list(images.paths)


class _Now:
    """What hashes are now; each computed once."""

    def __init__(self, study: Study) -> None:
        self._study, self._known = study, dict[tuple[str, ...], dict[str, str] | str]()
        self._regions = {region.name for region in regions(study)}
        self._measures = {entry.measure: entry.name for entry in study.ratings}

    def find(self, what: str, origins: Origins) -> tuple[str, str]:
        """Name what a hash is of, and return it as it is now; no name for what is not computed again here."""
        about, model = origins.about, origins.model
        if what == "recordings" and about in self._regions:
            return f"recordings of {about}", self._once(("recordings", about), lambda: self._recordings(about))
        if what == "ratings" and about in self._measures:
            ratings = self._measures[about]
            of_model = model or self._study.models[0].name
            return f"ratings {ratings}", self._once(("ratings", ratings), lambda: self._ratings(of_model, ratings))
        if what not in HASHES or not model or "training" in origins.hashes or self._trained(origins):
            return "", ""
        stimuli = self._stimuli(origins)
        found = self._of_network(model, stimuli, self._step(stimuli))
        return f"{what} of {model}{f' over {stimuli}' if what == 'stimuli' else ''}", found.get(what, found[""])

    def _trained(self, origins: Origins) -> bool:
        """Return whether a result is of a training, whose pixels are others."""
        return "settings" in origins.hashes

    def _stimuli(self, origins: Origins) -> str:
        if origins.about in self._regions:
            return find_region(self._study, origins.about).recording
        return self._measures.get(origins.about) or Path(origins.path).stem

    def _step(self, stimuli: str) -> str:
        if stimuli not in self._measures.values():
            return "extract_activations"
        step = FITS[method_of(self._study, stimuli)]
        return "extract_activations" if step == "score_memorability" else step

    def _of_network(self, model: str, stimuli: str, step: str) -> dict[str, str]:
        key = "network", model, stimuli, step
        if key not in self._known:
            try:
                pixels = self._pixels(model, stimuli)
                seen = pixels.content_hash if pixels else "its pixels are not there"
                self._known[key] = {"": "", **origins_of(step, self._study, model, seen)}
            except (ValueError, OSError) as error:
                self._known[key] = {"": f"it cannot be computed: {error}"}
        found = self._known[key]
        assert isinstance(found, dict)
        return found

    def _pixels(self, model: str, stimuli: str) -> PixelCache | JoinedPixels | None:
        study, layout = self._study, layout_of(self._study)
        expected = resolve_preprocessing(study.model_entry(model).spec())
        paths = [pixels_for(study, layout, stimuli, expected), pca_pixels_for(study, layout, stimuli, expected)]
        caches = [PixelCache(path) for path in paths if path and Path(path).is_file()]
        if len(caches) < len(list(filter(None, paths))):
            return None
        return JoinedPixels(*caches) if len(caches) == 2 else caches[0]

    def _recordings(self, region: str) -> str:
        if is_of_distances(self._study, region):
            return content_hash(region_distances(self._study, region))
        return content_hash(region_recordings(self._study, region))

    def _ratings(self, model: str, ratings: str) -> str:
        return content_hash(scored_images(self._study, model, ratings))

    def _once(self, key: tuple[str, ...], compute: Callable[[], str]) -> str:
        if key not in self._known:
            self._known[key] = _tried(compute)
        return str(self._known[key])


def _tried(compute: Callable[[], str]) -> str:
    try:
        return compute()
    except (ValueError, OSError) as error:
        return f"it cannot be read: {error}"
