"""What a study should cite: data sets, networks and method, as BibTeX."""

import csv
import re
from functools import cache
from pathlib import Path

from layerwise.config import Study
from layerwise.config.data import RatingEntry, RecordingEntry
from layerwise.data.recipes import RECIPES
from layerwise.data.recipes.recipe import COLUMN, recipe_in
from layerwise.data.recordings import read_attributes
from layerwise.models import registry

BIBLIOGRAPHY = Path(__file__).with_name("citations.bib")
METHOD = ("layerwise", "harada", "schrimpf2018", "molder2021", "tu2025")
IMAGENET = "russakovsky2015"  # on which official weights were trained, and accuracies measured
RECORDINGS = {
    "FreemanZiemba2013": "freeman2013",
    "MajajHong2015": "majaj2015",
    "Papale2025_train": "papale2025",
    "Papale2025_test": "papale2025",
    "Hebart2023_fmri_train": "hebart2023",
    "Hebart2023_fmri_test": "hebart2023",
}
LAMEM = "khosla2015"
PUBLISHED = ("fajtl2018", "perera2019")  # accuracies on LaMem that table S2 sets beside the study's

NETWORKS = {
    r"alexnet": ("krizhevsky2014",),
    r"vgg.*_bn": ("simonyan2014", "ioffe2015"),
    r"vgg\d+": ("simonyan2014",),
    r"squeezenet.*": ("iandola2016",),
    r"(fb|caffe)?resnet\d+": ("he2015",),
    r"wide_resnet.*": ("zagoruyko2016",),
    r"resnext.*": ("xie2016",),
    r"(se_resne|senet).*": ("hu2017",),
    r"densenet.*": ("huang2016",),
    r"dpn.*": ("chen2017",),
    r"googlenet": ("szegedy2014",),
    r"bninception": ("ioffe2015",),
    r"inception_v3": ("szegedy2015",),
    r"inception(v4|resnetv2)": ("szegedy2016",),
    r"xception": ("chollet2016",),
    r"polynet": ("zhang2016",),
    r"nasneta.*": ("zoph2017",),
    r"pnasnet.*": ("liu2017",),
    r"mobilenet_v2": ("sandler2018",),
    r"mnasnet.*": ("tan2018",),
    r"shufflenet.*": ("ma2018",),
    r"(tf_)?efficientnet.*": ("tan2019",),
    r"cornet_s": ("kubilius2018", "kubilius2019"),
    r"cornet_(z|r|rt)": ("kubilius2018",),
}
"""Keys of the networks of the registry, by a pattern of their names."""


def cite(study: Study) -> tuple[str, list[str]]:
    """Find what a study should cite.

    Returns
    -------
    str
        BibTeX, an entry for each work.
    list of str
        What has no entry, a line each: own data and networks, whose source only the user knows.
    """
    keys, unknown = list(METHOD), []
    for entry in study.models:
        row = None if entry.timm or entry.factory else registry.find(entry.model or entry.name)
        found = cite_network(row.name) if row else ()
        keys += [*found, *([IMAGENET] if row and entry.weights in (None, "imagenet") else [])]
        unknown += [] if found else [f"the network {entry.name}"]
    for recording in study.recordings:
        known = cite_recordings(recording)
        keys += known
        unknown += [] if known else [f"the recordings {recording.name}"]
    for rating in study.ratings:
        known = cite_ratings(rating)
        keys += known
        unknown += [] if known else [f"the ratings {rating.name}"]
    entries = read_bibliography()
    return "\n\n".join(entries[key] for key in dict.fromkeys(keys)) + "\n", unknown


def cite_network(name: str) -> tuple[str, ...]:
    """Return the keys of a network of the registry; none where no entry is known."""
    return next((keys for pattern, keys in NETWORKS.items() if re.fullmatch(pattern, name)), ())


def cite_recordings(entry: RecordingEntry) -> tuple[str, ...]:
    """Return the keys of recordings of Brain-Score, or of a file that says which recipe made it; none of others."""
    known = RECORDINGS.get(str(entry.brainscore).partition(".")[0])
    if known or not entry.file.is_file():
        return (known,) if known else ()
    try:
        source = read_attributes(entry.file).get("source", "")
    except ValueError:  # `data check` says what is wrong with it
        return ()
    return _of_recipe(recipe_in(str(source)))


def cite_ratings(entry: RatingEntry) -> tuple[str, ...]:
    """Return the keys of LaMem, or of a table that says which recipe made it; none of others."""
    if entry.splits is not None:
        return (LAMEM, *PUBLISHED)
    try:
        with Path(str(entry.scores)).open(encoding="utf-8-sig", newline="") as handle:
            first = next(csv.DictReader(handle), {})
    except (OSError, csv.Error, UnicodeDecodeError):
        return ()
    return _of_recipe(first.get(COLUMN) or "")


def _of_recipe(name: str) -> tuple[str, ...]:
    return next((recipe.cites for recipe in RECIPES if recipe.name == name), ())


@cache
def read_bibliography() -> dict[str, str]:
    """Read all entries by their keys."""
    text = BIBLIOGRAPHY.read_text(encoding="utf-8")
    return {key: whole for whole, key in re.findall(r"^(@\w+\{(\w+),\n(?:  .*\n)+\})", text, re.MULTILINE)}
