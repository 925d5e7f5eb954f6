"""How networks are told apart: each by itself as long as colours suffice, else by family."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from layerwise.figures.parts import GREY, MAX_COLOURS, Colour
from layerwise.figures.style import COLUMN, PAGE, SMALL
from layerwise.figures.words import STEP

LEGEND_ROW = 0.13  # inches
MARKERS = "os^Dv"
HUES = [0, 1, 2, 3, 4, 9]  # of seaborn's ten colours, those that stay apart with any marker beside them


@dataclass(frozen=True)
class Look:
    """A colour and a marker: families beyond the number of colours differ by the marker too."""

    colour: Colour
    marker: str


@dataclass(frozen=True)
class Groups:
    """Networks and how their group is drawn.

    Parameters
    ----------
    of : mapping of str to str
        The group of each network.
    looks : mapping of str to Look
        Of each group, in the order of the legend.
    """

    of: Mapping[str, str]
    looks: Mapping[str, Look]

    def look(self, model: str) -> Look:
        """Return how a network is drawn."""
        return self.looks[self.of[model]]


def group_networks(models: Sequence[str], families: Mapping[str, str] | None = None) -> Groups:
    """Group networks: each by itself up to ten, then by family; grey without families, or with too many.

    Parameters
    ----------
    models : sequence of str
        Each once.
    families : mapping of str to str, optional
        Their families.
    """
    if len(models) <= MAX_COLOURS:
        colours = sns.color_palette("colorblind", len(models))
        looks = {model: Look(colour, "o") for model, colour in zip(models, colours, strict=True)}
        return Groups({model: model for model in models}, looks)
    of = {model: (families or {}).get(model, "") for model in models}
    names = list(dict.fromkeys(of.values()))
    ten = sns.color_palette("colorblind")
    if len(names) > len(HUES) * len(MARKERS) or names == [""]:
        return Groups(dict.fromkeys(models, ""), {"": Look(GREY, "o")})
    looks = {
        name: Look(ten[HUES[number % len(HUES)]], MARKERS[number // len(HUES)]) for number, name in enumerate(names)
    }
    return Groups(of, looks)


def known_families(networks: pd.DataFrame) -> dict[str, str] | None:
    """Return the family of each network, where the table has a column of it."""
    return dict(zip(networks["model"], networks["family"], strict=True)) if "family" in networks else None


def legend_rows(groups: Groups, width: float, more: Sequence[Artist] = ()) -> int:
    """Return the rows that a legend takes in a figure of a width in inches."""
    names = _names(groups, more)
    return -(-len(names) // _columns(names, width)) if names else 0


def make_panels(
    count: int, groups: Groups, more: Sequence[Artist] = (), told: int = 0, sharey: bool = False
) -> tuple[Figure, Sequence[Axes]]:
    """Lay out panels, two in a row of a column's width or three in one of a page's.

    Parameters
    ----------
    count : int
        Of panels.
    groups : Groups
        For whose legend there is room.
    more : sequence of Artist
        What the legend explains beside them.
    told : int
        Lines of words above each panel.
    sharey : bool
        Whether all have the same y axis; x axes are the same.
    """
    columns = min(count, 2) if count <= 4 else 3
    rows = -(-count // columns)
    width = COLUMN if columns < 3 else PAGE
    height = rows * (0.9 * width / columns + told * STEP / 72) + LEGEND_ROW * legend_rows(groups, width, more)
    figure, axes = plt.subplots(
        rows, columns, figsize=(width, height), squeeze=False, layout="constrained", sharex=True, sharey=sharey
    )
    for axis in axes.flat[count:]:
        axis.remove()
    for axis in axes.flat[max(0, count - columns) : count]:
        axis.tick_params(labelbottom=True)  # those above an empty place, too
    return figure, list(axes.flat[:count])


def draw_group_legend(figure: Figure, groups: Groups, more: Sequence[Artist] = ()) -> None:
    """Name the groups, and what else is drawn, above the panels, in rows; nothing where nothing has a name."""
    columns = _columns(_names(groups, more), figure.get_size_inches()[0])
    named = [
        Line2D([], [], marker=look.marker, linestyle="", markersize=3.5, color=look.colour, label=name)
        for name, look in groups.looks.items()
        if name
    ]
    handles = [*named, *more]
    if handles:
        figure.legend(
            handles=handles,
            loc="outside upper center",
            ncols=columns,
            frameon=False,
            handletextpad=0.4 if more else 0.1,
            columnspacing=0.9,
            labelspacing=0.3,
        )


def _names(groups: Groups, more: Sequence[Artist]) -> list[str]:
    return [*filter(None, groups.looks), *(str(one.get_label()) for one in more)]


def _columns(names: Sequence[str], width: float) -> int:
    """Return how many columns of names fit: a letter takes 0.6 of the size, and a marker and its space six letters."""
    room = width * 72 / (0.6 * SMALL)
    for number in range(len(names), 1, -1):
        parts = np.array_split(np.array([len(name) + 6 for name in names]), number)  # as matplotlib fills them
        if sum(part.max() for part in parts) <= room:
            return number
    return 1
