"""What the page does, in Chromium: every test fails as well if it logs an error or asks the network for anything."""

import re
from dataclasses import replace

import numpy as np
import pytest
from pages import MARKUP, small_contents

from layerwise.report import render_page

LARGEST = 5_000_000  # bytes
DRAWN, HOVERED = 2.0, 0.05  # seconds
PLACES = """region => {  // where the points of a panel are on the screen
  const node = document.querySelector(`figure[data-region="${region}"]`);
  const figure = Bokeh.documents[0].get_model_by_id(node.querySelector("[data-root-id]").dataset.rootId);
  const {frame, canvas_view} = Bokeh.index.find_one(figure);
  const {data} = Bokeh.documents[0].get_model_by_name("layers");
  const {glyph} = figure.renderers.find(one => one.name === "points");
  const box = canvas_view.el.getBoundingClientRect();
  return {x: Array.from(data[glyph.x.field], value => frame.x_scale.compute(value) + box.left),
          y: Array.from(data[glyph.y.field], value => frame.y_scale.compute(value) + box.top)};
}"""


def places(page, region):
    """Pixels [layer, 2] of the points of a panel."""
    found = page.evaluate(PLACES, region)
    return np.stack([found["x"], found["y"]], axis=1)


def text(page, selector):
    return page.inner_text(selector).replace("\n", " ")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_full_size_is_small_and_drawn_in_time(full, visit, scheme):
    assert len(full.layers) == 16_862
    assert full.path.stat().st_size < LARGEST
    opened = visit(full.path, color_scheme=scheme)
    assert opened.busy() < DRAWN
    assert opened.page.get_attribute("html", "data-theme") == scheme
    titles = opened.page.locator("figcaption").all_inner_texts()
    assert sum("16,862 layers" in title for title in titles) == 4


def test_the_layer_that_is_nearest_to_the_pointer_is_named_in_time(full, explored, rng):
    opened = explored
    page, points, seconds = opened.page, places(opened.page, "IT"), []
    for layer in rng.choice(len(points), 12, replace=False):
        x, y = points[layer] + rng.uniform(-1, 1, 2)
        page.mouse.move(x - 40, y - 40)
        opened.settle()
        before = opened.busy()
        page.mouse.move(x, y)
        opened.settle()
        seconds.append(opened.busy() - before)
        away = np.hypot(*(points - (x, y)).T)
        nearest = {f"{row.model}{row.layer}" for row in full.layers[away <= away.min() + 0.02].itertuples()}
        assert "".join(page.inner_text("#tip").split("\n")[:2]) in nearest
    assert np.median(seconds) < HOVERED
    assert re.search(r"units [\d,]+ \(.*\) depth \d+ of \d+ V1 .* ± .* IT .* ± ", text(page, "#card"))


def test_a_brush_in_one_panel_selects_in_all(full, explored):
    opened = explored
    page, points = opened.page, places(opened.page, "V2")
    corner, far = np.quantile(points, 0.3, axis=0), np.quantile(points, 0.6, axis=0)
    page.mouse.move(*corner)
    page.mouse.down()
    page.mouse.move(*(corner + far) / 2)
    page.mouse.move(*far)
    page.mouse.up()
    opened.settle()
    inside = ((points >= corner) & (points <= far)).all(axis=1)
    near = (np.abs(points - corner) < 1).any(axis=1) | (np.abs(points - far) < 1).any(axis=1)
    selected = page.evaluate("Bokeh.documents[0].get_model_by_name('layers').selected.indices")
    assert set(selected) ^ set(np.flatnonzero(inside)) <= set(np.flatnonzero(near))
    shared = page.evaluate(
        "Bokeh.documents[0].roots().filter(one => one.renderers.some(r => r.data_source.name === 'layers')).length"
    )
    assert shared == 5  # four panels and the profile draw one source
    networks = full.layers["model"].iloc[selected].nunique()
    assert text(page, "#picked") == f"{len(selected):,} layers of {networks} networks selected"
    assert text(page, "#layer-count").startswith(f"{len(selected):,} rows")
    page.keyboard.press("Escape")
    opened.settle()
    assert text(page, "#layer-count") == "16,862 rows: all layers"
    assert text(page, "#picked") == ""


