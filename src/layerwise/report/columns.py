"""Tables as columns: numbers for Bokeh, which sends them as bytes, and text once for each different value."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from layerwise.report.contents import Contents

Columns = dict[str, NDArray[Any]]

# No name of a region or measure begins with an underscore, so that ours never meet one.
NETWORK, CLASS, SHAPE, UNITS, DEPTH, RELATIVE, PICK = (
    *("_network", "_class", "_shape", "_units", "_depth", "_relative", "_pick"),
)


def layer_columns(contents: Contents) -> tuple[Columns, dict[str, list[str]]]:
    """Return the columns of layers.

    Returns
    -------
    columns : dict of str to array [layer]
        Numbers; of the network, class and shape of a layer that in the lists.
    texts : dict of str to list of str
        "networks", "classes" and "shapes" in the order of those numbers, and "layers", the name of each layer.
    """
    layers = contents.layers
    networks = list(map(str, contents.networks["model"]))
    network = pd.Categorical(layers["model"], categories=networks).codes
    kinds, classes = pd.factorize(layers["class"])
    forms, shapes = pd.factorize(layers["shape"])
    depth = layers["depth"].to_numpy(np.int32)
    deepest = layers.groupby("model", sort=False)["depth"].transform("max").to_numpy(np.float32)
    columns = {
        NETWORK: network.astype(np.uint16),
        CLASS: kinds.astype(np.uint16),
        SHAPE: forms.astype(np.uint16),
        UNITS: layers["units"].to_numpy(np.int32),
        DEPTH: depth,
        RELATIVE: depth / deepest,
        PICK: np.zeros(len(layers), np.uint8),
    }
    texts = {"networks": networks, "classes": list(map(str, classes)), "shapes": list(map(str, shapes))}
    return columns | _scores(contents), texts | {"layers": list(map(str, layers["layer"]))}


def network_columns(networks: pd.DataFrame) -> Columns:
    """Return the columns of networks that hold numbers [network]."""
    numbers = networks.select_dtypes("number")
    columns: Columns = {str(name): numbers[name].to_numpy(np.float32) for name in numbers}
    return columns | {PICK: np.zeros(len(networks), np.uint8)}


def fitted_lines(table: pd.DataFrame, pairs: Sequence[tuple[str, str]]) -> Columns:
    """Fit the regression line of each pair (x, y) of columns.

    Returns
    -------
    dict of str to float array [2]
        For each pair `{x} {y} x` and `{x} {y} y`, the line's ends; NaN with fewer than three points or one x.
    """
    lines: Columns = {}
    for x, y in pairs:
        points = table[[x, y]].to_numpy(float)
        points = points[np.isfinite(points).all(axis=1)]
        ends = np.full((2, 2), np.nan)
        if len(points) >= 3 and np.ptp(points[:, 0]) > 0:
            ends[0] = points[:, 0].min(), points[:, 0].max()
            ends[1] = np.polyval(np.polyfit(points[:, 0], points[:, 1], 1), ends[0])
        lines[f"{x} {y} x"], lines[f"{x} {y} y"] = ends
    return lines


def depth_lines(contents: Contents, name: str) -> dict[str, list[NDArray[np.float64]]]:
    """Return the line of each network over depth, and the band of its standard error: outlines of its whole parts.

    Returns
    -------
    dict of str to list of array
        "x" and "y" of lines, one a network, and "band x" and "band y", one for each run of layers that have an error.
    """
    found: dict[str, list[NDArray[np.float64]]] = {key: [] for key in ("x", "y", "band x", "band y")}
    for _, rows in contents.layers.sort_values("depth").groupby("model", sort=False):
        x = rows["depth"].to_numpy(float) / rows["depth"].max()
        y = _finite(rows[name].to_numpy(np.float32)).astype(float)
        error = rows.get(f"{name}_error", pd.Series(np.nan, rows.index)).to_numpy(float)
        found["x"].append(x)
        found["y"].append(y)
        for run in _runs(np.isfinite(y + error)):
            found["band x"].append(np.concatenate([x[run], x[run][::-1]]))
            found["band y"].append(np.concatenate([(y + error)[run], (y - error)[run][::-1]]))
    return found


def _runs(there: NDArray[np.bool_]) -> list[slice]:
    """Find where values follow each other without a gap."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], there, [False]]).astype(int)))
    return [slice(start, end) for start, end in zip(edges[::2], edges[1::2], strict=True)]


def _scores(contents: Contents) -> Columns:
    names = [*contents.regions, *contents.measures]
    every = (f"{name}{ending}" for name in names for ending in ("", "_error", "_neuroid_error"))
    kept = [column for column in every if column in contents.layers]
    return {name: _finite(contents.layers[name].to_numpy(np.float32)) for name in kept}


def _finite(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Leave out what is infinite, as statistics do: axes would have no end."""
    return np.where(np.isfinite(values), values, np.float32(np.nan))
