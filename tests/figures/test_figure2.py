import subprocess
import sys

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from layerwise.figures.figure2 import SHARES, plot_figure2
from layerwise.figures.parts import MAX_COLOURS
from layerwise.figures.style import save_figure
from layerwise.figures.words import NAMES, tell_measure
from layerwise.files.tables import MEASURED
from layerwise.interfaces import MEASURES, PLS
from layerwise.statistics import correlate_layers, divide_correlations

REGIONS = ["V1", "V2", "V4", "IT"]


@pytest.fixture(autouse=True)
def close():
    yield
    plt.close("all")


def titles(figure):
    return [axis.get_title(loc="left") for axis in figure.axes]


def texts(figure):
    return [text.get_text() for text in (*figure.texts, figure._supxlabel, figure._supylabel)]


def tables(rng, n_models=3, regions=REGIONS):
    models = np.repeat([f"network{i}" for i in range(n_models)], 20)
    layers = pd.DataFrame({"model": models, "memorability": rng.random(len(models))})
    for region in regions:
        layers[region] = layers["memorability"] + rng.random(len(models))
    return layers, correlate_layers(layers, regions, ["memorability"])


def test_a_panel_a_region_with_its_points_line_and_rho(rng):
    layers, correlations = tables(rng)
    figure = plot_figure2(layers, correlations)
    assert titles(figure) == REGIONS
    for axis, row in zip(figure.axes, correlations.itertuples(), strict=True):
        points = np.concatenate([collection.get_offsets() for collection in axis.collections])
        np.testing.assert_allclose(points, layers[["memorability", row.region]])
        told = f"ρ = {row.rho:z.2f} [{row.low:z.2f}, {row.high:z.2f}]"
        assert axis.texts[0].get_text() == f"{told}\n60 layers".replace("-", "−")
        x, y = axis.lines[0].get_data()
        slope, intercept = np.polyfit(layers["memorability"], layers[row.region], 1)
        np.testing.assert_allclose(y, slope * x + intercept)
        assert axis.lines[0].get_linestyle() == "--"


def test_layers_without_a_value_are_not_drawn(rng):
    layers, correlations = tables(rng, regions=["V1"])
    layers.loc[:4, "V1"] = [np.nan, np.nan, np.inf, -np.inf, np.nan]
    figure = plot_figure2(layers, correlations)
    assert sum(len(collection.get_offsets()) for collection in figure.axes[0].collections) == len(layers) - 5


def test_without_intervals_rho_stands_alone_and_layers_without_a_value_are_counted(rng):
    layers, correlations = tables(rng, regions=["V1"])
    layers.loc[:4, "V1"] = np.nan
    bare = correlations[["region", "measure", "rho"]].assign(rho=np.nan)
    for given, told in ((correlations[["region", "measure", "rho"]], "ρ = "), (bare, "ρ is not defined")):
        text = plot_figure2(layers, given).axes[0].texts[0].get_text()
        assert text.startswith(told) and "[" not in text and text.endswith("\n55 layers, 5 without a value")


