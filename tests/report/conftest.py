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


@pytest.fixture
def visit(browser) -> Iterator[Callable]:
    """Open a page of a file; afterwards, it must have had no error and asked for nothing but itself."""
    opened, seen = [], []

    def go(path: Path, **options):
        page = browser.new_page(**{"viewport": {"width": 1440, "height": 1000}} | options)
        page.on("console", lambda message: seen.append(message.text) if message.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: seen.append(str(error)))
        page.on("dialog", lambda dialog: (seen.append(dialog.message), dialog.dismiss()))
        page.on("request", lambda request: None if request.url == path.as_uri() else seen.append(request.url[:80]))
        session = page.context.new_cdp_session(page)
        session.send("Performance.enable", {"timeDomain": "threadTicks"})
        page.goto(path.as_uri())
        page.wait_for_selector("html[data-ready]", state="attached")
        page.evaluate(FRAMES)
        opened.append(page)
        return SimpleNamespace(
            page=page, session=session, settle=lambda: page.evaluate(FRAMES), busy=lambda: busy(session)
        )

    yield go
    for page in opened:
        page.close()
    assert [text for text in seen if not text.startswith("data:")] == []


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
