"""TVSD: files of the same format, each trap of it, and what is refused."""

import shutil

import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.io
from public_data import (
    PAGE,
    REPETITIONS,
    TEST,
    TRAIN,
    concept,
    draw_monkey,
    write_lists,
    write_memorability,
    write_monkey,
    write_tvsd,
)

from layerwise.data.ratings import read_ratings
from layerwise.data.recipes import tvsd
from layerwise.data.recipes.recipe import write_made
from layerwise.data.recordings import list_regions, read_recordings, read_visual_degrees, stimuli_of

SPANS = {
    "F": {"V1": (0, 511), "V4": (832, 1023), "IT": (512, 831)},
    "N": {"V1": (0, 511), "V4": (512, 767), "IT": (768, 1023)},
}


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tvsd")
    monkeys = write_tvsd(folder, np.random.default_rng(1))
    write_memorability(folder / "THINGS_Memorability_Scores.csv", empty=["bat1_02s.jpg"])
    return folder, monkeys


@pytest.fixture
def copied(published, tmp_path):
    shutil.copytree(published[0], tmp_path / "own")
    return tmp_path / "own"


def good_sites(monkeys):
    """A naive loop over electrodes: monkey, region, place in the array."""
    for name, regions in SPANS.items():
        for region, (first, last) in regions.items():
            for electrode in range(first, last + 1):
                values = monkeys[name]["reliab"][:, electrode]
                if not np.isnan(values).all() and np.nanmean(values) > 0.3:
                    yield name, region, electrode


def test_train_and_test_are_in_one_file(published, tmp_path):
    folder, monkeys = published
    write_made(tvsd.ALL, tvsd.read_all(folder, None), tmp_path / "tvsd.nc")
    found = read_recordings(tmp_path / "tvsd.nc")
    assert found.stimuli == tuple(sorted(name[:-4] for name in (*TRAIN, *TEST)))
    assert found.columns["object_name"].tolist() == [concept(name) for name in found.stimuli]
    assert found.columns["set"].tolist() == ["test" if f"{name}.jpg" in TEST else "train" for name in found.stimuli]
    sites = list(good_sites(monkeys))
    assert len(found.neuroids) == len(sites)
    for column, (name, region, electrode) in enumerate(sites):
        assert (found.animals[column], found.regions[column]) == (name, region)
        assert found.neuroids[column] == f"{name}-{electrode + 1:04d}"
        train = monkeys[name]["train_MUA"][:, electrode]
        test = monkeys[name]["test_MUA"][:, electrode]
        expected = dict(zip([*TRAIN, *TEST], [*train, *test], strict=True))
        values = [expected[f"{stimulus}.jpg"] for stimulus in found.stimuli]
        np.testing.assert_allclose(found.responses[0, :, column], values, rtol=1e-6, atol=1e-6)
    assert not any(320 <= electrode < 384 for name, _, electrode in sites if name == "N")
    assert list_regions(tmp_path / "tvsd.nc") == ("V1", "V4", "IT")
    assert read_visual_degrees(tmp_path / "tvsd.nc") == 18
    images = stimuli_of(tmp_path / "tvsd.nc")
    assert dict(zip(images.ids, images.paths, strict=True))["air_conditioner_02s"].parent.name == "air_conditioner"


def test_repetitions_keep_their_order(published, tmp_path):
    folder, monkeys = published
    write_made(tvsd.TEST, tvsd.read_test(folder, None), tmp_path / "test.nc")
    found = read_recordings(tmp_path / "test.nc")
    assert found.responses.shape[:2] == (REPETITIONS, len(TEST))
    for column, (name, _, electrode) in enumerate(good_sites(monkeys)):
        for place, stimulus in enumerate(found.stimuli):
            shown = monkeys[name]["test_MUA_reps"][:, TEST.index(f"{stimulus}.jpg"), electrode]
            np.testing.assert_allclose(found.responses[:, place, column], shown, rtol=1e-6)


def test_counts_stand_beside_the_published_ones(published):
    made = tvsd.read_all(published[0], None)
    facts = {fact.what: fact for fact in made.facts}
    sites = list(good_sites(published[1]))
    for name, regions in SPANS.items():
        for region in regions:
            fact = facts[f"monkey {name}, {region}: reliable electrodes"]
            assert int(fact.found) == sum(site[:2] == (name, region) for site in sites)
            assert fact.differs
    assert facts["monkey N, V4: reliable electrodes"].published == "198"
    assert facts["reliable electrodes"].published == "1,355"
    first = facts["monkey N, aardvark_01b, electrode 2"]
    assert (first.found, first.published, first.differs) == ("-0.363297", "-0.363297", False)
    moments = published[1]["F"]["train_MUA"]
    assert facts["monkey F, mean of train_MUA"].found == f"{moments.mean():.3f}"
    assert facts["monkey F, standard deviation of train_MUA"].found == f"{moments.std():.3f}"
    assert facts["monkey F, minimum of train_MUA"].found == f"{moments.min():.2f}"
    row = published[1]["N"]["train_MUA"][0]
    assert facts["monkey N, aardvark_01b, mean of V4"].found == f"{row[512:768].mean():.6f}"


