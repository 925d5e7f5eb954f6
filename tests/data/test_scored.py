"""Scores in arrays: MATLAB's files of both kinds, as SciPy and HDF5 write them, and NumPy's give the same table."""

import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.io

from layerwise.data.scored import read_scored

NAMES = ["a.png", "long name.png", "\u00e9.png"]


def write_v73(path, scores):
    """As MATLAB lays it out: dimensions turned round, texts as columns of character codes that cells refer to."""
    with h5py.File(path, "w", userblock_size=512) as file:
        file.create_dataset("scores", data=np.asarray(scores, float).T).attrs["MATLAB_class"] = np.bytes_("double")
        texts = [
            file.create_dataset(f"#refs#/{place}", data=np.array([[ord(sign)] for sign in name], np.uint16))
            for place, name in enumerate(NAMES)
        ]
        for text in texts:
            text.attrs["MATLAB_class"] = np.bytes_("char")
        cells = file.create_dataset("files", data=np.array([[text.ref for text in texts]], h5py.ref_dtype))
        cells.attrs["MATLAB_class"] = np.bytes_("cell")


@pytest.fixture
def files(tmp_path, rng):
    scores = rng.random((3, 1))
    cells = np.array(NAMES, dtype=object)
    scipy.io.savemat(tmp_path / "v5.mat", {"scores": scores, "files": cells[:, None], "rows": np.array(NAMES)})
    scipy.io.savemat(tmp_path / "across.mat", {"scores": scores.T, "files": cells[None]})
    write_v73(tmp_path / "v73.mat", scores)
    np.save(tmp_path / "scores.npy", scores)
    (tmp_path / "names.txt").write_text("\n".join(NAMES) + "\n", encoding="utf-8")
    return tmp_path, pd.DataFrame({"image": NAMES, "score": scores[:, 0]})


@pytest.mark.parametrize(
    ("file", "names"), [("v5.mat", "files"), ("v5.mat", "rows"), ("across.mat", "files"), ("v73.mat", "files")]
)
def test_each_kind_of_file_gives_the_same_table(files, file, names):
    folder, expected = files
    pd.testing.assert_frame_equal(read_scored(folder / file, None, names, None), expected)
    pd.testing.assert_frame_equal(read_scored(folder / file, "scores", None, folder / "names.txt"), expected)


def test_an_array_of_numpy_has_its_names_in_a_file(files):
    folder, expected = files
    pd.testing.assert_frame_equal(read_scored(folder / "scores.npy", None, None, folder / "names.txt"), expected)


@pytest.mark.parametrize("kind", ["v5", "v73"])
def test_a_matrix_has_a_column_for_each_rater(tmp_path, rng, kind):
    raters = rng.random((3, 2))
    if kind == "v5":
        scipy.io.savemat(tmp_path / "r.mat", {"scores": raters, "files": np.array(NAMES, dtype=object)})
    else:
        write_v73(tmp_path / "r.mat", raters)
    expected = pd.DataFrame({"image": NAMES, "rater1": raters[:, 0], "rater2": raters[:, 1]})
    pd.testing.assert_frame_equal(read_scored(tmp_path / "r.mat", None, "files", None), expected)


def test_what_cannot_be_read_is_told(files):
    folder, _ = files
    (folder / "two.txt").write_text("a.png\nb.png\n")
    (folder / "page.mat").write_text("<html>" * 100)
    cases = [
        (("none.mat", None, "files", None), r"there is no .*none\.mat"),
        (("v5.mat", "scores", None, None), "give --names or --names-file"),
        (("v5.mat", "scores", "scores", None), "no cell array of texts 'scores'"),
        (("v73.mat", "scores", "none", None), "no cell array of texts 'none'"),
        (("v5.mat", "scors", "files", None), "no array 'scors': did you mean 'scores'"),
        (("v5.mat", None, None, "two.txt"), r"2 names of images, and 3 scores in .*v5\.mat"),
        (("scores.npy", None, "files", None), "names are read from .mat alone"),
        (("page.mat", "scores", "files", None), r"page\.mat is a web page and no array"),
        (("names.txt", None, None, "two.txt"), r"names\.txt is none: convert it"),
    ]
    for (file, array, names, beside), told in cases:
        with pytest.raises(ValueError, match=told):
            read_scored(folder / file, array, names, folder / beside if beside else None)
