"""Profiles over depth, and agreement of regions."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from layerwise.figures.profiles import STEPS, plot_profiles
from layerwise.figures.regions import plot_regions
from layerwise.statistics.agreement import correlate_regions


@pytest.fixture(autouse=True)
def close():
    yield
    plt.close("all")


def layers(rng, n_models=3, n=40, families=2):
    rows = [(f"n{i}", f"f{i % families}", depth) for i in range(n_models) for depth in range(1, n + 1)]
    table = pd.DataFrame(rows, columns=["model", "family", "depth"])
    return table.assign(V1=rng.random(len(table)), IT=rng.random(len(table)), memorability=rng.random(len(table)))


def titles(figure):
    return [axis.get_title() for axis in figure.axes]


def test_a_line_is_the_mean_over_layers_of_a_step_of_depth(rng):
    table = layers(rng, 1)
    (axis,) = plot_profiles(table, ["V1", "IT"], ["memorability"]).axes
    x, y = axis.lines[0].get_data()
    expected = [table["V1"][2 * step : 2 * step + 2].mean() for step in range(STEPS)]  # 40 layers: two a step
    np.testing.assert_allclose(y, expected)
    np.testing.assert_allclose(x, (np.arange(STEPS) + 0.5) / STEPS)


def test_a_family_has_the_mean_of_its_networks_and_their_range(rng):
    table = layers(rng, 12, families=4)
    figure = plot_profiles(table, ["V1"], ["memorability"])
    assert titles(figure) == [f"f{i}, 3 networks" for i in range(4)]
    axis = figure.axes[1]
    own = table[table["family"] == "f1"]
    each = np.array([rows["V1"].to_numpy().reshape(STEPS, 2).mean(axis=1) for _, rows in own.groupby("model")])
    np.testing.assert_allclose(axis.lines[0].get_ydata(), each.mean(axis=0))
    band = axis.collections[0].get_paths()[0].vertices[:, 1]
    assert band.min() == pytest.approx(each.min()) and band.max() == pytest.approx(each.max())


def test_few_networks_have_a_panel_each_and_one_or_a_family_can_be_chosen(rng):
    table = layers(rng, 4)
    assert titles(plot_profiles(table, ["V1"], [])) == ["n0", "n1", "n2", "n3"]
    assert titles(plot_profiles(table, ["V1"], [], "n2")) == ["n2"]
    assert titles(plot_profiles(table, ["V1"], [], "f1")) == ["n1", "n3"]
    with pytest.raises(ValueError, match="no network or family 'n9'; there are: f0, f1, n0, n1, n2, n3"):
        plot_profiles(table, ["V1"], [], "n9")


def test_the_legend_is_read_by_rows(rng):
    table = layers(rng, 2).assign(V2=0.1, V4=0.2)
    figure = plot_profiles(table, ["V1", "V2", "V4", "IT"], ["memorability"])
    figure.canvas.draw()
    places = [(text.get_window_extent(), text.get_text()) for text in figure.legends[0].texts]
    read = [name for box, name in sorted(places, key=lambda place: (-round(place[0].y0), place[0].x0))]
    assert read == ["V1", "V2", "V4", "IT", "memorability"]


def test_layers_without_a_value_are_counted_and_bridged(rng):
    table = layers(rng, 1)
    table.loc[[4, 5], "V1"] = np.nan  # a whole step
    table["IT"] = np.nan
    (axis,) = plot_profiles(table, ["V1", "IT"], []).axes
    assert axis.texts[0].get_text() == "40 without a value"
    y = axis.lines[0].get_ydata()
    assert np.isfinite(y).all() and y[2] == pytest.approx((y[1] + y[3]) / 2)


@pytest.mark.parametrize("n_models", [1, 2, 6, 23])
def test_any_number_of_panels_and_one_layer(rng, n_models):
    assert len(plot_profiles(layers(rng, n_models, n=1, families=99), ["V1"], []).axes) == n_models


def test_the_matrix_has_all_layers_below_and_networks_above_its_diagonal(rng):
    table = layers(rng)
    agreement = correlate_regions(table, ["V1", "IT", "memorability"])
    axis = plot_regions(agreement).axes[0]
    shown = {text.get_position(): text.get_text() for text in axis.texts}
    assert len(shown) == 6
    total = table[["V1", "IT"]].corr("spearman").iloc[0, 1]
    within = np.median([rows[["V1", "IT"]].corr("spearman").iloc[0, 1] for _, rows in table.groupby("model")])
    assert shown[0, 1] == f"{total:z.2f}".replace("-", "−")
    assert shown[1, 0] == f"{within:z.2f}".replace("-", "−")


def test_a_constant_region_is_not_available(rng):
    table = layers(rng).assign(V1=0.5)
    agreement = correlate_regions(table, ["V1", "IT"])
    assert {text.get_text() for text in plot_regions(agreement).axes[0].texts} == {"n/a"}


def test_one_column_alone_is_a_sentence(rng):
    with pytest.raises(ValueError, match="there is one alone"):
        plot_regions(correlate_regions(layers(rng), ["V1"]))
