"""What is in the page, without a browser."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from pages import MARKUP, small_contents

from layerwise.report import render_page
from layerwise.report.panels import layer_figures


class Elements(HTMLParser):
    """All elements of a page, and the text of each kind."""

    def __init__(self, page):
        super().__init__()
        self.found, self.text, self._open = [], {}, None
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))
        self._open = tag

    def handle_data(self, data):
        self.text[self._open] = self.text.get(self._open, "") + data

    def count(self, tag):
        return sum(name == tag for name, _ in self.found)


def facts(page):
    return json.loads(re.search(r'id="facts">(.*?)</script>', page, re.DOTALL)[1])


def test_names_with_markup_are_text(rng):
    hostile, plain = (
        Elements(render_page(small_contents(rng, models=names))) for names in (MARKUP, ("a", "b", "c", "d"))
    )
    assert hostile.count("img") == hostile.count("b") - plain.count("b") == 0
    for tag in ("script", "th", "td", "section", "figure"):
        assert hostile.count(tag) == plain.count(tag)
    assert set(MARKUP) <= set(re.findall("|".join(map(re.escape, MARKUP)), hostile.text["td"]))
    assert "study: '</script>'" in hostile.text["pre"]


def test_facts_hold_the_names_as_they_are(rng):
    found = facts(render_page(small_contents(rng)))
    assert found["networks"] == list(MARKUP)
    assert found["layers"][:2] == [f"{MARKUP[0]}.0", f"{MARKUP[0]}.1"]


def test_nothing_is_loaded(rng):
    elements = Elements(render_page(small_contents(rng)))
    pointing = [
        value for _, attributes in elements.found for key, value in attributes.items() if key in ("src", "href")
    ]
    assert pointing and all(value.startswith(("#", "data:")) for value in pointing)
    policy = next(attributes for tag, attributes in elements.found if attributes.get("http-equiv"))
    assert policy["content"].startswith("default-src 'none';") and "http" not in policy["content"]
    assert not {"link rel=stylesheet", "iframe", "object", "embed"} & {tag for tag, _ in elements.found}


@pytest.mark.parametrize(
    ("regions", "measures", "told"),
    [
        ((), ("memorability",), "Figure 2 is missing: the study has no recordings"),
        (("V1",), (), "Figure 2 is missing: the study has no ratings"),
        (("V1", "IT"), ("memorability",), "tuning) is missing: it needs recordings and fine-tuned networks."),
    ],
)
def test_what_is_missing_is_said(rng, regions, measures, told):
    changes = {} if regions and measures else {"tables": {}}
    assert told in re.sub(r"\s+", " ", render_page(small_contents(rng, regions, measures, **changes)))


@pytest.mark.parametrize(
    ("regions", "measures", "title", "told"),
    [
        (("V1",), ("beauty",), "layers, brain and beauty", "V1; beauty"),
        (("V1",), (), "layers and brain", "V1; no ratings"),
        ((), ("beauty",), "layers and beauty", "no recordings; beauty"),
    ],
)
def test_the_page_is_named_by_what_the_study_has(rng, regions, measures, title, told):
    changes = {} if regions and measures else {"tables": {}}
    page = re.sub(r"\s+", " ", render_page(small_contents(rng, regions, measures, **changes)))
    assert re.search(rf"<title>[^:]+: {title}</title>", page) and f"networks; {told} " in page


def test_a_study_whose_tables_are_simulated_says_so(rng):
    assert "simulated" not in "".join(Elements(render_page(small_contents(rng))).text.get("strong", ""))
    page = Elements(render_page(small_contents(rng, simulated="simulated by layerwise, seed 1")))
    assert page.text["strong"].count("simulated by layerwise, seed 1") == 2


def test_numbers_are_shown_short_and_sorted_by_all_digits(rng):
    table = pd.DataFrame(
        {"value": [-0.123456, np.nan, 1234567.0], "n": [16862, 1, 2], "told": ["", None, "x"], "is": True}
    )
    page = render_page(small_contents(rng, tables={"numbers": table}))
    body = re.search(r'data-name="numbers">.*?<tbody>(.*?)</tbody>', page, re.DOTALL)[1]
    cells = re.findall(r"<td(?: data-number=\"(.*?)\")?>(.*?)</td>", body)
    assert cells[:4] == [("-0.123456", "−0.1235"), ("16862.0", "16,862"), ("", ""), ("", "True")]
    assert cells[4] == ("", "") and cells[8] == ("1234567.0", "1,234,567")


def test_a_long_table_is_cut_and_says_so(rng):
    page = render_page(small_contents(rng, tables={"long": pd.DataFrame({"i": np.arange(1500)})}))
    assert "1,500 rows, the first 1,000 shown" in page
    assert page.count('<td data-number="') < 1500


def test_the_papers_numbers_come_first_where_the_study_has_some_beside_them(rng):
    for ours, opened in ((0.5, "Reproduction"), (np.nan, "Network scores")):
        tables = {"reproduction": pd.DataFrame({"quantity": ["rho"], "paper": 0.56, "ours": ours})}
        page = render_page(small_contents(rng, tables=tables))
        assert re.findall(r'<details class="table" open>\s*<summary><h3>(.*?)</h3>', page)[1] == opened
        assert "Reproduction" in page


def test_few_layers_are_seen_each_and_many_as_a_cloud(rng):
    few = small_contents(rng)
    many = replace(few, layers=pd.concat([few.layers] * 2000, ignore_index=True))
    looks = [layer_figures(contents)[0]["profile"].select_one({"name": "points"}) for contents in (few, many)]
    assert [look.glyph.fill_alpha for look in looks] == [0.75, 0.22]
    assert all(look.nonselection_glyph.fill_alpha < look.glyph.fill_alpha / 2 for look in looks)


def test_values_that_are_not_finite_are_null_in_the_facts(rng):
    tables = {"correlations": pd.DataFrame([{"region": "V1", "measure": "memorability", "rho": np.nan, "n_layers": 2}])}
    assert facts(render_page(small_contents(rng, tables=tables)))["correlations"][0]["rho"] is None


def test_the_library_ends_no_script_element(rng):
    page = render_page(small_contents(rng))
    assert page.count("<script") - page.count("</script>") == len(re.findall(r"<script(?![ >])", page))
    assert Elements(page).count("script") == 4


def test_a_figure_in_which_no_network_would_be_is_said_to_be_missing(rng):
    contents = small_contents(rng)
    relations = pd.DataFrame(
        {"figure": ["figureS1"], "region": [""], "x": ["top1"], "y": ["memorability"], "rho": [np.nan], "networks": [0]}
    )
    known = contents.networks.assign(top1=[70.0] * len(contents.networks), memorability=0.5)
    unknown = known.assign(top1=np.nan)
    told = "Figure S1 (ImageNet accuracy and prediction accuracy) is missing: it needs ratings and three networks"
    for networks, missing in ((known, False), (unknown, True)):
        page = render_page(replace(contents, networks=networks, tables={"network_correlations": relations}))
        assert (told in page) == missing


@pytest.mark.parametrize("measures", [("memorability", "beauty"), ()])
def test_scores_of_one_kind_are_drawn_over_depth_with_what_is_known_of_them(rng, measures):
    regions = () if measures else ("V1", "IT_rsa")
    contents = small_contents(rng, regions, measures, models=("a", "b"), tables={}, kinds={"IT_rsa": "RSA"})
    first, second = regions or measures
    contents.layers[f"{first}_ceiling"] = 0.75
    contents.layers.loc[5, first] = np.nan
    page = render_page(contents)
    captions = re.findall(r"<figcaption.*?><b>(.*?)</b> <span class=\"rho\">(.*?)</span>", page)
    assert captions == [
        (first, "23 layers of 2 networks, 1 without a value, ceiling 0.75"),
        (second, "24 layers of 2 networks"),
    ]
    assert "Over depth" not in page and "Dotted: the ceiling." in page and facts(page)["alone"]
    assert facts(page)["kinds"] == {"IT_rsa": "RSA"}
