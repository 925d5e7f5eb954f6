"""The dictionary of a study's tables: what each column means, its unit, and where it comes from."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from inspect import getdoc

import pandas as pd

from layerwise.analyses.controls import Control
from layerwise.analyses.networks import scored_columns
from layerwise.analyses.reproduction import Compared
from layerwise.analyses.sensitivity import Sensitivity
from layerwise.files.tables import MEASURED
from layerwise.interfaces import PLS, Measure, column_of
from layerwise.statistics.commonality import Share
from layerwise.statistics.comparison import Comparison
from layerwise.statistics.correlation import Correlation
from layerwise.statistics.finetuning import Change
from layerwise.statistics.finetuning import OfNetwork as NetworkChange
from layerwise.statistics.groups import OfGroup, OfNetwork
from layerwise.statistics.mixed import Mixed
from layerwise.statistics.nested import Part
from layerwise.statistics.partial import Partial

R, RHO, COUNT, TEXT = "Pearson's r", "Spearman's rho", "count", "text"
GATHERED, SUMMARISED, TUNED = "gather-study", "summarise-models", "gather-finetuned-study"
FACTS, SCORED, AGREED, PUBLISHED = "tabulate-networks", "score-networks", "correlate-regions", "compare-paper"

ANALYSED, CHANGED = "analyse-layers", "compare-finetuning"
GROUPED = {"families": "family", "layer_types": "class"}  # columns that a table has in place of the field `group`


@dataclass(frozen=True)
class Column:
    """What is said of the columns whose name a pattern matches.

    Parameters
    ----------
    pattern : str
        A regular expression; the group `name` is put into the meaning.
    unit : str
        Of its values; "as the score" where that depends on the column.
    meaning : str
        In words.
    """

    pattern: str
    unit: str
    meaning: str


@dataclass(frozen=True)
class Described:
    """A table: the command that makes it, and its columns.

    Parameters
    ----------
    source : str
        The command.
    columns : sequence of Column
        The first whose pattern fits counts.
    """

    source: str
    columns: Sequence[Column]


_NAME = r"(?P<name>.+)"
_MODEL = Column("model", TEXT, "network, as the config names it")
_FAMILY = Column("family", TEXT, "family of the network, such as VGG; of an own network its own name")
_LAYER = [
    _MODEL,
    Column("layer", TEXT, "dotted name of the module"),
    Column("class", TEXT, "class of the module"),
    Column("shape", TEXT, "shape of its output for one image"),
    Column("units", COUNT, "units of its output"),
    Column("depth", "rank", "place in the order in which layers run, from 1"),
    Column("same_as", TEXT, "layer before it whose output it passes on unchanged: its scores are that one's; or empty"),
    Column(
        f"{_NAME}_neuroid_error",
        "as the score",
        "standard deviation of {name} over samples of neuroids; with `statistics.neuroids` alone",
    ),
    Column(f"{_NAME}_error", "as the score", "standard error of {name} over its splits: deviation / sqrt(splits)"),
    Column(f"{_NAME}_splits", COUNT, "splits of {name} that have a value; mean and error are over these"),
    Column(f"{_NAME}_ceiling", "correlation", "ceiling of {name}: consistency over repetitions, or over raters"),
    Column(
        f"{_NAME}_ceiled_2020",
        "share",
        "(r / ceiling)^2, as Brain-Score gave it in 2020; it has no sign",
    ),
    Column(
        f"{_NAME}_ceiled_2026",
        "share",
        "r^2 / ceiling, as Brain-Score gives it since 2026; it has no sign",
    ),
]
_REGION = Column(_NAME, R, "similarity with {name}: mean over splits of the median over neuroids, of held-out stimuli")
_MEASURE = Column(_NAME, RHO, "accuracy of predicting {name}: mean over splits, of held-out images")

_BY_MEASURE: dict[Measure, Column] = {
    "pls": _REGION,
    "ridge": Column(
        _NAME, R, "similarity with {name} by ridge regression: mean over splits of the median over neuroids"
    ),
    "rsa": Column(
        _NAME,
        "correlation",
        "of distances between stimuli in the layer and in {name}: RSA, one number a layer",
    ),
    "cka": Column(_NAME, "share", "centred kernel alignment with {name}, biased; one number a layer"),
    "debiased_cka": Column(
        _NAME, "share", "centred kernel alignment with {name}, debiased: may be below 0; one number a layer"
    ),
}

TABLES: dict[str, Described] = {
    "layers": Described(GATHERED, _LAYER),
    "models": Described(
        SUMMARISED,
        [
            _MODEL,
            Column("target", TEXT, "region or measure"),
            Column("best_layer", TEXT, "layer with the highest value"),
            Column("relative_depth", "share", "its depth, of the deepest layer's"),
            Column("value", "as the score", "its value; optimistic, since the same splits choose and score it"),
            Column("nested", "as the score", "mean over splits of the score of the layer that is best on the others"),
            Column("same", "share", "splits of which the others choose the same layer"),
            Column("ceiled_2020", "share", "of a region, (r / ceiling)^2 of that layer; as optimistic as its value"),
            Column("ceiled_2026", "share", "of a region, r^2 / ceiling of that layer; as optimistic as its value"),
        ],
    ),
    "finetuned": Described(
        TUNED,
        [
            _MODEL,
            Column("split", TEXT, "number of the split, from 1"),
            Column("rho", RHO, "accuracy on the test images at the best epoch"),
            Column("rho_validation", RHO, "accuracy on the validation images at that epoch"),
            Column("best_epoch", "rank", "epoch whose weights are kept, from 1; 0 where training diverged"),
            Column("epochs", COUNT, "epochs that were trained, the one in which training diverged among them"),
            Column("n_(?P<name>train|val|test)", COUNT, "images of the part {name}"),
            Column("reason", TEXT, "why rho is empty; where training diverged, so is NAME_after"),
            Column(f"{_NAME}_before", R, "similarity with {name} of what the classifier reads, before fine-tuning"),
            Column(f"{_NAME}_after", R, "the same after fine-tuning"),
        ],
    ),
    "networks": Described(
        FACTS,
        [
            _MODEL,
            Column("network", TEXT, "its name in layerwise or timm, or the user's function"),
            _FAMILY,
            Column("library", TEXT, "library that builds it"),
            Column("layers", COUNT, "layers of the study's table"),
            Column("parameters", COUNT, "trainable values, as published of it; empty where not known"),
            Column("input_size", "pixels", "side of the square input"),
            Column("top1", "per cent", "ImageNet accuracy of the weights; empty where not known"),
            Column("top1_is", TEXT, "published by the library, or stated: not verified for these weights"),
            Column("weights", TEXT, "imagenet (official), random, built by the user's function, or a file"),
            Column("source", TEXT, "address, or package, of official weights"),
            Column("sha256", TEXT, "what is published of the SHA-256 of official weights: its first digits"),
            Column("weights_hash", TEXT, "hash of the weights that scores were made with"),
        ],
    ),
    "network_scores": Described(
        SCORED,
        [
            _MODEL,
            _FAMILY,
            Column("parameters", COUNT, "trainable values; empty where not known"),
            Column("top1", "per cent", "ImageNet accuracy, published or stated; empty where not known"),
            Column("layers", COUNT, "layers of the network"),
            Column("rho_(?P<name>.+)", RHO, "correlation over the network's layers of the region and measure {name}"),
            Column(f"{_NAME}_layer", TEXT, "layer with the highest {name}"),
            Column("penultimate", TEXT, "layer that gives what the classifier reads; empty where none is known"),
            Column("finetuned", RHO, "accuracy after fine-tuning: mean over splits; empty if under half have it"),
            Column("finetuned_error", RHO, "its standard error over splits, which share images"),
            Column("splits", COUNT, "splits that the network was fine-tuned on"),
            Column(f"{_NAME}_before", R, "similarity with {name} of what the classifier reads, before fine-tuning"),
            Column(f"{_NAME}_after", R, "the same after fine-tuning: mean over splits"),
            Column(_NAME, "as the score", "highest {name} of all layers; optimistic, since the splits choose it too"),
        ],
    ),
    "regions": Described(
        AGREED,
        [
            Column("one|two", TEXT, "region or measure"),
            Column("total", RHO, "correlation of the two over all layers"),
            Column("within", RHO, "median over networks of their correlation over the network's layers"),
            Column("layers", COUNT, "layers with both values"),
            Column("networks", COUNT, "networks in which the correlation is defined"),
        ],
    ),
    "published": Described(
        PUBLISHED,
        [
            Column("method", TEXT, "who predicts memorability"),
            Column("rho", RHO, "accuracy on LaMem's five official splits, as published; or of this study's images"),
            Column("from", TEXT, "published, or this study"),
            Column("cite", TEXT, "key of `layerwise cite`; empty where no source was verified"),
        ],
    ),
}
"""Tables that are described here; the others are those of `CLASSES`."""

CLASSES: dict[str, tuple[str, type]] = {
    "correlations": ("correlate-layers", Correlation),
    "network_correlations": (SCORED, Control),
    "reproduction": (PUBLISHED, Compared),
    "within_between": (ANALYSED, Part),
    "per_network": (ANALYSED, OfNetwork),
    "families": (ANALYSED, OfGroup),
    "layer_types": (ANALYSED, OfGroup),
    "comparisons": (ANALYSED, Comparison),
    "partial": (ANALYSED, Partial),
    "commonality": (ANALYSED, Share),
    "mixed": (ANALYSED, Mixed),
    "sensitivity": ("sensitivity", Sensitivity),
    "finetuning_change": (CHANGED, Change),
    "finetuning_networks": (CHANGED, NetworkChange),
}
"""Tables with the fields of a dataclass, whose docstring describes them."""

UNITS = {
    r"rho.*|total|within|combined": RHO,
    r"before|after|change": R,
    r".*low.*|.*high.*": "as the value",
    r"icc_.*": "correlation",
    r"p|p_.*": "probability",
    r"n_.*|networks|left_out|layers": COUNT,
    r"level|r2|share": "share",
    r"error|neuroid_error|z_.*": "Fisher's z",
    "freedom": "count",
    r"slope.*": "measure for one of the region",
    r"converged|studys": "true or false",
    r"difference": "as the values",
    r"paper|ours": "as the quantity",
}
"""Units of these fields, by name; of others text."""


def describe_table(name: str, table: pd.DataFrame) -> pd.DataFrame:
    """Describe the columns of a table.

    Parameters
    ----------
    name : str
        Of the table, such as "correlations".
    table : DataFrame
        The table.

    Returns
    -------
    DataFrame
        Rows (table, column): unit, meaning, source.

    Raises
    ------
    ValueError
        The table, or one of its columns, is not described.
    """
    if name not in TABLES and name not in CLASSES:
        raise ValueError(f"no table {name!r} is described; there are: {', '.join([*TABLES, *CLASSES])}")
    described = _of_class(*CLASSES[name], GROUPED.get(name)) if name in CLASSES else TABLES[name]
    if name == "layers":
        described = _with_scores(described, table)
    rows = [(name, str(column), *_describe(name, str(column), described)) for column in table.columns]
    return pd.DataFrame(rows, columns=["table", "column", "unit", "meaning", "source"])


def write_dictionary() -> str:
    """Write the dictionary of all tables as Markdown; NAME in a column stands for that of a region or measure."""
    parts = [_section(name, described) for name, described in _all().items()]
    return "\n\n".join([_OPENING, *parts]) + "\n"


def documented(kind: type) -> Mapping[str, str]:
    """Read what the docstring of a dataclass says of its fields, under Parameters."""
    return dict(_read(getdoc(kind) or ""))


def _describe(table: str, column: str, described: Described) -> tuple[str, str, str]:
    for one in described.columns:
        match = re.fullmatch(one.pattern, column)
        if match:
            return one.unit, one.meaning.format(**match.groupdict()), f"layerwise {described.source}"
    raise ValueError(f"{table}: the column {column!r} is not described")


def _with_scores(described: Described, table: pd.DataFrame) -> Described:
    """Add the scores of a table of layers, which its other columns tell apart."""
    regions, measures = scored_columns(table)
    measured = table.attrs.get(MEASURED, {})
    scores = [_of_region(column, measured.get(column, PLS)) for column in regions]
    scores += [Column(f"(?P<name>{re.escape(name)})", _MEASURE.unit, _MEASURE.meaning) for name in measures]
    return Described(described.source, [*described.columns, *scores])


def _of_class(source: str, kind: type, group: str | None = None) -> Described:
    """Describe the fields of a dataclass; a column that its table has in place of the field `group` as that one."""
    meanings = documented(kind)
    columns = [
        Column(
            re.escape(group if group and field.name == "group" else field.name),
            _unit(field.name),
            _literal(meanings[field.name]),
        )
        for field in fields(kind)
        if field.name in meanings
    ]
    return Described(source, columns)


def _of_region(column: str, measure: Measure) -> Column:
    """Describe a column of brain scores."""
    found, region = _BY_MEASURE[measure], column.removesuffix(column_of("", measure))
    return Column(re.escape(column), found.unit, found.meaning.format(name=_literal(region)))


def _unit(name: str) -> str:
    return next((unit for pattern, unit in UNITS.items() if re.fullmatch(pattern, name)), TEXT)


def _literal(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


def _read(text: str) -> Iterator[tuple[str, str]]:
    """Read numpydoc's parameters: names before a colon, and the indented lines that follow."""
    _, _, listed = text.partition("Parameters\n----------\n")
    for names, meaning in re.findall(r"^(\S.*?) : .*\n((?:[ ]{4}.*\n?)+)", listed, re.MULTILINE):
        for name in names.split(", "):
            yield name, " ".join(meaning.split())


