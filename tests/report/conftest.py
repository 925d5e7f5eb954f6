"""A browser, and pages in it."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from pages import make_full_page, small_contents

from layerwise.report import render_page

FRAMES = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"


@pytest.fixture(scope="session")
def browser() -> Iterator:
    """Chromium without a window; skips, saying so, where it is not there."""
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("no Chromium here: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        sandbox = [] if os.geteuid() else ["--no-sandbox"]  # which root cannot have
        opened = playwright.chromium.launch(executable_path=path, args=sandbox)
        yield opened
        opened.close()


class Visits:
    """Pages that were opened, and what they logged or asked for."""

    def __init__(self, browser) -> None:
        self.browser, self.pages, self.seen = browser, [], []

    def open(self, path: Path, **options) -> SimpleNamespace:
        page = self.browser.new_page(**{"viewport": {"width": 1440, "height": 1000}} | options)
        self.pages.append(page)
        self._watch(page, path.as_uri())
        session = page.context.new_cdp_session(page)
        session.send("Performance.enable", {"timeDomain": "threadTicks"})
        page.goto(path.as_uri())
        page.wait_for_selector("html[data-ready]", state="attached")
        page.evaluate(FRAMES)
        return SimpleNamespace(page=page, settle=lambda: page.evaluate(FRAMES), busy=lambda: busy(session))

    def _watch(self, page, own: str) -> None:
        keep = self.seen.append
        page.on("console", lambda message: keep(message.text) if message.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: keep(str(error)))
        page.on("dialog", lambda dialog: (keep(dialog.message), dialog.dismiss()))
        page.on("request", lambda one: None if one.url == own or one.url.startswith("data:") else keep(one.url[:80]))


@pytest.fixture(scope="session")
def visits(browser) -> Visits:
    return Visits(browser)


@pytest.fixture
def visit(visits) -> Iterator[Callable]:
    """Open the page of a file; afterwards it must have had no error, and have asked for nothing but itself."""
    before = len(visits.pages)
    yield visits.open
    for page in visits.pages[before:]:
        page.close()
    assert visits.seen == []


@pytest.fixture(scope="session")
def opened_once(visits, full) -> SimpleNamespace:
    return visits.open(full.path)


@pytest.fixture
def explored(visits, opened_once) -> Iterator[SimpleNamespace]:
    """The page of full size, with nothing picked; each test that gets it leaves no error."""
    opened_once.page.mouse.move(2, 2)
    opened_once.page.keyboard.press("Escape")
    opened_once.page.evaluate("scrollTo({top: 0, behavior: 'instant'})")
    opened_once.settle()
    yield opened_once
    assert visits.seen == []


def busy(session) -> float:
    """Seconds that the page's own thread computed: other jobs of this machine do not count."""
    metrics = {one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]}
    return metrics["TaskDuration"]


@pytest.fixture(scope="session")
def full(tmp_path_factory) -> SimpleNamespace:
    """The page of simulated tables at full size, and its table of layers."""
    folder = tmp_path_factory.mktemp("full") / "simulated"
    return SimpleNamespace(path=make_full_page(folder), layers=pd.read_parquet(folder / "layers.parquet"))


@pytest.fixture(scope="session")
def small(tmp_path_factory) -> Path:
    """A page of networks whose names are markup."""
    path = tmp_path_factory.mktemp("small") / "report.html"
    path.write_text(render_page(small_contents(np.random.default_rng(0))), encoding="utf-8")
    return path
