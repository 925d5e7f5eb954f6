"""The parts of the exporter that need no Brain-Score."""

import errno
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr
from public_data import PAGE, TEST, concept, touch_images

from layerwise.data.recordings import read_recordings, stimuli_of


class Stimuli:
    def __init__(self, paths):
        self.paths = paths

    def get_stimulus(self, stimulus):
        return self.paths[stimulus]


def assembly(starts, stops, rng):
    return xr.DataArray(
        rng.normal(size=(4, 3, len(starts))),
        dims=["presentation", "neuroid", "time_bin"],
        coords={"time_bin_start": ("time_bin", starts), "time_bin_end": ("time_bin", stops)},
    )


def test_protocols_are_those_of_the_benchmarks(exporter):
    assert exporter.find_protocol("FreemanZiemba2013.public") == exporter.Protocol((50, 200), 4, "texture_type")
    assert exporter.find_protocol("MajajHong2015.private") == exporter.Protocol((70, 170), 8, "object_name")
    given = exporter.find_protocol("MajajHong2015.public", window=[60, 160])
    assert given == exporter.Protocol((60, 160), 8, "object_name")


def test_an_unknown_data_set_needs_its_whole_protocol(exporter):
    with pytest.raises(
        ValueError, match=r"'Rajalingham2020' is not known \(known: FreemanZiemba2013, MajajHong2015, Pap"
    ):
        exporter.find_protocol("Rajalingham2020", window=(70, 170), visual_degrees=8)
    given = exporter.find_protocol("Rajalingham2020", (70, 170), 8, "object_name")
    assert given == exporter.Protocol((70, 170), 8, "object_name")


def test_the_window_is_averaged_bin_by_bin(exporter, rng):
    one_ms = assembly(np.arange(0, 250), np.arange(1, 251), rng)
    averaged = exporter.average_window(one_ms, (50, 200))
    np.testing.assert_allclose(averaged.values, one_ms.values[:, :, 50:200].mean(axis=2), rtol=0, atol=1e-15)


@pytest.mark.parametrize("window", [(60, 200), (50, 260), (55, 200)])
def test_bins_that_do_not_fill_the_window_are_refused(exporter, rng, window):
    starts = np.delete(np.arange(50, 250, 10), 3)  # the bin from 80 to 90 is missing
    with pytest.raises(ValueError, match="do not fill the window"):
        exporter.average_window(assembly(starts, starts + 10, rng), window)


def test_responses_without_time_stay_as_they_are(exporter, rng):
    responses = xr.DataArray(rng.normal(size=(4, 3)), dims=["presentation", "neuroid"])
    assert exporter.average_window(responses, (70, 170)) is responses


def test_neuroids_of_two_regions_may_share_ids_but_not_within_one(exporter):
    def named(ids, regions):
        coordinates = {"neuroid_id": ("neuroid", ids), "region": ("neuroid", regions)}
        return exporter.name_neuroids(xr.DataArray(np.zeros(len(ids)), dims=["neuroid"], coords=coordinates))

    assert named([1, 2, 1], ["V1", "V1", "V2"])["neuroid"].tolist() == ["V1-1", "V1-2", "V2-1"]
    assert named(["a", "b"], ["V1", "V2"])["neuroid"].tolist() == ["a", "b"]
    with pytest.raises(ValueError, match="2 neuroids share the id 'V1-1'"):
        named([1, 1, 1], ["V1", "V1", "V2"])


def test_only_properties_of_stimuli_are_kept(exporter, capsys):
    stimuli = np.array(["b", "a", "b"])
    kept = exporter.properties(
        {
            "object_name": np.array(["dog", "cat", "dog"], dtype=object),
            "rotation": np.array([np.nan, 1.5, np.nan]),
            "public": np.array([True, False, True]),
            "session": np.array([1, 1, 2]),
            "image": np.array(["x", "y", "x"]),
        },
        stimuli,
    )
    assert list(kept) == ["object_name", "rotation", "public"]
    assert kept["object_name"].tolist() == ["dog", "cat", "dog"]
    assert kept["public"].tolist() == [1, 0, 1]
    assert "left out: the coordinate 'session'" in capsys.readouterr().err


def test_images_of_one_name_do_not_overwrite_each_other(exporter, tmp_path):
    paths = {"a": tmp_path / "one" / "x.png", "b": tmp_path / "two" / "X.png"}
    for stimulus, path in paths.items():
        path.parent.mkdir()
        path.write_text(stimulus)
    names = exporter.copy_images(Stimuli(paths), np.array(["a", "b"]), tmp_path / "out")
    assert {stimulus: (tmp_path / "out" / name).read_text() for stimulus, name in names.items()} == {"a": "a", "b": "b"}


