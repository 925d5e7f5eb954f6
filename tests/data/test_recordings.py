"""The file of recordings: there and back, against xarray, and every way in which it can be bad."""

import subprocess
import sys
import unicodedata
import warnings
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr
from damage import N_FLIPS, flipped
from hypothesis import given, settings
from hypothesis import strategies as st

from layerwise.data import recordings as module
from layerwise.data.recordings import (
    VERSION,
    average_repetitions,
    count_stimuli,
    list_regions,
    read_attributes,
    read_recordings,
    read_visual_degrees,
    stimuli_of,
    write_recordings,
)
from layerwise.data.report_recordings import report_recordings
from layerwise.interfaces import DegenerateWarning, Recordings, StimulusSet
from layerwise.regression import internal_consistency

REGIONS = ("V4", "V4", "IT", "V1", "IT")


def make(rng: np.random.Generator, dtype: str = "float32") -> Recordings:
    responses = rng.normal(size=(4, 6, 5)).astype(dtype)
    responses[3, 1:] = np.nan  # unequal numbers of repetitions
    responses[1, 2] = np.nan
    responses[0, 0, 3] = np.nan
    return Recordings(
        responses,
        tuple(f"stimulus{index}" for index in range(6)),
        tuple(f"n{index}" for index in range(5)),
        REGIONS,
        {"object": np.array(["cat", "dog"] * 3), "degrees": rng.normal(size=6)},
        "spikes/s",
    )


def images_of(recordings: Recordings, folder: Path) -> StimulusSet:
    folder.mkdir(parents=True, exist_ok=True)
    paths = tuple(folder / f"{name}.png" for name in recordings.stimuli)
    for path in paths:
        path.touch()
    return StimulusSet("images", recordings.stimuli, paths)


@pytest.fixture
def written(tmp_path, rng) -> tuple[Path, Recordings]:
    recordings = make(rng)
    path = tmp_path / "study" / "recordings.nc"
    write_recordings(recordings, path, images_of(recordings, tmp_path / "images"), "a test", visual_degrees=8)
    return path, recordings


def rewrite(path: Path, change) -> Path:
    with xr.open_dataset(path, engine="h5netcdf") as dataset:
        dataset = dataset.load()
    target = path.with_name("changed.nc")
    change(dataset).to_netcdf(target, engine="h5netcdf")
    return target


def assert_same(found: Recordings, expected: Recordings) -> None:
    np.testing.assert_array_equal(found.responses, expected.responses)
    assert found.responses.dtype == expected.responses.dtype
    assert (found.stimuli, found.neuroids, found.regions) == (
        expected.stimuli,
        expected.neuroids,
        expected.regions,
    )
    assert (found.units, found.animals) == (expected.units, expected.animals)
    assert found.columns.keys() == expected.columns.keys()
    for name, values in expected.columns.items():
        np.testing.assert_array_equal(found.columns[name], values)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_there_and_back(tmp_path, rng, dtype):
    recordings = make(rng, dtype)
    write_recordings(recordings, tmp_path / "r.nc", images_of(recordings, tmp_path / "images"))
    assert_same(read_recordings(tmp_path / "r.nc"), recordings)


def test_missing_trials_take_no_space(written):
    path, recordings = written
    with xr.open_dataset(path, engine="h5netcdf") as dataset:
        shown = np.isfinite(recordings.responses).any(axis=2).sum()
        assert dataset.sizes == {"presentation": shown, "neuroid": 5}


def test_stimulus_never_shown_is_kept(tmp_path, rng):
    recordings = make(rng)
    recordings.responses[:, 2] = np.nan
    write_recordings(recordings, tmp_path / "r.nc", images_of(recordings, tmp_path / "images"))
    assert_same(read_recordings(tmp_path / "r.nc"), recordings)


def test_regions_are_picked(written):
    path, recordings = written
    found = read_recordings(path, regions=["IT", "V1"])
    assert found.neuroids == ("n2", "n3", "n4")
    assert found.regions == ("IT", "V1", "IT")
    np.testing.assert_array_equal(found.responses, recordings.responses[..., 2:])


def test_regions_and_attributes_are_listed(written):
    path, _ = written
    assert list_regions(path) == ("V4", "IT", "V1")
    assert count_stimuli(path) == len(stimuli_of(path).ids) == 6
    attributes = read_attributes(path)
    assert attributes["images"] == "../images"
    assert attributes["visual_degrees"] == 8
    assert attributes["source"] == "a test"
    assert attributes["units"] == "spikes/s"


