"""Versions of the libraries that compute a network, without importing them."""

from functools import cache
from importlib.metadata import PackageNotFoundError, packages_distributions, version

from layerwise.files import own_code
from layerwise.interfaces import ModelSpec

NONE = "none"  # of a library that is not installed, or that has no version


def versions_of(spec: ModelSpec) -> dict[str, str]:
    """Find the versions of torch and of the library of a network, or of all that a factory's code imports.

    Returns
    -------
    dict of str to str
        Version of each, under the name that Python imports it by; sorted.
    """
    names = {"torch"}
    if spec.library == "factory":
        names |= set(own_code(module_of(spec.constructor)).libraries)
    elif spec.library != "cornet":  # written out here
        names.add(spec.library)
    return {name: _version(name) for name in sorted(names)}


def module_of(factory: str) -> str:
    """Return the module in ``"package.module:function"``."""
    return factory.partition(":")[0]


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:  # what it is called in Python need not be what it is installed by
        return "/".join(sorted({version(one) for one in _installed_by().get(name, ())})) or NONE


@cache
def _installed_by() -> dict[str, list[str]]:
    return dict(packages_distributions())
