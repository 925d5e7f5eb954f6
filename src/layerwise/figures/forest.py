"""The correlation over the layers of each network, a panel a region, over that of all layers (a forest plot)."""

from collections.abc import Mapping, Sequence
from textwrap import wrap

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from layerwise.figures.groups import LEGEND_ROW, Groups, Look, draw_group_legend, group_networks, legend_rows
from layerwise.figures.style import COLUMN, PAGE, SMALL, mark_simulated, set_style
from layerwise.figures.words import label, pick, state_rho, state_wide

NAMES = 5.0  # points, of networks that are many
FEW = 30  # networks with names as large as other small text
NAMED = 90  # rows that a page has with names; more are drawn closer to each other, without
ROW = 1.3  # height of a row, of that of its name
AROUND = 0.75  # inches above and below the rows
POINTS = 72  # in an inch
BELOW, LETTER = 7, 0.55  # points of the letters below the panels, and how wide one is of its height
BESIDE = 4  # panels wide enough for rho and its interval on one line
POOLED = "all networks"
BEHIND = {"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "pad": 1}  # keeps text readable over a line


def plot_forest(networks: pd.DataFrame, correlations: pd.DataFrame, by: str, measure: str = "memorability") -> Figure:
    """Draw the figure: a row a network, in the same order in all panels, and all layers together below.

    Parameters
    ----------
    networks : DataFrame
        Rows (model, region, measure) with family, rho, low and high, as `correlate_networks` gives.
    correlations : DataFrame
        Rows (region, measure) with rho, low and high of all layers; a panel each. Where there are wide_low and
        wide_high, the interval that holds the draw of neuroids too, they are a thin bar.
    by : str
        The region whose rho sorts the networks, the highest above.
    measure : str
        The measure that regions are correlated with.

    Raises
    ------
    ValueError
        No region was correlated with that measure, or not the one to sort by.
    """
    pooled = pick(correlations, measure)
    regions = list(pooled["region"])
    if by not in regions:
        raise ValueError(
            f"networks cannot be sorted by {by!r}, which was not correlated; there are: {', '.join(regions)}"
        )
    set_style()
    table = networks[networks["measure"] == measure]
    order = _order(table[table["region"] == by])
    families = dict(zip(table["model"], table["family"], strict=True))
    groups = _families(list(dict.fromkeys(families[model] for model in order)))
    looks = {model: groups.look(families[model]) for model in order}
    remark = "; thin bar: with the draw of neuroids" if any(map(state_wide, _rows(pooled))) else ""
    told = f"Spearman's ρ with {label(measure)} over layers; networks sorted by {label(by)}{remark}"
    lines = wrap(told, int((COLUMN if len(regions) == 1 else PAGE) * POINTS / (LETTER * BELOW)))
    figure, axes = _panels(len(regions), len(order), groups, len(lines))
    for axis, row in zip(axes, _rows(pooled), strict=True):
        own = table[table["region"] == row["region"]].set_index("model").reindex(order)
        _draw_panel(axis, own, row, looks, len(regions) > BESIDE)
    _name_rows(axes[0], order)
    figure.supxlabel("\n".join(lines), fontsize=BELOW)
    draw_group_legend(figure, groups)
    mark_simulated(figure, networks.attrs)
    return figure


def _rows(table: pd.DataFrame) -> list[pd.Series]:
    return [row for _, row in table.iterrows()]


def _order(rows: pd.DataFrame) -> list[str]:
    """Sort networks by rho, the highest first; those without one come last."""
    return list(rows.sort_values("rho", ascending=False, kind="stable", na_position="last")["model"])


def _families(names: Sequence[str]) -> Groups:
    return group_networks(names, {name: name for name in names})


def _panels(number: int, n_networks: int, groups: Groups, lines: int) -> tuple[Figure, Sequence[Axes]]:
    width = COLUMN if number == 1 else PAGE
    rows = min(n_networks, NAMED) + 2  # all layers together, and the space above them
    height = rows * ROW * _size(n_networks) / POINTS + AROUND + LEGEND_ROW * legend_rows(groups, width)
    height += (lines - 1) * 1.2 * BELOW / POINTS
    figure, axes = plt.subplots(
        1, number, figsize=(width, height), squeeze=False, layout="constrained", sharex=True, sharey=True
    )
    return figure, list(axes.flat)


def _size(n_networks: int) -> float:
    return SMALL if n_networks <= FEW else NAMES


def _draw_panel(axis: Axes, rows: pd.DataFrame, pooled: pd.Series, looks: Mapping[str, Look], many: bool) -> None:
    axis.axvline(0, color="0.8", linewidth=0.6, zorder=0)
    for place, (model, row) in enumerate(rows.iterrows()):
        _draw_network(axis, place, row, looks[str(model)])
    if np.isfinite(pooled["rho"]):
        axis.axvline(pooled["rho"], color="0.5", linewidth=0.6, linestyle=":", zorder=0)
        _draw_pooled(axis, len(rows) + 1, pooled)
    told = state_rho(pooled).replace(" [", "\n[" if many else " [")
    axis.set_title(f"{label(str(pooled['region']))}\n{told}", fontsize=SMALL)
    axis.set_xlim(-1.05, 1.05)
    axis.set_xticks([-1, -0.5, 0, 0.5, 1], ["−1", "", "0", "", "1"])
    sns.despine(ax=axis, left=True)
    axis.tick_params(axis="y", length=0)


def _draw_network(axis: Axes, place: int, row: pd.Series, look: Look) -> None:
    if not np.isfinite(row["rho"]):
        axis.text(0, place, "n/a", ha="center", va="center", fontsize=NAMES, color="0.4", bbox=BEHIND)
        return
    if np.isfinite(row[["low", "high"]].to_numpy(float)).all():
        axis.plot([row["low"], row["high"]], [place, place], color=look.colour, linewidth=0.8, solid_capstyle="butt")
    axis.plot(row["rho"], place, look.marker, color=look.colour, ms=3, mec="white", mew=0.3)


def _draw_pooled(axis: Axes, place: float, row: pd.Series) -> None:
    """Draw a diamond as wide as the interval, a point where there is none; beyond it a bar of the wider interval."""
    rho, low, high = (float(row[name]) for name in ("rho", "low", "high"))
    if np.isfinite([low, high]).all():
        axis.fill([low, rho, high, rho], [place, place - 0.45, place, place + 0.45], color="0.15", linewidth=0)
    else:
        axis.plot(rho, place, "D", color="0.15", ms=3)
    if state_wide(row):
        axis.plot(row[["wide_low", "wide_high"]], [place, place], color="0.15", linewidth=0.6, solid_capstyle="butt")


def _name_rows(axis: Axes, models: Sequence[str]) -> None:
    named = len(models) <= NAMED
    places = [*range(len(models)), len(models) + 1] if named else [len(models) + 1]
    names = [*models, POOLED] if named else [POOLED]
    axis.set_yticks(places, names, fontsize=_size(len(models)))
    axis.set_ylim(len(models) + 1.8, -0.8)
