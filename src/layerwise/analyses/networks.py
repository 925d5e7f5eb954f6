"""What is said of a network as a whole: a row for each, of what is published, of its layers and of its fine-tuning."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from layerwise.files.tables import MEASURED
from layerwise.interfaces import FITTED, PLS
from layerwise.models.families import family_of
from layerwise.models.registry import find, names
from layerwise.statistics.correlation import spearman
from layerwise.statistics.folds import average_folds

CONTROLS = {
    "figure3": ("{region}_after", "finetuned"),
    "figure4a": ("top1", "{region}_before"),
    "figure4b": ("top1", "{region}"),
    "figureS1": ("top1", "finetuned"),
}
"""Figures with a point a network: the columns of `describe_networks` on their axes."""


def scored_columns(layers: pd.DataFrame) -> tuple[list[str], list[str]]:
    """Return the regions (each by each measure of the brain) and the measures of a table of layers, as it tells."""
    names, measured = [str(name) for name in layers], layers.attrs.get(MEASURED, {})
    single = [name for name in names if measured.get(name, PLS) not in FITTED]
    scored = [name for name in names if f"{name}_splits" in layers or name in single]
    regions = [name for name in scored if f"{name}_ceiled_2020" in layers or name in single]
    return regions, [name for name in scored if name not in regions]


def describe_networks(
    layers: pd.DataFrame, regions: Sequence[str], measures: Sequence[str], finetuned: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Describe each network in a row.

    Parameters
    ----------
    layers : DataFrame
        A row for each layer of all networks.
    regions, measures : sequence of str
        Its columns of scores.
    finetuned : DataFrame, optional
        A row for each fine-tuned network and split.

    Returns
    -------
    DataFrame
        Columns model, family, layers, parameters and top1 (as published, else as stated; NaN where neither is known),
        for each region and measure its best value and `_layer`, which has it; for each pair of these
        `rho_{region}_{measure}` over the layers of the network; and, of fine-tuning, finetuned (mean of rho over
        splits), finetuned_error (its standard error), splits, and for each region `_before` and `_after`.
    """
    rows = [
        {"model": model, **_published(str(model)), "layers": len(rows)}
        | _best(rows, [*regions, *measures])
        | _correlated(rows, regions, measures)
        for model, rows in layers.groupby("model", sort=False)
    ]
    table = pd.DataFrame(rows)
    if finetuned is None:
        return table
    return table.merge(_over_splits(finetuned, regions), on="model", how="left", validate="one_to_one")


def describe_origins(data: Mapping[str, Mapping[str, Mapping[str, str]]]) -> pd.DataFrame:
    """List what scores were made from.

    Parameters
    ----------
    data : mapping of str to mapping of str to mapping of str to str
        For each network, and for each region, measure or stimulus set, hashes and settings by name.

    Returns
    -------
    DataFrame
        Rows (about, what, value, networks): those with one value for all networks have "all" there.
    """
    found: dict[tuple[str, str, str], list[str]] = {}
    for model, of_model in data.items():
        for about, hashes in of_model.items():
            for what, value in hashes.items():
                found.setdefault((about, what, str(value)), []).append(model)
    rows = [(*key, "all" if len(models) == len(data) else ", ".join(models)) for key, models in found.items()]
    return pd.DataFrame(rows, columns=["about", "what", "value", "networks"])


def _published(model: str) -> dict[str, Any]:
    row = find(model) if model in names() else None
    top1 = (row.top1 or row.top1_stated) if row else None
    return {
        "family": family_of(model),
        "parameters": np.nan if row is None or row.parameters is None else row.parameters,
        "top1": np.nan if top1 is None else top1,
    }


def _best(rows: pd.DataFrame, columns: Sequence[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for column in columns:
        values = rows[column].to_numpy(float)
        best = int(np.nanargmax(values)) if np.isfinite(values).any() else None
        found[column] = np.nan if best is None else values[best]
        found[f"{column}_layer"] = "" if best is None else rows["layer"].iloc[best]
    return found


def _correlated(rows: pd.DataFrame, regions: Sequence[str], measures: Sequence[str]) -> dict[str, float]:
    pairs = [(region, measure) for measure in measures for region in regions]
    return {f"rho_{one}_{two}": spearman(*rows[[one, two]].dropna().to_numpy(float).T)[0] for one, two in pairs}


def _over_splits(finetuned: pd.DataFrame, regions: Sequence[str]) -> pd.DataFrame:
    """Average splits as figure 3 does."""
    columns = [f"{region}_{when}" for region in regions for when in ("before", "after")]
    known = [column for column in columns if column in finetuned]
    means = average_folds(finetuned, ["rho", *known])
    means["splits"] = finetuned.groupby("model", sort=False)["rho"].count().to_numpy()
    means["finetuned_error"] = means["rho_sd"] / np.sqrt(means["splits"].where(means["splits"] > 0))
    return means.rename(columns={"rho": "finetuned"})[["model", "finetuned", "splits", "finetuned_error", *known]]
