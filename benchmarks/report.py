"""Which library draws the report, and how fast the report is: sizes of files, and seconds of Chromium.

    pip install altair vl-convert-python plotly   # compared only; layerwise does not depend on them
    python benchmarks/report.py --output benchmarks/report.md

Each library draws 16,862 random points in each of four linked panels. Seconds are those of the page's own thread
(`TaskDuration` in thread ticks), so that other jobs of the machine do not count; "drawn" goes from the start of loading
to two frames after the first in which all panels are there, "hover" is the median of 20 moves of the mouse over one
panel, "brush" a rectangle drawn in two moves.
"""

import argparse
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from machine import processor

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/fixtures"))

LAYERS, REGIONS, X = 16_862, ("V1", "V2", "V4", "IT"), "memorability"
WHY = (
    "Bokeh draws the report, on a canvas. Columns are sent as bytes, and one source is shared by all panels, so that a "
    "brush in one selects in all without code of ours; an index finds what is under the mouse; its JavaScript is in "
    "the package that the lock names. Plotly's JavaScript alone fills the 5 MB that a page may have. Altair sends "
    "records, a row a layer, which leaves little for the other columns, and draws all panels anew at each move of a "
    "brush. WebGL costs the page's thread less, but by the clock it is slower where there is no GPU."
)
FRAMES = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
BOKEH = "window.Bokeh?.documents.length && Bokeh.documents[0].is_idle"


def draw_points() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"model": [f"network{i}" for i in np.sort(rng.integers(0, 64, LAYERS))]})
    table["layer"] = [f"features.denseblock{i % 5}.denselayer{i % 31}.conv{i % 3}" for i in range(LAYERS)]
    table[X] = rng.normal(0.4, 0.1, LAYERS).astype("f4")
    for region in REGIONS:
        table[region] = (table[X] * rng.random() + rng.normal(0.3, 0.1, LAYERS)).astype("f4")
    return table


def with_bokeh(table: pd.DataFrame, path: Path, backend: str = "canvas") -> None:
    from bokeh.embed import file_html
    from bokeh.layouts import gridplot
    from bokeh.models import ColumnDataSource, HoverTool
    from bokeh.plotting import figure
    from bokeh.resources import INLINE

    texts = {name: table[name].to_list() for name in ("model", "layer")}
    source = ColumnDataSource(texts | {name: table[name].to_numpy() for name in (X, *REGIONS)})
    panels = []
    for region in REGIONS:
        panel = figure(width=480, height=380, tools="box_select", active_drag="box_select", output_backend=backend)
        panel.scatter(X, region, source=source, size=3, alpha=0.4, line_color=None)
        panel.add_tools(HoverTool(tooltips=[("network", "@model"), ("layer", "@layer")]))
        panels.append(panel)
    path.write_text(file_html(gridplot(panels, ncols=2), INLINE, "bokeh"))


def with_webgl(table: pd.DataFrame, path: Path) -> None:
    with_bokeh(table, path, "webgl")


