"""Distances between stimuli, as people publish them: a CSV, and what may be wrong with it."""

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import pdist, squareform

from layerwise.data.rdms import list_rdm, read_rdm
from layerwise.data.recordings import (
    count_neuroids,
    count_stimuli,
    list_named_images,
    list_shown,
    read_recordings,
    read_visual_degrees,
    stimuli_of,
)

NAMES = [f"image{index}.png" for index in (3, 1, 2, 0, 4)]


@pytest.fixture
def matrix(rng):
    return squareform(pdist(rng.normal(size=(5, 7)), "correlation"))


def write(folder, matrix, rows=NAMES, columns=NAMES):
    path = folder / "it.csv"
    pd.DataFrame(matrix, index=rows, columns=columns).to_csv(path)
    return path


def test_distances_are_read_in_the_order_of_ids(tmp_path, matrix, rng):
    shuffled = rng.permutation(5)
    columns = [NAMES[place] for place in shuffled]
    found = read_rdm(write(tmp_path, matrix[:, shuffled], columns=columns))
    assert found.stimuli == tuple(sorted(NAMES))
    for one, first in enumerate(NAMES):
        for two, second in enumerate(NAMES):
            value = found.matrix[found.stimuli.index(first), found.stimuli.index(second)]
            assert value == pytest.approx(matrix[one, two], abs=1e-15)


def test_it_is_a_recording_to_whoever_plans(tmp_path, matrix):
    path = write(tmp_path, matrix)
    for name in NAMES:
        (tmp_path / name).write_bytes(b"x")
    images = stimuli_of(path, tmp_path, "rdm")
    assert images.ids == read_rdm(path).stimuli
    assert [image.name for image in images.paths] == list(images.ids)
    assert (count_stimuli(path), count_neuroids(path), list_named_images(path)) == (5, 1, set(NAMES))
    assert (read_visual_degrees(path), list_shown(path)) == (None, {(name, name) for name in NAMES})
    with pytest.raises(ValueError, match="holds distances between stimuli"):
        read_recordings(path)
    (tmp_path / NAMES[2]).unlink()
    with pytest.raises(ValueError, match=r"image2\.png"):
        stimuli_of(path, tmp_path)


def edited(matrix, *changes):
    matrix = matrix.copy()
    for row, column, value in changes:
        matrix[row, column] = value
    return matrix


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda m: edited(m, (1, 2, np.nan)), r"1 of 25 distances are missing.*first: 'image1.png' and 'image2.png'"),
        (lambda m: edited(m, (1, 2, np.inf)), "1 of 25 distances are missing, infinite"),
        (lambda m: edited(m, (1, 2, 5)), "is not symmetric: 1 pair of stimuli has two distances"),
        (lambda m: 1 - m, r"distances of stimuli from themselves that are not 0: if .* give 1 - r"),
        (lambda m: 1.0 - np.eye(5), r"all distances are the same \(1\)"),
        (lambda m: 0 * m, r"all distances are the same \(0\)"),
    ],
)
def test_what_is_no_rdm_is_refused_in_a_sentence(tmp_path, matrix, change, said):
    with pytest.raises(ValueError, match=said):
        read_rdm(write(tmp_path, change(matrix)))


def test_names_that_do_not_fit_are_refused(tmp_path, matrix):
    with pytest.raises(ValueError, match=r"'image0\.png' is in one of them alone"):
        list_rdm(write(tmp_path, matrix, columns=[*NAMES[:3], "other.png", NAMES[4]]))
    with pytest.raises(ValueError, match="1 stimulus has more than one row"):
        list_rdm(write(tmp_path, matrix, rows=[NAMES[1], *NAMES[1:]]))
    with pytest.raises(ValueError, match="between 3 stimuli: RSA needs 4 or more"):
        read_rdm(write(tmp_path, matrix[:3, :3], NAMES[:3], NAMES[:3]))
    with pytest.raises(ValueError, match="no table of distances"):
        read_rdm(tmp_path / "missing.csv")


def test_few_digits_are_no_asymmetry(tmp_path, matrix):
    written = np.round(matrix + 1e-8 * np.triu(np.ones((5, 5)), 1), 7)
    order = np.argsort(NAMES)
    np.testing.assert_allclose(read_rdm(write(tmp_path, written)).matrix, matrix[np.ix_(order, order)], atol=1e-6)
