"""The main results of a study in a few short tables, for a terminal."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from layerwise.files.tables import SIMULATED, read_table
from layerwise.statistics.folds import average_folds

Section = tuple[str, tuple[str, ...], list[tuple[str, ...]]]
BEST = 5  # networks that are listed


def summarise_results(tables: Mapping[str, Path]) -> list[Section]:
    """Summarise the tables of a study that are there.

    Parameters
    ----------
    tables : mapping of str to path
        Of correlations, network_correlations, network_scores and reproduction those that there are; or, of a study
        without recordings or without ratings, models and maybe finetuned.

    Returns
    -------
    list of (title, columns, rows)
        As text.
    """
    found = {name: read_table(path) for name, path in tables.items()}
    sections = []
    if "correlations" in found:
        sections.append(_over_layers(found["correlations"]))
    if "network_correlations" in found:
        sections.append(_over_networks(found["network_correlations"]))
    if {"correlations", "network_scores"} <= set(found):
        measures = found["correlations"]["measure"].unique()
        sections += [_best(found["network_scores"], name) for name in ("finetuned", *measures)]
    if "finetuned" in found:
        means = average_folds(found["finetuned"], ["rho"])
        sections.append(_best(means.rename(columns={"rho": "finetuned"}), "finetuned"))
    if "models" in found:
        sections += [_highest(rows, str(name)) for name, rows in found["models"].groupby("target", sort=False)]
    if "reproduction" in found:
        sections.append(_reproduced(found["reproduction"]))
    mark = " (simulated data)" if any(SIMULATED in table.attrs for table in found.values()) else ""
    return [(title + mark, columns, rows) for title, columns, rows in sections if rows]


def _over_layers(table: pd.DataFrame) -> Section:
    layers = "n_layers" if "n_layers" in table else "layers"
    rows = [_texts(row["region"], row["measure"], _rho(row), f"{row[layers]:,}") for _, row in table.iterrows()]
    return "Over layers", ("region", "measure", "rho", "layers"), rows


def _over_networks(table: pd.DataFrame) -> Section:
    some = table[table["networks"] > 0]  # of networks of one's own no accuracy is published
    rows = [_texts(row["figure"], row["x"], row["y"], _rho(row), row["networks"]) for _, row in some.iterrows()]
    return "Over networks", ("figure", "x", "y", "rho", "networks"), rows


def _best(networks: pd.DataFrame, column: str) -> Section:
    """List the networks with the highest values; no row where the column is not there."""
    title = "Highest accuracy after fine-tuning" if column == "finetuned" else f"Highest {column} of a layer"
    named = f"{column}_layer" in networks
    if column not in networks:
        return title, (), []
    chosen = networks.dropna(subset=[column]).nlargest(BEST, column)
    rows = [
        _texts(row["model"], *([row[f"{column}_layer"]] if named else []), _number(row[column]))
        for _, row in chosen.iterrows()
    ]
    return title, ("network", *(["layer"] if named else []), "value"), rows


def _highest(layers: pd.DataFrame, target: str) -> Section:
    """List the networks with the best layers, of rows of one region or of ratings."""
    chosen = layers.dropna(subset=["value"]).nlargest(BEST, "value")
    rows = [_texts(row["model"], row["best_layer"], _number(row["value"])) for _, row in chosen.iterrows()]
    return f"Highest {target} of a layer", ("network", "layer", "value"), rows


def _reproduced(table: pd.DataFrame) -> Section:
    if table["ours"].isna().all():
        reasons = "; ".join(table["reason"].unique())
        return "The paper's numbers", ("",), [(f"not compared, since {reasons}",)]
    rows = [
        _texts(row["quantity"], _number(row["paper"]), _rho(row, "ours"), _number(row["difference"]), row["inside"])
        for _, row in table.iterrows()
    ]
    return "The paper's numbers", ("quantity", "paper", "ours", "difference", "in our interval"), rows


def _rho(row: pd.Series, column: str = "rho") -> str:
    ends = [row.get(end, np.nan) for end in ("low", "high")]
    interval = f" [{_number(ends[0])}, {_number(ends[1])}]" if np.isfinite(ends).all() else ""
    return f"{_number(row[column])}{interval}"


def _number(value: float) -> str:
    if not np.isfinite(value):
        return "not defined"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3f}"


def _texts(*values: object) -> tuple[str, ...]:
    return tuple(map(str, values))
