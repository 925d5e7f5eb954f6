"""Tables of scores and LaMem's split files, against plain loops, and every kind of bad row."""

import csv
import logging
import shutil
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr
from sklearn.model_selection import KFold

from layerwise.data.ratings import check_defined, read_lamem, read_ratings
from layerwise.interfaces import DegenerateWarning, Ratings, Split


def make_folder(folder: Path, names) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def write(path: Path, header: str, *rows: str) -> Path:
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def small(tmp_path) -> Path:
    return make_folder(tmp_path / "images", [f"{letter}.png" for letter in "abcd"])


def plain(path: Path, *rows: str) -> Path:
    return write(path / "scores.csv", "image,score", *rows)


GOOD = ("a.png,.1", "b.png,.2", "c.png,.3", "d.png,.4")


def test_scores_follow_the_sorted_ids(tmp_path, rng):
    names = [f"image{index:02d}.jpg" for index in range(12)]
    scores = {name: float(value) for name, value in zip(names, rng.random(12), strict=True)}
    rows = [f"{name},{scores[name]}" for name in rng.permutation(names)]
    folder = make_folder(tmp_path / "images", [*names, "notes.txt", ".hidden.jpg"])
    ratings, stimuli = read_ratings(write(tmp_path / "s.csv", "image,score", *rows), folder)
    assert ratings.stimuli == stimuli.ids == tuple(names)
    assert stimuli.paths == tuple(folder / name for name in names)
    assert stimuli.name == "images"
    np.testing.assert_array_equal(ratings.scores, np.tile([scores[name] for name in names], (5, 1)))


@settings(max_examples=20, deadline=None)
@given(n_images=st.integers(2, 15), data=st.data(), seed=st.integers(0, 1000))
def test_folds_test_each_image_once(tmp_path_factory, n_images, data, seed):
    n_folds = data.draw(st.integers(2, n_images))
    folder = tmp_path_factory.mktemp("folds")
    names = [f"{index:02d}.png" for index in range(n_images)]
    make_folder(folder / "images", names)
    path = plain(folder, *(f"{name},{index}" for index, name in enumerate(names)))
    ratings, _ = read_ratings(path, folder / "images", n_folds=n_folds, seed=seed)
    assert len(ratings.splits) == n_folds
    theirs = KFold(n_folds, shuffle=True, random_state=seed).split(names)
    for split, (train, test) in zip(ratings.splits, theirs, strict=True):
        np.testing.assert_array_equal(split.train, np.sort(train))
        np.testing.assert_array_equal(split.test, np.sort(test))
    tested = np.concatenate([split.test for split in ratings.splits])
    assert sorted(tested) == list(range(n_images))


def test_folds_of_the_table(tmp_path, small):
    path = write(tmp_path / "s.csv", "image,score,part", "c.png,3,x", "a.png,1,y", "b.png,2,x", "d.png,4,z")
    ratings, _ = read_ratings(path, small, fold_column="part")
    assert [split.test.tolist() for split in ratings.splits] == [[1, 2], [0], [3]]
    assert [split.train.tolist() for split in ratings.splits] == [[0, 3], [1, 2, 3], [0, 1, 2]]
    assert ratings.scores.tolist() == [[1, 2, 3, 4]] * 3


@pytest.mark.parametrize("image", ["image", "Filename", "FILE NAME", "file", "name", "stimulus"])
@pytest.mark.parametrize("score", ["score", "Memorability", "Hit Rate", "hit_rate", "rating"])
def test_usual_names_are_found(tmp_path, small, image, score):
    rows = [f"{index},{row}" for index, row in enumerate(GOOD)]
    ratings, _ = read_ratings(write(tmp_path / "s.csv", f"index,{image},{score}", *rows), small, n_folds=2)
    assert ratings.scores[0].tolist() == [0.1, 0.2, 0.3, 0.4]


def test_named_columns_are_taken(tmp_path, small):
    rows = [f"{row},{index}" for index, row in enumerate(GOOD)]
    path = write(tmp_path / "s.csv", "image,score,dprime", *rows)
    ratings, _ = read_ratings(path, small, score_column="dprime", n_folds=2)
    assert ratings.scores[0].tolist() == [0, 1, 2, 3]


