"""Web pages saved in place of files."""

from pathlib import Path

from layerwise.files.mistaken import HEAD, is_page


def refuse_page(path: Path) -> None:
    """Refuse a web page that was saved under the name of a file of weights.

    Raises
    ------
    ValueError
        It is one.
    """
    with path.open("rb") as handle:
        if is_page(handle.read(HEAD)):
            raise ValueError(
                f"{path} is a web page, not a file of weights: the address asks for a login, or the file has moved; "
                "delete it, and put the file itself there"
            )
