from dataclasses import replace

import pytest

from layerwise.config import validate_study
from layerwise.files import code, own_code
from layerwise.models import registry
from layerwise.study import network_settings


def settings(compute=None, **entry):
    study = validate_study({"study": "s", "models": [entry], "compute": compute or {}})
    return network_settings(study, study.models[0])


def test_facts_of_the_registry_count(monkeypatch):
    before = settings(name="alexnet")
    row = registry.find("alexnet")
    changed = replace(row, preprocessing=replace(row.preprocessing, mean=(0.5, 0.5, 0.5)))
    monkeypatch.setattr("layerwise.study.networks.registry.find", lambda name: changed)
    assert settings(name="alexnet") != before


def test_the_name_in_the_study_does_not_count():
    one, other = (settings(name=name, model="alexnet", weights="random") for name in ("a", "b"))
    assert one == other


def test_every_key_of_the_entry_counts():
    plain = {"name": "a", "timm": "resnet18", "weights": "random"}
    changes = [{"seed": 1}, {"options": {"drop_rate": 0.1}}, {"weights": "x.pth"}, {"preprocessing": {"size": 160}}]
    found = [settings(**plain), *(settings(**{**plain, **change}) for change in changes)]
    assert all(one != other for index, one in enumerate(found) for other in found[:index])


@pytest.mark.parametrize("module", ["cornet", "adapters.torchvision", "adapters.base", "states", "building"])
def test_our_code_that_builds_networks_counts(monkeypatch, module):
    before, digest = settings(name="alexnet"), code._digest
    edited = f"layerwise.models.{module}"
    monkeypatch.setattr(code, "_digest", lambda name: "edited" if name == edited else digest(name))
    assert settings(name="alexnet") != before


def test_sources_of_a_factory_count_its_whole_package(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own_package").mkdir()
    (tmp_path / "own_package/__init__.py").write_text("raise RuntimeError('planning must not import this')")
    found = set()
    for name, text in (("blocks.py", "x = 1"), ("blocks.py", "x = 2"), ("trained.pth", "1"), ("trained.pth", "2")):
        (tmp_path / "own_package" / name).write_text(text)
        own_code.cache_clear()
        found.add(settings(name="own", factory="own_package.nets:build")["source"])
    assert len(found) == 4
    assert settings(name="own", factory="no_such_package:build")["source"] == ""


@pytest.mark.parametrize("options", [{"checkpoint_path": "own.pth"}, {"overlay": {"files": ["x", "own.pth"]}}])
def test_files_that_options_name_count(tmp_path, monkeypatch, options):
    monkeypatch.chdir(tmp_path)
    entry = {"name": "net", "timm": "resnet18", "weights": "random", "options": options}
    found = [settings(**entry)]
    for text in ("one", "two"):
        (tmp_path / "own.pth").write_text(text)
        found.append(settings(**entry))
    assert all(one != other for index, one in enumerate(found) for other in found[:index])


def test_versions_count_where_the_config_says_so(monkeypatch):
    entry = {"name": "net", "timm": "resnet18"}
    recorded, rerun = settings(**entry), settings({"versions": "rerun"}, **entry)
    monkeypatch.setattr("layerwise.models.versions.version", lambda name: f"0.1 of {name}")
    assert settings(**entry) == recorded
    assert settings({"versions": "rerun"}, **entry) != rerun
    assert settings({"versions": "rerun"}, **entry)["versions"] == {"timm": "0.1 of timm", "torch": "0.1 of torch"}


def test_facts_of_the_registry_count_for_a_network_with_options(monkeypatch):
    entries = [{"name": "bninception", "preprocessing": {"crop": "squash"}}, {"name": "a", "timm": "alexnet"}]
    entries += [{"name": "bninception", "options": {"num_classes": 30}}]
    before = [settings(**entry) for entry in entries]
    row = registry.find("bninception")
    changed = replace(row, preprocessing=replace(row.preprocessing, mean=(0.5, 0.5, 0.5)))
    monkeypatch.setattr("layerwise.study.networks.registry.find", lambda name: changed)
    assert [settings(**entry) != old for entry, old in zip(entries, before, strict=True)] == [True, False, True]
