"""The epochs of a network's fine-tuning: losses, rank correlation and learning rate, a line a fold."""

from collections.abc import Collection, Iterable, Sequence

import pandas as pd
import seaborn as sns
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FormatStrFormatter, MaxNLocator, NullLocator

from layerwise.figures.parts import MAX_COLOURS, Colour, Palette
from layerwise.figures.style import set_style

MOST_DROPS = 10  # of the learning rate that are marked; a rate that falls at each epoch is seen from its own panel
GREY = {"color": "0.35"}  # of the learning rate, which all splits share
FEW_EPOCHS = 15  # that are drawn as points, too


def plot_history(history: pd.DataFrame, model: str) -> Figure:
    """Draw the figure.

    Parameters
    ----------
    history : DataFrame
        A row for each (split, epoch), with training_loss, validation_loss, rho, learning_rate and best.
    model : str
        Name of the network.

    Raises
    ------
    ValueError
        There is no epoch.
    """
    if history.empty:
        raise ValueError(f"{model} has no epochs to draw: its history is empty")
    set_style()
    figure, (loss, rho, rate) = plt.subplots(
        3, figsize=(4.2, 4.6), sharex=True, layout="constrained", height_ratios=[3, 3, 1.2]
    )
    colours = _colours(list(history["split"].unique()))
    for split, epochs in history.groupby("split", sort=False):
        marks = {"color": colours[str(split)], "marker": "." if len(epochs) <= FEW_EPOCHS else None, "markersize": 4}
        loss.plot(epochs["epoch"], epochs["training_loss"], linestyle=":", linewidth=1, **marks)
        loss.plot(epochs["epoch"], epochs["validation_loss"], linewidth=1.2, **marks)
        rho.plot(epochs["epoch"], epochs["rho"], linewidth=1.2, **marks)
        rate.plot(epochs["epoch"], epochs["learning_rate"], linewidth=1.2, drawstyle="steps-mid", **marks | GREY)
        _mark_best(loss, rho, epochs[epochs["best"]], colours[str(split)])
    _label([loss, rho, rate], _drops(history), int(history["epoch"].max()))
    _name_rates(rate, history["learning_rate"])
    figure.suptitle(f"Fine-tuning of {model}", fontsize="medium")
    _legend(figure, colours, set(history.loc[history["best"], "split"].astype(str)))
    return figure


def _label(axes: Sequence[Axes], drops: Iterable[int], last: int) -> None:
    for axis, label in zip(axes, ("Loss", "Validation ρ", "Learning rate"), strict=True):
        axis.set_ylabel(label)
        _mark_drops(axis, drops)
        sns.despine(ax=axis)
    axes[-1].set(yscale="log", xlabel="Epoch", xlim=(0.5, last + 0.5))
    axes[-1].xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes[0].figure.align_ylabels(axes)


def _name_rates(rate: Axes, rates: pd.Series) -> None:
    """Name the lowest and the highest rate where they are within a power of ten, of which none may be seen."""
    low, high = rates.min(), rates.max()
    if 0 < high < 10 * low:
        rate.set_yticks(sorted({low, high}))
        rate.yaxis.set_minor_locator(NullLocator())
        rate.yaxis.set_major_formatter(FormatStrFormatter("%.2g"))


def _colours(splits: Sequence[str]) -> Palette:
    palette = sns.color_palette("colorblind" if len(splits) <= MAX_COLOURS else "husl", len(splits))
    return dict(zip(splits, palette, strict=True))


def _mark_best(loss: Axes, rho: Axes, best: pd.DataFrame, colour: Colour) -> None:
    for axis, column in ((loss, "validation_loss"), (rho, "rho")):
        axis.plot(best["epoch"], best[column], marker="o", markersize=6, linestyle="", color=colour, mec="0.15")


def _drops(history: pd.DataFrame) -> list[int]:
    """Find the first epochs of a new learning rate; none where it changes all the time."""
    rates = history.drop_duplicates("epoch").sort_values("epoch")
    changed = rates["learning_rate"].ne(rates["learning_rate"].shift())[1:]
    drops = rates["epoch"][1:][changed].tolist()
    return drops if len(drops) <= min(MOST_DROPS, max(1, len(rates) // 3)) else []


def _mark_drops(axis: Axes, epochs: Iterable[int]) -> None:
    for epoch in epochs:
        axis.axvline(epoch - 0.5, color="0.7", linewidth=0.8, linestyle="--", zorder=0)


def _legend(figure: Figure, colours: Palette, ended: Collection[str]) -> None:
    """Name the splits; one without a best epoch diverged."""
    names = {split: f"split {split}" + ("" if split in ended else ", diverged") for split in colours}
    folds = [Line2D([], [], color=colour, linewidth=1.2, label=names[split]) for split, colour in colours.items()]
    kinds = [
        Line2D([], [], color="0.35", linewidth=1, linestyle=":", label="training"),
        Line2D([], [], color="0.35", linewidth=1.2, label="validation"),
        Line2D([], [], color="0.8", marker="o", mec="0.15", linestyle="", markersize=6, label="best epoch"),
    ]
    figure.legend(handles=[*folds, *kinds], loc="outside right upper", frameon=False, fontsize="small")
