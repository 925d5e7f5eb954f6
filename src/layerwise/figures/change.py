"""What fine-tuning does to brain similarity: before and after, a panel a region, a line a network."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from layerwise.figures.parts import BEHIND, GREY, Palette, draw_legend, make_palette, make_panels, signed
from layerwise.figures.style import set_style


def plot_change(networks: pd.DataFrame, regions: Sequence[str]) -> Figure:
    """Draw the figure: the similarity of the penultimate layer before and after fine-tuning.

    Parameters
    ----------
    networks : DataFrame
        A row for each network, as `average_folds` gives: model, and for each region REGION_before and REGION_after, the
        latter with its `_sd` over folds, drawn as a bar.
    regions : sequence of str
        A panel each.

    Raises
    ------
    ValueError
        There is no region.
    """
    if not regions:
        raise ValueError("the study has no regions whose similarity could have changed")
    set_style()
    figure, axes = make_panels(len(regions), width=2.3, height=2.5)
    palette = make_palette(list(networks["model"]))
    for axis, region in zip(axes, regions, strict=True):
        _draw_panel(axis, networks, region, palette)
    figure.supylabel("Brain similarity (Pearson's r)", fontsize="medium")
    if palette is not None:
        draw_legend(figure, palette, columns=3)
    return figure


def _draw_panel(axis: Axes, networks: pd.DataFrame, region: str, palette: Palette | None) -> None:
    before, after = f"{region}_before", f"{region}_after"
    pairs = networks.dropna(subset=[before, after])
    for _, row in pairs.iterrows():
        colour = GREY if palette is None else palette[row["model"]]
        spread = row[f"{after}_sd"]
        axis.errorbar(
            [0, 1],
            [row[before], row[after]],
            yerr=[0, spread] if np.isfinite(spread) else None,
            marker="o",
            markersize=3.5,
            color=colour,
            linewidth=1,
            elinewidth=0.8,
            alpha=1 if palette else 0.5,
        )
    change = (pairs[after] - pairs[before]).mean()
    told = f"mean change {'+' if change > 0 else ''}{signed(change)}" if len(pairs) else "no network has both"
    axis.text(0.04, 0.97, told, transform=axis.transAxes, va="top", ha="left", bbox=BEHIND)
    axis.set(title=region.replace("_", " "), xlabel="", ylabel="", xticks=[0, 1], xticklabels=["before", "after"])
    axis.set_xlim(-0.25, 1.25)
    axis.margins(y=0.2)
    sns.despine(ax=axis)
