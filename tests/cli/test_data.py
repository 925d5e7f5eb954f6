"""`layerwise data check`: what it says of good files, and of each way in which a file can be bad."""

import re

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from damage import edited
from typer.testing import CliRunner

from layerwise.analyses.ceiling import rating_consistency
from layerwise.cli.app import app
from layerwise.data.recordings import write_recordings
from layerwise.data.reports import show
from layerwise.interfaces import Recordings, StimulusSet
from layerwise.regression import internal_consistency

N_STIMULI, N_REPETITIONS = 12, 4


def check(*arguments, columns=140):
    """Exit status, and what was printed with its table lines and line breaks taken out."""
    result = CliRunner().invoke(app, ["data", "check", *map(str, arguments)], env={"COLUMNS": str(columns)})
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, re.sub(r"[\s│┃]+", " ", result.stdout)


@pytest.fixture
def recordings(rng):
    signal = rng.normal(size=(1, N_STIMULI, 5))
    responses = (signal + rng.normal(size=(N_REPETITIONS, N_STIMULI, 5))).astype(np.float32)
    return Recordings(
        responses,
        tuple(f"stimulus{index:02d}" for index in range(N_STIMULI)),
        tuple(f"n{index}" for index in range(5)),
        ("V4", "V4", "IT", "IT", "IT"),
        {"object": np.array(["cat", "dog", "elk"] * 4), "movie": np.arange(N_STIMULI) // 6},
        "spikes/s",
    )


@pytest.fixture
def written(tmp_path, recordings):
    def write(name="recordings.nc"):
        folder = tmp_path / "images"
        folder.mkdir(exist_ok=True)
        paths = tuple(folder / f"{stimulus}.png" for stimulus in recordings.stimuli)
        for path in paths:
            path.touch()
        images = StimulusSet("images", recordings.stimuli, paths)
        write_recordings(recordings, tmp_path / name, images, "a test", visual_degrees=8)
        return tmp_path / name

    return write


@pytest.fixture
def table(tmp_path):
    def write(text, names=("a.jpg", "b.jpg", "c.jpg"), encoding="utf-8"):
        (tmp_path / "images").mkdir(exist_ok=True)
        for name in names:
            (tmp_path / "images" / name).touch()
        path = tmp_path / "scores.csv"
        path.write_bytes(text.encode(encoding))
        return path

    return write


def test_a_table_that_is_wider_than_a_line_is_turned_round(written):
    status, text = check(written(), columns=80)
    assert status == 0 and "neuroids 2 3 stimuli 12 12 repetitions" in text
    result = CliRunner().invoke(app, ["data", "check", str(written())], env={"COLUMNS": "80"})
    tables = [line for line in result.stdout.splitlines() if line[:1] in "│┃┏└"]
    assert len(tables) > 20 and max(map(len, tables)) <= 80


def test_a_rim_that_is_cut_is_told(written, tmp_path, recordings):
    paths = tuple(tmp_path / "images" / f"{name}.png" for name in recordings.stimuli)
    written()
    write_recordings(recordings, tmp_path / "wide.nc", StimulusSet("i", recordings.stimuli, paths), visual_degrees=20)
    status, text = check(tmp_path / "wide.nc", columns=500)
    assert status == 0 and "16% of their area is kept; `beyond_screen: fit`" in text


def test_recordings_are_described(written, recordings):
    recordings.responses[3, :4] = np.nan  # four stimuli have a repetition less
    recordings.responses[0, 0, 4] = np.nan  # one trial of the 44 x 3 of IT
    status, text = check(written())
    assert status == 0
    assert "stimuli 12" in text
    assert "float32, spikes/s" in text
    assert "source a test" in text
    regions = ("V4", slice(0, 2), "3 to 4", "0 %"), ("IT", slice(2, 5), "2 to 4", "0.76 %")
    for region, places, trials, missing in regions:
        part = recordings.responses[..., places]
        ceilings = internal_consistency(part)
        ceiling, (low, high) = np.median(ceilings, axis=1).mean(), np.quantile(ceilings.mean(axis=0), (0.25, 0.75))
        row = f"{region} {part.shape[2]} 12 3 to 4 {trials} {missing} {show(np.nanmean(part))} {show(ceiling)}"
        assert f"{row} ({show(low)} to {show(high)})" in text
    assert "object 3 4" in text
    assert "movie 2 6" in text
    assert "no problems found" in text


def test_animals_and_what_is_no_property_of_stimuli_are_told(written, recordings):
    path = written()
    with xr.open_dataset(path, engine="h5netcdf") as dataset:
        dataset = dataset.load()
    changed = dataset.assign_coords(animal=("neuroid", list("ABAAB")), session=dataset["repetition"])
    changed.to_netcdf(path, engine="h5netcdf")
    status, text = check(path)
    assert status == 0
    assert "region animal neuroids V4 A 1 V4 B 1 IT A 2 IT B 1".replace(" ", "") in re.sub(r"[^A-Za-z0-9]", "", text)
    assert "presentations of 12 of 12 stimuli differ in 'session'" in text
    assert "nothing can be split by it" in text


def test_one_repetition_has_no_ceiling_and_says_so(written, recordings):
    recordings.responses[1:] = np.nan
    status, text = check(written())
    assert status == 0
    assert "IT: one repetition of each stimulus, so its ceiling is undefined" in text
    assert re.search(r"V4 2 12 1 1 0 % \S+ undefined -", text)


def test_a_number_for_each_trial_is_noted(written):
    path = written()
    told = "no two stimuli share a repetition; if the repetition is a number of the trial, leave it out"
    assert told not in check(path)[1]
    change(path, lambda data: data.assign_coords(repetition=("presentation", np.arange(data.sizes["presentation"]))))
    status, text = check(path)
    assert status == 0
    assert f"IT: {told}" in text


def test_stimuli_never_shown_in_one_region_are_noted(written, recordings):
    recordings.responses[:, 3:5, :2] = np.nan
    status, text = check(written())
    assert status == 0
    assert "V4: 2 stimuli were never shown (such as stimulus03)" in text
    assert "IT: 2 stimuli" not in text


def test_neuroids_that_cannot_be_predicted_are_named(written, recordings):
    recordings.responses[:, :, 1] = 7
    recordings.responses[:, :, 2] = np.nan
    recordings.responses[:, 5:7, 4] = np.nan
    status, text = check(written())
    assert status == 1
    assert "V4, neuroid 'n1' (column 2): always responds with 7" in text
    assert "IT, neuroid 'n2' (column 3): has no response at all" in text
    assert "IT, neuroid 'n4' (column 5): has no response to 2 stimuli that others of its region saw" in text


@pytest.mark.parametrize("code", [255, -99, -999])
def test_codes_for_missing_trials_are_suspected(written, recordings, rng, code):
    recordings.responses[:] = rng.poisson(4, recordings.responses.shape)
    recordings.responses[2, 7, 3] = code
    recordings.responses[1, 8, 4] = code
    status, text = check(written())
    assert status == 1
    assert f"{code} occurs 2 times" in text
    assert "(first: stimulus 'stimulus08', repetition 2, neuroid 'n4')" in text


@pytest.mark.parametrize(("code", "lowest", "highest"), [(255, 0, 200), (-1, 1, 6), (99, 0, 80)])
def test_codes_not_far_from_the_responses_are_suspected_too(written, recordings, rng, code, lowest, highest):
    counts = np.resize(np.arange(lowest, highest + 1), recordings.responses.size)
    recordings.responses[:] = rng.permutation(counts).reshape(recordings.responses.shape)
    assert check(written())[0] == 0
    recordings.responses[1, 8, 4] = code
    assert f"{code} occurs once, and all other responses are from {lowest} to {highest}" in check(written())[1]


def test_counts_that_reach_255_by_themselves_are_not_suspected(written, recordings, rng):
    recordings.responses[:] = np.linspace(0, 255, recordings.responses.size).reshape(recordings.responses.shape)
    assert check(written())[0] == 0


def test_images_without_responses_are_noted(written, tmp_path):
    path = written()
    (tmp_path / "images" / "more.png").touch()
    (tmp_path / "images" / "notes.txt").touch()
    (tmp_path / "images" / "loop.png").symlink_to("loop.png")
    status, text = check(path)
    assert status == 0
    assert "1 image has no responses (more.png)" in text


@pytest.mark.parametrize("empty", ["", np.nan])
def test_stimuli_without_a_property_are_noted(written, recordings, empty):
    values = np.arange(len(recordings.stimuli)) // 4
    groups = values.astype(float) if empty != "" else values.astype(str)
    groups[[2, 9]] = empty
    recordings.columns["movie"] = groups
    status, text = check(written())
    assert status == 0
    assert f"'movie' is empty for 2 of {len(groups)} stimuli: nothing can be split by it" in text


def test_an_image_of_two_stimuli_is_noted(written):
    def share(dataset):
        images = dataset["image"].to_numpy()
        return dataset.assign_coords(image=("presentation", np.where(images == images[0], images[-1], images)))

    path = written()
    assert "several stimuli" not in check(path)[1]
    status, text = check(change(path, share))
    assert status == 0
    assert "images that several stimuli show: 1 (such as " in text


def change(path, alter):
    with xr.open_dataset(path, engine="h5netcdf") as dataset:
        changed = alter(dataset.load())
    changed.to_netcdf(path, engine="h5netcdf")
    return path


def with_image(dataset, name):
    images = dataset["image"].values.astype(object)
    images[dataset["stimulus"].values == "stimulus03"] = name
    return dataset.assign_coords(image=("presentation", images))


@pytest.mark.parametrize("name", ["../secret.png", "/etc/hostname", "a/../../b.png", "..\\b.png", "C:\\b.png"])
def test_images_outside_the_folder_are_refused(written, tmp_path, name):
    (tmp_path / "secret.png").touch()
    status, text = check(change(written(), lambda dataset: with_image(dataset, name)))
    assert status == 1
    assert "1 image lies outside the folder" in text
    assert f"stimulus03 ({name})" in text


def test_problems_of_responses_and_of_images_are_both_told(written, recordings):
    recordings.responses[:, :, 1] = 7
    status, text = check(change(written(), lambda dataset: with_image(dataset, "gone.png")))
    assert status == 1
    assert "always responds with 7" in text
    assert "gone.png" in text


def test_contradicting_presentations_are_named_by_row(written):
    status, text = check(change(written(), lambda dataset: dataset.assign_coords(
        repetition=("presentation", np.zeros(dataset.sizes["presentation"], int)))))  # fmt: skip
    assert status == 1
    assert "'stimulus00' was presented twice in repetition 0 (presentations 1 and 13)" in text


@pytest.mark.parametrize("kind", ["U8", "S8"])
def test_responses_of_another_type_are_refused(written, kind):
    def as_text(dataset):
        values = dataset["responses"].values.astype(kind)
        return dataset.drop_vars("responses").assign(responses=(("presentation", "neuroid"), values.astype(object)))

    status, text = check(change(written(), as_text))
    assert status == 1
    assert "must be numbers" in text


def test_a_newer_version_and_a_truncated_file_are_named(written):
    newer, cut = written("newer.nc"), written("cut.nc")
    with edited(newer) as file:
        file.attrs["version"] = 99
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    status, text = check(newer, cut, written("good.nc"))
    assert status == 1
    assert "newer.nc was written by a newer layerwise (version 99" in text
    assert "cut.nc is truncated" in text
    assert text.count("no problems found") == 1


def test_attributes_of_fixed_length_are_read(written):
    path = written()
    with edited(path) as file:
        for name in ("format", "images", "units"):
            value = file.attrs[name]
            del file.attrs[name]
            file.attrs[name] = np.bytes_(value)  # as netCDF's C library writes text
    status, text = check(path)
    assert status == 0
    assert "float32, spikes/s" in text


@pytest.mark.parametrize("cut", [True, False])
def test_distances_are_described(tmp_path, rng, cut):
    names = [f"{number}.png" for number in range(5)]
    distances = rng.uniform(1, 2, (5, 5))
    distances += distances.T
    np.fill_diagonal(distances, 0)
    pd.DataFrame(np.triu(distances) if cut else distances, names, names).to_csv(tmp_path / "it.csv")
    (tmp_path / "images").mkdir()
    status, told = check(tmp_path / "it.csv", "--images", tmp_path / "images")
    assert status == 1
    assert "distances between stimuli (an RDM)" in told
    assert ("is not symmetric: 10 pairs of stimuli" if cut else "5 stimuli have no image") in told


def test_other_paths_say_what_they_should_be(tmp_path):
    (tmp_path / "loop.nc").symlink_to(tmp_path / "loop.nc")
    (tmp_path / "old.nc").write_bytes(b"CDF\x01 and more")
    (tmp_path / "data.zip").write_bytes(b"PK\x03\x04")
    (tmp_path / "empty").mkdir()
    names = ("loop.nc", "old.nc", "data.zip", "empty", "absent.nc")
    status, text = check(*(tmp_path / name for name in names))
    assert status == 1
    assert text.count("problem:") == 5
    for words in ("leads to itself", "nccopy -k nc4", "unpack it", "no split files", "check its spelling"):
        assert words in text


def test_scores_whose_images_lie_elsewhere_say_how_to_name_the_folder(tmp_path):
    (tmp_path / "scores.csv").write_text("image,score\na.jpg,1\nb.jpg,2\nc.jpg,3\n")
    status, text = check(tmp_path / "scores.csv")
    assert status == 1 and "name another folder with --images" in text
    assert "--images" not in check(tmp_path / "scores.csv", "--images", tmp_path)[1]


def test_an_array_is_sent_to_the_import(tmp_path):
    np.save(tmp_path / "responses.npy", np.zeros((3, 2)))
    status, text = check(tmp_path / "responses.npy")
    assert status == 1 and "`layerwise data import`" in text


def test_ratings_are_described(table):
    status, text = check(table("image,hit rate,place\na.jpg,0.5,x\nb.jpg,0.7,y\nc.jpg,0.9,z\n"))
    assert status == 0
    assert "columns image (images), hit rate (scores) other columns place" in text
    assert "scores 0.5 to 0.9" in text
    assert "mean and standard deviation 0.700, 0.200" in text


@pytest.mark.parametrize("code", [255, -999])
def test_numbers_that_stand_for_a_missing_score_are_suspected(table, code):
    path = table(f"image,ann,ben\na.jpg,0.5,0.4\n\nb.jpg,0.7,{code}\nc.jpg,0.9,\n")
    status, text = check(path, "--rater", "ann", "--rater", "ben")
    assert status == 1
    assert f"{code} occurs once, and all other scores are from 0.4 to 0.9 (first: line 4, column 'ben')" in text
    assert "(first: line 3, column 'score')" in check(table(f"image,score\na.jpg,0.5\nb.jpg,{code}\nc.jpg,0.9\n"))[1]
    assert check(table("image,score\na.jpg,200\nb.jpg,255\nc.jpg,0\n"))[0] == 0  # a scale up to 255


def test_raters_are_described(table, rng):
    names = tuple(f"{index}.jpg" for index in range(9))
    scores = rng.uniform(0, 1, 9)[:, None] + 0.1 * rng.normal(size=(9, 3))
    rows = [",".join([name, *map(str, row)]) for name, row in zip(names, scores, strict=True)]
    rows[4] = rows[4].rpartition(",")[0] + ","  # the third rater did not see the fifth image
    path = table("\n".join(["image,a,b,c", *rows]), names)
    status, text = check(path, "--rater", "a", "--rater", "b", "--rater", "c")
    assert status == 0
    scores[4, 2] = np.nan
    assert "raters 3 " in text
    assert "raters of an image 2 to 3" in text
    assert "missing 3.7 %" in text
    consistency = show(float(rating_consistency(scores.T).mean()))
    assert f"consistency (split halves, Spearman-Brown) {consistency}" in text
    assert check(path)[0] == 1  # no column of scores is named


def test_names_with_spaces_and_letters_of_any_language(table, tmp_path):
    names = ("my photo 1.jpg", "süß.jpg", "写真.jpg")
    rows = "".join(f"{name},0.{index + 1}\n" for index, name in enumerate(names))
    assert check(table("image,score\n" + rows, names))[0] == 0
    assert check(table("image,score\n" + rows, names, "utf-8-sig"))[0] == 0  # with a byte order mark


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("image;score\na.jpg;0,5\nb.jpg;0,7\nc.jpg;0,9\n", "are parted by semicolons"),
        ("image,score,score\na.jpg,0.5,0.1\nb.jpg,0.7,0.2\nc.jpg,0.9,0.3\n", "has several columns 'score'"),
        ("image;score\na.jpg;0.5\nb.jpg;0.7\nc.jpg;0.9\n", "are parted by semicolons"),
        ("image\tscore\na.jpg\t0.5\nb.jpg\t0.7\n", "are parted by tabs"),
        ('image,score\na.jpg,"0,5"\nb.jpg,0.7\nc.jpg,0.9\n', "line 2: the score '0,5' has a decimal comma"),
        ("image,score\na.jpg,0.5\nb.jpg,high\nc.jpg,0.9\n", "line 3: the score 'high' is not a finite number"),
        ("image,score\na.jpg,0.5\nb.jpg,\nc.jpg,0.9\n", "line 3: the score '' is missing"),
        ("image,score\na.jpg,0.5\na.jpg,0.6\nb.jpg,0.7\nc.jpg,0.9\n", "line 3: the image 'a.jpg' is named more than"),
        ("image,score\na.jpg,0.5\nb.jpg,0.7\n", "c.jpg: has no score"),
        ("image,score\na.jpg,0.5\nb.jpg,0.7\nc.jpg,0.9\n../d.jpg,0.1\n", "line 5: the image '../d.jpg' is not in"),
        ("image,score\na.jpg,0.5\nb.jpg,0.5\nc.jpg,0.5\n", "all images have the score 0.5"),
    ],
)
def test_problems_of_ratings_are_named_by_line(table, tmp_path, text, expected):
    (tmp_path / "d.jpg").touch()
    status, printed = check(table(text))
    assert status == 1
    assert expected in printed