def test_planning_needs_no_heavy_import():
    heavy = {"xarray", "pandas", "torch"}
    code = f"import layerwise.data.recordings, sys; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_presentations_in_any_order_and_without_repetitions(written):
    path, recordings = written
    order = np.random.default_rng(3).permutation(recordings.responses[..., 0].size - 6)
    shuffled = rewrite(path, lambda data: data.isel(presentation=order))
    assert_same(read_recordings(shuffled), recordings)
    unnumbered = read_recordings(rewrite(path, lambda data: data.drop_vars("repetition")))
    np.testing.assert_array_equal(unnumbered.responses[1, 2], recordings.responses[2, 2])  # moved up


def test_a_number_for_each_trial_is_no_repetition(tmp_path, rng):
    names = tuple(f"{number:04d}" for number in range(4000))
    many = Recordings(rng.random((3, 4000, 12), np.float32), names, tuple("abcdefghijkl"), ("IT",) * 12)
    write_recordings(many, tmp_path / "recordings.nc", images_of(many, tmp_path / "images"))
    path = rewrite(
        tmp_path / "recordings.nc", lambda data: data.assign_coords(repetition=("presentation", range(12000)))
    )
    with pytest.raises(ValueError, match=r"\.nc: there are 12000 repetitions of 4000 stimuli, .* 2\.3 GB"):
        read_recordings(path)


def test_file_of_another_writer(written):
    path, recordings = written

    def change(data: xr.Dataset) -> xr.Dataset:
        data = data.transpose("neuroid", "presentation").reset_coords()
        data["stimulus"] = data["stimulus"].astype("S")
        data["region"] = data["region"].astype("S")
        data["repetition"] = data["repetition"].astype(str)
        return data.assign_attrs(version=np.array([1]))

    changed = rewrite(path, change)
    assert_same(read_recordings(changed), recordings)
    assert list_regions(changed) == ("V4", "IT", "V1")
    assert count_stimuli(changed) == 6


def test_counts_with_a_marker_for_missing(written, rng):
    path, _ = written
    counts = rng.integers(0, 256, (17, 5)).astype("uint8")
    counts[3, 2] = 255

    def change(data: xr.Dataset) -> xr.Dataset:
        data = data.isel(presentation=slice(0, 17))
        data["responses"] = (("presentation", "neuroid"), counts, {"_FillValue": np.uint8(255)})
        return data

    found = read_recordings(rewrite(path, change))
    assert found.responses.dtype == np.float32
    assert np.nansum(found.responses) == counts[counts != 255].sum(dtype=int)


def test_stimuli_find_their_images(written, tmp_path):
    path, recordings = written
    stimuli = stimuli_of(path)
    assert stimuli.ids == recordings.stimuli
    assert stimuli.name == "recordings"
    assert [file.resolve() for file in stimuli.paths] == [tmp_path / "images" / f"{name}.png" for name in stimuli.ids]
    elsewhere = images_of(recordings, tmp_path / "elsewhere")
    assert stimuli_of(path, tmp_path / "elsewhere", "mine") == replace(elsewhere, name="mine")


def test_images_in_several_folders(tmp_path, rng):
    recordings = make(rng)
    halves = [
        images_of(replace(recordings, stimuli=part), tmp_path / "images" / name)
        for name, part in [("a", recordings.stimuli[:3]), ("b", recordings.stimuli[3:])]
    ]
    images = StimulusSet("images", recordings.stimuli, halves[0].paths + halves[1].paths)
    write_recordings(recordings, tmp_path / "r.nc", images)
    assert stimuli_of(tmp_path / "r.nc").paths == images.paths


def test_average_leaves_out_missing_trials(rng):
    responses = rng.normal(size=(7, 9, 4)).astype("float32")
    responses[rng.random(responses.shape) < 0.3] = np.nan
    responses[0] = 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        average = average_repetitions(responses)
    for stimulus, neuroid in np.ndindex(9, 4):
        trials = [float(value) for value in responses[:, stimulus, neuroid] if not np.isnan(value)]
        assert average[stimulus, neuroid] == pytest.approx(sum(trials) / len(trials), rel=1e-12)


def test_average_of_nothing_is_nan_with_one_warning(rng):
    responses = rng.normal(size=(3, 5, 2))
    responses[:, 1] = np.nan
    responses[:, 4, 0] = np.nan
    with pytest.warns(DegenerateWarning, match="3 of 10 pairs") as caught:
        average = average_repetitions(responses)
    assert len(caught) == 1
    np.testing.assert_array_equal(np.argwhere(np.isnan(average)), [[1, 0], [1, 1], [4, 0]])


