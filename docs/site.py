"""Makes the site of what is in the repository: README.md in parts, the pages here, and whatever these link to.

MkDocs calls the functions `on_...`. A page keeps its links as they are in the repository, where they work too.
"""

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
README = "README.md"
PARTS = {  # sections of README.md that are pages of their own; all others are the first page
    "paper.md": ("The paper's study on a cluster", "One network only"),
    "own.md": ("Your own networks, recordings and scores",),
    "results.md": ("Results", "Each step by itself"),
}
LINK = re.compile(r"\]\(\s*(?!\w+:|#)([^)\s#]+)(#[^)\s]*)?\)")
SHOWN = {".py": "python", ".yaml": "yaml", ".yml": "yaml", ".cff": "yaml", "": "text"}  # as pages; others are copied
FETCHED = 'src="https://unpkg.com/iframe-worker/shim"'  # that the theme has each page load, for search in files
HIDDEN = "---\nsearch: {exclude: true}\n---\n"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the parts of README.md, and all that pages link to and that lies elsewhere."""
    texts = readme_pages()
    for uri, text in texts.items():
        files.append(File.generated(config, uri, content=text))
    own = {
        file.src_uri: Path(file.abs_src_path).read_text() for file in files.documentation_pages() if file.abs_src_path
    }
    for path in sorted(linked_elsewhere(texts | own)):
        uri = located(path)
        if files.get_file_from_path(uri) is None:
            files.append(_file(path, uri, config))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links within the repository into those of the site."""
    return LINK.sub(lambda match: _turned(match, page.file.src_uri), markdown)


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """Have a page load our script for search in files, instead of one from the network."""
    return _with_own_script(output, posixpath.relpath("site.js", posixpath.dirname(page.file.dest_uri) or "."))


def on_post_template(output: str, template_name: str, config: MkDocsConfig) -> str:
    """Do likewise in the pages that the theme adds."""
    return _with_own_script(output, "/site.js")


def readme_pages() -> dict[str, str]:
    """Cut README.md into pages."""
    first, *sections = re.split(r"^## ", (ROOT / README).read_text(), flags=re.MULTILINE)
    titled = {section.partition("\n")[0]: section for section in sections}
    taken = [title for titles in PARTS.values() for title in titles]
    missing = [title for title in taken if title not in titled]
    if missing:
        raise ValueError(f"{README} has no section {missing[0]!r}: name it anew in docs/site.py")
    rest = [section for title, section in titled.items() if title not in taken]
    pages = {uri: f"# {'## '.join(titled[title] for title in titles)}" for uri, titles in PARTS.items()}
    return {"index.md": "## ".join([first, *rest]), **pages}


def linked_elsewhere(texts: dict[str, str]) -> set[str]:
    """Find what pages link to that is neither in docs nor README.md, and what that links to in turn."""
    found: set[str] = set()
    waiting = [path for uri, text in texts.items() for path in _links(text, origin(uri))] + ["benchmarks"]
    while waiting:
        path = waiting.pop()
        if path in found or path == README or path.startswith("docs/"):
            continue
        found.add(path)
        if path.endswith(".md"):
            waiting += _links((ROOT / path).read_text(), path)
        elif (ROOT / path).is_dir():
            waiting += [f"{path}/{one.name}" for one in _within(path)]
    return found


def origin(uri: str) -> str:
    """Return which file of the repository a page is of."""
    if uri == "index.md" or uri in PARTS:
        return README
    return f"docs/{uri}" if (ROOT / "docs" / uri).exists() else uri.removesuffix("/index.md")


def located(path: str, anchor: str = "") -> str:
    """Return the page, or the file, that shows a path of the repository on the site."""
    if path == README:
        return _part_with(anchor)
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    if (ROOT / path).is_dir():
        return f"{path}/index.md"
    return f"{path}.md" if Path(path).suffix in SHOWN else path


def _with_own_script(output: str, path: str) -> str:
    return output.replace(FETCHED, f'src="{path}"')


def _turned(match: re.Match[str], uri: str) -> str:
    path, anchor = _resolved(match[1], origin(uri)), match[2] or ""
    target = located(path, anchor)
    return f"]({posixpath.relpath(target, posixpath.dirname(uri) or '.')}{anchor})"


def _links(text: str, path: str) -> Iterator[str]:
    """Name the paths of the repository that a file of it links to."""
    for match in LINK.finditer(text):
        target = _resolved(match[1], path)
        if (ROOT / target).exists():  # MkDocs complains of the others
            yield target


def _resolved(target: str, path: str) -> str:
    folder = path if (ROOT / path).is_dir() else posixpath.dirname(path)
    return posixpath.normpath(posixpath.join(folder, target))


def _part_with(anchor: str) -> str:
    titles = {_slug(title): uri for uri, titles in PARTS.items() for title in titles}
    return titles.get(anchor.removeprefix("#"), "index.md")


def _slug(title: str) -> str:
    return re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")


def _within(path: str) -> list[Path]:
    """Return the files in a folder that are worth a page: those that people wrote."""
    return sorted(one for one in (ROOT / path).iterdir() if one.is_file() and one.suffix in (*SHOWN, ".md", ".csv"))


def _file(path: str, uri: str, config: MkDocsConfig) -> File:
    source = ROOT / path
    if source.is_dir():
        return File.generated(config, uri, content=_listing(path))
    if source.suffix in SHOWN:
        text = f"{HIDDEN}# {path}\n\n````{SHOWN[source.suffix]}\n{source.read_text()}\n````\n"
        return File.generated(config, uri, content=text)
    return File.generated(config, uri, abs_src_path=str(source))


def _listing(path: str) -> str:
    """List the files in a folder: pages by their titles, then the rest by name."""
    found = sorted(_within(path), key=lambda one: one.suffix != ".md")
    lines = [f"- [{_title(one)}]({one.name})" for one in found]
    return "\n".join([f"# {path.capitalize() if '/' not in path else path}", "", *lines]) + "\n"


def _title(path: Path) -> str:
    heading = re.match(r"# (.+)", path.read_text()) if path.suffix == ".md" else None
    return heading[1] if heading else path.name
