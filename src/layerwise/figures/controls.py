"""Panels with a point for each network, which figures 4 and S1 share."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from layerwise.figures.groups import LEGEND_ROW, Groups, draw_group_legend, group_networks, legend_rows
from layerwise.figures.parts import draw_regression
from layerwise.figures.style import COLUMN, mark_simulated, set_style
from layerwise.figures.words import state_rho, tell
from layerwise.interfaces import counted

TOP1 = "ImageNet top-1 accuracy (%)"


def plot_controls(
    networks: pd.DataFrame, correlations: Mapping[str, pd.Series], names: Mapping[str, str], height: float
) -> Figure:
    """Draw panels beside each other, each of two columns of a table of networks.

    Parameters
    ----------
    networks : DataFrame
        A row for each network: model, maybe family, and the columns that are drawn.
    correlations : mapping of str to Series
        For the title of each panel: x and y, its columns, rho, and maybe its interval, low and high.
    names : mapping of str to str
        What the columns hold, for the axes.
    height : float
        Of the panels, inches.

    Raises
    ------
    ValueError
        There is no panel to draw.
    """
    if not correlations:
        raise ValueError("there is nothing to draw: no network has both columns of a panel; see the table of networks")
    set_style()
    families = dict(zip(networks["model"], networks["family"], strict=True)) if "family" in networks else None
    groups = group_networks(list(networks["model"]), families)
    size = COLUMN, height + LEGEND_ROW * legend_rows(groups, COLUMN)
    figure, axes = plt.subplots(1, len(correlations), figsize=size, squeeze=False, layout="constrained")
    for axis, (title, row) in zip(axes.flat, correlations.items(), strict=True):
        _draw_panel(axis, networks, row, groups)
        axis.set(xlabel=names[row["x"]], ylabel=names[row["y"]])
        if title:
            axis.set_title(title, loc="left")
    draw_group_legend(figure, groups)
    mark_simulated(figure, networks.attrs)
    return figure


def _draw_panel(axis: Axes, networks: pd.DataFrame, row: pd.Series, groups: Groups) -> None:
    points = networks.dropna(subset=[row["x"], row["y"]])
    x, y = points[row["x"]].to_numpy(float), points[row["y"]].to_numpy(float)
    for model, *place in zip(points["model"], x, y, strict=True):
        look = groups.look(model)
        axis.plot(*place, look.marker, color=look.colour, ms=3.5, mec="white", mew=0.3, alpha=0.9)
    if np.isfinite(row["rho"]):
        draw_regression(axis, x, y)
    axis.margins(0.08, 0.08)
    tell(axis, f"{state_rho(row)}\n{_told(len(points), len(networks))}")
    sns.despine(ax=axis)


def _told(drawn: int, known: int) -> str:
    return counted(drawn, "network") + (f"\n{known - drawn} without a value" if known > drawn else "")
