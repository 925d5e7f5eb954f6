"""The correlation over layers against settings of the method: a panel a setting, a line a region."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from layerwise.figures.parts import GREY, Colour
from layerwise.figures.style import PAGE, mark_simulated, set_style
from layerwise.figures.words import label

TITLES = {"components": "Latent variables", "solver": "Solver", "pca": "Principal components"}
APART = 0.3  # of the space between two values, over which the regions of one are spread
HEIGHT = 2.2  # inches, of the panels of a measure


def plot_sensitivity(table: pd.DataFrame) -> Figure:
    """Draw the figure: the value that the study has is filled, others are open; bars are intervals.

    Parameters
    ----------
    table : DataFrame
        Rows (setting, value, region, measure) with studys, rho, low and high; those of settings that were not tried
        are left out.

    Raises
    ------
    ValueError
        No setting was tried.
    """
    tried = table[table["n_layers"] > 0]
    if tried.empty:
        raise ValueError("there is nothing to draw: no setting was tried that leaves layers with scores")
    set_style()
    measures, settings = tried["measure"].unique(), tried["setting"].unique()
    regions = list(tried["region"].unique())
    colours: dict[str, Colour] = dict(zip(regions, sns.color_palette("colorblind", len(regions)), strict=True))
    figure, axes = _panels(tried, len(measures))
    for line, measure in zip(axes, measures, strict=True):
        for axis, setting in zip(line, settings, strict=True):
            _draw_panel(axis, tried[(tried["measure"] == measure) & (tried["setting"] == setting)], colours)
            axis.set_xlabel(_title(setting, tried))
        line[0].set_ylabel(f"Correlation with {label(measure)} (ρ)")
    handles = [Line2D([], [], marker="o", ms=3.5, color=colours[name], label=label(name)) for name in regions]
    handles.append(Line2D([], [], marker="o", ms=3.5, color=GREY, linestyle="", label="filled: as in the study"))
    figure.legend(handles=handles, loc="outside upper center", ncols=min(len(handles), 8), frameon=False)
    mark_simulated(figure, table.attrs)
    return figure


def _panels(tried: pd.DataFrame, n_measures: int) -> tuple[Figure, Sequence[Sequence[Axes]]]:
    values = tried.groupby("setting", sort=False)["value"].nunique()
    size = PAGE, HEIGHT * n_measures + 0.3
    figure, axes = plt.subplots(
        *(n_measures, len(values)),
        figsize=size,
        squeeze=False,
        layout="constrained",
        sharey=True,
        width_ratios=list(values),
    )
    return figure, [list(line) for line in axes]


def _title(setting: str, tried: pd.DataFrame) -> str:
    layers = tried.loc[tried["setting"] == setting, "layers"].iloc[0]
    return TITLES[setting] + ("" if layers == "all" else f"\n(layers: {layers})")


def _draw_panel(axis: Axes, rows: pd.DataFrame, colours: dict[str, Colour]) -> None:
    values = list(rows["value"].unique())
    shifts = np.linspace(-APART / 2, APART / 2, len(colours)) if len(colours) > 1 else [0.0]
    axis.axhline(0, color="0.8", linewidth=0.6, zorder=0)
    for (name, colour), shift in zip(colours.items(), shifts, strict=True):
        own = rows[rows["region"] == name].set_index("value").reindex(values)
        x = np.arange(len(values)) + shift
        axis.plot(x, own["rho"], color=colour, linewidth=0.8)
        axis.vlines(x, own["low"], own["high"], color=colour, linewidth=0.8)
        for place, rho, studys in zip(x, own["rho"], own["studys"], strict=True):
            axis.plot(place, rho, "o", color=colour, ms=3.5, mfc=colour if studys else "white", mew=0.8)
    axis.set_xticks(range(len(values)), values)
    axis.set_xlim(-0.5, len(values) - 0.5)
    sns.despine(ax=axis)
