"""Steps that say how certain what is seen over all layers is."""

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from layerwise.analyses.neuroids import align_drawn
from layerwise.config import Study
from layerwise.files.tables import marked, read_table, write_both
from layerwise.interfaces import DegenerateWarning
from layerwise.statistics import (
    Sampling,
    compare_correlations,
    compare_finetuned,
    correlate_groups,
    correlate_networks,
    correlate_partially,
    divide_correlations,
    divide_variance,
    fit_mixed,
)
from layerwise.statistics import correlate_layers as correlate
from layerwise.study import Layout, accuracies_of, brain_columns, families_of, regions

FAMILY, LAYER = "family", ["model", "class", "units", "depth"]


def correlate_layers(
    study: Study, layers: Path, output: Path, csv: Path | None = None, folder: Path | None = None
) -> None:
    """Correlate brain similarity with each measure over all layers, for each region.

    Raises
    ------
    ValueError
        Intervals are to be widened by samples of neuroids, which lie in a folder of results, and there is none.
    """
    table, names, measures = _read(study, layers, ["model", "layer"])
    drawn = _drawn(study, table, names, folder) if study.statistics.neuroids is not None else None
    write_both(marked(correlate(table, names, measures, _sampling(study), drawn), table), output, csv)


def _drawn(study: Study, table: pd.DataFrame, names: list[str], folder: Path | None) -> dict[str, NDArray[np.float64]]:
    if folder is None:
        raise ValueError(
            "`statistics: {neuroids: ...}` is set: give --folder, the folder of results, in which gather-model has "
            "written scores in samples of neuroids"
        )
    layout = Layout(str(folder))
    models = table["model"].unique()
    return align_drawn(table, ((name, read_table(layout.drawn(name), ["layer", "drawn"])) for name in models), names)


def analyse_layers(study: Study, layers: Path, folder: Path) -> None:
    """Write what else is said of the correlations over layers into a folder of results: a table for each analysis."""
    table, names, measures = _read(study, layers, LAYER)
    sampling, layout = _sampling(study), Layout(str(folder))
    analyses: dict[str, Callable[[], pd.DataFrame]] = {
        "within_between": lambda: divide_correlations(table, names, measures, sampling),
        "per_network": lambda: correlate_networks(table, names, measures, sampling),
        "families": lambda: correlate_groups(table, FAMILY, names, measures, sampling),
        "layer_types": lambda: correlate_groups(table, "class", names, measures, sampling),
        "comparisons": lambda: compare_correlations(table, names, measures, sampling),
        "partial": lambda: correlate_partially(table, names, measures, accuracies_of(study), sampling),
        "commonality": lambda: divide_variance(table, names, measures, sampling),
        "mixed": lambda: fit_mixed(table, names, measures, sampling),
    }
    for name, analyse in analyses.items():
        write_both(marked(analyse(), table), Path(layout.table(name)), Path(layout.table(name, "csv")))


def compare_finetuning(study: Study, finetuned: Path, folder: Path) -> None:
    """Write how fine-tuning changes the similarity to each region into a folder of results."""
    names, layout = [region.name for region in regions(study)], Layout(str(folder))
    columns = [f"{name}_{when}" for name in names for when in ("before", "after")]
    table = _with_families(study, read_table(finetuned, ["model", "split", *columns]))
    tell_fewer_splits(table)
    tables = compare_finetuned(table, names, _sampling(study))
    for name, one in zip(("finetuning_change", "finetuning_networks"), tables, strict=True):
        write_both(marked(one, table), Path(layout.table(name)), Path(layout.table(name, "csv")))


def _read(study: Study, layers: Path, columns: list[str]) -> tuple[pd.DataFrame, list[str], list[str]]:
    names, measures = brain_columns(study), [rating.measure for rating in study.ratings]
    table = read_table(layers, [*columns, *names, *measures])
    tell_missing(study, table)
    return _with_families(study, table), names, measures


def tell_missing(study: Study, table: pd.DataFrame) -> None:
    """Name the networks of a study that a table has no row of.

    Warns
    -----
    DegenerateWarning
        There are such.
    """
    absent = [entry.name for entry in study.models if entry.name not in set(table["model"])]
    if absent:
        _warn(f"not in the table, of {len(study.models)} networks: {', '.join(absent)}")


def tell_fewer_splits(table: pd.DataFrame) -> None:
    """Name the networks that have fewer splits than others.

    Warns
    -----
    DegenerateWarning
        There are such.
    """
    counts = table.groupby("model", sort=False)["split"].nunique()
    fewer = counts[counts < counts.max()]
    if len(fewer):
        named = ", ".join(f"{model} ({count})" for model, count in fewer.items())
        _warn(f"fewer than {counts.max()} splits of {len(fewer)} of {len(counts)} networks: {named}")


def _warn(told: str) -> None:
    warnings.warn(told, DegenerateWarning, stacklevel=4)


def _with_families(study: Study, table: pd.DataFrame) -> pd.DataFrame:
    families = families_of(study)
    return table.assign(family=[families.get(model, model) for model in table["model"]])


def _sampling(study: Study) -> Sampling:
    given = study.statistics
    return Sampling(given.level, given.draws, given.seed, given.interval, given.cluster)
