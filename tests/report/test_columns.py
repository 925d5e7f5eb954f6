import numpy as np
import pandas as pd
import pytest
from pages import small_contents
from scipy.stats import linregress

from layerwise.report.columns import depth_lines, fitted_lines, layer_columns, network_columns


def test_numbers_and_texts_give_the_table_again(rng):
    contents = small_contents(rng)
    columns, texts = layer_columns(contents)
    layers = contents.layers
    for column, name, text in (
        ("_network", "model", "networks"),
        ("_class", "class", "classes"),
        ("_shape", "shape", "shapes"),
    ):
        assert [texts[text][code] for code in columns[column]] == list(layers[name])
    assert texts["layers"] == list(layers["layer"])
    for column, name in (("_units", "units"), ("_depth", "depth"), ("V1", "V1"), ("IT_error", "IT_error")):
        np.testing.assert_allclose(columns[column], layers[name], rtol=1e-6)
    deepest = layers.groupby("model")["depth"].transform("max")
    np.testing.assert_allclose(columns["_relative"], layers["depth"] / deepest, rtol=1e-6)
    assert {len(column) for column in columns.values()} == {len(layers)}


def test_values_that_are_missing_stay_so(rng):
    contents = small_contents(rng)
    contents.layers.loc[[3, 5], "V1"] = np.nan, np.inf  # axes would have no end
    assert np.flatnonzero(np.isnan(layer_columns(contents)[0]["V1"])).tolist() == [3, 5]
    without, lines = contents.layers.drop([3, 5]), fitted_lines(contents.layers, [("memorability", "V1")])
    expected = fitted_lines(without, [("memorability", "V1")])
    assert all(np.isfinite(ends).all() and ends.tolist() == expected[key].tolist() for key, ends in lines.items())


def test_only_numbers_of_networks_are_columns(rng):
    columns = network_columns(small_contents(rng).networks)
    assert {"V1", "top1", "_pick"} <= set(columns) and not {"model", "family", "V1_layer"} & set(columns)


def test_a_line_is_the_regression_of_scipy_between_the_ends(rng):
    table = pd.DataFrame(rng.random((30, 2)), columns=["x", "y"])
    table.loc[4, "y"] = np.nan
    lines, points = fitted_lines(table, [("x", "y")]), table.dropna()
    expected = linregress(points["x"], points["y"])
    ends = np.array([points["x"].min(), points["x"].max()])
    np.testing.assert_allclose(lines["x y x"], ends)
    np.testing.assert_allclose(lines["x y y"], expected.intercept + expected.slope * ends)


@pytest.mark.parametrize("x", [[1.0, 2.0], [1.0, 1.0, 1.0, 1.0], []])
def test_too_few_points_or_one_x_have_no_line(x):
    lines = fitted_lines(pd.DataFrame({"x": x, "y": x}, dtype=float), [("x", "y")])
    assert all(np.isnan(line).all() for line in lines.values())


def test_lines_and_bands_over_depth_break_where_a_layer_has_no_value(rng):
    contents = small_contents(rng, ("V1",), (), models=("a", "b"), tables={})
    layers = contents.layers
    layers.loc[[3, 4, 11], "V1"], layers.loc[6, "V1_error"] = np.nan, np.nan
    lines = depth_lines(contents, "V1")
    for (_, rows), x, y in zip(layers.groupby("model"), lines["x"], lines["y"], strict=True):
        np.testing.assert_allclose(x, rows["depth"] / 12)
        np.testing.assert_allclose(y, rows["V1"], rtol=1e-6)
    inside = [slice(0, 3), slice(5, 6), slice(7, 11), slice(12, 24)]
    assert [len(part) for part in lines["band y"]] == [2 * (part.stop - part.start) for part in inside]
    for x, y, part in zip(lines["band x"], lines["band y"], inside, strict=True):
        rows = layers.iloc[part]
        np.testing.assert_allclose(
            y, [*(rows["V1"] + rows["V1_error"]), *(rows["V1"] - rows["V1_error"])[::-1]], rtol=1e-6
        )
        np.testing.assert_allclose(x, [*rows["depth"] / 12, *rows["depth"][::-1] / 12])
