"""Steps that draw."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from layerwise.figures.depth import plot_depth as draw_depth
from layerwise.figures.figure2 import plot_figure2 as draw_figure2
from layerwise.figures.figure4 import plot_figure4 as draw_figure4
from layerwise.figures.figure_s1 import plot_figure_s1 as draw_figure_s1
from layerwise.figures.forest import plot_forest as draw_forest
from layerwise.figures.profiles import plot_profiles as draw_profiles
from layerwise.figures.regions import plot_regions as draw_regions
from layerwise.figures.style import save_figure
from layerwise.files.tables import read_table


def plot_figure2(
    layers: Path,
    correlations: Path,
    output: Sequence[Path],
    measure: str = "memorability",
    networks: Path | None = None,
    regions: Sequence[str] = (),
    parts: Path | None = None,
) -> None:
    """Draw brain similarity against the accuracy of predicting a measure; without `regions`, for all of them.

    Of `parts`, a table of correlations between and within networks, figures tell the latter.
    """
    correlated = read_table(correlations, ["region", "measure", "rho"])
    if regions:
        correlated = correlated[correlated["region"].isin(regions)]
    drawn = correlated.loc[correlated["measure"] == measure, "region"]
    columns = ["model", *drawn, *([measure] if len(drawn) else [])]  # the figure refuses an unknown measure
    table = _with_families(read_table(layers, columns), networks)
    divided = None if parts is None else read_table(parts, ["region", "measure", "part", "rho", "n_networks"])
    save_figure(draw_figure2(table, correlated, measure, divided), output)


def plot_figure4(networks: Path, correlations: Path, output: Sequence[Path], region: str = "IT") -> None:
    """Draw ImageNet accuracy against brain similarity of the penultimate and the best layer."""
    columns = ["model", "family", "top1", region]
    correlated = read_table(correlations, ["figure", "region", "rho"])
    save_figure(draw_figure4(read_table(networks, columns), correlated, region), output)


def plot_figure_s1(networks: Path, correlations: Path, output: Sequence[Path], measure: str = "memorability") -> None:
    """Draw ImageNet accuracy against the accuracy of predicting a measure."""
    correlated = read_table(correlations, ["figure", "region", "rho"])
    save_figure(draw_figure_s1(read_table(networks, ["model", "family", "top1", measure]), correlated, measure), output)


def plot_profiles(
    layers: Path,
    output: Sequence[Path],
    regions: Sequence[str],
    measures: Sequence[str],
    networks: Path | None = None,
    only: str | None = None,
) -> None:
    """Draw scores over the depth of networks or families."""
    table = read_table(layers, ["model", "depth", *regions, *measures])
    save_figure(draw_profiles(_with_families(table, networks), regions, measures, only), output)


def plot_depth(
    layers: Path,
    output: Sequence[Path],
    regions: Sequence[str],
    measures: Sequence[str],
    networks: Path | None = None,
) -> None:
    """Draw the scores of each network over its depth, with errors and ceilings."""
    table = read_table(layers, ["model", "depth", *regions, *measures])
    save_figure(draw_depth(_with_families(table, networks), regions, measures), output)


def plot_regions(agreement: Path, output: Sequence[Path]) -> None:
    """Draw how far regions agree on which layers are good."""
    save_figure(draw_regions(read_table(agreement, ["one", "two", "total", "within"])), output)


def plot_forest(
    networks: Path, correlations: Path, output: Sequence[Path], by: str, measure: str = "memorability"
) -> None:
    """Draw the correlation over the layers of each network, sorted by that of a region."""
    interval = ["region", "measure", "rho", "low", "high"]
    tables = read_table(networks, ["model", "family", *interval]), read_table(correlations, interval)
    save_figure(draw_forest(*tables, by, measure), output)


def _with_families(layers: pd.DataFrame, networks: Path | None) -> pd.DataFrame:
    """Add the family of each network, where there is a table of networks that tells."""
    if networks is None:
        return layers
    table = read_table(networks, ["model", "family"])
    return layers.assign(family=layers["model"].map(dict(zip(table["model"], table["family"], strict=True))))
