"""Triple-N: files of the same format, each trap of it, and what is refused."""

import shutil

import h5py
import numpy as np
import pytest
import scipy.io
from PIL import Image
from public_data import AREA_ROWS, PAGE, touch_images, write_areas, write_session, write_triple_n

from layerwise.data.recipes import triple_n
from layerwise.data.recipes.recipe import write_made
from layerwise.data.recordings import read_recordings

REGIONS = {  # by session: the depths are 500, 1000, 1500, 2400, 600, 1999, 2000, 100; no span holds its ends
    1: ["IT"] * 8,
    2: ["V1", "", "V2", "", "V1", "V2", "", "V1"],
    3: ["IT"] * 3,
}
ANIMALS = {1: "M1", 2: "M2", 3: "M3"}


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    folder = tmp_path_factory.mktemp("triple")
    return folder, write_triple_n(folder, np.random.default_rng(4))


@pytest.fixture
def copied(published, tmp_path):
    shutil.copytree(published[0] / "Processed", tmp_path / "own/Processed")
    (tmp_path / "own/others").mkdir()
    shutil.copy(published[0] / "others/exclude_area.xls", tmp_path / "own/others")
    (tmp_path / "own/others/StimuliNNN").symlink_to(published[0] / "others/StimuliNNN")  # a thousand files
    return tmp_path / "own"


def units(sessions):
    for number, arrays in sessions.items():
        for unit, region in enumerate(REGIONS[number]):
            if region and arrays["reliability_basic"][0, unit] > 0.4:
                yield number, unit, region


def test_units_have_the_responses_and_regions_of_their_session(published, tmp_path):
    folder, sessions = published
    write_made(triple_n.RECIPE, triple_n.read(folder, None), tmp_path / "n.nc")
    found = read_recordings(tmp_path / "n.nc")
    assert found.stimuli == tuple(f"{number:04d}" for number in range(1, 1001))
    expected = list(units(sessions))
    assert len(found.neuroids) == len(expected)
    for column, (number, unit, region) in enumerate(expected):
        assert found.neuroids[column] == f"ses{number:02d}-{unit + 1:04d}"
        assert (found.animals[column], found.regions[column]) == (ANIMALS[number], region)
        scenes = sessions[number]["response_basic"][unit, :1000]
        np.testing.assert_allclose(found.responses[0, :, column], scenes, rtol=1e-6)


def test_counts_stand_beside_the_published_ones(published):
    made = triple_n.read(published[0], None)
    facts = {fact.what: fact for fact in made.facts}
    good = [
        region
        for number, arrays in published[1].items()
        for unit, region in enumerate(REGIONS[number])
        if arrays["reliability_best"][0, unit] > 0.4
    ]
    for region, count in {"V1": "2,556", "V2": "2,625", "V4": "3,559", "IT": "26,700"}.items():
        fact = facts[f"{region}: units with reliability_best above .4"]
        assert (int(fact.found), fact.published) == (good.count(region), count)
    assert (facts["units"].found, facts["units"].published) == ("19", "47,503")
    assert "3 units have no region: left out" in made.notes


def test_a_session_of_one_unit_is_read(copied):
    write_session(copied, 1, "M1", [40], np.random.default_rng(5))
    assert "ses01-0001" in triple_n.read(copied, None).recordings.neuroids


@pytest.fixture
def pictures(tmp_path, rng):
    """Five scenes at 227 pixels, and NSD's at 425."""
    for folder in ("scenes", "shared1000"):
        (tmp_path / folder).mkdir()
    for number in range(1, 6):
        coarse = Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8))
        coarse.resize((425, 425)).save(tmp_path / f"shared1000/shared{number:04d}_nsd{number * 100:05d}.png")
        coarse.resize((227, 227)).save(tmp_path / f"scenes/{number:04d}.bmp")
    return tmp_path, sorted((tmp_path / "scenes").iterdir())


def test_the_order_of_images_is_checked_by_pixels(pictures):
    folder, scenes = pictures
    assert (
        triple_n.check_order(scenes, folder) == "by their pixels, all 5 scenes are NSD's shared images in their order"
    )
    assert "was not looked at" in triple_n.check_order(scenes[:4], folder)
    second, third = (path.read_bytes() for path in scenes[1:3])
    scenes[1].write_bytes(third)
    scenes[2].write_bytes(second)
    with pytest.raises(
        ValueError,
        match=r"2 of 5 scenes show another of NSD's shared images \(first: 0002.bmp shows shared0003_nsd00300.png\)",
    ):
        triple_n.check_order(scenes, folder)
    scenes[0].write_bytes(b"BM")
    with pytest.raises(ValueError, match=r"the image .*0001.bmp cannot be read"):
        triple_n.check_order(scenes, folder)