def test_networks_and_families_are_picked_by_search_legend_and_click(full, explored):
    opened = explored
    page, sizes = opened.page, full.layers.groupby("model").size()
    page.fill("#wanted", "vgg")
    page.keyboard.press("Enter")
    vgg = sizes[sizes.index.str.startswith("vgg")]
    assert text(page, "#picked") == f"{vgg.sum():,} layers of 8 networks picked"
    assert page.get_attribute("#families [data-name=VGG]", "aria-pressed") == "true"
    page.click("#families [data-name=ResNet]")
    assert page.locator("#picks button").all_inner_texts() == ["VGG", "ResNet"]
    page.click("#picks button >> nth=0")
    opened.settle()
    resnets = text(page, "#picked")
    assert resnets.endswith("layers of 9 networks picked")
    lines = page.evaluate("Bokeh.documents[0].get_model_by_name('tracks').data.y.map(one => one.length)")
    assert sum(lines) == int(resnets.split()[0].replace(",", ""))
    page.keyboard.press("Escape")
    points = places(page, "V1")
    layer = int(np.argmin(points[:, 0]))  # alone at the left
    page.mouse.move(*points[layer])
    opened.settle()
    page.mouse.click(*points[layer])
    assert page.locator("#picks button").all_inner_texts() == [full.layers["model"].iloc[layer]]
    page.fill("#wanted", "no such network")
    page.keyboard.press("Enter")
    assert text(page, "#picked") == "No network or family is called no such network"


def test_the_keyboard_walks_through_layers_and_picks(full, explored):
    opened = explored
    page, layers = opened.page, full.layers
    first = layers.groupby("model", sort=False).head(1).reset_index(drop=True)
    page.focus("figure[data-region=V4]")
    outline = "getComputedStyle(document.activeElement).outlineStyle"
    page.keyboard.press("ArrowRight")
    assert page.evaluate(outline) == "solid"
    assert text(page, "#card").startswith(f"{layers['model'][0]} layer {layers['layer'][0]} ")
    page.keyboard.press("ArrowRight")
    assert f"layer {layers['layer'][1]} " in text(page, "#card")
    page.keyboard.press("ArrowDown")
    assert text(page, "#card").startswith(f"{first['model'][1]} layer {first['layer'][1]} ")
    page.keyboard.press("End")
    last = layers[layers["model"] == first["model"][1]].iloc[-1]
    assert f"layer {last['layer']} " in text(page, "#card")
    page.keyboard.press("Enter")
    assert page.locator("#picks button").all_inner_texts() == [first["model"][1]]


def test_tables_sort_by_value_and_back(full, explored):
    page = explored.page
    column = page.locator("#layer-table th").filter(has_text=re.compile("^IT$"))
    best = full.layers.sort_values("IT", ascending=False).iloc[0]
    column.locator("button").click()
    assert column.get_attribute("aria-sort") == "ascending"
    column.locator("button").click()
    row = page.locator("#layer-table tbody tr").first.locator("td").all_inner_texts()
    assert row[:2] == [best["model"], best["layer"]]
    page.locator('table[data-name="network_scores"] th').filter(has_text=re.compile("^layers$")).locator(
        "button"
    ).click()
    cells = page.locator('table[data-name="network_scores"] tbody tr').first.locator("td").all_inner_texts()
    assert cells[0] == full.layers.groupby("model").size().idxmin()


def test_the_page_is_as_wide_as_a_telephone_and_answers_a_finger(full, visit):
    telephone = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
    opened = visit(full.path, **telephone)
    page = opened.page
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.evaluate("document.querySelector('figure[data-region=V1]').scrollIntoView({behavior: 'instant'})")
    points = places(page, "V1")
    layer = int(np.argmin(points[:, 0]))
    page.touchscreen.tap(*points[layer])
    opened.settle()
    assert text(page, "#card").startswith(full.layers["model"].iloc[layer])
    assert page.locator("#picks button").count() == 0
    page.touchscreen.tap(*points[layer])
    assert page.locator("#picks button").all_inner_texts() == [full.layers["model"].iloc[layer]]


