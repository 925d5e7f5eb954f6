"""Tables with a row an image, as people have them."""

import numpy as np
import pandas as pd
import pytest

from layerwise.data.wide import find_image_column, find_score_column, numeric_columns, read_wide


@pytest.fixture
def folder(tmp_path):
    for name in ("a.png", "b.png", "c.png"):
        (tmp_path / name).touch()
    return tmp_path


def test_rows_of_one_image_are_its_repetitions(folder, rng):
    values = rng.random((6, 2))
    table = pd.DataFrame({"photo": list("bacabc"), "n1": values[:, 0], "n2": values[:, 1], "note": "x"})
    table["photo"] += ".png"
    table.to_csv(folder / "wide.csv", index=False)
    recordings, images = read_wide(folder / "wide.csv", folder, "V4")
    assert (recordings.stimuli, recordings.neuroids, recordings.regions) == (
        ("a.png", "b.png", "c.png"),
        ("n1", "n2"),
        ("V4", "V4"),
    )
    for place, name in enumerate(recordings.stimuli):  # plain pandas: the rows of each image, in their order
        np.testing.assert_array_equal(recordings.responses[:, place], table.loc[table["photo"] == name, ["n1", "n2"]])
    assert images.paths == tuple(folder / name for name in recordings.stimuli)
    table.assign(repetition=[1, 1, 1, 0, 0, 0]).to_csv(folder / "numbered.csv", index=False)
    numbered = read_wide(folder / "numbered.csv", folder, "V4")[0]
    np.testing.assert_array_equal(numbered.responses, recordings.responses[::-1])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("image,n\na.png,1\nz.png,2\n", r"1 image is named in .* and not in .*:\n  z\.png"),
        ("image,n\na.png,x\n", "no column of numbers beside 'image'"),
        ("one,two\na.png,a.png\n", "none of the columns one, two could be the images"),
        ("what,n\nq.png,1\n", "none of the columns what, n could be the images"),
    ],
)
def test_tables_that_do_not_fit_are_told(folder, text, told):
    (folder / "wide.csv").write_text(text)
    with pytest.raises(ValueError, match=told):
        read_wide(folder / "wide.csv", folder, "V4")


def test_columns_are_found_by_name_or_by_what_they_hold(folder):
    table = pd.DataFrame(
        {"what": ["a.png", "b.png"], "beauty": ["1", " 2.5"], "empty": ["", "nan"], "mixed": ["1", "x"]}
    )
    path = folder / "t.csv"
    assert find_image_column(table, folder, path) == "what"
    assert find_score_column(table, "what", path) == "beauty"
    assert numeric_columns(table) == ["beauty"]
    assert find_score_column(table.assign(score="1", other="2"), "what", path) == "score"
    with pytest.raises(ValueError, match=r"2 columns of numbers \(beauty, other\): say which is scored"):
        find_score_column(table.assign(other="2"), "what", path)
    assert find_score_column(table.assign(other="2"), "what", path, "other") == "other"
    with pytest.raises(ValueError, match="no column of numbers beside 'what'"):
        find_score_column(table[["what", "mixed"]], "what", path)