def test_writing_needs_an_image_for_each_stimulus(tmp_path, rng):
    recordings = make(rng)
    images = images_of(replace(recordings, stimuli=recordings.stimuli[:4]), tmp_path)
    with pytest.raises(ValueError, match=r"2 stimuli have no image(.|\n)*stimulus4"):
        write_recordings(recordings, tmp_path / "r.nc", images)
    assert not (tmp_path / "r.nc").exists()


def test_properties_cannot_take_names_of_the_format(tmp_path, rng):
    recordings = replace(make(rng), columns={"region": np.arange(6)})
    with pytest.raises(ValueError, match="cannot be called 'region'"):
        write_recordings(recordings, tmp_path / "r.nc", images_of(recordings, tmp_path))


READERS = [read_recordings, stimuli_of, list_regions, count_stimuli, read_attributes]


@pytest.mark.parametrize("read", READERS)
def test_missing_file_is_named(tmp_path, read):
    with pytest.raises(ValueError, match=r"no file of recordings .*absent\.nc"):
        read(tmp_path / "absent.nc")


@pytest.mark.parametrize("read", READERS)
def test_text_file_is_refused(tmp_path, read):
    (tmp_path / "r.nc").write_text("stimulus,response\na,1\n")
    with pytest.raises(ValueError, match=r"r\.nc is truncated, or no netCDF4 file"):
        read(tmp_path / "r.nc")


@settings(max_examples=25, deadline=None)
@given(share=st.floats(0, 0.999), read=st.sampled_from(READERS))
def test_truncated_file_is_refused(tmp_path_factory, share, read):
    folder = tmp_path_factory.mktemp("cut")
    recordings = make(np.random.default_rng(0))
    write_recordings(recordings, folder / "r.nc", images_of(recordings, folder))
    content = (folder / "r.nc").read_bytes()
    hdf5 = content.rindex(b'{"size": ')  # behind it are checksums, without which the file is as any other
    (folder / "r.nc").write_bytes(content[: int(share * hdf5)])
    with pytest.raises(ValueError, match=r"truncated|is empty"):
        read(folder / "r.nc")


def test_damaged_responses_are_refused(written):
    path, _ = written
    with h5py.File(path) as file:
        chunk = file["responses"].id.get_chunk_info(0)
    content = bytearray(path.read_bytes())
    content[chunk.byte_offset + chunk.size // 2] ^= 0xFF
    path.write_bytes(content)
    told = r"recordings\.nc is damaged \(its bytes do not fit their checksum\); copy or import it again"
    with pytest.raises(ValueError, match=told):
        read_recordings(path)
    path.write_bytes(content[: content.rindex(b'{"size": ')])  # as a program leaves it that knows no checksums
    with pytest.raises(ValueError, match=r"recordings\.nc is truncated, or no"):
        read_recordings(path)


def test_no_flipped_bit_changes_recordings(written, rng):
    path, recordings = written
    size = path.stat().st_size
    refused = 0
    for bit in flipped(path, rng):
        module._checked.clear()
        try:
            found = read_recordings(path), stimuli_of(path), read_attributes(path)["visual_degrees"]
        except ValueError as error:
            assert "recordings.nc is damaged" in str(error)
            refused += 1
        else:
            assert bit > 8 * (size - 24)  # of what tells that there are checksums
            assert_same(found[0], recordings)
            assert found[2] == 8
    assert refused > 0.8 * N_FLIPS


def test_recordings_of_other_programs_are_read_in_another_process_first(written, monkeypatch):
    path, recordings = written
    other = rewrite(path, lambda data: data)
    tried = []
    monkeypatch.setattr(module, "try_hdf5", lambda *given: tried.append(given))
    list_regions(path), read_recordings(path)
    assert tried == []
    for _ in range(2):
        assert list_regions(other) == list_regions(path)
        assert_same(read_recordings(other), recordings)
        stimuli_of(other)
    assert tried == [(other, ("region",)), (other, None)]


def test_recordings_that_lead_to_other_files_are_refused(written):
    other = rewrite(written[0], lambda data: data)
    with h5py.File(other, "a") as file:
        file["secret"] = h5py.ExternalLink(written[0], "responses")
    for read in READERS:
        with pytest.raises(ValueError, match=r"changed\.nc has 'secret' in another file"):
            read(other)


def test_hdf5_of_another_kind_is_refused(tmp_path):
    with h5py.File(tmp_path / "r.nc", "w") as file:
        file["responses"] = np.zeros((3, 2))
    for read in READERS:
        with pytest.raises(ValueError, match="does not have the format 'layerwise recordings'"):
            read(tmp_path / "r.nc")


@pytest.mark.parametrize("version", [0, "one", -1])
def test_senseless_version_is_refused(written, version):
    changed = rewrite(written[0], lambda data: data.assign_attrs(version=version))
    with pytest.raises(ValueError, match="no usable attribute version"):
        read_recordings(changed)


def test_newer_version_is_refused(written):
    changed = rewrite(written[0], lambda data: data.assign_attrs(version=VERSION + 1))
    for read in READERS:
        with pytest.raises(ValueError, match="newer layerwise"):
            read(changed)


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("responses", "response"),
        ("stimulus", "stimulus_id"),
        ("neuroid", "neuroid_id"),
        ("region", "regions"),
    ],
)
def test_missing_parts_are_named_with_what_is_near(written, name, other):
    def change(data: xr.Dataset) -> xr.Dataset:
        return data.reset_index("neuroid").reset_coords().rename_vars({name: other})

    with pytest.raises(ValueError, match=f"changed.nc: it has no '{name}': did you mean '{other}'"):
        read_recordings(rewrite(written[0], change))


