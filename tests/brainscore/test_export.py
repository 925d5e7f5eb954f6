"""The parts of the exporter that need no Brain-Score."""

import errno
from pathlib import Path

import numpy as np
import pytest
import xarray as xr


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
    with pytest.raises(ValueError, match=r"'Rajalingham2020' is not known \(known: FreemanZiemba2013, MajajHong2015\)"):
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
