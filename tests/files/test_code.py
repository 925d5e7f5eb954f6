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

    def digest(*modules):
        for cached in (code._imports, code._digest):
            cached.cache_clear()
        return code.hash_source(*modules)

    yield root, digest
    for cached in (code._imports, code._digest):
        cached.cache_clear()


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


def test_one_function_counts_without_what_it_imports(package):
    root, digest = package
    before = digest("layerwise.steps:step")
    (root / "maths.py").write_text("def add(x, y):\n    return x - y\n")
    assert digest("layerwise.steps:step") == before
    (root / "steps.py").write_text("def step():\n    from layerwise.maths import add\n    return add(2, 2)\n")
    assert digest("layerwise.steps:step") != before


@pytest.mark.parametrize("name", ["layerwise.nothing", "layerwise.steps:nothing"])
def test_a_name_that_does_not_exist_is_an_error(package, name):
    with pytest.raises(ValueError, match="does not exist"):
        package[1](name)
