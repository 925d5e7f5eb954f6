"""What a study should cite: data sets, networks and method, as BibTeX."""

import re
from functools import cache
from pathlib import Path

from layerwise.config import Study
from layerwise.models import registry

BIBLIOGRAPHY = Path(__file__).with_name("citations.bib")
METHOD = ("layerwise", "harada", "schrimpf2018", "molder2021", "tu2025")
IMAGENET = "russakovsky2015"  # on which official weights were trained, and accuracies measured
RECORDINGS = {"FreemanZiemba2013": "freeman2013", "MajajHong2015": "majaj2015"}
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
        known = RECORDINGS.get(str(recording.brainscore).partition(".")[0])
        keys += [known] if known else []
        unknown += [] if known else [f"the recordings {recording.name}"]
    for rating in study.ratings:
        keys += [LAMEM, *PUBLISHED] if rating.splits is not None else []
        unknown += [] if rating.splits is not None else [f"the ratings {rating.name}"]
    entries = read_bibliography()
    return "\n\n".join(entries[key] for key in dict.fromkeys(keys)) + "\n", unknown


def cite_network(name: str) -> tuple[str, ...]:
    """Return the keys of a network of the registry; none where no entry is known."""
    return next((keys for pattern, keys in NETWORKS.items() if re.fullmatch(pattern, name)), ())


@cache
def read_bibliography() -> dict[str, str]:
    """Read all entries by their keys."""
    text = BIBLIOGRAPHY.read_text(encoding="utf-8")
    return {key: whole for whole, key in re.findall(r"^(@\w+\{(\w+),\n(?:  .*\n)+\})", text, re.MULTILINE)}
