"""The rooms of the package import what docs/architecture.md says, and nothing else of ours."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src/layerwise"
ROOMS = sorted(path.name for path in PACKAGE.iterdir() if (path / "__init__.py").is_file())


def documented() -> dict[str, set[str]]:
    """The table of rooms: each with the rooms it may import."""
    text = (ROOT / "docs/architecture.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \|.*\| ([^|]*) \|$", text, re.MULTILINE)
    return {room: set(re.findall(r"`(\w+)", allowed)) for room, allowed in rows}


def drawn() -> list[list[str]]:
    """The rows of the picture of rooms, from the top."""
    text = (ROOT / "docs/architecture.md").read_text().split("## Rooms of the package")[1]
    rows = [re.split(r" {2,}", line)[0].split(" | ") for line in text.split("```")[1].splitlines()]
    return [row for row in rows if row[0] in ROOMS]


def imported(room: str) -> Iterator[tuple[str, str]]:
    for file in (PACKAGE / room).rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("layerwise."):
                yield node.module.split(".")[1], str(file.relative_to(PACKAGE))


def test_every_room_is_documented():
    assert sorted(documented()) == ROOMS


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_what_is_documented(room):
    allowed = documented()[room] | {room}
    strange = {(other, file) for other, file in imported(room) if other not in allowed}
    assert strange == set()


def test_rooms_import_from_rows_below_their_own():
    rows = drawn()
    assert sorted(room for row in rows for room in row) == ROOMS
    height = {room: number for number, row in enumerate(rows) for room in row}
    upward = {(file, other) for room in ROOMS for other, file in imported(room) if height[other] <= height[room]}
    assert {(file, other) for file, other in upward if file.split("/")[0] != other} == set()


def test_documented_imports_are_used():
    unused = {
        (room, other) for room, allowed in documented().items() for other in allowed - dict(imported(room)).keys()
    }
    assert unused == set()


def test_no_file_names_a_registry_or_this_machine():
    hosts = ("py" + "pi.org", "files.python" + "hosted.org", "registry.npm" + "js.org", "/work/" + "main")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    names = [name for name in listed.split("\0") if name and (ROOT / name).is_file()]
    texts = {name: (ROOT / name).read_text(errors="ignore") for name in names if not name.endswith(".png")}
    assert len(texts) > 100
    assert {name for name, text in texts.items() if any(host in text for host in hosts)} == set()
