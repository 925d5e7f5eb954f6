"""What a study cites, and whether it is the paper's."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from public_data import touch_images

from layerwise.analyses.reproduction import METHODS
from layerwise.config import load_study, validate_study
from layerwise.data.recipes import RECIPES, find_recipe
from layerwise.data.recipes.recipe import Recorded, Scored, write_made
from layerwise.interfaces import Recordings, StimulusSet
from layerwise.models import registry
from layerwise.study.citations import NETWORKS, RECORDINGS, cite, cite_network, read_bibliography
from layerwise.study.paper import differs_from_paper

ROOT = Path(__file__).parents[2]
PAPER = load_study(ROOT / "config.yaml")


def changed(**changes):
    return validate_study(PAPER.model_dump(mode="json") | changes)


def test_the_papers_study_has_an_entry_for_all_that_it_used():
    text, unknown = cite(PAPER)
    assert unknown == []
    keys = re.findall(r"^@\w+\{(\w+),", text, re.MULTILINE)
    assert len(set(keys)) == len(keys)
    assert {"harada", "khosla2015", "freeman2013", "majaj2015", "schrimpf2018", "he2015", "russakovsky2015"} <= set(
        keys
    )


def test_every_network_of_the_registry_has_a_source():
    assert {name for name in registry.names() if not cite_network(name)} == set()
    assert {key for keys in NETWORKS.values() for key in keys} <= set(read_bibliography())


def test_every_entry_is_whole_and_can_be_reached():
    text = (ROOT / "src/layerwise/study/citations.bib").read_text()
    entries = read_bibliography()
    assert len(entries) == text.count("\n@")
    for key, entry in entries.items():
        fields = dict(re.findall(r"^  (\w+) = \{(.*)\},$", entry, re.MULTILINE))
        assert {"author", "title"} <= set(fields), key
        assert all(value.count("{") == value.count("}") for value in fields.values()), key
        assert "doi" in fields or "eprint" in fields or key in ("harada", "layerwise"), key
        assert re.fullmatch(r"10\.\d{4,}/\S+", fields.get("doi", "10.1234/a")), key
        assert re.fullmatch(r"\d{4}\.\d{4,5}", fields.get("eprint", "1234.5678")), key


def test_what_table_s2_cites_has_an_entry():
    assert {key for _, key in METHODS.values() if key} <= set(read_bibliography())


def test_a_users_own_data_and_networks_are_told():
    study = validate_study(
        {
            "study": "a",
            "models": ["alexnet", {"name": "mine", "factory": "package.module:build"}],
            "recordings": [{"name": "movies", "file": "movies.nc", "regions": ["V1"]}],
            "ratings": [{"name": "rated", "images": "photos", "scores": "scores.csv"}],
        }
    )
    text, unknown = cite(study)
    assert unknown == ["the network mine", "the recordings movies", "the ratings rated"]
    assert "krizhevsky2014" in text and "khosla2015" not in text and "majaj2015" not in text


def test_files_that_recipes_made_are_cited(tmp_path):
    touch_images(tmp_path / "images", ["a.jpg", "b.jpg", "c.jpg"])
    paths = tuple(tmp_path / f"images/{name}.jpg" for name in "abc")
    recordings = Recordings(np.zeros((1, 3, 1)), ("a", "b", "c"), ("n",), ("V1",))
    made = Recorded(recordings, StimulusSet("x", ("a", "b", "c"), paths), 8, [])
    write_made(find_recipe("tvsd"), made, tmp_path / "tvsd.nc")
    table = pd.DataFrame({"image": ["a.jpg", "b.jpg"], "memorability": [0.1, 0.2]})
    write_made(find_recipe("tvsd-memorability"), Scored(table, tmp_path, []), tmp_path / "scores.csv")
    study = {
        "study": "a",
        "models": ["alexnet"],
        "recordings": [
            {"name": "tvsd", "file": str(tmp_path / "tvsd.nc")},
            {"name": "exported", "file": "x.nc", "brainscore": "Hebart2023_fmri_test", "regions": ["V1"], "images": "b"}
            | {"visual_degrees": 10},
        ],
        "ratings": [{"name": "rated", "images": "photos", "scores": str(tmp_path / "scores.csv")}],
    }
    text, unknown = cite(validate_study(study))
    assert unknown == []
    assert {"papale2025", "hebart2019", "kramer2023", "hebart2023"} <= set(
        re.findall(r"^@\w+\{(\w+),", text, re.MULTILINE)
    )


def test_every_recipe_cites_what_has_an_entry():
    assert {key for recipe in RECIPES for key in recipe.cites} <= set(read_bibliography())
    assert set(RECORDINGS.values()) <= set(read_bibliography())


def test_the_shipped_config_is_the_papers_study():
    assert differs_from_paper(PAPER) == ""


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"models": PAPER.model_dump(mode="json")["models"][1:]}, "1 of the paper's 64 networks is not in it"),
        ({"models": [*PAPER.model_dump(mode="json")["models"], "tf_efficientnet_lite0"]}, "1 other is"),
        ({"recordings": PAPER.model_dump(mode="json")["recordings"][:1]}, "V4, IT: not Brain-Score's recordings"),
        (
            {"ratings": [{"name": "mine", "images": "photos", "scores": "scores.csv"}]},
            "memorability is not of LaMem's split files",
        ),
        ({"regression": {"components": 10}}, "10 latent variables, not 25"),
    ],
)
def test_another_study_says_in_what_it_differs(changes, reason):
    assert reason in differs_from_paper(changed(**changes))


def test_a_control_of_a_papers_network_is_another_network():
    models = PAPER.model_dump(mode="json")["models"]
    reason = differs_from_paper(changed(models=[models[0] | {"weights": "random"}, *models[1:]]))
    assert reason == "1 of the paper's 64 networks is not in it, 1 other is"