def test_one_monkey_alone_is_read_and_said(copied):
    shutil.rmtree(copied / "monkeyN")
    made = tvsd.read_test(copied, None)
    assert set(made.recordings.animals) == {"F"}
    assert "there is no folder monkeyN: it is left out" in made.notes


def test_scores_of_the_same_images(published, tmp_path):
    made = tvsd.MEMORABILITY.make(published[0], None)
    write_made(tvsd.MEMORABILITY, made, tmp_path / "scores.csv")
    table = pd.read_csv(tmp_path / "scores.csv")
    assert sorted(table["image"]) == sorted(
        f"{concept(name)}/{name}" for name in (*TRAIN, *TEST) if name != "bat1_02s.jpg"
    )
    assert table.set_index("image")["memorability"]["aardvark/aardvark_01b.jpg"] == 0.825
    assert set(table["recipe"]) == {"tvsd-memorability"}
    facts = {fact.what: fact for fact in made.facts}
    assert facts["images with a score"].found == str(len(TRAIN) + len(TEST) - 1)
    assert facts["images with a score"].published == "22,347"
    assert (facts["images whose cr is empty"].found, facts["images whose cr is empty"].differs) == ("1", False)
    assert not facts["cr of aardvark_01b.jpg"].differs
    ratings, _ = read_ratings(
        tmp_path / "scores.csv", published[0] / "object_images", unscored_images="ignore", n_folds=2
    )
    assert len(ratings.stimuli) == len(table)


def test_the_two_recipes_name_the_same_images(published):
    recorded, scored = tvsd.read_all(published[0], None), tvsd.MEMORABILITY.make(published[0], None)
    shown = {path.relative_to(published[0] / "object_images").as_posix() for path in recorded.images.paths}
    assert shown - set(scored.table["image"]) == {"bat1/bat1_02s.jpg"}


def swap_monkeys(folder):
    f, n = (folder / f"monkey{name}/THINGS_normMUA.mat" for name in "FN")
    other = f.with_name("other")
    f.rename(other)
    n.rename(f)
    other.rename(n)


def same_twice(folder):
    with h5py.File(folder / "monkeyN/THINGS_normMUA.mat", "r+") as file:
        file["train_MUA"][0, :3] = 0
    shutil.copy(folder / "monkeyN/THINGS_normMUA.mat", folder / "monkeyF/THINGS_normMUA.mat")


def published_counts_of_f(folder):
    """As if N's folder held F's whole file: its counts are those that were published."""
    arrays = draw_monkey(np.random.default_rng(3), dead=())
    reliable = np.zeros(1024, bool)
    for low, count in ((0, 332), (832, 117), (512, 157)):
        reliable[low : low + count] = True
    good = np.resize(np.arange(float(len(TEST))), arrays["test_MUA_reps"].shape[:2])[..., None]
    arrays["test_MUA_reps"] = np.where(reliable, good, arrays["test_MUA_reps"])
    arrays["reliab"] = np.where(reliable, 1.0, np.full_like(arrays["reliab"], -0.1))
    (folder / "monkeyN/THINGS_normMUA.mat").unlink()
    write_monkey(folder / "monkeyN/THINGS_normMUA.mat", arrays)


def unequal_lists(folder):
    names = list(TRAIN)
    names[1], names[2] = names[2], names[1]
    write_lists(folder / "monkeyN/_logs/things_imgs.mat", names)


def swapped_lists(folder):
    for name in "FN":
        write_lists(folder / f"monkey{name}/_logs/things_imgs.mat", TEST, TRAIN, ("THINGS_test", "THINGS_train"))


def longer_list(folder):
    for name in "FN":
        write_lists(folder / f"monkey{name}/_logs/things_imgs.mat", (*TRAIN, "bat1_05s.jpg"))


def old_mat(folder):
    scipy.io.savemat(folder / "monkeyF/THINGS_normMUA.mat", {"train_MUA": np.zeros((1024, 12))})


def turned(folder):
    """The axes in MATLAB's order."""
    with h5py.File(folder / "monkeyF/THINGS_normMUA.mat", "r+") as file:
        values = file["train_MUA"][()].T
        del file["train_MUA"]
        file["train_MUA"] = values


def other_reliabilities(folder):
    with h5py.File(folder / "monkeyF/THINGS_normMUA.mat", "r+") as file:
        file["reliab"][()] = np.roll(file["reliab"][()], 7, axis=1)


def web_page(folder):
    (folder / "monkeyF/THINGS_normMUA.mat").write_text(PAGE)


def annexed(folder):
    (folder / "monkeyF/THINGS_normMUA.mat").write_text("/annex/objects/MD5E-s194000000--0123.mat\n")


def link_to_nowhere(folder):
    path = folder / "monkeyF/THINGS_normMUA.mat"
    path.unlink()
    path.symlink_to("../.git/annex/objects/xx/THINGS_normMUA.mat")


