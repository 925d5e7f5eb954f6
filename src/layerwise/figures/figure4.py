"""Figure 4: ImageNet accuracy against brain similarity of the penultimate layer (A) and of the best layer (B)."""

from collections.abc import Iterator

import pandas as pd
from matplotlib.figure import Figure

from layerwise.figures.controls import TOP1, plot_controls
from layerwise.figures.words import label, tell_measure

PANELS = {"A  Penultimate layer": "figure4a", "B  Best layer": "figure4b"}


def plot_figure4(networks: pd.DataFrame, correlations: pd.DataFrame, region: str) -> Figure:
    """Draw the figure.

    Parameters
    ----------
    networks : DataFrame
        A row for each network: model, family, top1, REGION_before, of the layer that its classifier reads, and REGION,
        of its best layer.
    correlations : DataFrame
        Rows (figure, region) with x, y, rho, networks; maybe low and high.
    region : str
        The region.

    Raises
    ------
    ValueError
        Neither panel has two columns.
    """
    similarity = f"{label(region)} similarity ({tell_measure([region], networks)})"
    names = {"top1": TOP1, f"{region}_before": similarity, region: similarity}
    chosen = correlations[correlations["region"] == region]
    rows = dict(_rows(chosen))
    return plot_controls(networks, rows, names, height=2.0)


def _rows(chosen: pd.DataFrame) -> Iterator[tuple[str, pd.Series]]:
    for title, name in PANELS.items():
        for _, row in chosen[chosen["figure"] == name].iterrows():
            yield title, row
