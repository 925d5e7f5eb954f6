"""The step that makes the page on which a study is explored."""

from importlib.metadata import version
from pathlib import Path

import pandas as pd

from layerwise.analyses.networks import describe_networks, describe_origins, scored_columns
from layerwise.figures.words import NAMES
from layerwise.files import atomic_path
from layerwise.files.tables import MEASURED, read_table
from layerwise.report import Contents, render_page
from layerwise.study import Layout, main_region


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
    regions, measures = scored_columns(layers)
    tables = _tables(layout)
    networks = tables.get("network_scores")
    contents = Contents(
        study=folder.resolve().name,
        layers=layers,
        networks=describe_networks(layers, regions, measures) if networks is None else networks,
        regions=regions,
        measures=measures,
        tables=tables,
        origins=describe_origins(layers.attrs.get("data", {})),
        config=_text(Path(layout.config)),
        simulated=layers.attrs.get("simulated", ""),
        kinds={column: NAMES[measure] for column, measure in layers.attrs.get(MEASURED, {}).items()},
        region=main_region(regions) or None,
        versions={name: version(name) for name in ("layerwise", "bokeh")},
    )
    with atomic_path(output) as temporary:
        temporary.write_text(render_page(contents), encoding="utf-8")


def _tables(layout: Layout) -> dict[str, pd.DataFrame]:
    """Read all tables of a study that are there, but that of its layers."""
    found = sorted(Path(layout.table("layers")).parent.glob("*.parquet"))
    tables = {path.stem: read_table(path) for path in found}
    tuned = Path(layout.finetuned_table)
    return tables | ({"finetuned": read_table(tuned)} if tuned.exists() else {})


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""
