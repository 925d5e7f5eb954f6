"""Figure 3: memorability after fine-tuning against brain similarity after fine-tuning, a point a network."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from layerwise.figures.groups import LEGEND_ROW, Look, draw_group_legend, group_networks, known_families, legend_rows
from layerwise.figures.parts import draw_regression
from layerwise.figures.style import COLUMN, mark_simulated, set_style
from layerwise.figures.words import in_lines, label, state_lost, state_rho, tell
from layerwise.interfaces import counted

UNDEFINED = {"rho": float("nan")}


def plot_figure3(
    networks: pd.DataFrame, region: str, correlation: Mapping[str, float] = UNDEFINED, measure: str = "memorability"
) -> Figure:
    """Draw the figure: points are means over folds, bars their standard deviations.

    Parameters
    ----------
    networks : DataFrame
        A row for each network, as `average_folds` gives: model, rho and REGION_after, each with its `_sd` and
        `_lacking`; maybe family, by which more than ten networks are coloured.
    region : str
        The region on the x axis.
    correlation : mapping of str to float
        Spearman's rho over the networks, NaN where it is not defined; maybe its interval, low and high.
    measure : str
        What the networks were trained to predict.

    Raises
    ------
    ValueError
        No network has a value for both.
    """
    set_style()
    similarity = f"{region}_after"
    points = networks.dropna(subset=["rho", similarity])
    if points.empty:
        raise ValueError(
            f"figure 3 has nothing to draw: none of {len(networks)} networks has both rho and a similarity with "
            f"{region} after fine-tuning; its table of scores says why"
        )
    groups = group_networks(list(points["model"]), known_families(points))
    size = COLUMN, 2.5 + LEGEND_ROW * legend_rows(groups, COLUMN)
    figure, axis = plt.subplots(figsize=size, layout="constrained")
    for _, row in points.iterrows():
        _draw_network(axis, row, similarity, groups.look(row["model"]))
    if np.isfinite(correlation["rho"]):
        draw_regression(axis, points[similarity].to_numpy(float), points["rho"].to_numpy(float))
    axis.set(
        xlabel=in_lines(f"{label(region)} similarity after fine-tuning (Pearson's r)", 50),
        ylabel=in_lines(f"{label(measure).capitalize()} accuracy (Spearman's ρ)"),
    )
    axis.margins(0.1, 0.1)
    lacking = points[["rho_lacking", f"{similarity}_lacking"]].max(axis=1).sum()
    tell(axis, _told(correlation, len(points), len(networks), int(lacking)))
    sns.despine(ax=axis)
    draw_group_legend(figure, groups)
    mark_simulated(figure, networks.attrs)
    return figure


def _draw_network(axis: Axes, row: pd.Series, similarity: str, look: Look) -> None:
    bars = {"xerr": row[f"{similarity}_sd"], "yerr": row["rho_sd"]}
    known = {name: error for name, error in bars.items() if np.isfinite(error)}
    if known:
        axis.errorbar(row[similarity], row["rho"], **known, fmt="none", color=look.colour, elinewidth=0.6, alpha=0.4)
    axis.plot(row[similarity], row["rho"], look.marker, ms=3.5, color=look.colour, mec="white", mew=0.3)


def _told(correlation: Mapping[str, float], drawn: int, known: int, lacking: int) -> str:
    few = drawn < 3 and not np.isfinite(correlation["rho"])
    rho = "too few for a correlation" if few else state_rho(correlation)
    lost = state_lost(known - drawn), state_lost(lacking, "split")
    return "\n".join([rho, counted(drawn, "network"), *filter(None, lost)])
