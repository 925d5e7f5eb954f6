"""The versions in results are those of what is imported, as the libraries themselves tell them."""

import efficientnet_pytorch
import pandas
import PIL
import pretrainedmodels
import pytest
import timm
import torch
import torchvision

from layerwise.files import own_code
from layerwise.interfaces import ModelSpec
from layerwise.models.versions import versions_of


def plain(version: str) -> str:
    """Without the build, such as +cu128, which only torch itself tells."""
    return version.partition("+")[0]


@pytest.mark.parametrize("library", [efficientnet_pytorch, pretrainedmodels, timm, torchvision])
def test_a_network_of_a_library(library):
    name = library.__name__
    found = versions_of(ModelSpec("a", name, "some"))
    assert {key: plain(value) for key, value in found.items()} == {
        name: plain(library.__version__),
        "torch": plain(torch.__version__),
    }


def test_cornet_is_ours():
    assert list(versions_of(ModelSpec("a", "cornet", "cornet_z"))) == ["torch"]


def test_a_factory_has_those_that_its_code_imports(tmp_path, monkeypatch):
    (tmp_path / "nets_with_versions.py").write_text("from PIL import Image\nimport helper_with_versions\n")
    (tmp_path / "helper_with_versions.py").write_text("import os, pandas\n")
    monkeypatch.chdir(tmp_path)
    own_code.cache_clear()
    found = versions_of(ModelSpec("a", "factory", "nets_with_versions:build"))
    expected = {"PIL": PIL.__version__, "pandas": pandas.__version__, "torch": plain(torch.__version__)}
    assert {key: plain(value) for key, value in found.items()} == expected


def test_a_library_that_is_not_installed():
    assert versions_of(ModelSpec("a", "no_such_library", "some"))["no_such_library"] == "none"
