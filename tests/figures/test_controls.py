"""Figures with a point a network: 4A, 4B and S1."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from layerwise.analyses.controls import correlate_controls
from layerwise.figures.figure4 import plot_figure4
from layerwise.figures.figure_s1 import plot_figure_s1
from layerwise.figures.groups import MARKERS, group_networks
from layerwise.figures.parts import MAX_COLOURS


@pytest.fixture(autouse=True)
def close():
    yield
    plt.close("all")


def networks(rng, n=20, tuned=True):
    table = pd.DataFrame({"model": [f"n{i}" for i in range(n)], "family": [f"f{i % 4}" for i in range(n)]})
    for column in ("top1", "IT", "IT_before", "memorability", *(["finetuned", "IT_after"] if tuned else [])):
        table[column] = rng.random(n)
    return table


def drawn(axis):
    """The points of a panel."""
    points = [line.get_xydata()[0] for line in axis.lines if line.get_marker() in MARKERS]
    return np.array(points)


def test_figure4_has_both_panels_with_their_points_line_and_rho(rng):
    table = networks(rng)
    table.loc[0, "top1"] = np.nan
    figure = plot_figure4(table, correlate_controls(table, ["IT"], ["memorability"]), "IT")
    for axis, column in zip(figure.axes, ("IT_before", "IT"), strict=True):
        known = table.dropna()
        np.testing.assert_allclose(drawn(axis), known[["top1", column]])
        rho = stats.spearmanr(known["top1"], known[column]).statistic
        (text,) = axis.texts
        assert text.get_text().startswith(f"ρ = {rho:z.2f}".replace("-", "−"))
        assert text.get_text().endswith("19 networks\n1 without a value")
        x, y = next(line for line in axis.lines if line.get_linestyle() == "--").get_data()
        slope, intercept = np.polyfit(known["top1"], known[column], 1)
        np.testing.assert_allclose(y, slope * x + intercept)


def test_without_a_penultimate_layer_the_other_panel_is_drawn(rng):
    table = networks(rng).drop(columns="IT_before")
    figure = plot_figure4(table, correlate_controls(table, ["IT"], ["memorability"]), "IT")
    assert [axis.get_title(loc="left") for axis in figure.axes] == ["B  Best layer"]


def test_figure_s1_is_of_fine_tuned_networks_or_of_the_best_layers(rng):
    for tuned, word in ((True, "after fine-tuning"), (False, "best layer")):
        table = networks(rng, tuned=tuned)
        figure = plot_figure_s1(table, correlate_controls(table, ["IT"], ["memorability"]))
        assert word in figure.axes[0].get_ylabel()
        column = "finetuned" if tuned else "memorability"
        np.testing.assert_allclose(drawn(figure.axes[0]), table[["top1", column]])


@pytest.mark.parametrize("known", [0, 1, 2])
def test_too_few_networks_are_drawn_and_counted_without_rho(rng, known):
    table = networks(rng)
    table.loc[known:, "top1"] = np.nan
    figure = plot_figure_s1(table, correlate_controls(table, ["IT"], ["memorability"]))
    words = "1 network" if known == 1 else f"{known} networks"
    assert figure.axes[0].texts[0].get_text() == f"ρ is not defined\n{words}\n{20 - known} without a value"
    assert len(drawn(figure.axes[0])) == known


def test_nothing_to_draw_is_a_sentence(rng):
    table = networks(rng)
    with pytest.raises(ValueError, match="there is nothing to draw: no network has both columns"):
        plot_figure4(table, correlate_controls(table, ["IT"], ["memorability"]), "V9")


def test_simulated_data_are_marked(rng):
    table = networks(rng)
    correlations = correlate_controls(table, ["IT"], ["memorability"])
    assert [text.get_text() for text in plot_figure4(table, correlations, "IT").texts] == []
    table.attrs["simulated"] = "by a test"
    assert [text.get_text() for text in plot_figure4(table, correlations, "IT").texts] == ["simulated data"]


def test_networks_are_told_apart_by_themselves_then_by_family_then_not():
    few = group_networks([f"n{i}" for i in range(MAX_COLOURS)])
    assert len({look.colour for look in few.looks.values()}) == MAX_COLOURS
    many = [f"n{i}" for i in range(30)]
    families = {name: f"f{i % 13}" for i, name in enumerate(many)}
    grouped = group_networks(many, families)
    assert list(grouped.looks) == [f"f{i}" for i in range(13)]
    assert len({(look.colour, look.marker) for look in grouped.looks.values()}) == 13
    assert grouped.look("n14") == grouped.looks["f1"]
    for ungrouped in (group_networks(many), group_networks(many, {name: name for name in many * 2} | {"x": "y"})):
        assert len(ungrouped.looks) in (1, 30)
    assert list(group_networks(many).looks) == [""]
    assert list(group_networks([f"n{i}" for i in range(99)], {f"n{i}": str(i) for i in range(99)}).looks) == [""]
