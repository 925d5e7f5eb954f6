"""Web pages saved in place of files."""

import re
from pathlib import Path

PAGE = re.compile(rb"\s*(<!doctype html|<html)", re.IGNORECASE)


def refuse_page(path: Path) -> None:
    """Refuse a web page that was saved under the name of a file of weights.

    Raises
    ------
    ValueError
        It is one.
    """
    with path.open("rb") as handle:
        if PAGE.match(handle.read(64)):
            raise ValueError(
                f"{path} is a web page, not a file of weights: the address asks for a login, or the file has moved; "
                "delete it, and put the file itself there"
            )