def test_files_of_spreadsheets_are_read(tmp_path, small):
    text = "image,score\r\n" + "\r\n".join(f'"{row.split(",")[0]}", {row.split(",")[1]}' for row in GOOD) + "\r\n\r\n"
    (tmp_path / "s.csv").write_bytes(b"\xef\xbb\xbf" + text.encode())
    ratings, _ = read_ratings(tmp_path / "s.csv", small, n_folds=2)
    assert ratings.scores[0].tolist() == [0.1, 0.2, 0.3, 0.4]


def test_images_in_subfolders(tmp_path):
    folder = make_folder(tmp_path / "images", ["x/a.png", "y/a.png"])
    ratings, stimuli = read_ratings(plain(tmp_path, "./y/a.png,2", "x/a.png,1"), folder, n_folds=2)
    assert stimuli.ids == ("x/a.png", "y/a.png")
    assert ratings.scores[0].tolist() == [1, 2]


@pytest.mark.parametrize("forms", [("NFC", "NFD"), ("NFD", "NFC")])
def test_accents_may_be_written_in_another_way_than_on_the_disk(tmp_path, forms):
    table, disk = (unicodedata.normalize(form, "caf\u00e9.png") for form in forms)
    folder = make_folder(tmp_path / "images", [disk, "b.png"])
    ratings, stimuli = read_ratings(plain(tmp_path, f"{table},1", "b.png,2"), folder, n_folds=2)
    assert ratings.stimuli == ("b.png", table)
    assert stimuli.paths == (folder / "b.png", folder / disk)
    message = refuse(plain(tmp_path, f"{table},1", f"{disk},1", "b.png,2"), folder, "2 problems with", n_folds=2)
    assert message.count("is named more than once") == 2


def test_images_in_linked_folders_and_of_any_ending(tmp_path):
    elsewhere = make_folder(tmp_path / "elsewhere", ["a.png", "b.jfif"])
    folder = make_folder(tmp_path / "images", ["c", "notes.txt"])
    (folder / "linked").symlink_to(elsewhere, target_is_directory=True)
    path = plain(tmp_path, "linked/a.png,1", "linked/b.jfif,2", "c,3")
    ratings, stimuli = read_ratings(path, folder, n_folds=2)
    assert ratings.stimuli == ("c", "linked/a.png", "linked/b.jfif")
    assert all(image.is_file() for image in stimuli.paths)
    assert "linked/a.png: has no score" in refuse(plain(tmp_path, "c,3"), folder, "1 problem with")


@pytest.mark.parametrize("name", ["../other.png", "images/../a.png"])
def test_names_that_lead_out_of_the_folder_are_refused(tmp_path, small, name):
    (tmp_path / "other.png").touch()
    assert "is not in" in refuse(plain(tmp_path, *GOOD, f"{name},1"), small, "1 problem with")


def ratings_of(scores, n_tested) -> Ratings:
    n = scores.shape[1]
    splits = [Split(np.arange(tested, n), np.arange(tested)) for tested in n_tested]
    return Ratings(tuple(map(str, range(n))), scores, splits)


def test_splits_without_a_rank_correlation_are_told(rng):
    scores = rng.random((2, 9))
    check_defined(ratings_of(scores, [3, 5]), "mine")
    with pytest.warns(DegenerateWarning, match=r"1 of 2 splits of mine tests fewer than 3 images.*NaN"):
        check_defined(ratings_of(scores, [2, 5]), "mine")
    with pytest.raises(ValueError, match=r"2 of 2 splits of mine .*fewer `folds`"):
        check_defined(ratings_of(scores, [1, 2]), "mine")
    with pytest.raises(ValueError, match="scores that differ"):
        check_defined(ratings_of(np.full((2, 9), 0.5), [3, 5]), "mine")


@pytest.mark.filterwarnings("ignore:An input array is constant")
def test_such_splits_are_those_of_which_scipy_has_no_rank_correlation(rng):
    """Fewer than three images always have a rho of 1, -1 or NaN, which says nothing."""
    for scores in (np.full(5, 0.5), rng.random(1)):
        rho = spearmanr(rng.random(len(scores)), scores).statistic if len(scores) > 1 else np.nan
        assert np.isnan(rho)
        with pytest.raises(ValueError, match="rank correlation"):
            check_defined(ratings_of(np.append(scores, rng.random(3))[None], [len(scores)]), "mine")


def refuse(path: Path, folder: Path, match: str, **options) -> str:
    with pytest.raises(ValueError, match=match) as caught:
        read_ratings(path, folder, **options)
    return str(caught.value)


