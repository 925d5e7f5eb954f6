"""Figure 3, and what fine-tuning changes: what is drawn is what the table says."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr, ttest_1samp

from layerwise.figures.change import plot_change
from layerwise.figures.figure3 import plot_figure3
from layerwise.figures.parts import MAX_COLOURS
from layerwise.statistics.finetuning import compare_finetuned
from layerwise.statistics.folds import average_folds

COLUMNS = ["rho", "IT_before", "IT_after"]


@pytest.fixture(autouse=True)
def close():
    yield
    plt.close("all")


def finetuned(rng, n_models, n_folds=3):
    models = np.repeat([f"network{index}" for index in range(n_models)], n_folds)
    table = pd.DataFrame({"model": models, "split": np.tile([str(fold + 1) for fold in range(n_folds)], n_models)})
    return table.assign(**{name: rng.random(len(table)) for name in COLUMNS})


def changes(networks):
    return compare_finetuned(networks, ["IT"])[0]


def points(axis):
    return np.array([line.get_xydata()[0] for line in axis.lines if line.get_marker() == "o"])


def bars(axis):
    """Lengths of the horizontal and vertical bars, by network."""
    ends = [np.abs(np.diff(one.get_segments()[0], axis=0)).sum() for one in axis.collections]
    return np.reshape(ends, (-1, 2)) / 2


def test_long_names_are_not_cut_off(rng):
    networks, region = average_folds(finetuned(rng, 3), COLUMNS), "MT_of_the_170ms_window"
    networks = networks.rename(columns=lambda name: name.replace("IT", region))
    figure = plot_figure3(networks, region, measure="aesthetic_quality_of_photographs")
    figure.canvas.draw()
    (axis,) = figure.axes
    for drawn, side in ((axis.yaxis.label, "height"), (axis.xaxis.label, "width")):
        extent = drawn.get_window_extent()
        assert getattr(extent, side) < getattr(figure.bbox, side) and extent.x0 >= 0 and extent.y0 >= 0


def test_points_bars_line_and_rho_are_those_of_the_folds(rng):
    table = finetuned(rng, 5)
    networks = average_folds(table, COLUMNS)
    by_hand = table.pivot(index="model", columns="split")
    x, y = by_hand["IT_after"].to_numpy().mean(1), by_hand["rho"].to_numpy().mean(1)
    rho = spearmanr(x, y).statistic
    figure = plot_figure3(networks, "IT", {"rho": rho, "low": -0.5, "high": 0.9})
    axis = figure.axes[0]
    np.testing.assert_allclose(points(axis), np.stack([x, y], axis=1))
    spread = [by_hand[name].to_numpy().std(1, ddof=1) for name in ("IT_after", "rho")]
    np.testing.assert_allclose(bars(axis), np.stack(spread, axis=1))
    (line,) = [line for line in axis.lines if line.get_linestyle() == "--"]
    np.testing.assert_allclose(line.get_ydata(), np.polyval(np.polyfit(x, y, 1), line.get_xdata()))
    assert axis.texts[0].get_text() == f"ρ = {rho:z.2f} [-0.50, 0.90]\n5 networks".replace("-", "−")
    assert axis.get_xlabel().startswith("IT similarity")


@pytest.mark.parametrize(("count", "told"), [(1, "1 network"), (2, "2 networks")])
def test_few_networks_have_no_line_which_is_said(rng, count, told):
    axis = plot_figure3(average_folds(finetuned(rng, count), COLUMNS), "IT").axes[0]
    assert axis.texts[0].get_text() == f"too few for a correlation\n{told}"
    assert not [line for line in axis.lines if line.get_linestyle() == "--"]
    assert len(points(axis)) == count


def test_one_fold_has_no_bars(rng):
    axis = plot_figure3(average_folds(finetuned(rng, 1, n_folds=1), COLUMNS), "IT").axes[0]
    assert not axis.collections
    assert len(points(axis)) == 1


@pytest.mark.parametrize(("count", "legends"), [(3, 1), (MAX_COLOURS + 1, 0)])
def test_networks_are_named_as_long_as_they_can_be_told_apart(rng, count, legends):
    networks = average_folds(finetuned(rng, count), COLUMNS)
    assert len(plot_figure3(networks, "IT", {"rho": 0.5}).legends) == legends
    assert len(plot_change(networks, changes(networks)).legends) == legends


def test_many_networks_are_coloured_by_family_which_the_legend_names(rng):
    networks = average_folds(finetuned(rng, MAX_COLOURS + 2), COLUMNS)
    networks["family"] = [f"family{place % 3}" for place in range(len(networks))]
    for figure in (plot_figure3(networks, "IT"), plot_change(networks, changes(networks))):
        assert [text.get_text() for text in figure.legends[0].texts] == ["family0", "family1", "family2"]
        drawn = [line.get_color() for line in figure.axes[0].lines if line.get_marker() == "o"]
        assert len(drawn) == len(networks) and len(set(drawn)) == 3
        assert drawn[:3] == drawn[3:6]


def test_a_network_without_a_value_is_left_out_and_none_at_all_is_an_error(rng):
    networks = average_folds(finetuned(rng, 3), COLUMNS)
    networks.loc[0, "IT_after"] = np.nan
    axis = plot_figure3(networks, "IT").axes[0]
    assert axis.texts[0].get_text() == "too few for a correlation\n2 networks\n1 without a value"
    networks["IT_after"] = np.nan
    with pytest.raises(ValueError, match="nothing to draw: none of 3 networks has both rho and a similarity with IT"):
        plot_figure3(networks, "IT")


def test_splits_without_a_value_are_left_out_of_the_means_and_counted(rng):
    table = finetuned(rng, 3, n_folds=5)
    table.loc[[2, 8], ["rho", "IT_after"]] = np.nan  # of two networks
    table.loc[9, "IT_after"] = np.nan
    networks = average_folds(table, COLUMNS)
    assert networks["rho"][0] == pytest.approx(np.nanmean(table["rho"][:5]))
    axis = plot_figure3(networks, "IT").axes[0]
    assert axis.texts[0].get_text().endswith("\n3 networks\n3 splits without a value") and len(points(axis)) == 3
    assert plot_change(networks, changes(networks)).axes[0].texts[0].get_text().endswith("\n3 splits without a value")


def test_the_change_is_drawn_from_before_to_after_with_the_mean_of_all(rng):
    networks = average_folds(finetuned(rng, 4), COLUMNS)
    axis = plot_change(networks, changes(networks)).axes[0]
    drawn = [line.get_ydata() for line in axis.lines if line.get_marker() == "o"]
    np.testing.assert_allclose(np.array(drawn, float), networks[["IT_before", "IT_after"]])
    each = networks["IT_after"] - networks["IT_before"]
    low, high = ttest_1samp(each, 0).confidence_interval(0.95)
    assert axis.texts[0].get_text() == f"mean change\n{each.mean():+z.2f} [{low:z.2f}, {high:z.2f}]".replace("-", "−")
    with pytest.raises(ValueError, match="no regions"):
        plot_change(networks, changes(networks).iloc[:0])


def test_one_network_has_a_change_without_an_interval_which_is_said(rng):
    networks = average_folds(finetuned(rng, 1), COLUMNS)
    told = plot_change(networks, changes(networks)).axes[0].texts[0].get_text()
    assert told.startswith("mean change") and told.endswith("no interval")


def test_simulated_stands_in_figures_of_simulated_networks(rng):
    networks = average_folds(finetuned(rng, 4), COLUMNS)
    for mark, expected in (({}, []), ({"simulated": "seed 1"}, ["simulated data"])):
        networks.attrs = mark
        for figure in (plot_figure3(networks, "IT"), plot_change(networks, changes(networks))):
            assert [text.get_text() for text in figure.texts if "simulated" in text.get_text()] == expected
