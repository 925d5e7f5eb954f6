"""The forest plot: a row a network, sorted, with the intervals of the tables it is drawn from."""

from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from layerwise.figures.forest import NAMED, NAMES, POOLED, plot_forest
from layerwise.figures.style import PAGE
from layerwise.statistics import Sampling, correlate_layers, correlate_networks


@pytest.fixture(autouse=True)
def close():
    yield
    plt.close("all")


def tables(rng, n_models=4, n=30, regions=("V1", "IT")):
    layers = pd.DataFrame({"model": np.repeat([f"network{i}" for i in range(n_models)], n)})
    layers["family"] = [f"family{int(name.removeprefix('network')) % 3}" for name in layers["model"]]
    layers["memorability"] = rng.random(len(layers))
    for region in regions:
        layers[region] = layers["memorability"] + 2 * rng.random(len(layers))
    columns = list(regions), ["memorability"]
    return correlate_networks(layers, *columns), correlate_layers(layers, *columns, Sampling(draws=100))


def names(figure):
    return [text.get_text() for text in figure.axes[0].get_yticklabels()]


def drawn(axis):
    """The points [rho], and the ends of the lines, of each row."""
    points, ends = {}, {}
    for line in axis.lines:
        x, y = map(list, line.get_data())
        if line.get_marker() != "None":
            points[y[0]] = x[0]
        elif y[0] == y[1]:
            ends[y[0]] = tuple(x)
    return points, ends


def test_each_row_is_that_of_its_network_in_the_order_of_one_region(rng):
    networks, correlations = tables(rng)
    figure = plot_forest(networks, correlations, "IT")
    of_it = networks[networks["region"] == "IT"].sort_values("rho", ascending=False)
    assert names(figure) == [*of_it["model"], POOLED]
    for axis, region in zip(figure.axes, ("V1", "IT"), strict=True):
        points, ends = drawn(axis)
        own = networks[networks["region"] == region].set_index("model")
        for place, model in enumerate(of_it["model"]):
            assert points[place] == own.loc[model, "rho"]
            assert ends[place] == tuple(own.loc[model, ["low", "high"]])
        diamond = axis.patches[0].get_xy()[:4, 0]
        pooled = correlations.set_index("region").loc[region]
        assert list(diamond) == [pooled["low"], pooled["rho"], pooled["high"], pooled["rho"]]


def test_the_interval_that_holds_neuroids_too_is_a_thin_bar_which_is_said(rng):
    networks, correlations = tables(rng)
    plain = plot_forest(networks, correlations, "IT")
    assert "neuroids" not in plain.get_supxlabel()
    wide = correlations.assign(wide_low=correlations["low"] - 0.05, wide_high=[0.9, np.nan])
    figure = plot_forest(networks, wide, "IT")
    assert figure.get_supxlabel().replace("\n", " ").endswith("; thin bar: with the draw of neuroids")
    row = len(names(figure))  # a row's space is between networks and all of them
    (_, first), (_, second), (_, before) = (drawn(axis) for axis in (*figure.axes, plain.axes[0]))
    assert first[row] == (wide.loc[0, "wide_low"], 0.9) and row not in second and row not in before


def test_words_below_stay_within_a_figure_of_one_region(rng):
    networks, correlations = tables(rng)
    of_it = correlations[correlations["region"] == "IT"].assign(wide_low=-0.5, wide_high=0.5)
    networks, of_it = (one.replace({"memorability": "aesthetic_preference"}) for one in (networks, of_it))
    figure = plot_forest(networks, of_it, "IT", "aesthetic_preference")
    figure.draw_without_rendering()
    words = figure._supxlabel.get_window_extent()
    assert figure.bbox.x0 <= words.x0 and words.x1 <= figure.bbox.x1


def test_networks_of_a_family_share_their_colour(rng):
    figure = plot_forest(*tables(rng), "IT")
    of_name = dict(zip(range(4), names(figure), strict=False))
    colours = {
        of_name[line.get_ydata()[0]]: line.get_color() for line in figure.axes[0].lines if line.get_marker() != "None"
    }
    assert colours["network0"] == colours["network3"] != colours["network1"]
    assert {text.get_text() for text in figure.legends[0].texts} == {"family0", "family1", "family2"}


def test_what_is_undefined_is_said_and_sorted_last(rng):
    networks, correlations = tables(rng)
    lost = (networks["model"] == "network1") & (networks["region"] == "IT")
    networks.loc[lost, ["rho", "low", "high"]] = np.nan
    networks.loc[networks["model"] == "network2", ["low", "high"]] = np.nan
    correlations.loc[:, ["low", "high"]] = np.nan
    figure = plot_forest(networks, correlations, "IT")
    assert names(figure)[3] == "network1"
    axis = figure.axes[1]
    points, ends = drawn(axis)
    assert [text.get_text() for text in axis.texts] == ["n/a"] and 3 not in points
    assert names(figure).index("network2") in points and names(figure).index("network2") not in ends
    assert 5 in points and not axis.patches  # all layers, without an interval


@pytest.mark.parametrize(("n_models", "named"), [(1, True), (64, True), (NAMED + 20, False)])
def test_names_are_readable_on_a_page_or_left_out(rng, n_models, named):
    networks, correlations = tables(rng, n_models, n=8, regions=("V1", "V2", "V4", "IT", "PIT"))
    networks.attrs["simulated"] = correlations.attrs["simulated"] = "yes"
    figure = plot_forest(networks, correlations, "IT")
    figure.canvas.draw()
    width, height = figure.get_size_inches()
    assert width == pytest.approx(PAGE) and height < 247 / 25.4
    assert names(figure)[:-1] == ([] if not named else names(figure)[:n_models])
    labels = [label for label in figure.axes[0].get_yticklabels() if label.get_text()]
    assert min(label.get_fontsize() for label in labels) >= NAMES
    boxes = sorted((box.y0, box.y1) for box in (label.get_window_extent() for label in labels))
    assert all(above[0] >= below[1] - 1 for below, above in pairwise(boxes))  # a pixel of rounding
    assert "simulated data" in [text.get_text() for text in figure.texts]


def test_a_region_to_sort_by_that_is_not_there_is_a_sentence(rng):
    with pytest.raises(ValueError, match="sorted by 'V4', which was not correlated; there are: V1, IT"):
        plot_forest(*tables(rng), "V4")
