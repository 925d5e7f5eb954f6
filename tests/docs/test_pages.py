"""Pages that are generated are up to date; messages and numbers that pages name are those of the code."""

import ast
import re

import pytest
from written import ROOT

from layerwise.cli.app import app
from layerwise.cli.reference import listed, write_commands
from layerwise.config import Study
from layerwise.config.load import validate_study
from layerwise.config.page import write_keys

DOCS = ROOT / "docs"


def test_the_page_of_commands_is_up_to_date():
    told = "run: layerwise commands > docs/commands.md"
    assert (DOCS / "commands.md").read_text() == write_commands(app) + "\n", told


def test_the_page_of_commands_has_all_of_them():
    text, names = (DOCS / "commands.md").read_text(), [name for _, name, _ in listed(app)]
    assert len(names) > 50 and {"plan", "data recipe", "simulate", "simulate tables"} <= set(names)
    assert sorted(re.findall(r"^### (.*)$", text, re.MULTILINE)) == sorted(names)


def test_the_page_of_keys_is_up_to_date():
    told = "run: layerwise schema --markdown > docs/configuration.md"
    assert (DOCS / "configuration.md").read_text() == write_keys() + "\n", told


def test_the_page_of_keys_has_all_of_them_and_says_something_of_each():
    text, schema = (DOCS / "configuration.md").read_text(), Study.model_json_schema()
    lines = re.findall(r"^\| (`\w+` \|.*) \|$", text, re.MULTILINE)
    rows = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)] for line in lines]
    sections = [schema, *schema["$defs"].values()]
    assert sorted(row[0] for row in rows) == sorted(f"`{key}`" for section in sections for key in section["properties"])
    assert [row for row in rows if len(row) != 4 or not row[3] or "anything" in row[1]] == []


def literals():
    """Texts of the package, with … for what is put into them."""
    for path in (ROOT / "src/layerwise").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr):
                yield "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def messages():
    text = (DOCS / "troubleshooting.md").read_text()
    return re.findall(r"^\| `(.+?)` \| (?!what)", text, re.MULTILINE)


@pytest.fixture(scope="module")
def told():
    return list(literals())


def test_there_are_messages():
    assert len(messages()) > 30


@pytest.mark.parametrize("message", messages())
def test_messages_are_those_of_the_code(message, told):
    pattern = re.compile(".*".join(re.escape(part) for part in message.split("…")), re.DOTALL)
    assert any(pattern.search(text) for text in told), message


def test_the_paragraph_for_methods_has_the_defaults():
    text = " ".join((DOCS / "methods.md").read_text().replace("\n>", "\n").split())
    recordings = [{"name": "r", "file": "r.nc", "regions": ["IT"]}]
    study = validate_study({"study": "a", "models": ["resnet18"], "recordings": recordings, "ratings": RATINGS})
    splits = study.recordings[0].splits
    expected = [
        f"covered {study.screen_degrees:g} degrees",
        f"regression with {study.regression.components} components",
        f"{splits.train_size * 100:g} % of the stimuli",
        f"in {splits.n_splits} random splits",
        f"over {study.regression.halves} random halvings",
        f"[{study.ratings[0].folds}] splits",
        f"{study.statistics.level * 100:g} % intervals",
        "at least 25 units",
    ]
    assert [one for one in expected if one not in text] == []
    assert study.brain.measures == ["pls"] and study.layers.which == "leaves" and study.brain.pca is None


RATINGS = [{"name": "rated", "images": "photographs", "scores": "scores.csv"}]
