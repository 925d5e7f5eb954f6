"""The step that gathers the layers of fine-tuned networks."""

from pathlib import Path

import pandas as pd

from layerwise.analyses.gather import check_data, join_measured, tell_versions
from layerwise.config import Study
from layerwise.files.tables import read_table, write_both
from layerwise.study import Layout, profiled_networks


def gather_finetuned_layers(study: Study, folder: Path, output: Path, csv: Path | None = None) -> None:
    """Gather the layers of all fine-tuned networks into one table: a row a layer of a network and a split.

    Raises
    ------
    ValueError
        The study profiles none, or networks were held against other data than others.
    """
    profiled, layout = profiled_networks(study), Layout(str(folder))
    if not profiled:
        raise ValueError("the study profiles no fine-tuned network: set `finetuning.profile: true`, or leave this out")
    tables = {name: read_table(layout.model_layers(name), ["model", "layer"]) for name in profiled}
    _check_data({name: split for name, (_, split) in profiled.items()}, tables)
    tell_versions(tables)
    parts = [_named(tables[name], network, split) for name, (network, split) in profiled.items()]
    table = pd.concat(parts, ignore_index=True)
    table.attrs = {"data": {name: one.attrs.get("data", {}) for name, one in tables.items()}}
    table.attrs |= join_measured(tables.values())
    errors = {name: one.attrs["sketch_error"] for name, one in tables.items() if "sketch_error" in one.attrs}
    if errors:
        table.attrs["sketch_error"] = errors
    write_both(table, output, csv)


def _named(table: pd.DataFrame, network: str, split: str) -> pd.DataFrame:
    """Name the network that was trained on, and the split beside it."""
    named = table.drop(columns="model")
    named.insert(0, "model", network)
    named.insert(1, "split", split)
    return named


def _check_data(splits: dict[str, str], tables: dict[str, pd.DataFrame]) -> None:
    """Check that networks were held against the same recordings, and those of one split against the same ratings."""
    for split in dict.fromkeys(splits.values()):
        check_data({name: table for name, table in tables.items() if splits[name] == split})
    check_data({name: _without_ratings(table) for name, table in tables.items()})


def _without_ratings(table: pd.DataFrame) -> pd.DataFrame:
    data = table.attrs.get("data", {})
    left = pd.DataFrame()
    left.attrs["data"] = {name: hashes for name, hashes in data.items() if "ratings" not in hashes}
    return left
