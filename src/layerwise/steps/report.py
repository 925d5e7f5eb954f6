"""The step that makes the page on which a study is explored."""

from importlib.metadata import version
from pathlib import Path

import pandas as pd

from layerwise.analyses.networks import (
    correlate_networks,
    describe_networks,
    describe_origins,
    main_region,
    scored_columns,
)
from layerwise.files import atomic_path
from layerwise.files.tables import read_table
from layerwise.report import Contents, render_page
from layerwise.study import Layout

_SHOWN = ("correlations", "layers")  # tables that have a place of their own


def make_report(folder: Path, output: Path) -> None:
    """Make one HTML file of a study's tables, which is explored in a browser and loads nothing.

    Parameters
    ----------
    folder : path
        The study's folder of results.
    output : path
        The file.
    """
    layout = Layout(str(folder))
    layers = read_table(layout.layers, ["model", "layer", "class", "shape", "units", "depth"])
    finetuned = _optional(layout.finetuned_table)
    regions, measures = scored_columns(layers)
    networks = describe_networks(layers, regions, measures, finetuned)
    contents = Contents(
        study=folder.resolve().name,
        layers=layers,
        networks=networks,
        regions=regions,
        measures=measures,
        relations=correlate_networks(networks, regions),
        correlations=_optional(layout.table("correlations")),
        tables=_others(layout) | ({} if finetuned is None else {"fine-tuning": finetuned}),
        origins=describe_origins(layers.attrs.get("data", {})),
        config=_text(Path(layout.config)),
        simulated=layers.attrs.get("simulated", ""),
        region=main_region(regions),
        versions={name: version(name) for name in ("layerwise", "bokeh")},
    )
    with atomic_path(output) as temporary:
        temporary.write_text(render_page(contents), encoding="utf-8")


def _optional(path: str) -> pd.DataFrame | None:
    return read_table(path) if Path(path).exists() else None


def _others(layout: Layout) -> dict[str, pd.DataFrame]:
    found = sorted(Path(layout.table("layers")).parent.glob("*.parquet"))
    return {path.stem: read_table(path) for path in found if path.stem not in _SHOWN}


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""
