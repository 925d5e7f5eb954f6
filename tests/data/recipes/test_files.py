"""What downloads leave in place of data is told apart, and broken files end in a sentence."""

import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.io
from public_data import PAGE, mat73

from layerwise.data.recipes import RECIPES, files, find_recipe
from layerwise.data.recipes.recipe import Fact, Scored, check_output, compared, recipe_in, source_of, write_made

STRANGE = {
    "empty": (b"", "is empty: download it again"),
    "blank": (b"\n\n", "is empty: download it again"),
    "page": (PAGE.encode(), "is a web page and no data"),
    "page with a mark": (b"\xef\xbb\xbf  <HTML><body>", "is a web page and no data"),
    "server": (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "is a web page and no data"),
    "LFS": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "is a pointer to the data"),
    "annex": (b"../../.git/annex/objects/Mz/1/MD5E-s1.mat", "is a pointer to the data"),
    "zip": (b"PK\x03\x04rest", "is an archive: unpack it"),
    "gzip": (b"\x1f\x8b\x08rest", "is an archive: unpack it"),
}


@pytest.mark.parametrize("kind", STRANGE)
def test_what_is_no_data_is_told(tmp_path, kind):
    content, told = STRANGE[kind]
    (tmp_path / "x.csv").write_bytes(content)
    with pytest.raises(ValueError, match=told):
        files.find_file(tmp_path, "x.csv")


@pytest.mark.tried
def test_a_damaged_hdf5_file_ends_in_a_sentence(tmp_path):
    with mat73(tmp_path / "x.mat") as file:
        file.create_dataset("a", data=np.arange(10_000.0), chunks=(100,), compression="gzip")
    content = bytearray((tmp_path / "x.mat").read_bytes())
    content[3000:9000:7] = b"x" * len(content[3000:9000:7])
    (tmp_path / "x.mat").write_bytes(content)
    with pytest.raises(ValueError, match=r"x.mat is damaged"), files.opened_hdf5(tmp_path / "x.mat", "a") as file:
        files.dataset(file, "a", 10_000)[()]


@pytest.mark.tried
def test_parts_in_other_files_are_not_read(tmp_path):
    with h5py.File(tmp_path / "x.mat", "w") as file:
        file["a"] = h5py.ExternalLink("other.h5", "a")
    with pytest.raises(ValueError, match="in another file"), files.opened_hdf5(tmp_path / "x.mat", "a"):
        pass


def test_a_broken_old_mat_ends_in_a_sentence(tmp_path):
    scipy.io.savemat(tmp_path / "x.mat", {"a": np.arange(100.0)})
    content = bytearray((tmp_path / "x.mat").read_bytes())
    content[128:140] = b"\xff" * 12
    (tmp_path / "x.mat").write_bytes(content)
    with pytest.raises(ValueError, match=r"x.mat is damaged, or no MAT file"):
        files.load_mat(tmp_path / "x.mat", "a")


def test_names_differ_between_recipes_and_are_found():
    names = [recipe.name for recipe in RECIPES]
    assert len(set(names)) == len(names)
    assert all(find_recipe(name).name == name for name in names)
    with pytest.raises(ValueError, match="there is no recipe 'tvds': did you mean 'tvsd'"):
        find_recipe("tvds")


def test_a_file_says_which_recipe_made_it():
    assert all(recipe_in(source_of(recipe)) == recipe.name for recipe in RECIPES)
    assert recipe_in("simulated, two subjects") == ""


def test_a_number_that_differs_from_the_published_one_is_marked():
    assert compared("a", 1355, 1355) == Fact("a", "1,355", "1,355")
    assert not compared("a", 0.02049, 0.02, ".3f").differs
    assert compared("a", 0.0214, 0.02, ".3f").differs
    assert not compared("a", 7).differs


def test_the_ending_must_be_that_of_its_kind(tmp_path):
    with pytest.raises(ValueError, match=r"the recipe memcat makes scores: name a file that ends in \.csv"):
        check_output(find_recipe("memcat"), tmp_path / "x.nc")


def test_nothing_is_written_where_an_image_cannot_be(tmp_path):
    def pictures():
        yield "a.png", np.zeros((2, 2, 3), np.uint8)
        raise OSError("the disk is full")

    made = Scored(pd.DataFrame({"image": ["a.png"], "hit_rate": [0.5]}), None, [], [], pictures)
    with pytest.raises(OSError, match="full"):
        write_made(find_recipe("isola2011"), made, tmp_path / "isola.csv")
    assert not (tmp_path / "isola.csv").exists()
