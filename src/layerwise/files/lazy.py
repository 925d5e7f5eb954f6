"""Names that a package exports and imports only when they are first used.

It stands outside `layerwise.files`' own exports, so that a package needs nothing else to say what it exports.
"""

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any


def lazy_exports(package: str, homes: Mapping[str, Sequence[str]]) -> Callable[[str], Any]:
    """Make the ``__getattr__`` of a package that imports its names when they are first used.

    Type checkers do not run it: they read the same imports under ``TYPE_CHECKING``.

    Parameters
    ----------
    package : str
        The package's ``__name__``.
    homes : mapping of str to sequence of str
        For each module of the package, the names that it holds.

    Returns
    -------
    callable
        Takes a name and returns what its module holds under it.
    """
    home_of = {name: home for home, names in homes.items() for name in names}

    def find(name: str) -> Any:
        if name not in home_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f"{package}.{home_of[name]}"), name)

    return find
