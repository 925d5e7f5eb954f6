"""`layerwise data recipe`, as a user runs it."""

import pytest
from public_data import PAGE, write_memorability, write_tvsd
from typer.testing import CliRunner

from layerwise.cli.app import app
from layerwise.data.recipes import RECIPES, files
from layerwise.data.recordings import count_stimuli


@pytest.fixture(autouse=True)
def untried(monkeypatch):
    monkeypatch.setattr(files, "try_hdf5", lambda path, names: None)


@pytest.fixture
def published(tmp_path, rng):
    write_tvsd(tmp_path / "tvsd", rng)
    write_memorability(tmp_path / "tvsd/THINGS_Memorability_Scores.csv")
    return tmp_path / "tvsd"


def run(*arguments):
    return CliRunner().invoke(app, ["data", "recipe", *map(str, arguments)])


def test_the_list_says_of_each_what_it_needs():
    printed = run("--list").stdout
    assert max(map(len, printed.splitlines())) <= 80
    words = " ".join(printed.split())
    for recipe in RECIPES:
        for text in (recipe.name, *recipe.needs, recipe.licence, recipe.size, recipe.paper):
            assert text in words
    assert run().stdout == printed
    alone = run("memcat", "--list").stdout
    assert "MemCat_data/memcat_image_data.csv" in alone and "tvsd" not in alone


def test_files_become_recordings_and_scores(published, tmp_path):
    done = run("tvsd", "--from", published, "--output", tmp_path / "out/tvsd.nc")
    assert done.exit_code == 0, done.exception
    assert count_stimuli(tmp_path / "out/tvsd.nc") == 16
    lines = done.stdout.splitlines()
    (counted,) = (line for line in lines if line.startswith("training images"))
    assert counted.split() == ["training", "images", "here:", "12", "published:", "22,248", "DIFFERS"]
    (first,) = (line for line in lines if line.startswith("monkey N, aardvark_01b, electrode 1"))
    assert first.endswith("0.197251  published:   0.197251")
    assert "note: where it differs, these are not the published files, or not all of them" in lines
    done = run("tvsd-memorability", "--from", published, "--output", tmp_path / "scores.csv")
    assert done.exit_code == 0, done.exception
    folder = published / "object_images"
    assert f"layerwise data check {tmp_path / 'scores.csv'} --images {folder}" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("tvds", "--from", ".", "--output", "x.nc"), "there is no recipe 'tvds': did you mean 'tvsd'?"),
        (("tvsd", "--output", "x.nc"), "needs --from, the folder of its files, and --output"),
        (("tvsd", "--from", "."), "needs --from, the folder of its files, and --output"),
        (("tvsd", "--from", ".", "--output", "x.csv"), r"makes recordings: name a file that ends in \.nc"),
        (("tvsd", "--from", "nowhere", "--output", "x.nc"), "no folder nowhere"),
        (("tvsd", "--from", ".", "--output", "x.nc"), "monkeyF/_logs/things_imgs.mat is not there: lay the files"),
    ],
)
def test_what_is_asked_wrongly_is_said(tmp_path, monkeypatch, arguments, told):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=told):
        raise run(*arguments).exception
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_left_of_a_recipe_that_fails(published, tmp_path):
    (published / "monkeyN/THINGS_normMUA.mat").write_text(PAGE)
    with pytest.raises(ValueError, match="is a web page"):
        raise run("tvsd", "--from", published, "--output", tmp_path / "out.nc").exception
    assert [path.name for path in tmp_path.iterdir()] == ["tvsd"]
