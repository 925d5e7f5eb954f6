"""The notebook of results: each of its figures shows the numbers that were written."""

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest
from notebooks import ROOT, run_notebook


@pytest.fixture
def drawn(made, monkeypatch):
    (made.folder.parent / "results").mkdir()
    (made.folder.parent / "results/demo").symlink_to(made.folder)
    monkeypatch.chdir(made.folder.parent)
    plt.close("all")
    space = run_notebook("results.ipynb")
    yield space, [plt.figure(number) for number in plt.get_fignums()]
    plt.close("all")


def test_three_figures_of_the_numbers_that_are_there(drawn, made):
    space, (scatter, profile, alike) = drawn
    points = scatter.axes[0].collections[0].get_offsets()
    expected = space["layers"].query("model == 'alexnet'")[["V1", "beauty"]]
    np.testing.assert_allclose(points, expected)
    lines = profile.axes[1].lines
    means = {name: r.mean(axis=0) for name, r in made.r["alexnet", "IT"].items()}
    np.testing.assert_allclose(lines[0].get_ydata(), [np.median(means[name]) for name in ("conv", "conv", "a/b")])
    np.testing.assert_allclose(lines[1].get_ydata(), np.median(made.ceilings.mean(axis=0)))
    cka = alike.axes[0].images[0].get_array()
    np.testing.assert_allclose(np.diag(cka), 1)
    assert cka.shape == (3, 3) and cka[0, 1] == pytest.approx(1) and cka[0, 2] < 0.99


def test_it_is_kept_without_outputs():
    notebook = nbformat.read(ROOT / "examples/results.ipynb", as_version=4)
    nbformat.validate(notebook)
    assert [cell for cell in notebook.cells if cell.get("outputs") or cell.get("execution_count")] == []