def test_links_that_lead_to_themselves_are_no_images(table, tmp_path):
    path = table("image,score\na.jpg,0.5\nb.jpg,0.7\nc.jpg,0.9\nloop.jpg,0.1\n")
    loop = tmp_path / "images" / "loop.jpg"
    loop.symlink_to(loop)
    status, text = check(path)
    assert status == 1
    assert "line 5: the image 'loop.jpg' is not in" in text


def write_lamem(folder, rng, n_splits=2):
    names = [f"{number:08d}.jpg" for number in range(20)]
    (folder / "splits").mkdir()
    for number in range(1, n_splits + 1):
        order = rng.permutation(names)
        for part, chosen in (("train", order[:12]), ("val", order[12:15]), ("test", order[15:])):
            lines = [f"{name} {rng.uniform(0.2, 1):.6f}\n" for name in chosen]
            (folder / "splits" / f"{part}_{number}.txt").write_text("".join(lines))
    return names


def test_lamem_is_described(tmp_path, rng):
    names = write_lamem(tmp_path, rng)
    status, text = check(tmp_path / "splits")
    assert status == 0
    assert re.search(r"1 12 3 5 0\.\S+ to \S+", text)
    assert "images 20" in text
    assert "split 1: 12 images in train, and LaMem's own have 45,000" in text
    assert "the images were not looked for" in text
    (tmp_path / "images").mkdir()
    for name in names[1:]:
        (tmp_path / "images" / name).touch()
    status, text = check(tmp_path)  # LaMem's own folder
    assert status == 1
    assert f"1 of 20 images that {tmp_path}/splits names is not in {tmp_path}/images" in text
    assert names[0] in text


def test_lamem_problems_are_named_by_line(tmp_path, rng):
    write_lamem(tmp_path, rng)
    path = tmp_path / "splits" / "val_2.txt"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], lines[1].split()[0] + " 1.5", lines[2]]))
    status, text = check(tmp_path / "splits")
    assert status == 1
    assert "val_2.txt, line 2" in text
    assert "the score is not above 0 and up to 1" in text


def test_the_official_splits(shared):
    status, text = check(shared("data", "lamem", "splits"))
    assert status == 0
    assert text.count("45,000 3,741 10,000") == 5
    assert "with another score in another split 58,728" in text


def test_figrim_and_its_images(shared):
    status, text = check(shared("data", "figrim60", "scores.csv"))
    assert status == 0
    assert "images 60" in text