@pytest.mark.parametrize("score", ["", "nan", "NaN", "NA", "None", "  "])
def test_missing_scores_are_named(tmp_path, small, score):
    message = refuse(plain(tmp_path, *GOOD[:2], f"c.png,{score}", GOOD[3]), small, "1 problem with")
    assert "line 4: the score" in message
    assert "is missing" in message


@pytest.mark.parametrize("score", ["high", "92.86%", "inf", "-Infinity", "1;2", "0.5 0.6"])
def test_scores_that_are_no_numbers_are_named(tmp_path, small, score):
    message = refuse(plain(tmp_path, f"a.png,{score}", *GOOD[1:]), small, "1 problem with")
    assert f"line 2: the score {score!r} is not a finite number" in message


def test_duplicate_ids_are_named_with_their_lines(tmp_path, small):
    message = refuse(plain(tmp_path, *GOOD, "", "b.png,.9"), small, "2 problems with")
    assert "line 3: the image 'b.png' is named more than once" in message
    assert "line 7: the image 'b.png' is named more than once" in message


def test_scores_without_image_are_named(tmp_path, small):
    message = refuse(plain(tmp_path, *GOOD, "b,.9", ",.3"), small, "2 problems with")
    assert f"line 6: the image 'b' is not in {small}, which holds names like 'a.png'" in message
    assert "line 7: the image '' is empty" in message


def test_images_without_score_are_named_or_ignored(tmp_path, small, caplog):
    path = plain(tmp_path, *GOOD[:3])
    message = refuse(path, small, "1 problem with")
    assert f"{small / 'd.png'}: has no score" in message
    assert "unscored_images: ignore" in message
    with caplog.at_level(logging.INFO):
        ratings, _ = read_ratings(path, small, unscored_images="ignore", n_folds=2)
    assert ratings.stimuli == ("a.png", "b.png", "c.png")
    assert "1 image has no score" in caplog.text


def test_ten_problems_are_shown_and_all_are_counted(tmp_path):
    names = [f"{index:03d}.png" for index in range(40)]
    folder = make_folder(tmp_path / "images", names)
    message = refuse(plain(tmp_path, *(f"{name},x" for name in names)), folder, "40 problems with")
    assert len(message.splitlines()) == 12
    assert "... and 30 more" in message


def test_unclear_columns_are_named(tmp_path, small):
    path = write(tmp_path / "s.csv", "image,filename,score", *(f"{row[:5]},{row}" for row in GOOD))
    refuse(path, small, r"columns image, filename all could be the images: name one with `image_column`")
    path = write(tmp_path / "s.csv", "image,dprime", *GOOD)
    refuse(path, small, r"none of the columns image, dprime could be the scores: .*`score_column`")
    path = write(tmp_path / "s.csv", "image;score", *(row.replace(",", ";") for row in GOOD))
    refuse(path, small, "are parted by semicolons: export it with commas")
    refuse(plain(tmp_path, *GOOD), small, "no column 'scores': did you mean 'score'", score_column="scores")
    refuse(plain(tmp_path, *GOOD), small, "no column 'fold': there are: image, score", fold_column="fold")


def test_tables_that_are_none_are_refused(tmp_path, small):
    refuse(tmp_path / "absent.csv", small, "no table of scores")
    (tmp_path / "s.csv").write_bytes(b"")
    refuse(tmp_path / "s.csv", small, "s.csv is empty: download or export it again")
    (tmp_path / "s.csv").write_text("<!DOCTYPE html>\n<html><body>image,score</body></html>")
    refuse(tmp_path / "s.csv", small, "s.csv is a web page and no table")
    (tmp_path / "s.csv").write_bytes(b"image,score\n\xff\xfe,1\n")
    refuse(tmp_path / "s.csv", small, "not a CSV")
    refuse(plain(tmp_path), small, "has no rows")
    refuse(plain(tmp_path, *GOOD[:3], "d.png,.4,5,6"), small, "not a CSV")
    refuse(plain(tmp_path, *(f"{row},9" for row in GOOD)), small, "more fields than")
    refuse(plain(tmp_path, *GOOD), tmp_path / "absent", "no folder of images")


def test_rows_that_are_too_short_are_named(tmp_path, small):
    assert "line 3: the score" in refuse(plain(tmp_path, GOOD[0], "b.png", *GOOD[2:]), small, "is missing")


