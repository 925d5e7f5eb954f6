"""The page: one HTML file with all of its data, code and style in it."""

import json
import math
from importlib.resources import files
from typing import Any

import numpy as np
import pandas as pd
from bokeh.embed import components
from bokeh.model import Model
from bokeh.resources import Resources
from jinja2 import Environment
from markupsafe import Markup
from pandas.api.types import is_numeric_dtype

from layerwise.report.contents import Contents
from layerwise.report.panels import MOST_LINES, PICKED, labels_of, layer_figures, network_figures

_KNOWN = "three networks whose ImageNet accuracy is known"
CONTROLS = {  # number, title, what the figure needs
    "figure3": ("3", "Accuracy and brain similarity after fine-tuning", "recordings and fine-tuned networks"),
    "figure4a": ("4A", "ImageNet accuracy and the layer before the last", f"recordings, fine-tuning and {_KNOWN}"),
    "figure4b": ("4B", "ImageNet accuracy and the best layer", f"recordings and {_KNOWN}"),
    "figureS1": ("S1", "ImageNet accuracy and prediction accuracy", f"ratings and {_KNOWN}"),
}
FIRST = ("correlations", "reproduction", "network_scores")  # of the tables, and open
MOST_ROWS = 1000  # of a table of the page; longer ones are cut, which is said


def render_page(contents: Contents) -> str:
    """Render the page.

    Parameters
    ----------
    contents : Contents
        What it shows.

    Returns
    -------
    str
        HTML that loads nothing: data, code and style are in it.
    """
    layers, texts = layer_figures(contents)
    networks = network_figures(contents)
    figures: dict[str, Model] = {f"layers {key}": one for key, one in layers.items()}
    script, divs = components(figures | networks)
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"shown": _shown, "number": _is_number, "sorted_by": _sort_key}
    environment.tests["numeric"] = is_numeric_dtype
    return environment.from_string(_text("report.html")).render(
        contents=contents,
        tables=_tables(contents),
        most=MOST_ROWS,
        first=_first(contents),
        controls={key: CONTROLS[key] for key in networks},
        missing=[figure for key, figure in CONTROLS.items() if key not in networks],
        most_lines=MOST_LINES,
        ceilings=any(math.isfinite(contents.ceiling(name)) for name in contents.alone),
        told={name: _told_over_depth(contents, name) for name in contents.alone},
        divs={key: Markup(div) for key, div in divs.items()},
        facts=Markup(_script_json(_facts(contents, texts))),
        style=Markup(_text("report.css")),
        library=Markup("\n".join(Resources("inline", components=["bokeh"]).js_raw)),
        figures=Markup(script),
        code=Markup(_text("report.js")),
    )


def _told_over_depth(contents: Contents, name: str) -> str:
    drawn = contents.layers[np.isfinite(contents.layers[name])]
    lost, networks, ceiling = len(contents.layers) - len(drawn), drawn["model"].nunique(), contents.ceiling(name)
    parts = [
        f"{len(drawn):,} layers of {networks} network{'' if networks == 1 else 's'}",
        f"{lost:,} without a value" if lost else "",
        f"ceiling {_shown(round(ceiling, 2))}" if math.isfinite(ceiling) else "",
    ]
    return ", ".join(filter(None, parts))


def _text(name: str) -> str:
    return files("layerwise.report").joinpath(name).read_text(encoding="utf-8")


def _facts(contents: Contents, texts: dict[str, list[str]]) -> dict[str, Any]:
    """Return what report.js knows beside the sources of the figures."""
    networks = contents.networks
    return {
        **texts,
        "families": list(map(str, networks["family"])),
        "regions": list(contents.regions),
        "measures": list(contents.measures),
        "kinds": dict(contents.kinds),
        "alone": bool(contents.alone),
        "region": contents.region,
        "colours": list(PICKED),
        "correlations": _records(contents.tables.get("correlations")),
        "relations": _records(contents.relations),
        "labels": labels_of([str(name) for name in networks], contents.regions, contents.kinds),
    }


def _records(table: pd.DataFrame | None) -> list[dict[str, Any]]:
    rows = [] if table is None else table.to_dict("records")
    return [{str(key): _known(value) for key, value in row.items()} for row in rows]


def _known(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _script_json(value: Any) -> str:
    """Return JSON that ends no script element, whatever is in it."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _first(contents: Contents) -> list[str]:
    """Name the tables that come first; the paper's numbers only where the study has some beside them."""
    reproduction = contents.tables.get("reproduction")
    compared = reproduction is not None and reproduction["ours"].notna().any()
    return [name for name in FIRST if name != "reproduction" or compared]


def _tables(contents: Contents) -> dict[str, pd.DataFrame]:
    """Return the tables in the order of the page: first what the study is about."""
    named = {"network_scores": contents.networks} | dict(contents.tables)
    first = [name for name in _first(contents) if name in named]
    return {name: named[name] for name in (*first, *(name for name in named if name not in first))}


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, np.number)) and not isinstance(value, bool)


def _shown(value: Any) -> str:
    """Format a cell: four significant digits, nothing for what is not known."""
    if not _is_number(value):
        return "" if value is None else str(value)
    if not math.isfinite(value):
        return ""
    text = f"{int(value):,}" if float(value).is_integer() else f"{value:.4g}"
    return text.replace("-", "−")


def _sort_key(value: Any) -> str:
    return repr(float(value)) if math.isfinite(value) else ""