_OPENING = """# Tables of a study

Each table is written twice: as Parquet, and for people as CSV (`tables/*.csv`). `tables/dictionary.csv` says of the
columns that a study has what is said here of all. NAME, REGION and MEASURE stand for their names. `layerwise tables`
writes this page. A table of simulated data says so in its attributes, and its CSV in the first line, a comment (#)."""


def _all() -> dict[str, Described]:
    found = {name: _of_class(*CLASSES[name], GROUPED.get(name)) for name in CLASSES}
    layers = TABLES["layers"]
    scores = [
        Column(word, one.unit, one.meaning.format(name=f"the {word.lower()}"))
        for word, one in (("REGION", _REGION), ("MEASURE", _MEASURE))
    ]
    scores += [
        Column(column_of("REGION", measure), one.unit, one.meaning.format(name="the region"))
        for measure, one in _BY_MEASURE.items()
        if measure != PLS
    ]
    return {**TABLES, "layers": Described(layers.source, [*layers.columns, *scores]), **found}


def _section(name: str, described: Described) -> str:
    rows = [
        f"| `{_spelled(column.pattern)}` | {column.unit} | {column.meaning.format(name='NAME')} |"
        for column in described.columns
    ]
    head = [
        f"## {name}",
        "",
        f"Made by `layerwise {described.source}`.",
        "",
        "| column | unit | meaning |",
        "|---|---|---|",
    ]
    return "\n".join([*head, *rows])


def _spelled(pattern: str) -> str:
    """Return a pattern of columns as people write it."""
    return re.sub(r"\(\?P<name>\.\+\)", "NAME", pattern).replace("(?P<name>train|val|test)", "NAME").replace("|", ", ")