@pytest.mark.parametrize("n_folds", [0, 1, 5])
def test_impossible_folds_are_refused(tmp_path, small, n_folds):
    refuse(
        plain(tmp_path, *GOOD),
        small,
        f"the 4 images of {tmp_path}/scores.csv cannot make {n_folds} folds",
        n_folds=n_folds,
    )


def test_one_fold_and_empty_folds_are_refused(tmp_path, small):
    path = write(tmp_path / "s.csv", "image,score,fold", *(f"{row},1" for row in GOOD))
    refuse(path, small, "all images .* are in the fold '1'", fold_column="fold")
    path = write(tmp_path / "s.csv", "image,score,fold", *(f"{row},{row[0].strip('b')}" for row in GOOD))
    refuse(path, small, "line 3: the fold '' is empty", fold_column="fold")


def test_figrim(shared):
    folder = shared("data", "figrim60")
    ratings, stimuli = read_ratings(folder / "scores.csv", folder / "images")
    with (folder / "scores.csv").open(newline="") as file:
        expected = {row["file"]: float(row["hit_rate"]) for row in csv.DictReader(file)}
    assert len(stimuli.ids) == 60
    assert dict(zip(ratings.stimuli, ratings.scores[2].tolist(), strict=True)) == expected


# LaMem


LAMEM = {
    "train_1": "a.jpg 0.5\nb.jpg 0.75\n",
    "val_1": "c.jpg 1.000000\n",
    "test_1": "d.jpg 0.25\n",
    "train_2": "d.jpg 0.4\nc.jpg 0.6\n",
    "val_2": "a.jpg 0.9\n",
    "test_2": "e.jpg 0.1\n",
}


@pytest.fixture
def lamem(tmp_path) -> Path:
    make_folder(tmp_path / "images", [f"{letter}.jpg" for letter in "abcde"])
    (tmp_path / "splits").mkdir()
    for name, text in LAMEM.items():
        (tmp_path / "splits" / f"{name}.txt").write_text(text)
    return tmp_path


def test_lamem_scores_belong_to_split_and_image(lamem):
    ratings, stimuli = read_lamem(lamem / "splits", lamem / "images")
    assert stimuli.ids == ratings.stimuli == tuple(f"{letter}.jpg" for letter in "abcde")
    assert stimuli.paths[0] == lamem / "images" / "a.jpg"
    np.testing.assert_array_equal(ratings.scores, [[0.5, 0.75, 1, 0.25, np.nan], [0.9, np.nan, 0.6, 0.4, 0.1]])
    assert [split.train.tolist() for split in ratings.splits] == [[0, 1], [2, 3]]
    assert [split.test.tolist() for split in ratings.splits] == [[3], [4]]
    assert [split.validation.tolist() for split in ratings.splits] == [[2], [0]]


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("train_1", "a.jpg 0.5\nb.jpg\n", "train_1.txt, line 2 ('b.jpg'): is not an image and a score"),
        (
            "train_1",
            "a.jpg 0.5 7\nb.jpg 1\n",
            "train_1.txt, line 1 ('a.jpg 0.5 7'): is not an image and a score",
        ),
        ("val_2", "\na.jpg high\nb.jpg 1", "val_2.txt, line 2 ('a.jpg high'): the score is not a number"),
        ("val_2", "a.jpg 0\nb.jpg 1", "val_2.txt, line 1 ('a.jpg 0'): the score is not above 0"),
        ("val_2", "a.jpg 1.01\nb.jpg 1", "val_2.txt, line 1 ('a.jpg 1.01'): the score is not above 0"),
        ("val_2", "a.jpg nan\nb.jpg 1", "val_2.txt, line 1 ('a.jpg nan'): the score is not above 0"),
        ("test_2", "e.jpg 0.1\ne.jpg 0.1\n", "test_2.txt, line 2 ('e.jpg 0.1'): the image is named twice"),
        ("test_2", "", "test_2.txt is empty: download or export it again"),
        ("test_2", "d.jpg 0.1\n", "split 2: 1 image is both in train and in test, such as d.jpg"),
        ("val_1", "b.jpg 0.1\n", "split 1: 1 image is both in train and in val, such as b.jpg"),
        ("val_1", "d.jpg 0.1\n", "split 1: 1 image is both in val and in test, such as d.jpg"),
        ("test_2", ".//d.jpg 0.1\n", "split 2: 1 image is both in train and in test, such as d.jpg"),
        ("test_2", "e.jpg 0.1\n./e.jpg 0.1\n", "test_2.txt, line 2 ('./e.jpg 0.1'): the image is named twice"),
    ],
)
def test_lamem_problems_are_named(lamem, name, text, expected):
    (lamem / "splits" / f"{name}.txt").write_text(text)
    with pytest.raises(ValueError, match="1 problem in the split files") as caught:
        read_lamem(lamem / "splits", lamem / "images")
    assert expected in str(caught.value)


