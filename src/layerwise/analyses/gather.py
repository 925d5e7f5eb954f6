"""Gathers the rows of many jobs into one row for each layer."""

import warnings
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from layerwise.interfaces import DegenerateWarning, LayerSpec


def gather_model(
    model: str,
    layers: Sequence[LayerSpec],
    brain: Sequence[pd.DataFrame],
    behaviour: Sequence[pd.DataFrame],
    ceilings: Sequence[pd.DataFrame],
    consistencies: Sequence[pd.DataFrame] = (),
) -> pd.DataFrame:
    """Gather one network's scores: a row a layer.

    Parameters
    ----------
    model : str
        Name of the network in the study.
    layers : sequence of LayerSpec
        All its layers.
    brain : sequence of DataFrame
        Rows (layer, region, split) with r, as `BrainSimilarity.score` gives.
    behaviour : sequence of DataFrame
        Rows (layer, measure, split) with rho, as `BehaviouralAccuracy.score` gives.
    ceilings : sequence of DataFrame
        Rows (region, half, neuroid) with ceiling.
    consistencies : sequence of DataFrame
        Rows (measure, half) with ceiling, of measures that several raters scored.

    Returns
    -------
    DataFrame
        Columns model, layer, class, shape, units, depth, then for each region its brain similarity (mean over splits
        of the median r over neuroids), `_error` (standard deviation over splits / sqrt(splits), Brain-Score's way),
        `_splits` (how many splits have a value: mean and error are over these), `_ceiling` (median over neuroids, mean
        over halves), `_ceiled_2020` ((r/c)^2) and `_ceiled_2026` (r^2/c), and for each measure its accuracy (mean over
        splits of Spearman's rho), `_error`, `_splits` and, where it has several raters, `_ceiling` (mean over halves).
        Its `attrs` hold the hashes of "data" and, for measures that were predicted from sketches, the "sketch_error"
        that these were found to have.

    Raises
    ------
    ValueError
        A layer has no rows: a job is missing.

    Warns
    -----
    DegenerateWarning
        Layers have a value in fewer than half of their splits: theirs is NaN.
    """
    table = pd.DataFrame(
        {
            "model": model,
            "layer": [layer.name for layer in layers],
            "class": [layer.kind for layer in layers],
            "shape": ["x".join(map(str, layer.shape)) for layer in layers],
            "units": [layer.units for layer in layers],
            "depth": [layer.depth for layer in layers],
        }
    )
    medians = median_ceilings(ceilings)
    for region, rows in _by(brain, "region"):
        table = _join(table, _summarise(rows, region, "r"), region)
        table = _add_ceilings(table, region, medians[region])
    for measure, rows in _by(behaviour, "measure"):
        table = _join(table, _summarise(rows, measure, "rho"), measure)
    for measure, rows in _by(consistencies, "measure"):
        table[f"{measure}_ceiling"] = rows["ceiling"].mean()
    table.attrs = {"data": _origins([*brain, *behaviour, *ceilings, *consistencies])}
    errors = [rows.attrs["sketch_error"] for rows in behaviour if "sketch_error" in rows.attrs]
    if errors:
        table.attrs["sketch_error"] = {measure: text for error in errors for measure, text in error.items()}
    return table


def median_ceilings(ceilings: Sequence[pd.DataFrame]) -> dict[str, float]:
    """Ceiling of each region: median over neuroids, then mean over halves; NaN where it is undefined."""
    return {
        str(region): float(rows.groupby("half")["ceiling"].median().mean()) for region, rows in _by(ceilings, "region")
    }


def _origins(tables: Sequence[pd.DataFrame]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for table in tables:
        for name, hashes in table.attrs.get("data", {}).items():
            known = found.setdefault(name, {})
            differing = [key for key, value in hashes.items() if known.setdefault(key, value) != value]
            if differing:
                raise ValueError(
                    f"{name}: some of its jobs saw other {differing[0]} than the rest (their hashes differ): run all "
                    "of them again"
                )
    _check_weights({name: hashes["weights"] for name, hashes in found.items() if "weights" in hashes})
    return found


def _check_weights(hashes: dict[str, str]) -> None:
    """Require one file of weights: one whose format has no checksum may have been damaged between two jobs."""
    if len(set(hashes.values())) > 1:
        told = ", ".join(f"{name}: {value[:8]}" for name, value in hashes.items())
        raise ValueError(
            f"the network was run with other weights for some columns than for others (their hashes: {told}): look "
            "whether the file of weights is the right one, and run all of its jobs again"
        )


def _by(tables: Sequence[pd.DataFrame], column: str) -> Iterable[tuple[str, pd.DataFrame]]:
    if not tables:
        return []
    return ((str(name), rows) for name, rows in pd.concat(tables).groupby(column, sort=False))


def _summarise(rows: pd.DataFrame, name: str, value: str) -> pd.DataFrame:
    grouped = rows.groupby("layer", sort=False)[value]
    defined = grouped.count()
    error: pd.Series[float] = grouped.std(ddof=0) / np.sqrt(defined)
    summary = pd.DataFrame({name: grouped.mean(), f"{name}_error": error, f"{name}_splits": defined})
    few = defined < grouped.size() / 2
    if few.any():
        # The mean over the few splits that happen to have a value would pass for one over all.
        summary.loc[few, [name, f"{name}_error"]] = np.nan
        warnings.warn(
            f"{name}: {few.sum()} of {len(few)} layers have a value in fewer than half of their splits, and get none",
            DegenerateWarning,
            stacklevel=3,
        )
    return summary.reset_index()


def _join(table: pd.DataFrame, summary: pd.DataFrame, name: str) -> pd.DataFrame:
    missing = set(table["layer"]) - set(summary["layer"])
    if missing:
        raise ValueError(
            f"{name}: no scores for {len(missing)} of {len(table)} layers ({', '.join(sorted(missing)[:3])}, ...): "
            "run the scoring jobs of these layers again"
        )
    return table.merge(summary, on="layer", how="left", validate="one_to_one")


def _add_ceilings(table: pd.DataFrame, region: str, ceiling: float) -> pd.DataFrame:
    r, table = table[region], table.copy()
    table[f"{region}_ceiling"] = ceiling
    table[f"{region}_ceiled_2020"] = (r / ceiling) ** 2
    table[f"{region}_ceiled_2026"] = r**2 / ceiling
    return table
