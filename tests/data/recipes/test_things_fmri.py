"""THINGS-fMRI: files of the same format, each trap of it, and what is refused."""

import shutil
import tracemalloc

import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.io
from public_data import PAGE, TEST, TRAIN, concept, touch_things, write_blocks, write_memorability, write_person

from layerwise.data.recipes import files, things_fmri
from layerwise.data.recipes.recipe import write_made
from layerwise.data.recordings import read_recordings

OF_REGION = {"V1": "V1", "V2": "V2", "V4": "hV4", "IT": "glasser-FFC"}  # the others are empty here


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    folder, rng = tmp_path_factory.mktemp("fmri"), np.random.default_rng(2)
    people = {name: write_person(folder, name, rng) for name in ("01", "02", "03")}
    touch_things(folder)
    write_memorability(folder / "THINGS_Memorability_Scores.csv", empty=["bat1_02s.jpg"])
    return folder, people


@pytest.fixture
def copied(published, tmp_path):
    shutil.copytree(published[0], tmp_path / "own")
    return tmp_path / "own"


def kept_voxels(people):
    for name, (_, _, voxels) in people.items():
        for region, column in OF_REGION.items():
            for row in range(len(voxels)):
                if voxels[column][row] == 1 and voxels["nc_testset"][row] > 30:
                    yield name, region, row


def test_train_and_test_are_in_one_file(published, tmp_path):
    folder, people = published
    made = things_fmri.read_all(folder, None)
    write_made(things_fmri.ALL, made, tmp_path / "fmri.nc")
    found = read_recordings(tmp_path / "fmri.nc")
    assert found.stimuli == tuple(sorted(name[:-4] for name in (*TRAIN, *TEST)))
    assert found.columns["set"].tolist() == ["test" if f"{name}.jpg" in TEST else "train" for name in found.stimuli]
    assert found.columns["object_name"].tolist() == [concept(name) for name in found.stimuli]
    expected = list(kept_voxels(people))
    assert len(expected) > 20 and len(found.neuroids) == len(expected)
    for column, (name, region, row) in enumerate(expected):
        betas, trials, _ = people[name]
        assert found.neuroids[column] == f"sub-{name}-{region}-{row * 7}"
        assert (found.animals[column], found.regions[column]) == (f"sub-{name}", region)
        for place, stimulus in enumerate(found.stimuli):
            shown = betas[row, (trials["stimulus"] == f"{stimulus}.jpg").to_numpy()]
            assert found.responses[0, place, column] == pytest.approx(shown.mean(), abs=1e-6)
    twice = [neuroid for neuroid in found.neuroids if neuroid.endswith("-21")]  # voxel 3, of V1 and V2
    assert twice == [f"sub-{name}-{region}-21" for name in people for region in ("V1", "V2")]
    assert "3 voxels are in two regions: taken in both" in made.notes


def test_repetitions_keep_their_order(published, tmp_path):
    folder, people = published
    write_made(things_fmri.TEST, things_fmri.read_test(folder, None), tmp_path / "test.nc")
    found = read_recordings(tmp_path / "test.nc")
    assert found.responses.shape[:2] == (3, len(TEST))
    for column, (name, _, row) in enumerate(kept_voxels(people)):
        betas, trials, _ = people[name]
        for place, stimulus in enumerate(found.stimuli):
            shown = betas[row, (trials["stimulus"] == f"{stimulus}.jpg").to_numpy()]
            np.testing.assert_allclose(found.responses[:, place, column], shown, rtol=1e-6)


def test_counts_stand_beside_the_published_ones(published):
    facts = {fact.what: fact for fact in things_fmri.read_test(published[0], None).facts}
    fact = facts["sub-02, IT: voxels with a noise ceiling above 30 %"]
    assert int(fact.found) == sum(voxel[:2] == ("02", "IT") for voxel in kept_voxels(published[1]))
    assert fact.published == "389" and fact.differs
    assert facts["test trials"].found == str(3 * len(TEST))


def test_scores_of_the_same_images(published):
    made = things_fmri.MEMORABILITY.make(published[0], None)
    assert len(made.table) == len(TRAIN) + len(TEST) - 1
    assert made.notes == ["1 image has an empty cr: left out"]


def test_ids_among_the_numbers_are_no_trial(copied, published):
    """A frame of one type: voxel_id is a column of the same block."""
    before = things_fmri.read_test(copied, None)
    betas, _, voxels = published[1]["02"]
    path = copied / "betas_csv/sub-02_ResponseData.h5"
    path.unlink()
    write_blocks(path, [np.column_stack([voxels["voxel_id"], betas])])
    np.testing.assert_array_equal(things_fmri.read_test(copied, None).recordings.responses, before.recordings.responses)


def test_names_of_regions_may_differ_in_case(copied):
    path = copied / "betas_csv/sub-01_VoxelMetadata.csv"
    before = things_fmri.read_test(copied, None)
    table = pd.read_csv(path)
    table.rename(columns={"hV4": "hv4", "glasser-FFC": "glasser_ffc"}).to_csv(path, index=False)
    assert things_fmri.read_test(copied, None).recordings.neuroids == before.recordings.neuroids


def test_one_person_alone_is_read_and_said(copied):
    for path in (copied / "betas_csv").glob("sub-0[13]*"):
        path.unlink()
    made = things_fmri.read_test(copied, None)
    assert set(made.recordings.animals) == {"sub-02"}
    assert sum("is left out" in note for note in made.notes) == 2