def test_lamem_missing_files_are_named(lamem):
    (lamem / "splits" / "val_1.txt").unlink()
    with pytest.raises(ValueError, match=r"1 split file is missing(.|\n)*val_1\.txt"):
        read_lamem(lamem / "splits", lamem / "images")
    with pytest.raises(ValueError, match="no split files in"):
        read_lamem(lamem / "images", lamem / "images")


def test_lamem_split_files_may_start_with_a_mark_and_images_lie_in_subfolders(lamem):
    expected = read_lamem(lamem / "splits", lamem / "images")
    for path in (lamem / "splits").glob("*.txt"):
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    found = read_lamem(lamem / "splits", lamem / "images")
    assert found[1] == expected[1]
    np.testing.assert_array_equal(found[0].scores, expected[0].scores)
    (lamem / "other").mkdir()
    for path in (lamem / "images").iterdir():
        path.rename(lamem / "other" / path.name)
    (lamem / "images" / "deep").symlink_to(lamem / "other", target_is_directory=True)
    for path in (lamem / "splits").glob("*.txt"):
        lines = path.read_text(encoding="utf-8-sig").splitlines()
        path.write_text("".join(f"deep/{line}\n" for line in lines if line.strip()))
    ratings, stimuli = read_lamem(lamem / "splits", lamem / "images")
    np.testing.assert_array_equal(ratings.scores, expected[0].scores)
    assert stimuli.ids == tuple(f"deep/{image}" for image in expected[1].ids)
    assert all(path.is_file() for path in stimuli.paths)


def test_lamem_one_image_of_two_names_is_refused(lamem):
    composed, apart = (unicodedata.normalize(form, "\u00e9.jpg") for form in ("NFC", "NFD"))
    (lamem / "images/a.jpg").rename(lamem / "images" / composed)
    for path in (lamem / "splits").glob("*.txt"):
        name = apart if path.name == "test_2.txt" else composed
        path.write_text(path.read_text().replace("a.jpg", name))
    path = lamem / "splits/test_2.txt"
    path.write_text(path.read_text() + f"{apart} 0.5\n")
    with pytest.raises(ValueError, match=r"names the image .* as .* and as .*: write it one way") as caught:
        read_lamem(lamem / "splits", lamem / "images")
    assert composed in str(caught.value) and apart in str(caught.value) and "\n" not in str(caught.value)


def test_lamem_missing_images_are_named(lamem):
    (lamem / "images" / "c.jpg").unlink()
    with pytest.raises(ValueError, match=rf"1 of 5 images that {lamem}/splits names is not in .*images(.|\n)*c\.jpg"):
        read_lamem(lamem / "splits", lamem / "images")
    shutil.rmtree(lamem / "images")
    with pytest.raises(ValueError, match="5 of 5 images"):
        read_lamem(lamem / "splits", lamem / "images")
    assert len(read_lamem(lamem / "splits", lamem / "images", check_images=False)[1].ids) == 5


def test_lamem_official_splits(shared):
    folder = shared("data", "lamem", "splits")
    ratings, stimuli = read_lamem(folder, folder, check_images=False)
    assert ratings.scores.shape == (5, 58_741)
    assert not np.isnan(ratings.scores).any()
    assert len(stimuli.ids) == 58_741
    for number, (scores, split) in enumerate(zip(ratings.scores, ratings.splits, strict=True), 1):
        assert (len(split.train), len(split.validation), len(split.test)) == (45_000, 3_741, 10_000)
        assert all(np.all(np.diff(places) > 0) for places in (split.train, split.validation, split.test))
        together = np.concatenate([split.train, split.validation, split.test])
        np.testing.assert_array_equal(np.sort(together), np.arange(58_741))
        for part, places in [("train", split.train), ("val", split.validation), ("test", split.test)]:
            lines = (line.split() for line in (folder / f"{part}_{number}.txt").read_text().splitlines())
            expected = {image: float(score) for image, score in lines}
            assert {stimuli.ids[place]: scores[place] for place in places} == expected
