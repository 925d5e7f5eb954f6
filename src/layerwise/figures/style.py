"""The style that all figures share, and how they are saved."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import matplotlib as mpl
import seaborn as sns
from matplotlib.figure import Figure

from layerwise.files import atomic_path


def set_style() -> None:
    """Set fonts and lines for print: 8-point text that stays text in SVG and PDF."""
    sns.set_theme(style="ticks", context="paper", font_scale=0.95)
    mpl.rcParams.update({"svg.fonttype": "none", "pdf.fonttype": 42, "figure.dpi": 100, "savefig.dpi": 300})
    mpl.rcParams["svg.hashsalt"] = "layerwise"  # same data, same file


def save_figure(figure: Figure, paths: Sequence[Path]) -> None:
    """Save a figure under each path, in the format of its ending, whole or not at all."""
    for path in paths:
        metadata = (
            {"CreationDate": None} if path.suffix == ".pdf" else {"Date": None} if path.suffix == ".svg" else None
        )
        content = BytesIO()  # matplotlib hides errors of the file behind its own
        figure.savefig(content, format=path.suffix.removeprefix("."), bbox_inches="tight", metadata=metadata)
        with atomic_path(path) as temporary:
            temporary.write_bytes(content.getbuffer())
