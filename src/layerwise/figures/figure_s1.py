"""Figure S1: ImageNet accuracy against the accuracy of predicting memorability, a point a network."""

import pandas as pd
from matplotlib.figure import Figure

from layerwise.figures.controls import TOP1, plot_controls
from layerwise.figures.words import in_lines, label


def plot_figure_s1(networks: pd.DataFrame, correlations: pd.DataFrame, measure: str = "memorability") -> Figure:
    """Draw the figure.

    Parameters
    ----------
    networks : DataFrame
        A row for each network: model, family, top1 and, where networks were fine-tuned, finetuned, their accuracy;
        else that of the best layer, in the column of the measure.
    correlations : DataFrame
        Rows (figure, region) with x, y, rho, networks; maybe low and high.
    measure : str
        What was predicted.

    Raises
    ------
    ValueError
        No network has both columns.
    """
    chosen = correlations[(correlations["figure"] == "figureS1") & correlations["y"].isin(["finetuned", measure])]
    rows = {"": chosen.iloc[0]} if len(chosen) else {}
    what = f"{label(measure).capitalize()} accuracy"
    names = {
        "top1": TOP1,
        "finetuned": in_lines(f"{what} after fine-tuning") + "\n(Spearman's ρ)",
        measure: in_lines(f"{what}, best layer") + "\n(Spearman's ρ)",
    }
    return plot_controls(networks, rows, names, height=2.5)
