"""Names of a module, told from its text."""

import pytest

from layerwise.files.defined import defined_names

TEXT = """
import torch.nn as nn, os.path
from math import floor as down
try:
    fast = True
except ImportError:
    def slow(): pass
for place, (one, other) in (): pass
class Net: pass
first = second = None
"""


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "package_here").mkdir()
    (tmp_path / "package_here" / "__init__.py").write_text("")
    return tmp_path


def test_all_that_a_module_binds_is_named(here):
    (here / "package_here" / "nets.py").write_text(TEXT)
    bound = {"nn", "os", "down", "fast", "slow", "place", "one", "other", "Net", "first", "second"}
    assert defined_names("package_here.nets") == bound


def test_it_names_what_importing_shows():
    import json.decoder as module

    names = defined_names("json.decoder")
    assert names is not None and names >= {name for name in vars(module) if not name.startswith("__")} - {
        "__builtins__"
    }


@pytest.mark.parametrize(
    "text",
    [
        "from os import *",
        "def __getattr__(name): ...",
        "globals()['build'] = 1",
        "import sys\nsys.modules['x'] = 1",
        "(",
    ],
)
def test_a_module_whose_text_does_not_tell_is_left_open(here, text):
    (here / "odd.py").write_text(text)
    assert defined_names("odd") is None


@pytest.mark.parametrize("name", ["os.path", "math", "_struct"])
def test_modules_without_text_are_left_open(name):
    assert defined_names(name) is None


@pytest.mark.parametrize("name", ["gone_module", "package_here.gone", "gone_package.nets"])
def test_a_module_that_is_not_there_is_an_error(name):
    with pytest.raises(ModuleNotFoundError):
        defined_names(name)
