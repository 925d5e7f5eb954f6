"""The site: built strictly, whole, and without anything from the network."""

import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from playwright.sync_api import sync_playwright
from written import ROOT

pytest.importorskip("material", reason="mkdocs-material is not installed: the site cannot be built")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_every_page_and_every_part_of_the_readme_is_there(site):
    written = {path.stem for path in (ROOT / "docs").glob("*.md")} | {"index", "paper", "own", "results"}
    assert written <= {path.stem for path in site.glob("*.html")}
    titles = re.findall(r"^## (.+)$", (ROOT / "README.md").read_text(), re.MULTILINE)
    parts = "".join((site / f"{name}.html").read_text() for name in ("index", "paper", "own", "results"))
    ids = [re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles]
    assert [name for name in ids if f'id="{name}"' not in parts] == []
    assert (site / "benchmarks/streaming.html").is_file() and (site / "examples/own/fmri.yaml.html").is_file()


def test_every_page_of_docs_is_in_the_menu(site):
    menu = (ROOT / "mkdocs.yml").read_text()
    assert [path.name for path in (ROOT / "docs").glob("*.md") if path.name not in menu] == []


def test_nothing_is_loaded_from_the_network(site):
    loads = re.compile(r"""<(?:script|img|iframe)[^>]*\ssrc=["']?(https?:)?//|<link[^>]*\shref=["']?(https?:)?//""")
    pages = list(site.rglob("*.html"))
    assert len(pages) > 50
    assert [str(page.relative_to(site)) for page in pages if loads.search(page.read_text())] == []
    styles = [path.read_text() for path in site.rglob("*.css")]
    assert styles and not any(re.search(r"url\([\"']?(https?:)?//|@import", style) for style in styles)


def test_pages_opened_as_files_ask_for_nothing_else_and_are_searched(site):
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium here: apt-get install chromium")
    # In a thread of its own: other tests' browser may hold this one's event loop.
    with ThreadPoolExecutor(1) as pool:
        asked, errors = pool.submit(search_site, browser, site).result()
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == [] and errors == []


def search_site(browser, site):
    """Open a page, and search; what it asked for, and its errors."""
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        page, asked, errors = opened.new_page(), [], []
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto((site / "benchmarks/index.html").as_uri())
        page.click("input[name=query]")
        page.keyboard.type("spearman-brown")
        page.wait_for_selector(".md-search-result__link[href*='numbers.html']", state="attached")
        opened.close()
    return asked, errors
