"""Every change that Python would see changes the hash of a user's code; what it would not see does not."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from layerwise.files.own import own_code

NETS = """
import math
import torch
import helpers.blocks
from sums import add

def build():
    from late import width
    return torch.load("trained.pth"), helpers.blocks.SIZE, add(1, 2), width
"""
FILES = {
    "nets.py": NETS,
    "sums.py": "from deep import *\n\ndef add(x, y):\n    return x + y\n",
    "deep.py": "import nets\nimport no_such_module\nVALUE = 1\n",
    "late.py": "width = 3\n",
    "trained.pth": "weights",
    "untrained.pth": "weights",
    "other.py": "raise RuntimeError('nobody imports this')\n",
    "helpers/__init__.py": "raise RuntimeError('planning must not import this')\n",
    "helpers/blocks.py": "from . import shapes\nSIZE = 3\n",
    "helpers/shapes.py": "",
    "helpers/data/table.bin": "1 2 3",
    "loose/mine.py": "from .beside import x\nfrom . import also\nfrom .. import loose\n",
    "loose/beside.py": "x = 1\n",
    "loose/also.py": "import importlib\nhere = importlib.import_module('loose.named')\n",
    "loose/named.py": "",
    "loose/own.pth": "weights",
    "loose/parts/last.pth": "weights",
    "loose/stranger.py": "",
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def digest(module="nets", apart=None):
    own_code.cache_clear()
    return own_code(module, apart).hash


def edited(path: Path, module: str) -> bool:
    """Whether an edit of the file, then put back, changes the hash."""
    before, content = digest(module), path.read_bytes()
    path.write_bytes(content + b"\n# more\n")
    after = digest(module)
    path.write_bytes(content)
    assert digest(module) == before != ""
    return after != before


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("nets.py", True),
        ("sums.py", True),
        ("deep.py", True),  # behind another module, through `import *`
        ("late.py", True),  # imported within a function
        ("trained.pth", True),
        ("helpers/__init__.py", True),
        ("helpers/blocks.py", True),
        ("helpers/shapes.py", True),
        ("helpers/data/table.bin", True),
        ("untrained.pth", False),
        ("other.py", False),
        ("loose/mine.py", False),
    ],
)
def test_what_a_module_is_made_of(folder, name, counts):
    assert edited(folder / name, "nets") == counts


@pytest.mark.parametrize("name", ["mine", "beside", "also", "named"])
def test_relative_and_named_imports_in_a_folder_without_init(folder, name):
    assert edited(folder / f"loose/{name}.py", "loose.mine")
    assert not edited(folder / "loose/stranger.py", "loose.mine")


@pytest.mark.parametrize(
    ("code", "file"),
    [
        ('torch.load("own.pth")', "own.pth"),
        ('torch.load(Path(__file__).with_name("own.pth"))', "own.pth"),
        ('torch.load(os.path.join(os.path.dirname(__file__), "parts", "last.pth"))', "parts/last.pth"),
        ('torch.load(Path(__file__).parent / "parts" / "last.pth")', "parts/last.pth"),
        ('torch.load("loose/own.pth")', "own.pth"),  # from the working folder
        ('torch.load(Path(__file__).with_suffix(".pth"))', "mine.pth"),
    ],
)
def test_files_that_a_module_names(folder, code, file):
    (folder / "loose/mine.py").write_text(f"def build():\n    return {code}\n")
    (folder / "loose" / file).write_text("weights")
    assert edited(folder / "loose" / file, "loose.mine")


def test_two_modules_may_mean_two_files_by_one_name(folder):
    (folder / "helpers/inner").mkdir()
    for name in ("helpers/shapes.py", "helpers/inner/shapes.py"):
        (folder / name).write_text("x = '../../own.pth'\n")
    (folder / "own.pth").write_text("1")
    (folder.parent / "own.pth").write_text("1")
    assert edited(folder / "own.pth", "nets") and edited(folder.parent / "own.pth", "nets")


def test_texts_that_can_be_no_names_and_code_that_cannot_be_parsed(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder / "home"))
    (folder / "home").mkdir()
    (folder / "home/own.pth").write_text("1")
    texts = ["~no_such_user/x", "a\0b", "x" * 5000, "", ".", "/", "~/own.pth", "\ud800"]
    (folder / "nets.py").write_text("import broken\nimport empty\n" + "".join(f"x = {text!r}\n" for text in texts))
    (folder / "broken.py").write_text("def (:\n")
    (folder / "empty.py").write_bytes(b"\0")
    for name in ("broken.py", "empty.py", "home/own.pth"):
        assert edited(folder / name, "nets")


def test_a_file_that_is_added_to_a_package_or_that_python_wrote(folder):
    before = digest()
    (folder / "helpers/__pycache__").mkdir()
    for name in ("__pycache__/blocks.cpython-311.pyc", ".blocks.py.swp"):
        (folder / "helpers" / name).write_text("x")
        assert digest() == before
    (folder / "helpers/more.pth").write_text("x")
    assert digest() != before


def test_a_folder_that_is_linked_into_a_package_and_one_linked_to_itself(folder):
    (folder / "elsewhere").mkdir()
    (folder / "elsewhere/big.pth").write_text("x")
    (folder / "helpers/weights").symlink_to(folder / "elsewhere")
    (folder / "helpers/again").symlink_to(folder / "helpers")
    (folder / "helpers/nowhere").symlink_to(folder / "missing")
    assert edited(folder / "elsewhere/big.pth", "nets")


def test_where_the_folder_lies_does_not_count(folder, tmp_path_factory, monkeypatch):
    before, other = digest(), tmp_path_factory.mktemp("other")
    for name, text in FILES.items():
        (other / name).parent.mkdir(parents=True, exist_ok=True)
        (other / name).write_text(text)
    monkeypatch.chdir(other)
    assert digest() == before


def test_results_do_not_make_themselves_stale(folder):
    (folder / "nets.py").write_text("OUT = 'results/layers.parquet'\n")
    (folder / "results").mkdir()
    (folder / "results/layers.parquet").write_text("1")
    before, tracked = digest(apart=Path("results")), digest()
    (folder / "results/layers.parquet").write_text("2")
    assert digest(apart=Path("results")) == before
    assert digest() != tracked


def test_a_study_that_runs_inside_the_package_counts_its_code_alone(folder, monkeypatch):
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.chdir(folder / "helpers")
    assert edited(folder / "helpers/shapes.py", "helpers.blocks")
    assert not edited(folder / "helpers/data/table.bin", "helpers.blocks")


def test_installed_packages_are_named_and_python_s_own_are_not(folder):
    assert own_code("nets").libraries == ("torch",)
    (folder / "nets.py").write_text("import os, sys, json, pandas.testing\nfrom timm.models import resnet\n")
    own_code.cache_clear()
    assert own_code("nets").libraries == ("pandas", "timm")


def test_a_package_that_is_installed_counts_and_is_not_followed(folder):
    found = own_code("timm.models.resnet")
    assert found.hash and found.libraries == ("timm",)


def test_our_own_code_that_a_factory_uses_counts(folder, monkeypatch):
    (folder / "nets.py").write_text("from layerwise.models.cornet import CONSTRUCTORS\n")
    before = digest()
    monkeypatch.setattr("layerwise.files.own.hash_source", lambda *modules: str(modules))
    assert digest() != before


def test_there_is_no_such_module(folder):
    assert own_code("no_such").hash == ""
    assert own_code("loose").hash == ""  # a folder without __init__.py has no code of its own


def test_nothing_is_imported(folder):
    code = "import sys; from layerwise.files.own import own_code; assert own_code('nets').hash; print(*sys.modules)"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not {"torch", "nets", "helpers", "sums", "timm"} & set(done.stdout.split())