def test_a_stimulus_without_an_image_is_named(exporter, tmp_path):
    with pytest.raises(ValueError, match="1 stimuli have no image, such as 'a'"):
        exporter.copy_images(Stimuli({"a": tmp_path / "none.png"}), np.array(["a"]), tmp_path / "out")


def test_a_failed_write_leaves_nothing(exporter, tmp_path):
    with pytest.raises(RuntimeError), exporter.whole_file(tmp_path / "x.nc") as temporary:
        Path(temporary).write_text("half")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_without_brain_score_it_says_what_to_do(exporter, tmp_path):
    with pytest.raises(SystemExit, match=r"Brain-Score is not installed here.*make .venv-brainscore/installed"):
        exporter.main(
            ["MajajHong2015.public", "--output", str(tmp_path / "x.nc"), "--images", str(tmp_path / "images")]
        )


def test_the_command_runs_in_brain_scores_environment(brainscore, tmp_path):
    script = Path(__file__).parents[2] / "workflow" / "scripts" / "export_brainscore.py"
    done = brainscore(script, "NotThere2026.public", "--output", tmp_path / "x.nc", "--images", tmp_path / "images")
    assert done.returncode == 1
    assert "the protocol of 'NotThere2026.public' is not known" in done.stderr


@pytest.mark.parametrize("kind", ["device", "folder", "below a file"])
def test_only_files_are_written(exporter, tmp_path, monkeypatch, kind):
    """Renaming would replace a device, and what Brain-Score loads takes minutes: it is said before."""
    monkeypatch.setattr(exporter, "load", lambda identifier: pytest.fail("loaded"))
    (tmp_path / "file").touch()
    output = {"device": Path("/dev/null"), "folder": tmp_path, "below a file": tmp_path / "file" / "a.nc"}[kind]
    with pytest.raises(SystemExit, match=f"error: {output} .*name a file"):
        exporter.main(["MajajHong2015.public", "--output", str(output), "--images", str(tmp_path / "images")])


def test_a_full_disk_is_told_in_a_sentence(exporter, tmp_path, monkeypatch):
    def full(identifier):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(exporter, "load", full)
    with pytest.raises(SystemExit, match=r"error: .*No space left on device"):
        exporter.main(["MajajHong2015.public", "--output", str(tmp_path / "a.nc"), "--images", str(tmp_path)])


REPETITIONS = 3
IDS = [name.removesuffix(".jpg") for name in TEST]


def papale(rng):
    """As Brain-Score packs TVSD: neuroids of both monkeys count from 0, and one bin of time."""
    neuroids = {"neuroid_id": [0, 1, 2, 0, 1, 2], "region": ["V1", "V4", "IT"] * 2, "subject": ["F"] * 3 + ["N"] * 3}
    neuroids["reliability"] = [0.31, 0.3, 0.9, 0.1, np.nan, 0.5]
    return xr.DataArray(
        rng.normal(size=(len(IDS) * REPETITIONS, 6, 1)),
        dims=["presentation", "neuroid", "time_bin"],
        coords={
            "stimulus_id": ("presentation", np.repeat(IDS, REPETITIONS)),
            "object_name": ("presentation", np.repeat([concept(name) for name in TEST], REPETITIONS)),
            "repetition": ("presentation", np.tile(np.arange(REPETITIONS), len(IDS))),
            **{name: ("neuroid", values) for name, values in neuroids.items()},
            "time_bin_start": ("time_bin", [70]),
            "time_bin_end": ("time_bin", [170]),
        },
        name="THINGS_TVSD_test_Assembly",
    )


@pytest.fixture
def things(tmp_path):
    touch_images(tmp_path / "object_images", [f"{concept(name)}/{name}" for name in TEST])
    return tmp_path / "object_images"


def test_responses_alone_join_a_folder_of_things(exporter, tmp_path, things, rng, monkeypatch):
    made = papale(rng)
    made.to_netcdf(tmp_path / "assy.nc", engine="h5netcdf")
    written = SimpleNamespace()
    monkeypatch.setattr(exporter, "write", lambda path, *rest: (path.touch(), setattr(written, "rest", rest)))
    arguments = [
        "Papale2025_test",
        "--assembly",
        tmp_path / "assy.nc",
        "--images",
        things,
        "--output",
        tmp_path / "a.nc",
    ]
    exporter.main([str(argument) for argument in arguments])
    responses, presentations, neuroids, attributes = written.rest
    kept = [0, 2, 5]  # .3 is not above .3
    np.testing.assert_array_equal(responses, made.values[:, kept, 0])
    assert neuroids["neuroid"].tolist() == ["F-V1-0", "F-IT-2", "N-IT-2"]
    assert neuroids["animal"].tolist() == ["F", "F", "N"]
    assert presentations["image"].tolist() == [f"{concept(name)}/{name}" for name in np.repeat(TEST, REPETITIONS)]
    assert "brainscore_rank" not in presentations
    assert (attributes["images"], attributes["visual_degrees"]) == ("object_images", 18)
    assert sorted(path.name for path in things.iterdir()) == ["aardvark", "air_conditioner", "bat1"]  # no copies


