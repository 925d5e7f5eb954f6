"""Names of timm's networks, told from its text: importing it takes seconds, and brings torch."""

import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path

NAMED = re.compile(r"^def (\w+)\(|['\"]([\w.\-]+)['\"]\s*:", re.MULTILINE)  # a function, or an old name in a mapping


@cache
def names_in_text() -> frozenset[str]:
    """List all that may be the name of a network of timm; none if timm is not installed."""
    spec = find_spec("timm")
    folders = [Path(place) / "models" for place in (spec.submodule_search_locations or ())] if spec else []
    texts = (path.read_text(encoding="utf-8") for folder in folders for path in sorted(folder.glob("*.py")))
    return frozenset(name for text in texts for pair in NAMED.findall(text) for name in pair if name)


def is_unknown(name: str) -> bool:
    """Return whether timm certainly has no such network, whatever weights the name asks for after its dot."""
    known = names_in_text()
    return bool(known) and name not in known and name.partition(".")[0] not in known