def test_many_layers_are_a_raster_with_contours_and_the_medians_of_families(rng, tmp_path):
    x = rng.normal(size=(12, 1500)) + np.arange(12)[:, None]
    models = np.repeat([f"network{i}" for i in range(12)], 1500)
    layers = pd.DataFrame({"model": models, "memorability": x.ravel(), "V1": (x + rng.normal(size=x.shape)).ravel()})
    layers["family"] = layers["model"].map({f"network{i}": f"family{i % 3}" for i in range(12)})
    layers.attrs["simulated"] = "by a test"
    correlations = pd.DataFrame([{"region": "V1", "measure": "memorability", "rho": 0.5}])
    figure = plot_figure2(layers, correlations)
    points, contours = figure.axes[0].collections
    assert points.get_rasterized() and len(points.get_offsets()) == 18_000
    assert len(contours.get_paths()) == 3
    medians = {tuple(line.get_xydata()[0]) for line in figure.axes[0].lines if line.get_marker() == "o"}
    by_family = layers.groupby("family")[["memorability", "V1"]].median()
    assert medians == set(by_family.itertuples(index=False, name=None))
    assert "simulated data" in [text.get_text() for text in figure.texts]
    lines = ["least squares", "30, 60, 90 % of layers"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [*by_family.index, *lines]
    save_figure(figure, [tmp_path / "figure2.pdf"])
    assert (tmp_path / "figure2.pdf").stat().st_size < 10**6
    assert figure.get_size_inches()[0] == pytest.approx(89 / 25.4)


def test_contours_hold_the_shares_of_the_points_that_they_stand_for(rng):
    points = rng.normal(size=(20_000, 2))
    layers = pd.DataFrame({"model": "a", "memorability": points[:, 0], "V1": points[:, 1]})
    correlations = pd.DataFrame([{"region": "V1", "measure": "memorability", "rho": 0.0}])
    contours = plot_figure2(layers, correlations).axes[0].collections[1]
    within = [path.contains_points(points).mean() for path in contours.get_paths()]
    np.testing.assert_allclose(within, sorted(SHARES, reverse=True), atol=0.05)


def test_ties_and_constant_columns_are_drawn(rng):
    layers = pd.DataFrame({"model": "a", "memorability": 0.5, "V1": np.repeat([0.1, 0.2], 1500)})
    correlations = pd.DataFrame([{"region": "V1", "measure": "memorability", "rho": np.nan}])
    figure = plot_figure2(layers, correlations)
    figure.draw_without_rendering()
    assert figure.axes[0].texts[0].get_text() == "ρ is not defined\n3,000 layers"


def test_an_unknown_measure_is_named_with_those_that_are_there(rng):
    with pytest.raises(ValueError, match=r"no region was correlated with a measure 'beauty'.*: memorability"):
        plot_figure2(*tables(rng), "beauty")


@pytest.mark.parametrize(("n_models", "named"), [(3, 3), (MAX_COLOURS + 1, 0)])
def test_networks_have_colours_as_long_as_they_can_be_told_apart(rng, n_models, named):
    legend = plot_figure2(*tables(rng, n_models)).legends[0]
    assert [text.get_text() for text in legend.get_texts()] == [*(f"network{i}" for i in range(named)), "least squares"]


def test_rho_within_networks_is_told_as_the_table_has_it_but_not_of_one_network(rng):
    layers, correlations = tables(rng)
    parts = divide_correlations(layers, REGIONS, ["memorability"])
    ranks = layers.groupby("model")[["memorability", *REGIONS]].rank()  # of as many layers each: naive residuals
    centred = ranks - ranks.groupby(layers["model"]).transform("mean")
    for axis, region in zip(plot_figure2(layers, correlations, parts=parts).axes, REGIONS, strict=True):
        row = parts[(parts["region"] == region) & (parts["part"] == "within")].iloc[0]
        expected = (
            f"in networks: {centred['memorability'].corr(centred[region]):z.2f} [{row.low:z.2f}, {row.high:z.2f}]"
        )
        assert axis.texts[0].get_text().split("\n")[1] == expected.replace("-", "−")
    layers, correlations = tables(rng, 1)
    parts = divide_correlations(layers, REGIONS, ["memorability"])
    assert all(
        "in networks" not in axis.texts[0].get_text() for axis in plot_figure2(layers, correlations, parts=parts).axes
    )


def test_panels_share_their_axes_unless_regions_were_measured_in_different_ways(rng):
    layers, correlations = tables(rng)
    layers["IT"] *= 3
    figure = plot_figure2(layers, correlations)
    assert len({(*axis.get_xlim(), *axis.get_ylim()) for axis in figure.axes}) == 1
    assert "Brain similarity (Pearson's r)" in texts(figure)
    columns = ["V1_rsa", "IT_cka"]  # which regions may be named, too
    for measured, named in [
        ({"V1_rsa": "rsa", "IT_cka": "rsa"}, "Brain similarity (RSA)"),
        ({"IT_cka": "cka"}, "Brain similarity"),
        ({}, "Brain similarity (Pearson's r)"),
    ]:
        layers, correlations = tables(rng, regions=columns)
        layers.attrs[MEASURED] = measured
        figure = plot_figure2(layers, correlations)
        assert titles(figure) == [name.replace("_", " ") for name in columns] and named in texts(figure)
        assert (len({axis.get_ylim() for axis in figure.axes}) == 1) == (named != "Brain similarity")


def test_scores_are_named_by_what_their_table_says_of_its_columns():
    assert set(NAMES) == {one for one in MEASURES if one != PLS}
    table = pd.DataFrame({"V1_debiased_cka": [0.5], "V2_rsa": [0.5]})
    table.attrs[MEASURED] = {"V1_debiased_cka": "debiased_cka"}
    assert tell_measure(["V1_debiased_cka"], table) == "debiased CKA"
    assert tell_measure(["V2_rsa"], table) == "Pearson's r"  # a region of that name
    assert tell_measure(list(table), table) == ""


def test_ceilings_are_told_and_drawn_where_they_lie_among_the_points(rng):
    layers, correlations = tables(rng, regions=["V1", "IT"])
    layers["V1_ceiling"], layers["IT_ceiling"], layers["memorability_ceiling"] = 0.8125, 9.0, 0.5
    figure = plot_figure2(layers, correlations)
    limits = plot_figure2(layers[["model", "memorability", "V1", "IT"]], correlations).axes[0].get_ylim()
    assert all(axis.get_ylim() == limits for axis in figure.axes)  # a far ceiling squeezes no points
    dotted = [
        [line.get_xydata().tolist() for line in axis.lines if line.get_linestyle() == ":"] for axis in figure.axes
    ]
    across, up = [[0.0, 0.8125], [1.0, 0.8125]], [[0.5, 0.0], [0.5, 1.0]]
    assert dotted == [[up, across], [up]]
    assert [axis.texts[0].get_text().split(", ")[-1] for axis in figure.axes] == ["ceiling 0.81", "ceiling 9.00"]
    assert "Memorability prediction accuracy (Spearman's ρ, ceiling 0.50)" in texts(figure)
    assert [text.get_text() for text in figure.legends[0].get_texts()][-2:] == ["least squares", "ceiling"]
    far = plot_figure2(layers.assign(V1_ceiling=9.0, memorability_ceiling=9.0), correlations)
    assert [text.get_text() for text in far.legends[0].get_texts()][-1] == "least squares"


@pytest.mark.parametrize("n_regions", [1, 4, 5])
def test_words_hide_no_point_and_stay_within_the_figure(rng, n_regions):
    layers, correlations = tables(rng, regions=[f"region{i}" for i in range(n_regions)])
    parts = divide_correlations(layers, list(correlations["region"]), ["memorability"])
    correlations = correlations.assign(wide_low=-0.25, wide_high=-0.125)
    figure = plot_figure2(layers, correlations, parts=parts)
    figure.draw_without_rendering()
    page = figure.bbox
    for axis in figure.axes:
        box = axis.texts[0].get_window_extent()
        points = axis.transData.transform(np.concatenate([one.get_offsets() for one in axis.collections]))
        assert len(points) == len(layers) and points[:, 1].max() < axis.bbox.y1 < box.y0
        assert box.y1 <= axis._left_title.get_window_extent().y0
        assert page.x0 <= box.x0 and box.x1 <= page.x1
    assert len(figure.axes) == n_regions
    legend = figure.legends[0].get_window_extent()
    assert page.x0 <= legend.x0 and legend.x1 <= page.x1 and legend.y1 <= page.y1


@pytest.mark.parametrize("n_regions", [1, 2, 3, 5])
def test_any_number_of_regions(rng, n_regions):
    figure = plot_figure2(*tables(rng, regions=[f"region{i}" for i in range(n_regions)]))
    assert len(figure.axes) == n_regions


def test_the_same_data_give_the_same_files(rng, tmp_path):
    data = tables(rng)
    for folder in ("one", "two"):
        save_figure(plot_figure2(*data), [tmp_path / folder / f"figure2.{ending}" for ending in ("pdf", "svg", "png")])
    for ending in ("pdf", "svg", "png"):
        one, two = ((tmp_path / folder / f"figure2.{ending}").read_bytes() for folder in ("one", "two"))
        assert one == two
        assert len(one) > 5000


FULL = """
import resource, sys
from pathlib import Path
import numpy as np
from matplotlib.figure import Figure
from layerwise.figures.style import save_figure
figure = Figure()
figure.subplots().plot(np.random.rand(500))
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
save_figure(figure, [Path(sys.argv[1])])
"""


@pytest.mark.parametrize("ending", ["pdf", "svg", "png"])
def test_a_full_disk_is_told_as_such(tmp_path, ending):
    done = subprocess.run([sys.executable, "-c", FULL, tmp_path / f"a.{ending}"], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.strip().endswith("OSError: [Errno 27] File too large")
    assert list(tmp_path.iterdir()) == []
