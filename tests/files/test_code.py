import pytest

from layerwise.files import code


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A small package in place of layerwise: steps.py imports maths.py; other.py stands alone."""
    root = tmp_path / "layerwise"
    root.mkdir()
    (root / "__init__.py").write_text("")
    (root / "maths.py").write_text('"""Adds."""\n\n\ndef add(x, y):\n    """Add two."""\n    return x + y\n')
    (root / "steps.py").write_text("def step():\n    from layerwise.maths import add\n    return add(1, 2)\n")
    (root / "other.py").write_text("VALUE = 1\n")
    monkeypatch.setattr(code, "ROOT", root)

    def digest(*names, apart=()):
        forget()
        return code.hash_source(*names, apart=apart)

    def forget():
        for cached in (code._imports, code._uses, code._source, code._digest):
            cached.cache_clear()

    yield root, digest
    forget()


def test_code_behind_an_import_counts(package):
    root, digest = package
    before = digest("layerwise.steps")
    (root / "maths.py").write_text("def add(x, y):\n    return x + y + 1\n")
    assert digest("layerwise.steps") != before


def test_prose_and_other_modules_do_not_count(package):
    root, digest = package
    before = digest("layerwise.steps")
    (root / "maths.py").write_text("# Sums.\ndef add(x, y):\n    '''Other words.'''\n    return (x + y)\n")
    (root / "other.py").write_text("VALUE = 2\n")
    assert digest("layerwise.steps") == before


ROOM = {
    "maths/__init__.py": "if A:\n    from layerwise.maths.sums import add\n    from layerwise.maths.rest import sub\n",
    "maths/sums.py": "def add(x, y):\n    return x + y\n",
    "maths/rest.py": "def sub(x, y):\n    return x - y\n",
    "told.py": "def tell():\n    return 1\n",
    "steps/__init__.py": "",
    "steps/inputs.py": "LIMIT = 3\n\ndef read():\n    return LIMIT\n\ndef other():\n    return 1\n",
    "steps/stage.py": """
from layerwise.maths import add, sub
from layerwise.steps.inputs import other, read
from layerwise.told import tell

FACTOR = 2

def score():
    tell()
    return helper(read())

def helper(x):
    return FACTOR * add(x, 1)

def another():
    from layerwise import other as module
    return sub(other(), module.VALUE)
""",
}


@pytest.fixture
def room(package):
    """The package with a room of steps, and one whose names are imported when first used."""
    root, digest = package
    (root / "steps.py").unlink()
    (root / "maths.py").unlink()
    for name, text in ROOM.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(text)
    return root, digest


@pytest.mark.parametrize(
    ("name", "old", "new", "counts"),
    [
        ("steps/stage.py", "helper(read())", "helper(read()) + 1", True),
        ("steps/stage.py", "FACTOR * add", "FACTOR + add", True),
        ("steps/stage.py", "FACTOR = 2", "FACTOR = 3", True),
        ("steps/inputs.py", "return LIMIT", "return LIMIT + 1", True),
        ("steps/inputs.py", "LIMIT = 3", "LIMIT = 4", True),
        ("maths/sums.py", "x + y", "x * y", True),
        ("steps/stage.py", "sub(other(), module.VALUE)", "1", False),
        ("steps/stage.py", "FACTOR = 2", "# Twice.\nFACTOR = 2", False),
        ("steps/inputs.py", "return 1", "return 2", False),
        ("maths/rest.py", "x - y", "y - x", False),
        ("other.py", "VALUE = 1", "VALUE = 2", False),
    ],
)
def test_of_a_function_what_its_body_uses_counts_and_nothing_else_of_its_room(room, name, old, new, counts):
    root, digest = room
    before = digest("layerwise.steps.stage:score")
    edited = (root / name).read_text().replace(old, new)
    assert edited != (root / name).read_text()
    (root / name).write_text(edited)
    assert (digest("layerwise.steps.stage:score") != before) == counts


def test_an_import_within_a_function_counts(room):
    root, digest = room
    before = digest("layerwise.steps.stage:another")
    (root / "other.py").write_text("VALUE = 2\n")
    assert digest("layerwise.steps.stage:another") != before


def test_what_is_set_apart_does_not_count(room):
    root, digest = room
    found = digest("layerwise.steps.stage:score"), digest("layerwise.steps.stage:score", apart=["layerwise.told"])
    (root / "told.py").write_text("def tell():\n    return 2\n")
    again = digest("layerwise.steps.stage:score"), digest("layerwise.steps.stage:score", apart=["layerwise.told"])
    assert (found[0] != again[0], found[1] == again[1]) == (True, True)


@pytest.mark.parametrize("name", ["layerwise.nothing", "layerwise.steps:nothing"])
def test_a_name_that_does_not_exist_is_an_error(package, name):
    with pytest.raises(ValueError, match="does not exist"):
        package[1](name)
