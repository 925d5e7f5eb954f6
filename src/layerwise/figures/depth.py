"""Scores over depth: a panel a region or measure, a line a network, with errors and the ceiling."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from layerwise.figures.groups import Groups, draw_group_legend, group_networks, known_families, make_panels
from layerwise.figures.parts import CEILING, MAX_COLOURS, ceiling_of, explain
from layerwise.figures.profiles import average_steps, with_relative_depth
from layerwise.figures.style import mark_simulated, set_style
from layerwise.figures.words import (
    label,
    name_scores,
    require_scores,
    state_ceiling,
    state_lost,
    tell_above,
    tell_measure,
)
from layerwise.interfaces import counted


def plot_depth(layers: pd.DataFrame, regions: Sequence[str], measures: Sequence[str]) -> Figure:
    """Draw the figure.

    Up to ten networks, a line goes through all layers of a network, which break it where they have no value, and a band
    spans the score less and plus its standard error. Of more, a line goes through means of a twentieth of the depth,
    has the colour of the network's family, and the median of the errors is told. A marker stands at the highest value.

    Parameters
    ----------
    layers : DataFrame
        A row for each layer: model, depth, maybe family, the columns, and maybe COLUMN_error and COLUMN_ceiling.
    regions, measures : sequence of str
        Columns of scores, a panel each.

    Raises
    ------
    ValueError
        There is no column.
    """
    names = [*regions, *measures]
    require_scores(names)
    set_style()
    table, once = with_relative_depth(layers), layers.drop_duplicates("model")
    groups = group_networks(list(once["model"]), known_families(once))
    few = len(once) <= MAX_COLOURS
    words = [_told(table, name, few) for name in names]
    room, more = max(map(len, words)), _explained(table, names, few)
    figure, axes = make_panels(
        len(names), groups, more, room, sharey=bool(tell_measure(regions, layers)) or not regions
    )
    for axis, name, told in zip(axes, names, words, strict=True):
        _draw_panel(axis, table, name, groups, few)
        tell_above(axis, label(name), told, room)
    figure.supxlabel("Relative depth", fontsize="medium")
    figure.supylabel(name_scores(regions, measures, layers), fontsize="medium")
    draw_group_legend(figure, groups, more)
    mark_simulated(figure, layers.attrs)
    return figure


def _told(table: pd.DataFrame, name: str, few: bool) -> list[str]:
    """Return the lines above a panel."""
    drawn = int(np.isfinite(table[name]).sum())
    facts = (
        f"{counted(drawn, 'layer')} of {counted(table['model'].nunique(), 'network')}",
        state_lost(len(table) - drawn),
    )
    error = float("nan") if few or drawn == 0 else _errors(table, name).median()
    bounds = state_ceiling(ceiling_of(table, name)), f"median error {error:.3f}" if np.isfinite(error) else ""
    return list(filter(None, (*facts, ", ".join(filter(None, bounds)))))


def _explained(table: pd.DataFrame, names: Sequence[str], few: bool) -> list[Artist]:
    """Return what the legend says of lines and bands."""
    more: list[Artist] = []
    if few and any(np.isfinite(_errors(table, name)).any() for name in names):
        more.append(Patch(color="0.6", alpha=0.5, linewidth=0, label="± standard error"))
    if any(np.isfinite(ceiling_of(table, name)) for name in names):
        more.append(explain("ceiling", CEILING))
    return more


def _errors(table: pd.DataFrame, name: str) -> "pd.Series[float]":
    """Return the errors of scores; NaN where there are none, as of what is one number a layer."""
    return table.get(f"{name}_error", pd.Series(np.nan, table.index))


def _draw_panel(axis: Axes, table: pd.DataFrame, name: str, groups: Groups, few: bool) -> None:
    for model, rows in table.groupby("model", sort=False):
        look = groups.look(str(model))
        x, y = _through(rows, name, few)
        axis.plot(x, y, color=look.colour, linewidth=0.7, alpha=0.9 if few else 0.5)
        if np.isfinite(y).any():
            best = np.nanargmax(y)
            axis.plot(x[best], y[best], look.marker, color=look.colour, ms=3.5, mec="white", mew=0.4, zorder=4)
        if few:
            error = _errors(rows.sort_values("depth"), name)
            axis.fill_between(x, y - error, y + error, color=look.colour, alpha=0.2, lw=0)
    ceiling = ceiling_of(table, name)
    if np.isfinite(ceiling):
        axis.axhline(ceiling, **CEILING)
    axis.set_xlim(0, 1.02)  # the last layer's marker is whole
    axis.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    sns.despine(ax=axis)


def _through(rows: pd.DataFrame, name: str, few: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return what the line of a network goes through: its layers, or their means over steps of depth."""
    if few:
        rows = rows.sort_values("depth")
        return rows["relative"].to_numpy(float), rows[name].where(np.isfinite(rows[name])).to_numpy(float)
    curve = average_steps(rows.assign(**{name: rows[name].where(np.isfinite(rows[name]))}), name).iloc[:, 0]
    return curve.index.to_numpy(float), curve.to_numpy(float)
