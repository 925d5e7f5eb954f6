"""Gathers the rows of many jobs into one row for each layer."""

import logging
import warnings
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from layerwise.files.tables import MEASURED
from layerwise.interfaces import FITTED, PLS, DegenerateWarning, LayerSpec, agreeing, measured_as
from layerwise.statistics.scores import choose_best

log = logging.getLogger(__name__)

VERSIONS, APART = "versions", " | "  # of libraries; several, where jobs had different ones
OF_NETWORK = ("network", "weights", "preprocessing")  # hashes that must be the same in all that is said of a network
OF_DATA = ("recordings", "ratings", "raters")  # and in all that is said of a region or a measure


def gather_model(
    model: str,
    layers: Sequence[LayerSpec],
    brain: Sequence[pd.DataFrame],
    behaviour: Sequence[pd.DataFrame],
    ceilings: Sequence[pd.DataFrame],
    consistencies: Sequence[pd.DataFrame] = (),
    activations: Mapping[str, Mapping[str, str]] | None = None,
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
    activations : mapping of str to mapping of str to str, optional
        The attributes of the activations that are kept, for each region and measure that was predicted from them.

    Returns
    -------
    DataFrame
        Columns model, layer, class, shape, units, depth, same_as, then for each region its brain similarity (mean over
        splits of the median r over neuroids), `_error` (standard deviation over splits / sqrt(splits), Brain-Score's
        way), `_splits` (how many splits have a value: mean and error are over these), `_ceiling` (median over neuroids,
        mean over halves), `_ceiled_2020` ((r/c)^2) and `_ceiled_2026` (r^2/c), and for each measure its accuracy (mean
        over splits of Spearman's rho), `_error`, `_splits` and, where it has several raters, `_ceiling` (mean over
        halves).
        A region has the same columns for ridge regression (IT_ridge); for RSA and CKA, which are one number a layer,
        only that (IT_rsa).
        Its `attrs` hold the hashes of "data", what the best layer of each column is worth on splits that did not
        choose it ("nested": nested and same, as `statistics.scores.Best` has them), for columns of other measures of
        the brain than PLS which it is ("measured"), and, for measures that were predicted from sketches, the
        "sketch_error" that these were found to have.

    Raises
    ------
    ValueError
        A layer has no rows: a job is missing; or parts were made from other data, or with another network (its weights
        or its preprocessing), than the rest.

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
            "same_as": [layer.same_as for layer in layers],
        }
    )
    medians, measured = median_ceilings(ceilings), dict[str, str]()
    for column, rows in _by(brain, "region"):
        region, kind = measured_as(column, medians)
        measured |= {} if kind == PLS else {column: kind}
        if kind in FITTED:
            summary = summarise_layers(rows, column, "r")
            if rows["split"].nunique() == 1:  # one split says nothing of how much another would differ
                summary[f"{column}_error"] = np.nan
            table = _add_ceilings(_join(table, summary, column), column, medians[region])
        else:
            table = _join(table, rows[["layer", "r"]].rename(columns={"r": column}), column)
    for measure, rows in _by(behaviour, "measure"):
        table = _join(table, summarise_layers(rows, measure, "rho"), measure)
    for measure, rows in _by(consistencies, "measure"):
        table[f"{measure}_ceiling"] = rows["ceiling"].mean()
    kept = pd.DataFrame()
    kept.attrs["data"] = activations or {}
    table.attrs = {"data": gather_origins([*brain, *behaviour, *ceilings, *consistencies, kept])}
    table.attrs |= {MEASURED: measured} if measured else {}
    _check_network(model, table.attrs["data"])
    tell_versions({model: table})
    table.attrs["nested"] = _nested([(brain, "region", "r"), (behaviour, "measure", "rho")])
    errors = [rows.attrs["sketch_error"] for rows in behaviour if "sketch_error" in rows.attrs]
    if errors:
        table.attrs["sketch_error"] = {measure: text for error in errors for measure, text in error.items()}
    return table


def join_measured(tables: Iterable[pd.DataFrame]) -> dict[Hashable, Any]:
    """Join what tables say of the measures of their columns, as attributes of a table of them all."""
    measured = {name: kind for table in tables for name, kind in table.attrs.get(MEASURED, {}).items()}
    return {MEASURED: measured} if measured else {}


def copy_repeated(rows: pd.DataFrame, layers: Sequence[LayerSpec]) -> pd.DataFrame:
    """Add the rows of layers that repeat another one: copies of its rows.

    Parameters
    ----------
    rows : DataFrame
        Rows of layers that give values of their own, by the column layer.
    layers : sequence of LayerSpec
        All layers of the network.

    Returns
    -------
    DataFrame
        The rows, and after them the copies, in the order of the layers; `attrs` as they were.
    """
    copies = [
        rows[rows["layer"] == layer.same_as].assign(layer=layer.name)
        for layer in layers
        if layer.same_as and (rows["layer"] == layer.same_as).any()
    ]
    if not copies:
        return rows
    found = pd.concat([rows, *copies], ignore_index=True)
    found.attrs = rows.attrs
    return found


def _nested(scores: Sequence[tuple[Sequence[pd.DataFrame], str, str]]) -> dict[str, dict[str, float | None]]:
    """Score the choice of the best layer on splits that had no part in it; None where there are too few."""
    found: dict[str, dict[str, float | None]] = {}
    for tables, column, value in scores:
        for name, rows in _by(tables, column):
            best = choose_best(rows.pivot(index="layer", columns="split", values=value).to_numpy(float))
            worth = {"nested": best.nested, "same": best.same} if best else {"nested": np.nan, "same": np.nan}
            found[name] = {key: None if np.isnan(one) else one for key, one in worth.items()}
    return found


