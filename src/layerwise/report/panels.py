"""The figures of the page, made by Bokeh: what is picked, hovered and themed in them is done by report.js.

All figures of layers share one source, so that a brush in one selects in all. No text of a user is in them: titles are
HTML, and axes have plain text, since Bokeh fetches MathJax for text that looks like TeX.
"""

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

from bokeh.core.properties import field
from bokeh.models import (
    BoxSelectTool,
    ColumnDataSource,
    DataRange1d,
    HoverTool,
    LassoSelectTool,
    LinearColorMapper,
    PanTool,
    PlainText,
    ResetTool,
    Scatter,
    WheelZoomTool,
)
from bokeh.plotting import figure

from layerwise.report.columns import PICK, RELATIVE, depth_lines, fitted_lines, layer_columns, network_columns
from layerwise.report.contents import Contents

PICKED = ("#d55e00", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#a6761d", "#8c6bb1")
"""Colours of what is picked, in this order; told apart by colour-blind readers too (Okabe and Ito's, and two more)."""

TEXT, QUIET, LINE, COLOUR, BESIDE = "#1b1f24", "#57606a", "#e3e7eb", "#3b6fb6", "#8a8f98"  # report.js: of a light page
POINT, ALONE = 0.22, 0.75  # opacity of a point among thousands, which overlap, and of one among few
MOST_LINES = 10  # networks, each of which has a line over depth
FEW, LARGE, SMALL = 2000, 6.0, 3.0  # points are large where there are few
NEAR = 4.0  # a point answers within so many times its radius
EMPTY: list[float] = []
NAME, ALIGN, OFFSET = "_name", "_align", "_offset"  # of networks that are named, the latter two for each x


def layer_figures(contents: Contents) -> tuple[dict[str, figure], dict[str, list[str]]]:
    """Make figure 2, a panel a region, and the profile over depth; or, of regions or measures alone, each over depth.

    Returns
    -------
    figures : dict of str to figure
        By the name of the region or measure; "profile".
    texts : dict of str to list of str
        Names of networks, classes, shapes and layers, whose numbers the source has.
    """
    columns, texts = layer_columns(contents)
    layers = ColumnDataSource({**columns}, name="layers")
    lines = _line_source(contents)
    cursor = ColumnDataSource(dict.fromkeys((*contents.regions, *contents.measures, RELATIVE), EMPTY), name="cursor")
    size, opacity = _look(len(contents.layers))
    shared = DataRange1d(range_padding=0.04)
    figures = {}
    for region in contents.regions if contents.measures else ():
        measure = contents.measures[0]
        panel = _panel(shared, "accuracy", "brain similarity")
        _add_points(panel, layers, measure, region, size, opacity)
        panel.line(
            f"{measure} {region} x", f"{measure} {region} y", source=lines, line_width=2, name="line",
            level="overlay", line_dash="dashed", line_color=TEXT,
        )  # fmt: skip
        _add_ring(panel, cursor, measure, region)
        figures[region] = panel
    if contents.alone:
        return _over_depth(contents, layers, cursor), texts
    figures["profile"] = _profile(contents, layers, cursor)
    return figures, texts


def _look(n_layers: int) -> tuple[float, float]:
    """Return the size and the opacity of points, of which few are seen one by one, and many as a cloud."""
    return LARGE if n_layers < FEW else SMALL, max(POINT, min(ALONE, POINT * FEW / max(1, n_layers)))


def _over_depth(contents: Contents, layers: ColumnDataSource, cursor: ColumnDataSource) -> dict[str, figure]:
    """Make a panel a region or measure: its scores over depth, with a line a network where there are few."""
    size, opacity = _look(len(contents.layers))
    shared, few = DataRange1d(start=0, end=1.02), len(contents.networks) <= MOST_LINES
    tracks = ColumnDataSource(dict.fromkeys(("x", "colour", *(f"y {name}" for name in contents.alone)), EMPTY))
    tracks.name = "tracks"
    figures = {}
    for name in contents.alone:
        panel = _panel(shared, "relative depth", name)
        if few:
            _add_lines(panel, depth_lines(contents, name))
        _add_points(panel, layers, RELATIVE, name, size, opacity)
        _add_tracks(panel, tracks, f"y {name}")
        ceiling = contents.ceiling(name)
        if isfinite(ceiling):
            panel.line([0, 1], [ceiling, ceiling], line_dash="dotted", line_width=2, line_color=TEXT, name="line")
        _add_ring(panel, cursor, RELATIVE, name)
        figures[name] = panel
    return figures


def _add_lines(panel: figure, found: Mapping[str, Sequence[Any]]) -> None:
    panel.patches(
        xs=found["band x"], ys=found["band y"], fill_color=COLOUR, fill_alpha=0.13, line_color=None, level="underlay"
    )
    panel.multi_line(xs=found["x"], ys=found["y"], line_color=COLOUR, line_alpha=0.45, level="underlay")


def network_figures(contents: Contents) -> dict[str, figure]:
    """Make the figures that have a point a network: 3, 4A, 4B, S1, those that the study has."""
    relations = contents.relations[contents.relations["region"].isin([contents.region, ""])]
    pairs = list(relations[["x", "y"]].itertuples(index=False, name=None))
    networks = ColumnDataSource({**network_columns(contents.networks)}, name="networks")
    every = list(contents.relations[["x", "y"]].drop_duplicates().itertuples(index=False, name=None))
    lines = ColumnDataSource({**fitted_lines(contents.networks, every)}, name="network lines")
    ring = ColumnDataSource({str(name): EMPTY for name in networks.data}, name="network cursor")
    sides = [f"{kind} {x}" for kind in (ALIGN, OFFSET) for x, _ in every]
    names = ColumnDataSource({str(name): EMPTY for name in (*networks.data, NAME, *sides)}, name="network names")
    figures = {}
    for name, (x, y) in zip(relations["figure"], pairs, strict=True):
        panel = _panel(DataRange1d(range_padding=0.16), "", "")
        _add_points(panel, networks, x, y, 9.0, ALONE)
        panel.line(
            f"{x} {y} x", f"{x} {y} y", source=lines, line_width=2, name="line", line_dash="dashed",
            line_color=TEXT, level="overlay",
        )  # fmt: skip
        _add_ring(panel, ring, x, y)
        panel.text(
            x, y, NAME, source=names, x_offset=field(f"{OFFSET} {x}"), text_align=field(f"{ALIGN} {x}"), y_offset=4,
            level="overlay", name="names", text_color=TEXT, text_font_size="11px",
        )  # fmt: skip
        figures[name] = panel
    return figures


def _line_source(contents: Contents) -> ColumnDataSource:
    pairs = [(measure, region) for measure in contents.measures for region in contents.regions]
    return ColumnDataSource({**fitted_lines(contents.layers, pairs)}, name="lines")


def _profile(contents: Contents, layers: ColumnDataSource, cursor: ColumnDataSource) -> figure:
    size, opacity = _look(len(contents.layers))
    column = [*contents.regions, *contents.measures][-1 if not contents.regions else len(contents.regions) - 1]
    panel = _panel(DataRange1d(range_padding=0.02), "relative depth", "score", height=260)
    _add_points(panel, layers, RELATIVE, column, size, opacity)
    tracks = ColumnDataSource({"x": [], "y": [], "colour": []}, name="tracks")
    _add_tracks(panel, tracks, "y")
    _add_ring(panel, cursor, RELATIVE, column)
    return panel


def _add_tracks(panel: figure, tracks: ColumnDataSource, y: str) -> None:
    """Add the lines of networks that are picked."""
    panel.multi_line("x", y, source=tracks, line_color="colour", line_width=1.6, line_alpha=0.9, level="overlay")


def _panel(x_range: DataRange1d, x: str, y: str, height: int = 330) -> figure:
    brush = BoxSelectTool(name="brush")
    tools = [brush, LassoSelectTool(), PanTool(), WheelZoomTool(), ResetTool()]
    panel = figure(
        height=height, sizing_mode="stretch_width", x_range=x_range, y_range=DataRange1d(range_padding=0.08),
        tools=tools, active_drag=brush, toolbar_location="above", output_backend="canvas",
        background_fill_color=None, border_fill_color=None, outline_line_color=None, min_border=4, lod_threshold=4000,
    )  # fmt: skip
    panel.toolbar.logo = None
    panel.xaxis.axis_label, panel.yaxis.axis_label = PlainText(text=x), PlainText(text=y)
    for axis in panel.axis:
        axis.update(
            axis_label_text_font_style="normal", axis_label_text_color=TEXT, major_label_text_color=QUIET,
            axis_line_color=QUIET, major_tick_line_color=QUIET, minor_tick_line_color=None,
        )  # fmt: skip
    panel.grid.grid_line_color = LINE
    return panel


def _add_points(panel: figure, source: ColumnDataSource, x: str, y: str, size: float, opacity: float) -> None:
    colours = LinearColorMapper(palette=(COLOUR, *PICKED), low=0, high=len(PICKED) + 1)
    common: dict[str, Any] = {"x": x, "y": y, "size": size, "line_color": None, "hit_dilation": NEAR}
    picked = Scatter(**common, fill_color={"field": PICK, "transform": colours}, fill_alpha=0.85)
    points = panel.add_glyph(
        source,
        Scatter(**common, fill_color=COLOUR, fill_alpha=opacity),
        selection_glyph=picked,
        nonselection_glyph=Scatter(**common, fill_color=BESIDE, fill_alpha=opacity / 3),
        name="points",
    )
    panel.add_tools(HoverTool(renderers=[points], tooltips=None, mode="mouse"))


def _add_ring(panel: figure, source: ColumnDataSource, x: str, y: str) -> None:
    panel.scatter(
        x,
        y,
        source=source,
        size=14,
        fill_color=None,
        line_color="#111111",
        line_width=2.5,
        level="overlay",
        name="ring",
    )


def labels_of(columns: Sequence[str], regions: Sequence[str], kinds: Mapping[str, str]) -> dict[str, str]:
    """Return what stands at an axis, for each column of networks."""
    named = {"top1": "ImageNet accuracy (%)", "finetuned": "accuracy after fine-tuning (ρ)"}
    for region in regions:
        named |= {
            region: f"best {region} similarity of a layer ({kinds.get(region, 'r')})",
            f"{region}_before": f"{region} similarity before fine-tuning (r)",
            f"{region}_after": f"{region} similarity after fine-tuning (r)",
        }
    return {column: named.get(column, column) for column in columns}