def absent_session(folder):
    write_areas(folder / "others/exclude_area.xls", [row for row in AREA_ROWS if row[0] != 2])


def no_area_has_units(folder):
    write_areas(folder / "others/exclude_area.xls", [(number, 9000, 9001, "V1", "EVC") for number in (1, 2, 3)])


def hdf5_instead(folder):
    with h5py.File(folder / "Processed/Processed_ses02_240101_M2_1.mat", "w") as file:
        file["response_basic"] = np.zeros((3, 4))


def turned(folder):
    path = folder / "Processed/Processed_ses02_240101_M2_1.mat"
    arrays = scipy.io.loadmat(path)
    scipy.io.savemat(path, {name: values.T for name, values in arrays.items() if not name.startswith("_")})


def scenes_alone(folder):
    path = folder / "Processed/Processed_ses02_240101_M2_1.mat"
    arrays = {name: values for name, values in scipy.io.loadmat(path).items() if not name.startswith("_")}
    scipy.io.savemat(path, arrays | {"response_basic": arrays["response_basic"][:, :1000]})


def without_basic(folder):
    path = folder / "Processed/Processed_ses02_240101_M2_1.mat"
    arrays = {name: values for name, values in scipy.io.loadmat(path).items() if not name.startswith("_")}
    del arrays["reliability_basic"]
    scipy.io.savemat(path, arrays)


def renamed(folder):
    path = folder / "Processed/Processed_ses02_240101_M2_1.mat"
    path.rename(path.with_name("Processed_ses02_copy.mat"))


def web_page(folder):
    (folder / "Processed/Processed_ses02_240101_M2_1.mat").write_text(PAGE)


def web_page_of_areas(folder):
    (folder / "others/exclude_area.xls").write_text(PAGE)


def cut(folder):
    path = folder / "Processed/Processed_ses01_240101_M1_1.mat"
    path.write_bytes(path.read_bytes()[:5000])


def other_xls(folder):
    (folder / "others/exclude_area.xls").write_text("SesIdx,y1,y2\n1,2,3\n")


def words_for_depths(folder):
    write_areas(folder / "others/exclude_area.xls", [(1, "top", 5, "MF1", "IT"), *AREA_ROWS[1:]])


def no_sessions(folder):
    shutil.rmtree(folder / "Processed")


def missing_image(folder):
    linked = folder / "others/StimuliNNN"
    names = [f"{number:04d}.bmp" for number in range(1, 1001) if number != 7]
    linked.unlink()
    touch_images(linked, names)


BAD = [
    (absent_session, "exclude_area.xls has no row of session 2, so its units have no region"),
    (no_area_has_units, "no unit in .* has a region and a reliability_basic above 0.4"),
    (hdf5_instead, r"is HDF5 \(MATLAB's version 7.3\), and the authors' is a MAT file of version 7 or older"),
    (turned, r"response_basic in .* has the shape \(1072, 8\)"),
    (scenes_alone, r"response_basic in .* has the shape \(8, 1000\)"),
    (without_basic, "has no 'reliability_basic', so it is cut, or not the authors' file"),
    (renamed, "is not named Processed_ses<number>"),
    (web_page, "ses02_240101_M2_1.mat is a web page and no data"),
    (web_page_of_areas, "exclude_area.xls is a web page and no data"),
    (cut, "has no 'response_basic', so it is cut, or not the authors' file"),
    (other_xls, r"is no table of Excel \(.xls\)"),
    (words_for_depths, "has no number as SesIdx, y1 or y2 of a row"),
    (no_sessions, r"holds no Processed_ses\*.mat"),
    (missing_image, r"1 of 1,000 images is not in .*StimuliNNN \(first: 0007.bmp\)"),
]


@pytest.mark.parametrize(("spoil", "told"), BAD, ids=[spoil.__name__ for spoil, _ in BAD])
def test_what_is_wrong_is_said_in_a_sentence(copied, spoil, told):
    spoil(copied)
    with pytest.raises(ValueError, match=told) as raised:
        triple_n.read(copied, None)
    assert "\n" not in str(raised.value)