@pytest.mark.parametrize(("regions", "measures"), [((), ("memorability",)), (("V1",), ()), (("V1",), ("one", "two"))])
def test_a_study_without_some_of_the_figures_is_explored_as_well(tmp_path, visit, rng, regions, measures):
    path = tmp_path / "report.html"
    path.write_text(render_page(small_contents(rng, regions, measures, tables={})), encoding="utf-8")
    opened = visit(path)
    page = opened.page
    page.fill("#wanted", MARKUP[2])
    page.keyboard.press("Enter")
    assert text(page, "#picked") == "12 layers of 1 network picked"
    if len(measures) > 1:
        page.select_option("#measure", "two")
    page.focus("figure.wide" if regions and measures else "figure[data-depth]")
    page.keyboard.press("ArrowRight")
    assert text(page, "#card").startswith(MARKUP[0])


def test_errors_of_neuroids_and_the_interval_that_holds_them_are_shown(tmp_path, visit, rng):
    contents = small_contents(rng, models=("one", "two", "three"))
    wide = contents.tables["correlations"].assign(wide_low=[0.3, np.nan], wide_high=[0.7, np.nan])
    layers, tables = contents.layers.assign(IT_neuroid_error=0.037), {**contents.tables, "correlations": wide}
    path = tmp_path / "report.html"
    path.write_text(render_page(replace(contents, layers=layers, tables=tables)), encoding="utf-8")
    page = visit(path).page
    first, second = (text(page, f".rho[data-region={region}]") for region in ("V1", "IT"))
    assert "0.40 to 0.60; with neuroids 0.30 to 0.70)" in first and "0.40 to 0.60)" in second
    page.focus("figure[data-region=IT]")
    page.keyboard.press("ArrowRight")
    assert re.search(
        r"V1 0\.\d+ ± 0\.010 IT 0\.\d+ ± 0\.010 \(0\.037\) .*over samples of neuroids", text(page, "#card")
    )
    assert page.locator("#layer-table th", has_text="IT_neuroid_error").count() == 1


def test_the_theme_can_be_chosen(small, visit):
    page = visit(small, color_scheme="light").page
    colour = "getComputedStyle(document.body).backgroundColor"
    before = page.evaluate(colour)
    page.click("#theme")
    assert page.evaluate(colour) != before
    assert page.get_attribute("html", "data-theme") == "dark"


def test_names_with_markup_are_shown_as_they_are(small, visit):
    opened = visit(small)
    page = opened.page
    page.focus("figure[data-region=V1]")
    for number, name in enumerate(MARKUP):
        page.keyboard.press("ArrowRight" if number == 0 else "ArrowDown")
        assert text(page, "#card").startswith(f"{name} layer {name}.0 ")
        page.keyboard.press("Enter")
    opened.settle()
    assert page.locator("#picks button").all_inner_texts() == list(MARKUP)
    assert page.locator("img, mjx-container").count() == 0


def test_every_control_has_a_name(explored):
    page = explored.page
    controls = "main button, main select, main input, figure"
    nameless = """selector => [...document.querySelectorAll(selector)].filter(
      node => !(node.textContent.trim() || node.ariaLabel || node.labels?.length)).map(node => node.outerHTML)"""
    assert page.evaluate(nameless, controls) == []


def test_of_recordings_alone_networks_are_lines_over_depth_that_have_a_colour_at_once(visit, tmp_path, rng):
    contents = small_contents(rng, ("V1", "IT_rsa"), (), ("a", "b"), tables={}, kinds={"IT_rsa": "RSA"})
    (tmp_path / "report.html").write_text(render_page(contents), encoding="utf-8")
    page = visit(tmp_path / "report.html").page
    assert text(page, "#picked") == "24 layers of 2 networks picked"
    tracks = page.evaluate("Bokeh.documents[0].get_model_by_name('tracks').data")
    assert len(set(tracks["colour"])) == 2
    for name in ("V1", "IT_rsa"):
        np.testing.assert_allclose(np.ravel(tracks[f"y {name}"]), contents.layers[name], rtol=1e-6)
    axes = page.evaluate("Bokeh.documents[0].roots().map(one => one.left[0].axis_label.text)")
    assert axes == ["V1 similarity (r)", "IT_rsa similarity (RSA)"]
    page.keyboard.press("Escape")
    assert page.evaluate("Bokeh.documents[0].get_model_by_name('tracks').data['y V1']") == []
