"""Names of a package are imported when first used, and are those that type checkers and readers see."""

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from layerwise.files.lazy import lazy_exports

PACKAGE = Path(__file__).parents[2] / "src/layerwise"
LAZY = sorted(path.parent.name for path in PACKAGE.glob("*/__init__.py") if "__getattr__" in path.read_text())


def statically(package):
    """The names that the package imports for type checkers, with their modules."""
    statements = ast.walk(ast.parse((PACKAGE / package / "__init__.py").read_text()))
    imports = [node for node in statements if isinstance(node, ast.ImportFrom)]
    own = [node for node in imports if node.module.startswith(f"layerwise.{package}.")]
    return {alias.name: node.module for node in own for alias in node.names}


def test_the_helper_is_in_use():
    assert len(LAZY) >= 5


@pytest.mark.parametrize("package", LAZY)
def test_a_package_exports_what_type_checkers_see(package):
    room, names = import_module(f"layerwise.{package}"), statically(package)
    assert sorted(room.__all__) == sorted(names)
    for name, module in names.items():
        assert getattr(room, name) is getattr(import_module(module), name)


def test_nothing_is_imported_before_it_is_used():
    imports = "".join(f"import layerwise.{package}\n" for package in LAZY)
    code = (
        f"import sys\n{imports}assert 'torch' not in sys.modules\nlayerwise.models.build\nassert 'torch' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_other_names_are_missing_attributes():
    find = lazy_exports("layerwise.files", {"hashing": ("checksum",)})
    assert find("checksum") is import_module("layerwise.files.hashing").checksum
    with pytest.raises(AttributeError, match=r"module 'layerwise\.files' has no attribute 'hash_file'"):
        find("hash_file")
