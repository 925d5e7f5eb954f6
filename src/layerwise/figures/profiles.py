"""Profiles: brain similarity and memorability over the depth of networks, a panel a network or family."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from layerwise.figures.parts import MAX_COLOURS, Colour
from layerwise.figures.style import COLUMN, PAGE, SMALL, mark_simulated, set_style
from layerwise.figures.words import label, name_scores, require_scores
from layerwise.interfaces import counted

STEPS = 20  # of relative depth, over which layers are averaged
MAX_COLUMNS = 5  # of panels
DASHES = ["--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 0.5))]  # of regions; measures are drawn through


def plot_profiles(
    layers: pd.DataFrame, regions: Sequence[str], measures: Sequence[str], only: str | None = None
) -> Figure:
    """Draw scores over relative depth.

    Up to ten networks have a panel each, more of them a panel a family. A line is the mean over layers of a twentieth
    of the depth, then over networks; a band spans from the lowest to the highest network.

    Parameters
    ----------
    layers : DataFrame
        A row for each layer: model, depth, maybe family, and the columns.
    regions, measures : sequence of str
        Columns of scores; measures are drawn in black.
    only : str, optional
        A network, whose layers are drawn as points, too, or a family, of which each network has a panel.

    Raises
    ------
    ValueError
        There is no such network or family, or no column.
    """
    require_scores([*regions, *measures])
    set_style()
    table = with_relative_depth(layers)
    chosen, by = _choose(table, only)
    panels = list(chosen.groupby(by, sort=False))
    colours = dict(zip(regions, sns.color_palette("colorblind", len(regions)), strict=True))
    looks: dict[str, tuple[Colour, object]] = {
        **{name: (colours[name], DASHES[number % len(DASHES)]) for number, name in enumerate(regions)},
        **{name: (str(0.45 * number), "-") for number, name in enumerate(measures)},
    }
    figure, axes = _panels(len(panels))
    for axis, (name, rows) in zip(axes, panels, strict=True):
        _draw_panel(axis, rows, looks, points=len(panels) == 1)
        number = rows["model"].nunique()
        axis.set_title(f"{name}, {counted(number, 'network')}" if by == "family" else str(name))
    figure.supxlabel("Relative depth", fontsize="medium")
    figure.supylabel(name_scores(regions, measures, layers), fontsize="medium")
    handles = [
        Line2D([], [], color=colour, linestyle=dash, label=label(name))  # type: ignore[arg-type]
        for name, (colour, dash) in looks.items()
    ]
    columns = len(handles) if figure.get_size_inches()[0] > COLUMN else -(-len(handles) // -(-len(handles) // 4))
    in_rows = [handle for place in range(columns) for handle in handles[place::columns]]  # legends are filled by column
    figure.legend(handles=in_rows, loc="outside upper center", ncols=columns, frameon=False, handlelength=2.6)
    mark_simulated(figure, layers.attrs)
    return figure


def _choose(table: pd.DataFrame, only: str | None) -> tuple[pd.DataFrame, str]:
    """Choose the rows that are drawn, and the column whose values have a panel each."""
    by = "family" if "family" in table and table["model"].nunique() > MAX_COLOURS else "model"
    if only is None:
        return table, by
    for column in ("model", "family"):
        if column in table and (table[column] == only).any():
            return table[table[column] == only], "model"
    known = [*(table["family"].unique() if "family" in table else []), *table["model"].unique()]
    told = ", ".join(known[:20]) + (" ..." if len(known) > 20 else "")
    raise ValueError(f"no network or family {only!r}; there are: {told}")


def _panels(number: int) -> tuple[Figure, Sequence[Axes]]:
    rows = -(-number // MAX_COLUMNS)
    columns = -(-number // rows)
    width = COLUMN if columns <= 2 else PAGE
    height = (0.95 if columns > 3 else 0.75) * width * rows / columns + 0.3
    figure, axes = plt.subplots(
        rows, columns, figsize=(width, height), squeeze=False, layout="constrained", sharex=True, sharey=True
    )
    for axis in axes.flat[number:]:
        axis.remove()
    for axis in axes.flat[max(0, number - columns) : number]:
        axis.tick_params(labelbottom=True)  # those above an empty place, too
    return figure, list(axes.flat[:number])


def _draw_panel(axis: Axes, rows: pd.DataFrame, looks: dict[str, tuple[Colour, object]], points: bool) -> None:
    for name, (colour, dash) in looks.items():
        curves = average_steps(rows, name)
        if curves.notna().any(axis=None):
            axis.plot(curves.index, curves.mean(axis=1), color=colour, linestyle=dash, linewidth=1)
            if curves.shape[1] > 1:
                axis.fill_between(curves.index, curves.min(axis=1), curves.max(axis=1), color=colour, alpha=0.13, lw=0)
        if points:
            axis.plot(rows["relative"], rows[name], ".", color=colour, ms=2.5, alpha=0.5, mew=0)
    lost = int(rows[list(looks)].isna().any(axis=1).sum())
    if lost:
        axis.text(0.98, 0.02, f"{lost:,} without a value", transform=axis.transAxes, ha="right", fontsize=SMALL)
    axis.set_xlim(0, 1)
    axis.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    sns.despine(ax=axis)


def with_relative_depth(layers: pd.DataFrame) -> pd.DataFrame:
    """Add how deep each layer is in its network, of which the last is 1."""
    return layers.assign(relative=layers["depth"] / layers.groupby("model")["depth"].transform("max"))


def average_steps(rows: pd.DataFrame, name: str) -> pd.DataFrame:
    """Average layers over steps of depth [step, network]; steps without a layer are bridged within a network."""
    step = np.ceil(rows["relative"] * STEPS).astype(int)
    curves = rows.groupby([step.to_numpy(), "model"], sort=False)[name].mean().unstack()
    curves = curves.reindex(range(1, STEPS + 1)).interpolate(limit_area="inside")
    return curves.set_axis((curves.index.to_numpy() - 0.5) / STEPS, axis=0)