def cut(folder):
    path = folder / "monkeyF/THINGS_normMUA.mat"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def no_array(folder):
    with h5py.File(folder / "monkeyF/THINGS_normMUA.mat", "r+") as file:
        del file["reliab"]


BAD = [
    (swap_monkeys, r"monkeyF/THINGS_normMUA.mat holds the responses of monkey N: lay that file in monkeyN"),
    (same_twice, "monkeyF and monkeyN hold the same responses"),
    (published_counts_of_f, "monkeyN/THINGS_normMUA.mat holds the responses of monkey F"),
    (unequal_lists, "the lists of images of the two monkeys in .* differ"),
    (swapped_lists, "row 1 of train_imgs in .* was shown as .*THINGS_test/00001.bmp: the lists were swapped"),
    (longer_list, r"'train_MUA' in .* has the shape \(12, 1024\) and not \(13, 1024\)"),
    (old_mat, "is a MAT file of version 7 or older, and the authors' is HDF5"),
    (turned, r"'train_MUA' in .* has the shape \(1024, 12\) and not \(12, 1024\)"),
    (other_reliabilities, "the reliabilities in .* are not those of its repetitions"),
    (web_page, "is a web page and no data"),
    (annexed, "is a pointer to the data: get its content"),
    (link_to_nowhere, "is a link to what is not here"),
    (cut, "THINGS_normMUA.mat is (damaged|of another kind)"),
    (no_array, "has no 'reliab', so it is not the authors' file"),
]


@pytest.mark.parametrize(("spoil", "told"), BAD, ids=[spoil.__name__ for spoil, _ in BAD])
def test_what_is_wrong_is_said_in_a_sentence(copied, spoil, told):
    spoil(copied)
    with pytest.raises(ValueError, match=told) as raised:
        tvsd.read_all(copied, None)
    assert "\n" not in str(raised.value)


def test_missing_images_are_counted(copied):
    (copied / "object_images/bat1/bat1_03s.jpg").rename(copied / "object_images/bat1/Bat1_03s.jpg")  # no case is folded
    with pytest.raises(ValueError, match=r"1 of 16 images is not in .*object_images \(first: bat1/bat1_03s.jpg\)"):
        tvsd.read_all(copied, None)
    shutil.move(copied / "object_images", copied / "elsewhere")
    with pytest.raises(ValueError, match=r"no folder of images .*object_images: unpack them there, or name"):
        tvsd.read_all(copied, None)
    (copied / "elsewhere/bat1/Bat1_03s.jpg").rename(copied / "elsewhere/bat1/bat1_03s.jpg")
    assert len(tvsd.read_all(copied, copied / "elsewhere").images.ids) == 16


def test_a_scored_image_that_is_absent_is_told(copied):
    (copied / "object_images/bat1/bat1_03s.jpg").unlink()
    with pytest.raises(ValueError, match=r"1 of 15 images is not in .*object_images \(first: bat1/bat1_03s.jpg\)"):
        tvsd.MEMORABILITY.make(copied, None)


def test_pairs_without_a_number_do_not_count(copied):
    before = tvsd.read_test(copied, None).recordings.neuroids
    with h5py.File(copied / "monkeyF/THINGS_normMUA.mat", "r+") as file:
        file["reliab"][0, 5] = np.nan
        left = file["reliab"][1:, 5].mean()
    after = tvsd.read_test(copied, None).recordings.neuroids
    assert ("F-0006" in after) == (left > 0.3)
    assert set(before) ^ set(after) <= {"F-0006"}


def scores_shifted(path):
    table = pd.read_csv(path)
    table.assign(image_name=np.roll(table["image_name"], 1)).to_csv(path, index=False)


def scores_empty(path):
    pd.read_csv(path).assign(cr="").to_csv(path, index=False)


def scores_of_others(path):
    table = pd.read_csv(path)
    table[table["image_name"].str.startswith("zucchini")].to_csv(path, index=False)


def scores_in_words(path):
    path.write_text(path.read_text().replace("0.825", "good"))


SCORES = [
    (lambda path: path.write_text(PAGE), "is a web page and no data"),
    (lambda path: path.write_text(""), "is empty: download it again"),
    (lambda path: pd.read_csv(path).drop(columns="cr").to_csv(path, index=False), "has no column 'cr'"),
    (scores_empty, "the column 'cr' of .* is empty"),
    (scores_shifted, "its columns were shifted"),
    (scores_of_others, "scores none of the images that are wanted"),
    (scores_in_words, "line 2 of .* has 'good' as 'cr', and no number"),
    (lambda path: path.unlink(), "THINGS_Memorability_Scores.csv is not there"),
]


@pytest.mark.parametrize(("spoil", "told"), SCORES)
def test_bad_scores_are_refused(copied, spoil, told):
    spoil(copied / "THINGS_Memorability_Scores.csv")
    with pytest.raises(ValueError, match=told):
        tvsd.MEMORABILITY.make(copied, None)
