import subprocess
import sys

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from layerwise.figures.figure2 import plot_figure2
from layerwise.figures.parts import MAX_COLOURS
from layerwise.figures.style import save_figure
from layerwise.statistics import correlate_layers

REGIONS = ["V1", "V2", "V4", "IT"]


@pytest.fixture(autouse=True)
def close():
    yield
    plt.close("all")


def tables(rng, n_models=3, regions=REGIONS):
    models = np.repeat([f"network{i}" for i in range(n_models)], 20)
    layers = pd.DataFrame({"model": models, "memorability": rng.random(len(models))})
    for region in regions:
        layers[region] = layers["memorability"] + rng.random(len(models))
    return layers, correlate_layers(layers, regions, ["memorability"])


def test_a_panel_a_region_with_its_points_line_and_rho(rng):
    layers, correlations = tables(rng)
    figure = plot_figure2(layers, correlations)
    assert [axis.get_title() for axis in figure.axes] == REGIONS
    for axis, row in zip(figure.axes, correlations.itertuples(), strict=True):
        points = np.concatenate([collection.get_offsets() for collection in axis.collections])
        np.testing.assert_allclose(points, layers[["memorability", row.region]])
        assert axis.texts[0].get_text() == f"ρ = {row.rho:.2f}".replace("-", "−")
        x, y = axis.lines[0].get_data()
        slope, intercept = np.polyfit(layers["memorability"], layers[row.region], 1)
        np.testing.assert_allclose(y, slope * x + intercept)
        assert axis.lines[0].get_linestyle() == "--"


def test_layers_without_a_value_are_not_drawn(rng):
    layers, correlations = tables(rng, regions=["V1"])
    layers.loc[:4, "V1"] = np.nan
    figure = plot_figure2(layers, correlations)
    assert sum(len(collection.get_offsets()) for collection in figure.axes[0].collections) == len(layers) - 5


def test_an_unknown_measure_is_named_with_those_that_are_there(rng):
    with pytest.raises(ValueError, match=r"no region was correlated with a measure 'beauty'.*: memorability"):
        plot_figure2(*tables(rng), "beauty")


@pytest.mark.parametrize(("n_models", "legends"), [(3, 1), (MAX_COLOURS + 1, 0)])
def test_networks_have_colours_as_long_as_they_can_be_told_apart(rng, n_models, legends):
    assert len(plot_figure2(*tables(rng, n_models)).legends) == legends


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