def edit(folder, name, change):
    path = folder / f"betas_csv/sub-01_{name}Metadata.csv"
    change(pd.read_csv(path)).to_csv(path, index=False)


def swap_people(folder):
    shutil.copy(folder / "betas_csv/sub-02_VoxelMetadata.csv", folder / "betas_csv/sub-01_VoxelMetadata.csv")


def swap_trials(folder):
    shutil.copy(folder / "betas_csv/sub-02_StimulusMetadata.csv", folder / "betas_csv/sub-01_StimulusMetadata.csv")


def sort_trials(folder):
    edit(folder, "Stimulus", lambda table: table.sort_values("stimulus"))


def shift_stimuli(folder):
    edit(folder, "Stimulus", lambda table: table.assign(stimulus=np.roll(table["stimulus"], 1)))


def lose_trials(folder):
    edit(folder, "Stimulus", lambda table: table.iloc[:-2])


def without_regions(folder):
    edit(folder, "Voxel", lambda table: table.drop(columns="hV4"))


def ids_of_others(folder):
    edit(folder, "Voxel", lambda table: table.assign(voxel_id=table["voxel_id"] + 1))


def no_good_voxel(folder):
    edit(folder, "Voxel", lambda table: table.assign(nc_testset=3))


def other_images(folder):
    edit(folder, "Stimulus", lambda table: table.replace({"bat1_02s.jpg": "bat1_09s.jpg"}))


def other_types(folder):
    edit(folder, "Stimulus", lambda table: table.replace({"test": "val"}))


def a_web_page(folder):
    (folder / "betas_csv/sub-01_ResponseData.h5").write_text(PAGE)


def a_mat(folder):
    scipy.io.savemat(folder / "betas_csv/x.mat", {"betas": np.zeros((2, 2))})
    (folder / "betas_csv/x.mat").rename(folder / "betas_csv/sub-01_ResponseData.h5")


def another_frame(folder):
    path = folder / "betas_csv/sub-01_ResponseData.h5"
    path.unlink()
    with h5py.File(path, "w") as file:
        file["betas"] = np.zeros((3, 4))


def turned(folder):
    path = folder / "betas_csv/sub-01_ResponseData.h5"
    with h5py.File(path) as file:
        values = file["ResponseData/block0_values"][()].T
    write_blocks(path, [values])


BAD = [
    (swap_people, "sub-01_VoxelMetadata.csv is of the person '2' and not of sub-01"),
    (swap_trials, "sub-01_StimulusMetadata.csv is of the person '2' and not of sub-01"),
    (sort_trials, "the trials of .* were sorted anew"),
    (shift_stimuli, "beside another concept: its columns were shifted"),
    (lose_trials, r"holds arrays of the shapes .* and none has 40 voxels by 22 trials"),
    (without_regions, "has no column 'hV4' of regions"),
    (ids_of_others, "the voxels in .* are not those of VoxelMetadata.csv"),
    (no_good_voxel, "no voxel of a region in .* has nc_testset above 30 %"),
    (other_images, "was shown other images than"),
    (other_types, "has trials of the type 'val'"),
    (a_web_page, "is a web page and no data"),
    (a_mat, "is a MAT file of version 7 or older, and the authors' is HDF5"),
    (another_frame, "has no 'ResponseData' as pandas writes it"),
    (turned, r"holds arrays of the shapes \[\(24, 40\)\], and none has 40 voxels by 24 trials"),
]


@pytest.mark.parametrize(("spoil", "told"), BAD, ids=[spoil.__name__ for spoil, _ in BAD])
def test_what_is_wrong_is_said_in_a_sentence(copied, spoil, told):
    spoil(copied)
    with pytest.raises(ValueError, match=told) as raised:
        things_fmri.read_all(copied, None)
    assert "\n" not in str(raised.value)


def test_a_file_of_17_gb_is_read_by_slices(tmp_path):
    """As large as a person's, with nothing written but three rows: memory stays below four slices."""
    with h5py.File(tmp_path / "large.h5", "w") as file:
        large = file.create_dataset("x", (211_339, 9_840), "f8", chunks=(16, 9_840))
        for row in (5, 100_000, 211_338):
            large[row] = row + np.arange(9_840) / 10_000
    rows = np.array([5, 6, 800, 100_000, 100_700, 211_338])
    with h5py.File(tmp_path / "large.h5") as file:
        tracemalloc.start()
        found = files.read_rows(file["x"], rows)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 4 * files.AT_ONCE
    for row, values in zip(rows, found, strict=True):
        expected = row + np.arange(9_840) / 10_000 if row in (5, 100_000, 211_338) else np.zeros(9_840)
        np.testing.assert_array_equal(values, expected.astype(np.float32))


@pytest.mark.parametrize("chunks", [None, (7, 9), (300, 10), (1000, 1)])
def test_no_slice_is_larger_than_it_may_be(tmp_path, monkeypatch, chunks):
    monkeypatch.setattr(files, "AT_ONCE", 50 * 10 * 8)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        stored = file.create_dataset("x", data=np.arange(10_000.0).reshape(1000, 10), chunks=chunks)
        parts = list(files.slices(stored))
    assert [part.start for part in parts] == [0, *(part.stop for part in parts[:-1])] and parts[-1].stop == 1000
    assert max(part.stop - part.start for part in parts) <= 50
