"""The notebook of results: each of its figures shows the numbers that were written."""

import base64
import re
import sys

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest
from notebooks import ROOT, run_notebook

sys.path.append(str(ROOT / "docs"))
from draw_notebook import hash_cells  # noqa: E402
from draw_notebook import run_notebook as run_kept  # noqa: E402


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


def test_its_figures_are_those_of_its_cells_and_small():
    path = ROOT / "examples/results.ipynb"
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert notebook.metadata["figures_of"] == hash_cells(notebook), "run: make notebook"
    shown = [list(output.data) for cell in notebook.cells for output in cell.get("outputs", [])]
    assert shown == [["text/plain"], ["image/png"], ["image/png"], ["image/png"]]
    assert path.stat().st_size < 300_000
    assert not re.search(r'"execution_count": \d|/(home|tmp|work|root|Users)/', path.read_text())


def test_figures_are_the_same_to_the_byte_when_it_runs_again(drawn):
    first, second = (run_kept(nbformat.read(ROOT / "examples/results.ipynb", as_version=4)) for _ in range(2))
    assert first == second
    pictures = [output.data["image/png"] for cell in first.cells for output in cell.get("outputs", [])[-1:] if "image/png" in output.data]
    assert all(base64.b64decode(text).startswith(b"\x89PNG") for text in pictures) and len(set(pictures)) == 3
