from pathlib import Path

import pytest

from layerwise.cli import study
from layerwise.config import validate_study
from layerwise.files.documents import parse_yaml
from layerwise.study import finetuned_models, finetuned_splits


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("results/demo-data", "demo"),
        ("other", "other"),
        ("results/two words, and more", "two-words-and-more"),
        ("results/.hidden", "hidden"),
        ("123", "123"),
        ("результат", "simulated"),
    ],
)
def test_a_simulated_study_is_named_after_its_folder(folder, name):
    assert study._study_name(Path(folder)) == name
    assert validate_study(parse_yaml(f"study: '{name}'\nmodels: [alexnet]")).study == name


def test_its_config_is_valid_and_points_to_the_folder():
    content = parse_yaml(study._config(Path("results/mine"), threads=3))
    config = validate_study(content, said=[(content, "results/mine")])
    assert (config.study, config.compute.threads) == ("mine", 3)
    assert config.recordings[0].file == Path("results/mine/recordings.nc")
    assert config.ratings[0].images == Path("results/mine/rated")
    assert (finetuned_models(config), finetuned_splits(config)) == ([study.TEACHER], ["1", "2"])


def test_a_folder_without_a_name_of_its_own(tmp_path, monkeypatch):
    (tmp_path / "planted").mkdir()
    monkeypatch.chdir(tmp_path / "planted")
    assert study._study_name(Path()) == "planted"
