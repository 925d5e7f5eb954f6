"""The history of a training: every epoch of every fold, the best marked, drops of the learning rate visible."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from layerwise.figures.history import plot_history


@pytest.fixture(autouse=True)
def close():
    yield
    plt.close("all")


def history(rng, n_folds=2, n_epochs=25, rate=lambda epoch: 1e-3 * 0.1 ** ((epoch - 1) // 10)):
    epochs = np.arange(1, n_epochs + 1)
    folds = []
    for fold in range(1, n_folds + 1):
        values = {name: rng.random(n_epochs) for name in ("training_loss", "validation_loss", "rho")}
        best = epochs == 1 + values["rho"].argmax()
        rates = [rate(epoch) for epoch in epochs]
        folds.append(
            pd.DataFrame({"split": str(fold), "epoch": epochs, "learning_rate": rates, **values, "best": best})
        )
    return pd.concat(folds, ignore_index=True)


def drawn(axis, n_epochs):
    return np.array([line.get_ydata() for line in axis.lines if len(line.get_xdata()) == n_epochs])


def test_every_epoch_of_every_fold_is_drawn_and_the_best_is_marked(rng):
    table = history(rng)
    figure = plot_history(table, "mine")
    loss, rho, rate = figure.axes
    for axis, columns in (
        (loss, ["training_loss", "validation_loss"]),
        (rho, ["rho"]),
        (rate, ["learning_rate"]),
    ):
        expected = [table.loc[table["split"] == fold, column] for fold in "12" for column in columns]
        np.testing.assert_array_equal(drawn(axis, 25), expected)
    marked = {tuple(line.get_xydata()[0]) for line in rho.lines if line.get_marker() == "o"}
    assert marked == {(row.epoch, row.rho) for row in table[table["best"]].itertuples()}
    assert {text.get_text() for text in figure.legends[0].texts} >= {"split 1", "split 2", "best epoch"}
    assert "mine" in figure.get_suptitle()


def test_a_split_that_diverged_breaks_off_and_is_named(rng):
    table = history(rng, n_epochs=4)
    table = table[(table["split"] == "1") | (table["epoch"] < 3)]
    table.loc[table["split"] == "2", "best"] = False
    table.loc[(table["split"] == "2") & (table["epoch"] == 2), ["training_loss", "validation_loss", "rho"]] = np.nan
    figure = plot_history(table, "mine")
    assert [text.get_text() for text in figure.legends[0].texts][:2] == ["split 1", "split 2, diverged"]
    assert [line.get_marker() for line in figure.axes[1].lines].count("o") == 2  # one of them is empty
    alone = table[(table["split"] == "2") & (table["epoch"] == 2)].assign(epoch=1)
    figure = plot_history(alone, "mine")
    figure.draw_without_rendering()
    assert figure.legends[0].texts[0].get_text() == "split 2, diverged"


@pytest.mark.parametrize(
    ("rate", "named"),
    [
        (lambda epoch: 1e-4 if epoch < 3 else 2.5e-5, ["2.5e-05", "0.0001"]),
        (lambda _: 3e-4, ["0.0003"]),
        (lambda epoch: 1e-3 * 0.1 ** (epoch - 1), None),  # powers of ten name themselves
    ],
)
def test_learning_rates_that_hardly_change_are_named(rng, rate, named):
    axis = plot_history(history(rng, n_epochs=3, rate=rate), "mine").axes[2]
    axis.figure.canvas.draw()
    labels = [text.get_text() for text in axis.get_yticklabels(which="both") if text.get_text()]
    assert labels == named if named else len(labels) >= 3


@pytest.mark.parametrize(
    ("rate", "marked"),
    [
        (lambda epoch: 1e-3 * 0.1 ** ((epoch - 1) // 10), [10.5, 20.5]),
        (lambda epoch: 1e-3 / epoch, []),  # at each epoch: seen from the panel of the rate alone
        (lambda _: 1e-3, []),
    ],
)
def test_drops_of_the_learning_rate_are_marked_in_each_panel(rng, rate, marked):
    for axis in plot_history(history(rng, rate=rate), "mine").axes:
        assert [line.get_xdata()[0] for line in axis.lines if line.get_linestyle() == "--"] == marked


@pytest.mark.parametrize(("n_folds", "n_epochs"), [(1, 1), (12, 3)])
def test_any_number_of_folds_and_epochs(rng, n_folds, n_epochs):
    figure = plot_history(history(rng, n_folds, n_epochs), "mine")
    assert len(drawn(figure.axes[1], n_epochs)) >= n_folds
    low, high = figure.axes[2].get_xlim()
    ticks = [tick for tick in figure.axes[2].get_xticks() if low <= tick <= high]
    assert ticks and all(float(tick).is_integer() for tick in ticks)


def test_an_empty_history_is_refused(rng):
    with pytest.raises(ValueError, match="mine has no epochs to draw"):
        plot_history(history(rng).iloc[:0], "mine")