def tell_versions(tables: Mapping[str, pd.DataFrame]) -> None:
    """Warn where a library had one version for some results and another for others.

    Parameters
    ----------
    tables : mapping of str to DataFrame
        The table of each network, as `gather_model` gives.
    """
    used: dict[str, dict[str, list[str]]] = {}
    for model, table in tables.items():
        for hashes in table.attrs.get("data", {}).values():
            for library, version in _versions(hashes.get(VERSIONS, "")):
                models = used.setdefault(library, {}).setdefault(version, [])
                models += [model] if model not in models else []
    for library, versions in used.items():
        if len(versions) > 1:
            told = "; ".join(f"{version} for {_some(models)}" for version, models in sorted(versions.items()))
            log.warning(
                "networks were run with different versions of %s (%s): values may differ for that alone; `compute: "
                "{versions: rerun}` in the config runs all of them again",
                library,
                told,
            )


def _versions(text: str) -> list[tuple[str, str]]:
    parts = [part.rpartition(" ") for part in text.replace(APART, ", ").split(", ") if part]
    return [(library, version) for library, _, version in parts]


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def median_ceilings(ceilings: Sequence[pd.DataFrame]) -> dict[str, float]:
    """Ceiling of each region: median over neuroids, then mean over halves; NaN where it is undefined."""
    return {
        str(region): float(rows.groupby("half")["ceiling"].median().mean()) for region, rows in _by(ceilings, "region")
    }


def gather_origins(tables: Sequence[pd.DataFrame]) -> dict[str, dict[str, str]]:
    """Join what tables say of their origins, and refuse those that saw other data under the same name."""
    found: dict[str, dict[str, str]] = {}
    for table in tables:
        for name, hashes in table.attrs.get("data", {}).items():
            known = found.setdefault(name, {})
            # Other versions of libraries are reported; they cause a rerun only if the config says so.
            versions = dict.fromkeys([*known.get(VERSIONS, "").split(APART), hashes.get(VERSIONS, "")])
            if any(versions):
                known[VERSIONS] = APART.join(filter(None, versions))
            compared = {key: value for key, value in hashes.items() if key != VERSIONS}
            differing = [key for key, value in compared.items() if known.setdefault(key, value) != value]
            if differing:
                raise ValueError(
                    f"{name}: some of its jobs saw other {differing[0]} than the rest (their hashes differ): run all "
                    f"of them again, once the activations, scores and ceilings of {name} are deleted"
                )
    return found


def check_data(networks: Mapping[str, pd.DataFrame]) -> None:
    """Check that all networks were compared with the same data.

    Parameters
    ----------
    networks : mapping of str to DataFrame
        The table of each network, as `gather_model` gives.

    Raises
    ------
    ValueError
        A region's recordings, or the ratings of a measure, are others for one network than for another.
    """
    first: dict[tuple[str, str], tuple[str, str]] = {}  # hash and network, for each column and kind of data
    for model, table in networks.items():
        for name, hashes in table.attrs.get("data", {}).items():
            for key in [key for key in OF_DATA if key in hashes]:
                known, other = first.setdefault((name, key), (hashes[key], model))
                if hashes[key] != known:
                    raise ValueError(
                        f"{name}: {model} was compared with other {key} than {other} (their hashes are {hashes[key]} "
                        f"and {known}): delete the scores of {name} of both, and run again"
                    )


def _check_network(model: str, origins: Mapping[str, Mapping[str, str]]) -> None:
    for key in OF_NETWORK:
        parts: dict[str, list[str]] = {}
        for name, hashes in origins.items():
            if key in hashes:
                parts.setdefault(hashes[key], []).append(name)
        if len(parts) > 1:
            told = "; ".join(f"{', '.join(names)} with {value[:8]}" for value, names in parts.items())
            what = "a different entry in the config or code" if key == "network" else f"different {key}"
            raise ValueError(
                f"{model}: parts of its results were made with {what} than the rest (by their hashes: {told}), and do "
                f"not belong in one table: delete the folders activations, brain and memorability of {model}, "
                "and run again"
            )


def _by(tables: Sequence[pd.DataFrame], column: str) -> Iterable[tuple[str, pd.DataFrame]]:
    if not tables:
        return []
    return ((str(name), rows) for name, rows in pd.concat(tables).groupby(column, sort=False))


def summarise_layers(rows: pd.DataFrame, name: str, value: str) -> pd.DataFrame:
    """Average a value over the splits of each layer, under a name; NaN where fewer than half of them have one."""
    grouped = rows.groupby("layer", sort=False)[value]
    defined = grouped.count()
    error: pd.Series[float] = grouped.std(ddof=0) / np.sqrt(defined)
    summary = pd.DataFrame({name: grouped.mean(), f"{name}_error": error, f"{name}_splits": defined})
    few = defined < grouped.size() / 2
    if few.any():
        # A mean over the few splits that have a value would be taken for one over all splits.
        summary.loc[few, [name, f"{name}_error"]] = np.nan
        warnings.warn(
            f"{name}: {few.sum()} of {len(few)} layers {agreeing(few.sum(), 'has', 'have')} values in fewer than half "
            "of the splits: no score",
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
