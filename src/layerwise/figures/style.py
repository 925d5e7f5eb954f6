"""The style that all figures share, and how they are saved."""

from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib as mpl
import seaborn as sns
from matplotlib.figure import Figure

from layerwise.files import atomic_path

COLUMN, PAGE = 89 / 25.4, 183 / 25.4  # inches: one column of a journal, and its page
TEXT, SMALL = 7.0, 6.0  # points, at that width
RASTER = 600  # dots an inch, of points that are too many for a vector file


def set_style() -> None:
    """Set fonts and lines for print at the width of a column: text that stays text in SVG and PDF."""
    sns.set_theme(style="ticks", context="paper")
    mpl.rcParams.update({"svg.fonttype": "none", "pdf.fonttype": 42, "figure.dpi": 100, "savefig.dpi": RASTER})
    mpl.rcParams["svg.hashsalt"] = "layerwise"  # same data, same file
    mpl.rcParams.update(dict.fromkeys(("font.size", "axes.titlesize", "axes.labelsize"), TEXT))
    mpl.rcParams.update(dict.fromkeys(("xtick.labelsize", "ytick.labelsize", "legend.fontsize"), SMALL))
    mpl.rcParams.update(dict.fromkeys(("axes.linewidth", "xtick.major.width", "ytick.major.width"), 0.6))
    mpl.rcParams.update({"xtick.major.size": 2.5, "ytick.major.size": 2.5, "axes.titlepad": 3, "axes.labelpad": 2})
    mpl.rcParams.update({"xtick.major.pad": 2, "ytick.major.pad": 2, "figure.constrained_layout.h_pad": 0.03})


def mark_simulated(figure: Figure, attributes: Mapping[Any, Any]) -> None:
    """Write "simulated data" up the right edge of a figure of tables that say so in their attributes."""
    if "simulated" not in attributes:
        return
    width = figure.get_size_inches()[0]
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.set(rect=(0, 0, 1 - 0.11 / width, 1))  # type: ignore[call-arg]
    figure.text(
        *(1 - 0.02 / width, 0.5),
        "simulated data",
        rotation=90,
        ha="right",
        va="center",
        color="#b3261e",
        fontsize=SMALL,
    )


def save_figure(figure: Figure, paths: Sequence[Path]) -> None:
    """Save a figure at its own size under each path, in the format of its ending, whole or not at all."""
    for path in paths:
        metadata = (
            {"CreationDate": None} if path.suffix == ".pdf" else {"Date": None} if path.suffix == ".svg" else None
        )
        content = BytesIO()  # matplotlib hides errors of the file behind its own
        figure.savefig(content, format=path.suffix.removeprefix("."), metadata=metadata)
        with atomic_path(path) as temporary:
            temporary.write_bytes(content.getbuffer())
