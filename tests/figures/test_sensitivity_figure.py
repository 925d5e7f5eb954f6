"""The figure of other settings: a panel a setting, a point a value and region, the study's filled."""

import matplotlib.pyplot as plt
import pandas as pd
import pytest
from matplotlib.colors import to_rgb

from layerwise.figures.sensitivity import plot_sensitivity

COLUMNS = ["setting", "value", "studys", "region", "measure", "rho", "low", "high", "n_layers", "layers"]
TRIED = {"components": ("5", "25"), "solver": ("exact", "scikit-learn")}


@pytest.fixture(autouse=True)
def close():
    yield
    plt.close("all")


def table(rng, measures=("beauty",)):
    rows = [
        (setting, value, value in ("25", "exact"), region, measure, rng.random(), -0.5, 1.0, 40, "all")
        for measure in measures
        for setting, values in TRIED.items()
        for value in values
        for region in ("V1", "IT")
    ]
    rows += [("geometry", "square or crop", False, "V1", "beauty", float("nan"), float("nan"), float("nan"), 0, "none")]
    return pd.DataFrame(rows, columns=COLUMNS)


def test_points_are_those_of_the_table_and_the_studys_is_filled(rng):
    given = table(rng)
    figure = plot_sensitivity(given)
    assert [axis.get_xlabel() for axis in figure.axes] == ["Latent variables", "Solver"]
    for axis, (setting, values) in zip(figure.axes, TRIED.items(), strict=True):
        assert [text.get_text() for text in axis.get_xticklabels()] == list(values)
        own = given[given["setting"] == setting]
        points = [line for line in axis.lines if line.get_marker() == "o"]
        assert sorted(line.get_ydata()[0] for line in points) == sorted(own["rho"])
        filled = [line.get_ydata()[0] for line in points if to_rgb(line.get_markerfacecolor()) != (1, 1, 1)]
        assert sorted(filled) == sorted(own.loc[own["studys"], "rho"])


def test_each_measure_has_a_row_of_panels_and_nothing_tried_is_a_sentence(rng):
    assert len(plot_sensitivity(table(rng, ("beauty", "memory"))).axes) == 4
    with pytest.raises(ValueError, match="no setting was tried"):
        plot_sensitivity(table(rng).assign(n_layers=0))
