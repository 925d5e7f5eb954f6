"""Steps that draw."""

from collections.abc import Sequence
from pathlib import Path

from layerwise.figures.figure2 import plot_figure2 as plot
from layerwise.figures.style import save_figure
from layerwise.files.tables import read_table


def plot_figure2(layers: Path, correlations: Path, output: Sequence[Path], measure: str = "memorability") -> None:
    """Draw brain similarity against the accuracy of predicting a measure."""
    correlated = read_table(correlations, ["region", "measure", "rho"])
    drawn = correlated.loc[correlated["measure"] == measure, "region"]
    columns = ["model", *drawn, *([measure] if len(drawn) else [])]  # the figure refuses an unknown measure
    save_figure(plot(read_table(layers, columns), correlated, measure), output)