def test_an_export_of_things_is_read_by_layerwise(brainscore, tmp_path, things, rng):
    made = papale(rng)
    made.to_netcdf(tmp_path / "assy.nc", engine="h5netcdf")
    script = Path(__file__).parents[2] / "workflow" / "scripts" / "export_brainscore.py"
    given = ("--assembly", tmp_path / "assy.nc", "--images", things, "--output", tmp_path / "a.nc")
    done = brainscore(script, "Papale2025_test", *given)
    assert done.returncode == 0, done.stderr
    found = read_recordings(tmp_path / "a.nc")
    assert found.responses.shape == (REPETITIONS, len(IDS), 3)
    for place, stimulus in enumerate(found.stimuli):
        shown = made.values[np.repeat(IDS, REPETITIONS) == stimulus][:, [0, 2, 5], 0]
        np.testing.assert_array_equal(found.responses[:, place], shown)
    assert stimuli_of(tmp_path / "a.nc").paths[0] == things / "aardvark/aardvark_13s.jpg"


FETCH = """
import importlib.util, sys
from brainscore_core.supported_data_standards.brainio import s3
spec = importlib.util.spec_from_file_location("export_brainscore", sys.argv[1])
exporter = importlib.util.module_from_spec(spec)
sys.modules["export_brainscore"] = exporter
spec.loader.exec_module(exporter)
s3.get_path = lambda identifier, kind, bucket, *rest, folder_name=None: f"{bucket}:{folder_name}/{identifier}.{kind}"
for name in sys.argv[2:]:
    print(exporter.fetch_alone(name))
"""


def test_brain_score_is_asked_for_the_responses_alone(brainscore, tmp_path):
    files = {"Papale2025_train": "THINGS_TVSD_train", "Papale2025_test": "THINGS_TVSD_test"}
    files |= {"Hebart2023_fmri_train": "THINGS_fMRI_train", "Hebart2023_fmri_test": "THINGS_fMRI_test"}
    (tmp_path / "fetch.py").write_text(FETCH)
    script = Path(__file__).parents[2] / "workflow/scripts/export_brainscore.py"
    done = brainscore(tmp_path / "fetch.py", script, *files)
    assert done.returncode == 0, done.stderr
    folder = "brainscore-storage:brainscore-vision/benchmarks"
    asked = [f"{folder}/{name.rpartition('_')[0]}/{file}_Assembly.nc" for name, file in files.items()]
    assert done.stdout.strip().splitlines()[-4:] == asked


def without_image(folder):
    (folder / "object_images/bat1/bat1_14s.jpg").unlink()


def a_web_page(folder):
    (folder / "assy.nc").write_text(PAGE)


def another_assembly(folder):
    xr.DataArray(np.zeros((2, 2)), dims=["presentation", "neuroid"]).to_netcdf(folder / "assy.nc", engine="h5netcdf")


def no_reliability(folder):
    made = papale(np.random.default_rng(0)).drop_vars("reliability")
    made.to_netcdf(folder / "assy.nc", engine="h5netcdf")


def absent(folder):
    (folder / "assy.nc").unlink()


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (without_image, r"1 of 4 images of THINGS are not in .*object_images \(first: bat1/bat1_14s.jpg\)"),
        (a_web_page, "assy.nc is no assembly in netCDF"),
        (another_assembly, "assy.nc is no assembly of Brain-Score's"),
        (no_reliability, "the neuroids have no 'reliability'"),
        (absent, "no file .*assy.nc"),
    ],
)
def test_what_is_no_such_assembly_is_refused(exporter, tmp_path, things, rng, spoil, told):
    papale(rng).to_netcdf(tmp_path / "assy.nc", engine="h5netcdf")
    spoil(tmp_path)
    arguments = [
        "Papale2025_test",
        "--assembly",
        tmp_path / "assy.nc",
        "--images",
        things,
        "--output",
        tmp_path / "a.nc",
    ]
    with pytest.raises(SystemExit, match=told):
        exporter.main([str(argument) for argument in arguments])
    assert not (tmp_path / "a.nc").exists()


def test_a_file_of_responses_is_for_things_alone(exporter, tmp_path):
    with pytest.raises(SystemExit, match="--assembly is for responses to images of THINGS"):
        exporter.main(["MajajHong2015.public", "--assembly", "a", "--output", str(tmp_path / "x.nc"), "--images", "b"])
