"""How networks are told apart: each by itself as long as colours suffice, else by family."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from layerwise.figures.parts import GREY, MAX_COLOURS, Colour
from layerwise.figures.style import COLUMN, PAGE, SMALL

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


def legend_rows(groups: Groups, width: float) -> int:
    """Return the rows that a legend takes in a figure of a width in inches."""
    names = [name for name in groups.looks if name]
    return -(-len(names) // _columns(names, width)) if names else 0


def make_panels(count: int, groups: Groups) -> tuple[Figure, Sequence[Axes]]:
    """Lay out panels, two in a row of a column's width or three in one of a page's, with room for a legend."""
    columns = min(count, 2) if count <= 4 else 3
    rows = -(-count // columns)
    width = COLUMN if columns < 3 else PAGE
    height = 0.9 * width * rows / columns + LEGEND_ROW * legend_rows(groups, width)
    figure, axes = plt.subplots(
        rows, columns, figsize=(width, height), squeeze=False, layout="constrained", sharex=True
    )
    for axis in axes.flat[count:]:
        axis.remove()
    return figure, list(axes.flat[:count])


def draw_group_legend(figure: Figure, groups: Groups) -> None:
    """Name the groups above the panels, in rows; nothing where there is one without a name."""
    columns = _columns([name for name in groups.looks if name], figure.get_size_inches()[0])
    handles = [
        Line2D([], [], marker=look.marker, linestyle="", markersize=3.5, color=look.colour, label=name)
        for name, look in groups.looks.items()
        if name
    ]
    if handles:
        figure.legend(
            handles=handles,
            loc="outside upper center",
            ncols=columns,
            frameon=False,
            handletextpad=0.1,
            columnspacing=0.9,
            labelspacing=0.3,
        )


def _columns(names: Sequence[str], width: float) -> int:
    """Return how many names stand beside each other: a letter takes 0.6 of the size, and a marker three letters."""
    longest = max(map(len, names), default=1) + 4
    return max(1, min(len(names), int(width * 72 / (0.6 * SMALL * longest))))