def test_regions_missing_from_the_list_are_named(written):
    changed = rewrite(written[0], lambda data: data.rename_vars(region="area"))
    with pytest.raises(ValueError, match="no coordinate 'region'"):
        list_regions(changed)


def test_unknown_region_is_named(written):
    with pytest.raises(ValueError, match="no region 'V2': there are: IT, V1, V4"):
        read_recordings(written[0], regions=["V2"])


def test_other_dimensions_are_named(written):
    changed = rewrite(written[0], lambda data: data.expand_dims(time_bin=2))
    with pytest.raises(ValueError, match=r"'responses' has the dimensions .*time_bin.* must have"):
        read_recordings(changed)


def test_contradicting_presentations_are_named(written):
    def change(data: xr.Dataset) -> xr.Dataset:
        again = data.isel(presentation=[0])
        return xr.concat([data, again.assign(responses=again["responses"] + 1)], "presentation")

    with pytest.raises(ValueError, match=r"changed\.nc: stimulus 'stimulus0' was presented twice in repetition 0"):
        read_recordings(rewrite(written[0], change))


def test_equal_presentations_count_once(written):
    path, recordings = written
    changed = rewrite(path, lambda data: xr.concat([data, data.isel(presentation=[0, 1])], "presentation"))
    assert_same(read_recordings(changed), recordings)


