"""Scores over depth: what the axes hold is what the table holds."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from layerwise.figures.depth import plot_depth
from layerwise.figures.parts import MAX_COLOURS
from layerwise.figures.style import save_figure


@pytest.fixture(autouse=True)
def close():
    yield
    plt.close("all")


def layers(rng, n_models=3, n=40, columns=("V1", "IT"), families=3):
    rows = [(f"n{i}", f"f{i % families}", depth) for i in range(n_models) for depth in range(1, n + 1)]
    table = pd.DataFrame(rows, columns=["model", "family", "depth"])
    for number, name in enumerate(columns):
        table = table.assign(**{name: rng.random(len(table)), f"{name}_error": rng.random(len(table)) / 10})
        table[f"{name}_ceiling"] = 0.75 + number / 8
    return table.sample(frac=1, random_state=1)  # in no order


def through(axis):
    """The lines of networks, without markers and ceilings."""
    return [line.get_xydata() for line in axis.lines if line.get_marker() == "None" and line.get_linestyle() == "-"]


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_a_line_goes_through_each_layer_with_its_error_and_the_ceiling(rng):
    table = layers(rng)
    figure = plot_depth(table, ["V1", "IT"], [])
    assert [axis.get_title(loc="left") for axis in figure.axes] == ["V1", "IT"]
    for axis, name, ceiling in zip(figure.axes, ("V1", "IT"), (0.75, 0.875), strict=True):
        bands = [band.get_paths()[0].vertices for band in axis.collections]
        for model, line, band in zip(dict.fromkeys(table["model"]), through(axis), bands, strict=True):
            own = table[table["model"] == model].sort_values("depth")
            np.testing.assert_allclose(line, np.column_stack([own["depth"] / 40, own[name]]))
            edges = {(round(x, 9), round(y, 9)) for x, y in band}
            for sign in (-1, 1):
                ends = own[name] + sign * own[f"{name}_error"]
                assert set(zip((own["depth"] / 40).round(9), ends.round(9), strict=True)) <= edges
        (dotted,) = [line for line in axis.lines if line.get_linestyle() == ":"]
        assert set(dotted.get_ydata()) == {ceiling}
        assert axis.texts[0].get_text() == f"120 layers of 3 networks\nceiling {ceiling:.2f}"
    assert legend(figure) == [*dict.fromkeys(table["model"]), "± standard error", "ceiling"]
    assert len({axis.get_ylim() for axis in figure.axes}) == 1


def test_a_marker_stands_at_the_best_layer(rng):
    table = layers(rng)
    for axis, name in zip(plot_depth(table, ["V1", "IT"], []).axes, ("V1", "IT"), strict=True):
        best = table.loc[table.groupby("model")[name].idxmax()]
        marks = {(line.get_xdata()[0], line.get_ydata()[0]) for line in axis.lines if line.get_marker() == "o"}
        assert marks == set(zip(best["depth"] / 40, best[name], strict=True))


def test_many_networks_have_means_of_steps_the_colour_of_their_family_and_a_median_error(rng):
    table = layers(rng, MAX_COLOURS + 2, columns=["beauty"])
    figure = plot_depth(table, [], ["beauty"])
    (axis,) = figure.axes
    names = list(dict.fromkeys(table["model"]))
    for model, line in zip(names, through(axis), strict=True):
        own = table[table["model"] == model].sort_values("depth")["beauty"].to_numpy()
        np.testing.assert_allclose(line[:, 1], own.reshape(20, 2).mean(axis=1))
    assert len({line.get_color() for line in axis.lines if line.get_marker() == "o"}) == 3
    assert legend(figure) == [*dict.fromkeys(table["family"]), "ceiling"]
    error = np.median(table["beauty_error"])
    assert axis.texts[0].get_text() == f"480 layers of 12 networks\nceiling 0.75, median error {error:.3f}"
    assert len(axis.collections) == 0
    assert figure._supylabel.get_text() == "Prediction accuracy (Spearman's ρ)"


def test_layers_without_a_value_break_the_line_and_are_counted(rng):
    table = layers(rng, 1, columns=["V1"]).sort_values("depth", ignore_index=True)
    table.loc[[4, 5], "V1"] = [np.nan, np.inf]
    (axis,) = plot_depth(table, ["V1"], []).axes
    assert list(np.flatnonzero(np.isnan(through(axis)[0][:, 1]))) == [4, 5]
    assert axis.texts[0].get_text().split("\n")[:2] == ["38 layers of 1 network", "2 without a value"]


@pytest.mark.parametrize("n_models", [2, MAX_COLOURS + 1])
def test_what_has_no_error_no_ceiling_or_no_value_is_drawn_without(rng, n_models):
    table = layers(rng, n_models, n=1)[["model", "family", "depth", "V1", "IT"]].assign(IT=np.nan)
    figure = plot_depth(table.rename(columns={"V1": "V1_rsa"}), ["V1_rsa", "IT"], [])
    figure.draw_without_rendering()
    assert not {"ceiling", "± standard error"} & set(legend(figure))
    one, none = (axis.texts[0].get_text() for axis in figure.axes)
    assert one == f"{n_models} layers of {n_models} networks"
    assert none == f"0 layers of {n_models} networks\n{n_models} without a value"


def test_words_and_the_legend_stay_on_the_page_and_hide_nothing(rng):
    table = layers(rng, 64, n=2, columns=["memorability"], families=13)
    table["family"] = table["family"].map(lambda name: f"EfficientNet{name}")
    figure = plot_depth(table, [], ["memorability"])
    figure.draw_without_rendering()
    box, names = figure.axes[0].texts[0].get_window_extent(), figure.legends[0].get_window_extent()
    assert figure.bbox.x0 <= names.x0 and names.x1 <= figure.bbox.x1 and names.y1 <= figure.bbox.y1
    assert figure.axes[0].bbox.y1 < box.y0 and box.y1 < names.y0


def test_large_studies_are_small_files(rng, tmp_path):
    table = layers(rng, MAX_COLOURS, n=700, columns=["V1", "V2", "V4", "IT"])
    save_figure(plot_depth(table, ["V1", "V2", "V4", "IT"], []), [tmp_path / "depth.pdf"])
    assert (tmp_path / "depth.pdf").stat().st_size < 10**6


def test_no_column_is_a_sentence(rng):
    with pytest.raises(ValueError, match="nothing to draw: name a region or a measure"):
        plot_depth(layers(rng), [], [])
