"""Tables with a column for each rater."""

import numpy as np
import pytest

from layerwise.data.ratings import read_raters, read_ratings

N_IMAGES, RATERS = 9, ("anna", "ben", "cem", "dora")


@pytest.fixture
def raters(rng):
    values = rng.uniform(0, 1, (len(RATERS), N_IMAGES)).round(6)
    values[1, 3] = values[2, 0] = np.nan
    return values


@pytest.fixture
def write(tmp_path):
    (tmp_path / "images").mkdir()
    for index in range(N_IMAGES):
        (tmp_path / "images" / f"{index}.png").touch()

    def table(values, **cells):
        lines = [",".join(["image", *RATERS])]
        for index in range(N_IMAGES):
            row = ["" if np.isnan(value) else str(value) for value in values[:, index]]
            lines.append(",".join([f"{index}.png", *row]))
        for line, text in cells.items():
            lines[int(line[1:])] = text
        path = tmp_path / "scores.csv"
        path.write_text("\n".join(lines) + "\n")
        return path

    return table


def test_a_score_is_the_mean_over_the_raters_who_saw_the_image(write, raters, tmp_path):
    path = write(raters)
    ratings, _ = read_ratings(path, tmp_path / "images", rater_columns=RATERS)
    np.testing.assert_allclose(ratings.scores[0], np.nanmean(raters, axis=0), rtol=0, atol=1e-15)
    np.testing.assert_array_equal(read_raters(path, RATERS), raters)
    some, _ = read_ratings(path, tmp_path / "images", rater_columns=("dora", "anna"))
    np.testing.assert_allclose(some.scores[0], raters[[0, 3]].mean(axis=0), rtol=0, atol=1e-15)


def test_it_is_said_how_many_rows_were_read(write, raters, tmp_path, caplog):
    caplog.set_level("INFO")
    read_ratings(write(raters), tmp_path / "images", rater_columns=RATERS)
    read, scored = caplog.messages
    assert read.endswith("scores.csv: 9 rows of 4 raters")
    assert scored.endswith("scores.csv: 9 rows, each an image and its score")


def test_an_image_that_no_rater_saw_is_named(write, raters, tmp_path):
    raters[:, 5] = np.nan
    with pytest.raises(ValueError, match=r"line 7: the score '' is missing"):
        read_ratings(write(raters), tmp_path / "images", rater_columns=RATERS)


def test_cells_that_are_no_numbers_are_named_with_line_and_column(write, raters):
    path = write(raters, l2="1.png,0.5,yes,0.1,0.2", l4='3.png,0.5,0.1,0.1,"0,2"')
    with pytest.raises(ValueError, match=r"2 problems(.|\n)*line 3, column 'ben': 'yes'") as caught:
        read_raters(path, RATERS)
    assert "line 5, column 'dora': '0,2' is not a finite number" in str(caught.value)


def test_columns_that_do_not_do_are_refused(write, raters, tmp_path):
    path = write(raters)
    with pytest.raises(ValueError, match="no column 'dorra': did you mean 'dora'"):
        read_raters(path, ("anna", "dorra"))
    for columns in (("anna",), ("anna", "anna")):
        with pytest.raises(ValueError, match="name two or more, each once"):
            read_raters(path, columns)
    with pytest.raises(ValueError, match="give either the column of scores"):
        read_ratings(path, tmp_path / "images", score_column="anna", rater_columns=RATERS)
