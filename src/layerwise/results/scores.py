"""Scores of layers, from the rows that jobs wrote to arrays with named dimensions."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from layerwise.files.tables import read_table

ROUNDING = 1e-9  # of a mean over splits


def read_parts(folder: str | Path, columns: Sequence[str], layers: pd.DataFrame, column: str) -> pd.DataFrame:
    """Read the rows of all blocks of a network's layers.

    Parameters
    ----------
    folder : path
        With a file for each block; where blocks were cut otherwise before, files of both, of which the newer counts.
    columns : sequence of str
        That files have; the second is the value.
    layers : DataFrame
        The network's rows of layers.parquet, which were gathered from these files.
    column : str
        Of `layers`, and the name of the score in the first of `columns`.

    Raises
    ------
    ValueError
        There are no such rows, or not those that `layers` was gathered from.
    """
    named, value = columns
    files = sorted(Path(folder).glob("*.parquet"), key=lambda path: (path.stat().st_mtime_ns, path.name))
    tables = [read_table(path, ["layer", "split", *columns]) for path in files]
    rows = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=["layer", "split", *columns])
    rows = rows[rows[named] == column].drop_duplicates(["layer", "split"], keep="last")
    _require_gathered(rows.groupby("layer")[value].mean(), layers, column, folder)
    return rows


def as_array(
    rows: pd.DataFrame, value: str, layers: pd.DataFrame, neuroids: Sequence[str] | None = None
) -> xr.DataArray:
    """Put rows (layer, split) into an array; layers that repeat another one get what that one has.

    Parameters
    ----------
    rows : DataFrame
        With numbers in the column `value`, or, where neuroids are given, lists with a number for each.
    value : str
        The column.
    layers : DataFrame
        The network's rows of layers.parquet.
    neuroids : sequence of str, optional
        Their names.

    Returns
    -------
    DataArray [layer, split] or [layer, split, neuroid]
        Along layer with the coordinates model, depth and units.

    Raises
    ------
    ValueError
        Lists have another length.
    """
    wide = rows.pivot(index="layer", columns="split", values=value).loc[giving(layers)]
    coordinates = {"layer": list(layers["layer"]), "split": list(wide.columns)}
    values = wide.to_numpy()
    if neuroids is not None:
        values = _stacked(values, neuroids)
        coordinates["neuroid"] = list(neuroids)
    along = {name: ("layer", layers[name].to_numpy()) for name in ("model", "depth", "units")}
    return xr.DataArray(values.astype(np.float64), dims=tuple(coordinates), coords={**coordinates, **along}, name=value)


def giving(layers: pd.DataFrame) -> list[str]:
    """Name, for each layer, the one that has its values: of most, itself."""
    same = layers["same_as"].fillna("") if "same_as" in layers else pd.Series("", index=layers.index)
    return list(same.where(same != "", layers["layer"]))


def _stacked(lists: np.ndarray, neuroids: Sequence[str]) -> np.ndarray:
    lengths = {len(one) for one in lists.ravel()}
    if lengths != {len(neuroids)}:
        raise ValueError(
            f"scores are of {' or '.join(map(str, sorted(lengths)))} neuroids, and ceilings of {len(neuroids)}: they "
            "were made from different recordings; run the workflow again"
        )
    return np.stack([np.stack(list(row)) for row in lists])


def _require_gathered(means: pd.Series, layers: pd.DataFrame, column: str, folder: str | Path) -> None:
    expected = layers[column].to_numpy(float)
    kept = np.isfinite(expected)  # a layer with a value in too few of its splits has none in the table
    found = means.reindex(giving(layers)).to_numpy(float)
    there = set(giving(layers)) <= set(means.index)
    if not there or not np.allclose(found[kept], expected[kept], rtol=0, atol=ROUNDING):
        raise ValueError(
            f"the scores in {folder} are not those that layers.parquet was gathered from: files are missing, or of "
            "another run; run the workflow again"
        )
