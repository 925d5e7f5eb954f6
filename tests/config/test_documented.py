"""Whole studies that the documentation shows are read as they stand there."""

import re
from pathlib import Path

from layerwise.config import validate_study
from layerwise.files.documents import parse_yaml

ROOT = Path(__file__).parents[2]


def test_whole_studies_in_the_documentation_are_valid():
    texts = {path: path.read_text(encoding="utf-8") for path in (ROOT / "README.md", *(ROOT / "docs").glob("*.md"))}
    pattern = re.compile(r"```yaml\n(.*?)```", re.DOTALL)
    found = [(path.name, block) for path, text in texts.items() for block in pattern.findall(text)]
    whole = [(name, parse_yaml(block, name)) for name, block in found if block.startswith("study:")]
    assert {"README.md", "layers.md"} <= {name for name, _ in whole}
    assert all(validate_study(content, name).models for name, content in whole)
