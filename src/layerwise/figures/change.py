"""What fine-tuning does to brain similarity: before and after, a panel a region, a line a network."""

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from layerwise.figures.groups import Groups, draw_group_legend, group_networks, known_families, make_panels
from layerwise.figures.parts import MAX_COLOURS
from layerwise.figures.style import mark_simulated, set_style
from layerwise.figures.words import label, state_change, state_lost, tell


def plot_change(networks: pd.DataFrame, changes: pd.DataFrame) -> Figure:
    """Draw the figure: the similarity of the penultimate layer before and after fine-tuning.

    Parameters
    ----------
    networks : DataFrame
        A row for each network, as `average_folds` gives: model, and for each region REGION_before and REGION_after, the
        latter with its `_sd` over folds, drawn as a bar, and `_lacking`, which is told; maybe family, by which more
        than ten networks are coloured.
    changes : DataFrame
        A row for each region, a panel each: region, change, its mean over networks, and its interval, low and high.

    Raises
    ------
    ValueError
        There is no region.
    """
    if changes.empty:
        raise ValueError("the study has no regions whose similarity could have changed")
    set_style()
    groups = group_networks(list(networks["model"]), known_families(networks))
    figure, axes = make_panels(len(changes), groups)
    for axis, (_, row) in zip(axes, changes.iterrows(), strict=True):
        _draw_panel(axis, networks, row, groups)
    figure.supylabel("Brain similarity (Pearson's r)", fontsize="medium")
    draw_group_legend(figure, groups)
    mark_simulated(figure, networks.attrs)
    return figure


def _draw_panel(axis: Axes, networks: pd.DataFrame, change: pd.Series, groups: Groups) -> None:
    before, after = (f"{change['region']}_{when}" for when in ("before", "after"))
    drawn = networks.dropna(subset=[before, after])
    for _, row in drawn.iterrows():
        look, spread = groups.look(row["model"]), row[f"{after}_sd"]
        axis.errorbar(
            [0, 1],
            [row[before], row[after]],
            yerr=[0, spread] if np.isfinite(spread) else None,
            marker=look.marker,
            markersize=2.5,
            color=look.colour,
            linewidth=0.7,
            elinewidth=0.6,
            alpha=0.9 if len(networks) <= MAX_COLOURS else 0.5,
        )
    axis.set(title=label(str(change["region"])), xlabel="", ylabel="", xticks=[0, 1], xticklabels=["before", "after"])
    axis.set_xlim(-0.25, 1.25)
    axis.margins(y=0.1)
    lost = state_lost(int(drawn[f"{after}_lacking"].sum()), "split")
    tell(axis, "\n".join(filter(None, [state_change(change), lost])))
    sns.despine(ax=axis)