def with_plotly(table: pd.DataFrame, path: Path) -> None:
    from plotly.graph_objects import Scattergl
    from plotly.subplots import make_subplots

    page, names = make_subplots(2, 2), (table["model"] + " " + table["layer"]).to_list()
    for place, region in enumerate(REGIONS):
        points = Scattergl(x=table[X].to_numpy(), y=table[region].to_numpy(), mode="markers", text=names)
        page.add_trace(points.update(marker={"size": 3, "opacity": 0.4}), place // 2 + 1, place % 2 + 1)
    page.update_layout(width=960, height=760, showlegend=False, dragmode="select")
    page.write_html(path, include_plotlyjs=True)


def with_altair(table: pd.DataFrame, path: Path) -> None:
    import altair

    altair.data_transformers.disable_max_rows()
    brush = altair.selection_interval(name="brush")
    colour = altair.condition(brush, altair.value("steelblue"), altair.value("lightgray"))
    points = altair.Chart(table).mark_circle(size=8, opacity=0.4).properties(width=400, height=300)
    one, two, three, four = (
        points.encode(x=X, y=region, color=colour, tooltip=["model", "layer"]).add_params(brush) for region in REGIONS
    )
    ((one | two) & (three | four)).save(str(path), inline=True, embed_options={"renderer": "canvas"})


def with_layerwise(_: pd.DataFrame, path: Path) -> None:
    from pages import make_full_page

    shutil.copy(make_full_page(path.parent / "simulated"), path)


Draw = Callable[[pd.DataFrame, Path], None]
LIBRARIES: dict[str, tuple[Draw, str, tuple[int, int]]] = {  # how, when it is ready, a point amid the first panel
    "Bokeh, canvas": (with_bokeh, BOKEH, (250, 200)),
    "Bokeh, WebGL": (with_webgl, BOKEH, (250, 200)),
    "Plotly, WebGL": (with_plotly, "document.querySelector('.js-plotly-plot')?.calcdata", (250, 200)),
    "Altair, canvas": (with_altair, "document.querySelector('.vega-embed canvas')", (250, 180)),
    "this report (tables, five panels of layers, four of networks)": (
        with_layerwise,
        "document.documentElement.dataset.ready",
        (600, 400),
    ),
}


def measure(browser, path: Path, ready: str, middle: tuple[int, int]) -> dict[str, float]:
    page = browser.new_page(viewport={"width": 1440, "height": 1000})
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})

    def seconds() -> float:
        page.evaluate(FRAMES)
        metrics = session.send("Performance.getMetrics")["metrics"]
        return next(one["value"] for one in metrics if one["name"] == "TaskDuration")

    start = time.perf_counter()
    page.goto(path.as_uri())
    page.wait_for_function(ready)
    drawn, hovers = seconds(), []
    waited = time.perf_counter() - start
    for step in range(20):
        before = seconds()
        page.mouse.move(middle[0] + step * 37 % 100, middle[1] + step * 53 % 80)
        hovers.append(seconds() - before)
    before, start = seconds(), time.perf_counter()
    page.mouse.down()
    page.mouse.move(middle[0] + 60, middle[1] + 60)
    page.mouse.move(middle[0] + 80, middle[1] + 80)
    page.mouse.up()
    brushed, after = seconds() - before, time.perf_counter() - start
    page.close()
    hover = statistics.median(hovers)
    return {"drawn": drawn, "drawn, clock": waited, "hover": hover, "brush": brushed, "brush, clock": after}


def compare(browser, folder: Path, repeats: int) -> list[str]:
    table, rows = draw_points(), []
    for name, (draw, ready, middle) in LIBRARIES.items():
        path = folder / f"{draw.__name__}.html"
        draw(table, path)
        runs = pd.DataFrame([measure(browser, path, ready, middle) for _ in range(repeats)]).median()
        shown = f"{path.stat().st_size / 1e6:.1f} | {runs['drawn']:.2f} | {runs['drawn, clock']:.1f}"
        fast = " | ".join(f"{1000 * runs[one]:.0f}" for one in ("hover", "brush", "brush, clock"))
        rows.append(f"| {name} | {shown} | {fast} |")
        print(rows[-1], flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        version = browser.version
        rows = compare(browser, Path(folder), given.repeats)
    load = f"{os.getloadavg()[0]:.0f} on {os.cpu_count()} cores"
    about = (
        f"`python benchmarks/report.py` on {processor()}, Chromium {version} without a GPU, load {load} at the end: "
        f"{LAYERS:,} points in each of four panels, medians of {given.repeats} runs. Times of the page's own "
        "thread leave out other jobs of the machine, and the process in which WebGL draws (on a GPU, where there is "
        "one); those by the clock have both."
    )
    head = [
        "| drawn by | MB | drawn (s) | clock (s) | hover (ms) | brush (ms) | clock (ms) |",
        "|---|---|---|---|---|---|---|",
    ]
    given.output.write_text("\n".join(["# What draws the report", "", about, "", *head, *rows, "", WHY, ""]))


if __name__ == "__main__":
    main()