def test_properties_of_presentations_are_kept_apart_and_an_image_that_differs_is_refused(written):
    def change(data: xr.Dataset) -> xr.Dataset:
        return data.assign_coords(session=data["repetition"] // 2, day=("presentation", stimuli % 3))

    stimuli = np.array([int(name[-1]) for name in xr.open_dataset(written[0], engine="h5netcdf")["stimulus"].values])
    found = read_recordings(rewrite(written[0], change))
    assert list(found.columns) == [*written[1].columns, "day"]
    np.testing.assert_array_equal(found.columns["day"], np.arange(6) % 3)
    assert list(found.varying) == ["session"]
    assert "presentations of 6 of 6 stimuli differ in 'session' (stimulus 'stimulus" in found.varying["session"]

    def spoil(data: xr.Dataset) -> xr.Dataset:
        data["image"][0] = "stimulus1.png"
        return data

    with pytest.raises(ValueError, match=r"1 of 6 stimuli differs in 'image' .*: correct it"):
        stimuli_of(rewrite(written[0], spoil))


def test_animals_are_kept_and_picked(tmp_path, rng):
    recordings = replace(make(rng), animals=("A", "B", "A", "B", "A"))
    path = tmp_path / "r.nc"
    write_recordings(recordings, path, images_of(recordings, tmp_path / "images"))
    assert_same(read_recordings(path), recordings)
    found = read_recordings(path, ["IT", "V4"], ["A"])
    assert (found.neuroids, found.animals) == (("n0", "n2", "n4"), ("A", "A", "A"))
    np.testing.assert_array_equal(found.responses, recordings.responses[..., [0, 2, 4]])
    with pytest.raises(ValueError, match="no animal 'C': there are: A, B"):
        read_recordings(path, animals=["C"])
    with pytest.raises(ValueError, match="the animals A have no neuroid in V1"):
        read_recordings(path, ["V1"], ["A"])


def test_animals_of_a_file_that_does_not_name_them(written):
    with pytest.raises(ValueError, match="no coordinate 'animal' on them"):
        read_recordings(written[0], animals=["A"])
    shown = rewrite(written[0], lambda data: data.assign_coords(animal=data["object"]))  # what is on the images
    assert read_recordings(shown).animals == ()
    assert read_recordings(shown).columns["animal"].tolist() == ["cat", "dog"] * 3


def test_stimulus_without_image_is_named(written):
    def change(data: xr.Dataset) -> xr.Dataset:
        data["image"][data["stimulus"] == "stimulus3"] = ""
        return data

    with pytest.raises(ValueError, match=r"1 stimulus has no image file(.|\n)*stimulus3 \(no image in the file\)"):
        stimuli_of(rewrite(written[0], change))


def test_image_missing_from_the_folder_is_named(written, tmp_path):
    (tmp_path / "images" / "stimulus5.png").unlink()
    with pytest.raises(ValueError, match=r"1 stimulus has no image file(.|\n)*stimulus5 .*stimulus5\.png"):
        stimuli_of(written[0])


def test_file_without_folder_of_images_is_named(written, tmp_path):
    def change(data: xr.Dataset) -> xr.Dataset:
        del data.attrs["images"]
        return data

    changed = rewrite(written[0], change)
    with pytest.raises(ValueError, match="does not name the folder"):
        stimuli_of(changed)
    assert len(stimuli_of(changed, tmp_path / "images").paths) == 6


def fill(value: float):
    return lambda data: data.assign(responses=data["responses"] * 0 + value)


def test_responses_that_say_nothing_are_refused(written):
    with pytest.raises(ValueError, match=r"changed\.nc: all of its responses are NaN"):
        read_recordings(rewrite(written[0], fill(np.nan)))
    with pytest.raises(ValueError, match=r"infinite \(first neuroid: n0\)"):
        read_recordings(rewrite(written[0], fill(np.inf)))
    with pytest.raises(ValueError, match="responses are empty"):
        read_recordings(rewrite(written[0], lambda data: data.isel(presentation=slice(0, 0))))
    with pytest.raises(ValueError, match="must be numbers"):
        read_recordings(rewrite(written[0], lambda data: data.assign(responses=data["responses"].astype(str))))


def test_neuroids_of_one_name_are_refused(written):
    changed = rewrite(written[0], lambda data: data.assign_coords(neuroid=list("aabcd")))
    with pytest.raises(ValueError, match=r"1 id of a neuroid is given to several(.|\n)*a"):
        read_recordings(changed)


def test_stimuli_without_a_name_are_refused(written):
    def change(data: xr.Dataset) -> xr.Dataset:
        data["stimulus"][2] = ""
        return data

    with pytest.raises(ValueError, match=r"'stimulus' is empty in 1 places \(first: 2\)"):
        read_recordings(rewrite(written[0], change))


def test_repetitions_without_a_number_are_refused(written):
    def change(data: xr.Dataset) -> xr.Dataset:
        numbers = data["repetition"].astype(float)
        numbers[4] = np.nan
        return data.assign_coords(repetition=numbers)

    with pytest.raises(ValueError, match="'repetition' is missing"):
        read_recordings(rewrite(written[0], change))


def test_stimuli_that_are_numbers_are_counted(written):
    path, _ = written

    def number(data: xr.Dataset) -> xr.Dataset:
        _, numbers = np.unique(data["stimulus"].values, return_inverse=True)
        data["stimulus"] = ("presentation", numbers)
        return data

    changed = rewrite(path, number)
    assert count_stimuli(changed) == len(stimuli_of(changed).ids) == 6


@pytest.mark.parametrize("units", ["ms since stimulus onset", "days since 1970-01-01", "seconds", "ms"])
def test_units_of_time_leave_numbers_as_they_are(written, units):
    path, recordings = written
    with h5py.File(path, "a") as file:
        file["responses"].attrs["units"] = units
        file["degrees"].attrs["units"] = units
    found = read_recordings(path)
    np.testing.assert_array_equal(found.responses, recordings.responses)
    np.testing.assert_array_equal(found.columns["degrees"], recordings.columns["degrees"])
    assert stimuli_of(path).ids == recordings.stimuli


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["_FillValue", "missing_value"])
def test_responses_that_the_file_calls_missing_are_nan(written, name, kind):
    path, recordings = written
    with h5py.File(path, "a") as file:
        values = file["responses"][:]
        values[0, 1] = -999.9
        del file["responses"].attrs["_FillValue"]
        file["responses"][:] = values
        file["responses"].attrs[name] = kind(-999.9)
    found, expected = read_recordings(path).responses, recordings.responses.copy()
    place = np.argwhere(found != expected)
    place = [row for row in place.tolist() if not (np.isnan(found[tuple(row)]) and np.isnan(expected[tuple(row)]))]
    assert len(place) == 1
    assert np.isnan(found[tuple(place[0])])


