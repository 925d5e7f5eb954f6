from layerwise.config.models import ModelEntry
from layerwise.planning import network_settings
from layerwise.planning.networks import hash_package


def test_facts_of_the_registry_count(monkeypatch):
    from dataclasses import replace

    from layerwise.models import registry

    entry = ModelEntry(name="alexnet")
    before = network_settings(entry)
    row = registry.find("alexnet")
    changed = replace(row, preprocessing=replace(row.preprocessing, mean=(0.5, 0.5, 0.5)))
    monkeypatch.setattr("layerwise.planning.networks.registry.find", lambda name: changed)
    assert network_settings(entry) != before


def test_the_name_in_the_study_does_not_count():
    one, other = (ModelEntry(name=name, model="alexnet", weights="random") for name in ("a", "b"))
    assert network_settings(one) == network_settings(other)


def test_sources_of_a_factory_count_its_whole_package(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own_package").mkdir()
    (tmp_path / "own_package/__init__.py").write_text("raise RuntimeError('planning must not import this')")
    (tmp_path / "own_package/blocks.py").write_text("x = 1")
    hash_package.cache_clear()
    before = hash_package("own_package")
    (tmp_path / "own_package/blocks.py").write_text("x = 2")
    hash_package.cache_clear()
    assert before != hash_package("own_package") != ""
    assert hash_package("no_such_package") == ""


def test_facts_of_the_registry_count_for_a_network_with_options(monkeypatch):
    from dataclasses import replace

    from layerwise.models import registry

    entries = [ModelEntry(name="bninception", preprocessing={"crop": "squash"}), ModelEntry(name="a", timm="alexnet")]
    entries += [ModelEntry(name="bninception", options={"num_classes": 30})]
    before = [network_settings(entry) for entry in entries]
    row = registry.find("bninception")
    changed = replace(row, preprocessing=replace(row.preprocessing, mean=(0.5, 0.5, 0.5)))
    monkeypatch.setattr("layerwise.planning.networks.registry.find", lambda name: changed)
    assert [network_settings(entry) != old for entry, old in zip(entries, before, strict=True)] == [True, False, True]
