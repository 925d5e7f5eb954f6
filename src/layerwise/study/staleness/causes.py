"""The values of all that a step's results depend on, as a parameter for Snakemake to compare."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, fields
from functools import cached_property
from operator import attrgetter
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from layerwise.config import Study
from layerwise.config.study import PCA_IMAGES
from layerwise.files import Contents, hash_object, hash_source
from layerwise.interfaces import LayerSpec
from layerwise.layers.manifest import read_manifest
from layerwise.study.facts import network_facts
from layerwise.study.families import accuracies_of, families_of
from layerwise.study.files import fingerprint, imagenet_fingerprint, own_weights, present
from layerwise.study.layers import layers_of
from layerwise.study.networks import network_settings
from layerwise.study.paper import differs_from_paper
from layerwise.study.regions import Region, brain_columns, regions
from layerwise.study.staleness.code import HashCode, code_of
from layerwise.study.staleness.declared import STANDS_FOR, STEPS
from layerwise.study.stimuli import stimulus_files

T = TypeVar("T")
_LAYER = attrgetter(*(field.name for field in fields(LayerSpec)))  # ten times as quick as `astuple`
Names = dict[str, str]  # of a job: model, region, stimuli, ratings, as in the paths of its results


class Causes:
    """What the results of a study's steps depend on, beyond their input files.

    Of a user's files the content counts, and no date. It is read when jobs are planned, and once: an edit while a job
    runs makes its result stale the next time. What the workflow itself exports may come while it runs, and is read
    each time.

    Parameters
    ----------
    study : Study
        The study.
    contents : Contents
        Knows the contents of files that it read before.
    manifest : callable
        Gives the path of the table of layers of an own network, which a step writes.
    hash_code : callable
        Gives the hash of our code: `hash_source`, or one that remembers it.
    """

    def __init__(
        self,
        study: Study,
        contents: Contents,
        manifest: Callable[[str], str],
        hash_code: HashCode = hash_source,
    ) -> None:
        self._study, self._contents, self._manifest, self._hash_code = study, contents, manifest, hash_code
        self._known: dict[tuple[object, ...], Any] = {}
        self._values: dict[str, Callable[[Names], Any]] = {
            "network": lambda names: self._once(("network", names["model"]), lambda: self._network(names["model"])),
            "weights": lambda names: self._weights(names["model"]),
            "layers": lambda names: self.layers_hash(names["model"]),
            "region": lambda names: asdict(self.regions[names["region"]]),
            "regions": lambda _: [asdict(region) for region in self.regions.values()],
            "columns": lambda _: brain_columns(study),
            "recording": lambda names: self.table_contents(self.regions[names["region"]].recording),
            "recordings": lambda _: [self.table_contents(entry.name) for entry in study.recordings],
            "tested stimuli": lambda names: self._tested(names["region"]),
            "scores": lambda names: self.table_contents(names["ratings"]),
            "tables": lambda names: self.table_contents(names["stimuli"]),
            "images": lambda names: self._images(names["stimuli"]),
            "drawn images": lambda names: self._drawn(names["stimuli"]),
            "facts": lambda _: network_facts(study),
            "paper": lambda _: differs_from_paper(study),
            "families": lambda _: families_of(study),
            "accuracies": lambda _: accuracies_of(study),
            "imagenet": lambda _: self._once("imagenet", lambda: imagenet_fingerprint(study, contents)),
        }

    def of(self, step: str, names: Names) -> dict[str, Any]:
        """Find what the result of a job depends on.

        Parameters
        ----------
        step : str
            Name of the step.
        names : dict of str to str
            What the job is about: model, region, stimuli or ratings.

        Returns
        -------
        dict
            The hash of the step's code, and the value of each cause and setting that it declares.
        """
        declared = STEPS[step]
        found: dict[str, Any] = {"code": code_of(step, self._hash_code)}
        for cause in declared.depends_on:
            other = declared.only_with.get(cause)
            if other is None or self._setting(other, names) is not None:
                found[cause] = self._values[cause](names) if cause in STANDS_FOR else self._setting(cause, names)
        return found

    @cached_property
    def regions(self) -> dict[str, Region]:
        """The regions of the study by their names."""
        return {region.name: region for region in regions(self._study)}

    # --- layers ---------------------------------------------------------------------------------------------------

    def is_own(self, model: str) -> bool:
        """Return whether a step must list the layers of a network first."""
        return self._shipped(model) is None

    def layers(self, model: str) -> list[LayerSpec]:
        """Read the layers of a network, in order of depth."""
        return self._shipped(model) or read_manifest(self._manifest(model))

    def layers_hash(self, model: str) -> str:
        """Hash them; those of an own network anew each time, since a step may list them meanwhile."""
        if self.is_own(model):
            return _hash_layers(self.layers(model))
        return self._once(("hash of layers", model), lambda: _hash_layers(self.layers(model)))

    def _shipped(self, model: str) -> list[LayerSpec] | None:
        return self._once(("layers", model), lambda: layers_of(self._study.model_entry(model)))

    def _network(self, model: str) -> dict[str, Any]:
        entry = self._study.model_entry(model)
        return network_settings(self._study, entry, self._contents.of, self._hash_code)

    # --- files ----------------------------------------------------------------------------------------------------

    def tables(self, stimuli: str) -> list[Path]:
        """Find the tables of a stimulus set: the recording, or what holds the scores."""
        return self._once(("tables", stimuli), lambda: stimulus_files(self._study, stimuli)[0])

    def table_contents(self, stimuli: str) -> list[str]:
        """Hash them."""
        if stimuli in self.exported:
            return self._contents.of(self.tables(stimuli))
        return [self.content(path) for path in present(self.tables(stimuli))]

    def _tested(self, region: str) -> dict[str, Any] | None:
        """Return the splits of a region that are given; None of those that are drawn."""
        splits = self._study.recording(self.regions[region].recording).splits
        return splits.model_dump() if splits.method == "given" else None

    @cached_property
    def exported(self) -> set[str]:
        """The recordings that the workflow exports itself."""
        return {entry.name for entry in self._study.recordings if entry.brainscore}

    def content(self, path: str | Path) -> str:
        """Hash a user's file; empty if it is not there."""
        return self._once(("content", str(path)), lambda: self._contents.of([path])[0])

    def _images(self, stimuli: str) -> str:
        key = ("images", stimuli, *self.table_contents(stimuli))
        return self._once(key, lambda: fingerprint(self._study, stimuli, self._contents))

    def _drawn(self, stimuli: str) -> int | None:
        pca = self._study.brain.pca
        return pca.n_images if pca is not None and stimuli == PCA_IMAGES else None

    def _weights(self, model: str) -> str:
        """Hash the file of weights that the config names, or that lies in the folder of weights for timm.

        Official weights are none of these: they may be downloaded meanwhile, and count by their published checksum.
        """
        path = own_weights(self._study.model_entry(model), self._study.storage.weights)
        return self.content(path) if path else ""

    # --- settings -------------------------------------------------------------------------------------------------

    def _setting(self, setting: str, names: Names) -> Any:
        """Find the value of a setting; of a section that is not there, or of no matter to the job, None."""
        head, _, rest = setting.partition(".")
        if head in ("models", "recordings", "ratings"):
            return [_value(entry, rest.split(".")) for entry in getattr(self._study, head)]
        start = self._entry(head, names) if head in ("model", "recording", "rating") else self._study
        return _value(start, (rest if start is not self._study else setting).split("."))

    def _entry(self, kind: str, names: Names) -> Any:
        """Find the network, the recording or the ratings that a job is about; None if it is about none."""
        if kind == "model":
            return self._study.model_entry(names["model"])
        name = names.get("stimuli") or names.get("ratings") if kind == "rating" else names.get("stimuli")
        if kind == "recording" and "region" in names:
            name = self.regions[names["region"]].recording
        entries = self._study.recordings if kind == "recording" else self._study.ratings
        return next((entry for entry in entries if entry.name == name), None)

    def _once(self, key: object, find: Callable[[], T]) -> T:
        known = self._known
        place = key if isinstance(key, tuple) else (key,)
        if place not in known:
            known[place] = find()
        found: T = known[place]
        return found


def _value(section: Any, keys: Sequence[str]) -> Any:
    for key in keys:
        section = getattr(section, key, None) if section is not None else None
    return section.model_dump(mode="json") if isinstance(section, BaseModel) else _plain(section)


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value


def _hash_layers(layers: Iterable[LayerSpec]) -> str:
    return hash_object([_LAYER(layer) for layer in layers])