@pytest.mark.parametrize("dtype", ["f4", "f8", "i2", "i4"])
def test_responses_that_were_never_written_are_nan(written, dtype):
    path, _ = written
    fill = 9.969209968386869e36 if dtype[0] == "f" else np.iinfo(dtype).min + 1  # netCDF's own
    with h5py.File(path, "a") as file:
        scales, shape = [scale[0].name for scale in file["responses"].dims], file["responses"].shape
        del file["responses"]
        new = file.create_dataset("responses", shape, dtype, fillvalue=fill)
        new[:, 0] = 1
        for axis, scale in enumerate(scales):
            new.dims[axis].attach_scale(file[scale])
    found = read_recordings(path).responses
    assert np.nanmax(found) == np.nanmin(found) == 1
    assert np.isnan(found[..., 1:]).all()


def test_images_are_found_however_their_accents_are_written(tmp_path, rng):
    recordings = replace(make(rng), stimuli=tuple(f"caf\u00e9 {index}" for index in range(6)))
    write_recordings(recordings, tmp_path / "recordings.nc", images_of(recordings, tmp_path / "images"))
    for path in (tmp_path / "images").iterdir():
        path.rename(path.with_name(unicodedata.normalize("NFD", path.name)))
    found = stimuli_of(tmp_path / "recordings.nc")
    assert found.ids == recordings.stimuli
    assert all(path.is_file() for path in found.paths)


@pytest.mark.parametrize("given", ["eight", -1, 0, float("nan"), float("inf"), 400, [4, 8], ""])
def test_sizes_that_images_cannot_have_are_refused(written, given):
    path, recordings = written
    assert read_visual_degrees(path) == 8
    with h5py.File(path, "a") as file:
        file.attrs["visual_degrees"] = given
    with pytest.raises(ValueError, match=rf"visual_degrees of {path} is .*above 0 and up to 360"):
        read_visual_degrees(path)
    report = report_recordings(path, internal_consistency)
    assert any("visual_degrees" in problem for problem in report.problems)
    if isinstance(given, int | float):
        with pytest.raises(ValueError, match="visual_degrees of the recordings"):
            write_recordings(recordings, path, images_of(recordings, path.parent), visual_degrees=given)


@pytest.mark.parametrize("given", [8, 7.5, np.float32(4), "4", [4]])
def test_sizes_may_be_written_in_several_ways(written, given):
    with h5py.File(written[0], "a") as file:
        file.attrs["visual_degrees"] = given
    assert read_visual_degrees(written[0]) == float(np.ravel(given)[0])


FULL = """
import resource, sys
from pathlib import Path
import numpy as np
from layerwise.data.recordings import write_recordings
from layerwise.interfaces import Recordings, StimulusSet
ids = tuple(f"stimulus {index}" for index in range(500))
recordings = Recordings(np.random.rand(2, 500, 20), ids, tuple(map(str, range(20))), ("IT",) * 20)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
write_recordings(recordings, sys.argv[1], StimulusSet("x", ids, (Path("a.png"),) * 500))
"""


@pytest.mark.parametrize("room", [0, 3000, 100_000])
def test_a_full_disk_is_an_error_and_leaves_nothing(tmp_path, room):
    """Python ignores the signal of a file that is too large; HDF5 itself would bring the interpreter down."""
    command = [sys.executable, "-c", FULL, tmp_path / "r.nc", str(room)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1, done
    assert done.stderr.strip().endswith("OSError: [Errno 27] File too large")
    assert list(tmp_path.iterdir()) == []


def test_what_h5py_says_of_a_damaged_reference_is_told_with_the_file(written, monkeypatch):
    def fail(*_args, **_kwargs):
        raise ValueError("Invalid HDF5 object reference")

    monkeypatch.setattr(xr, "open_dataset", fail)
    with pytest.raises(ValueError, match=rf"{written[0]} is damaged \(Invalid HDF5 object reference\)"):
        read_recordings(written[0])
