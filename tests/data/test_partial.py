"""Packing that was stopped goes on where it was, and takes over nothing that is not what it would decode."""

import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import h5py
import numpy as np
import pytest
from damage import flip
from PIL import Image

import layerwise.data.pixels as pixels
from layerwise.data.pixels import PixelCache, pack_pixels
from layerwise.interfaces import Geometry, StimulusSet

SQUARE = Geometry("square", 16, 16, "bilinear")
N_IMAGES = 30


@pytest.fixture
def stimuli(tmp_path, rng):
    folder = tmp_path / "images"
    folder.mkdir()
    paths = tuple(folder / f"{index:03d}.png" for index in range(N_IMAGES))
    for path in paths:
        Image.fromarray(rng.integers(0, 256, (20, 20, 3), dtype=np.uint8)).save(path)
    return StimulusSet("noise", tuple(path.stem for path in paths), paths)


@pytest.fixture
def decoded(monkeypatch):
    """Names of the images that are decoded from here on."""
    names, decode = [], pixels._decode
    monkeypatch.setattr(pixels, "_decode", lambda path, geometry: names.append(path.stem) or decode(path, geometry))
    return names


def stop_after(count):
    def progress(items: Iterable, description, total=None):
        for index, item in enumerate(items):
            if index == count:
                raise KeyboardInterrupt
            yield item

    return progress


def stop(stimuli, output, count=12, geometry=SQUARE):
    with pytest.raises(KeyboardInterrupt):
        pack_pixels(stimuli, geometry, output, stop_after(count), workers=1)


def assert_whole(stimuli, output, tmp_path):
    """Equal to what a run without a stop gives, and nothing else is left."""
    pack_pixels(stimuli, SQUARE, tmp_path / "plain" / "pixels.h5")
    found, expected = PixelCache(output), PixelCache(tmp_path / "plain" / "pixels.h5")
    np.testing.assert_array_equal(found.read(0, N_IMAGES), expected.read(0, N_IMAGES))
    assert (found.content_hash, found.sha256, found.ids) == (expected.content_hash, expected.sha256, expected.ids)
    assert list(output.parent.iterdir()) == [output]


def test_a_stopped_run_is_gone_on_with(stimuli, tmp_path, decoded):
    output = tmp_path / "out" / "pixels.h5"
    stop(stimuli, output)
    assert not output.exists()
    decoded.clear()
    seen = []
    pack_pixels(stimuli, SQUARE, output, lambda items, what, total: seen.append(total) or iter(items), workers=1)
    assert decoded == list(stimuli.ids[12:])
    assert seen == [N_IMAGES - 12]
    assert_whole(stimuli, output, tmp_path)


def test_stops_add_up(stimuli, tmp_path, decoded):
    output = tmp_path / "out" / "pixels.h5"
    for _ in range(3):
        stop(stimuli, output, 8)
    decoded.clear()
    pack_pixels(stimuli, SQUARE, output, workers=2)
    assert sorted(decoded) == list(stimuli.ids[24:])
    assert_whole(stimuli, output, tmp_path)


KILLED = """
import os, signal, sys
from pathlib import Path
from layerwise.data.pixels import pack_pixels
from layerwise.interfaces import Geometry, StimulusSet

def progress(items, description, total=None):
    for index, item in enumerate(items):
        if index == 75:
            os.kill(os.getpid(), signal.SIGKILL)
        yield item

paths = tuple(sorted(Path(sys.argv[1]).iterdir())) * 3
stimuli = StimulusSet("noise", tuple(f"{index:03d}" for index in range(90)), paths)
pack_pixels(stimuli, Geometry("square", 16, 16, "bilinear"), sys.argv[2], progress, workers=1)
"""


def test_a_killed_run_loses_only_its_last_images(stimuli, tmp_path, decoded):
    output = tmp_path / "out" / "pixels.h5"
    done = subprocess.run([sys.executable, "-c", KILLED, tmp_path / "images", output], check=False)
    assert done.returncode == -9
    thrice = StimulusSet("noise", tuple(f"{index:03d}" for index in range(90)), stimuli.paths * 3)
    pack_pixels(thrice, SQUARE, output, workers=1)
    assert 15 <= len(decoded) <= 90 - 64
    once = PixelCache(output).read(0, 90).reshape(3, N_IMAGES, 16, 16, 3)
    pack_pixels(stimuli, SQUARE, tmp_path / "plain.h5")
    np.testing.assert_array_equal(once, np.stack([PixelCache(tmp_path / "plain.h5").read(0, N_IMAGES)] * 3))


def test_an_image_that_changed_is_decoded_again(stimuli, tmp_path, decoded, rng):
    output = tmp_path / "out" / "pixels.h5"
    stop(stimuli, output)
    Image.fromarray(rng.integers(0, 256, (20, 20, 3), dtype=np.uint8)).save(stimuli.paths[4])
    decoded.clear()
    pack_pixels(stimuli, SQUARE, output, workers=1)
    assert decoded == [stimuli.ids[4], *stimuli.ids[12:]]
    assert_whole(stimuli, output, tmp_path)


def hidden(output: Path, ending: str) -> Path:
    return output.with_name(f".pixels-partial.{ending}")


def test_pixels_that_were_damaged_are_decoded_again(stimuli, tmp_path, decoded):
    output = tmp_path / "out" / "pixels.h5"
    stop(stimuli, output)
    with h5py.File(hidden(output, "h5"), "r") as file:
        offset = file["pixels"].id.get_offset()
    flip(hidden(output, "h5"), 8 * (offset + (7 * 256 + 50) * 3))
    decoded.clear()
    pack_pixels(stimuli, SQUARE, output, workers=1)
    assert decoded == [stimuli.ids[7], *stimuli.ids[12:]]
    assert_whole(stimuli, output, tmp_path)


@pytest.mark.parametrize("ending", ["h5", "journal"])
@pytest.mark.parametrize("content", [b"", b"\xff\x00 something else"])
def test_what_cannot_be_gone_on_with_is_begun_anew(stimuli, tmp_path, decoded, ending, content):
    output = tmp_path / "out" / "pixels.h5"
    stop(stimuli, output)
    hidden(output, ending).write_bytes(content)
    decoded.clear()
    pack_pixels(stimuli, SQUARE, output, workers=1)
    assert decoded == list(stimuli.ids)
    assert_whole(stimuli, output, tmp_path)


def test_a_line_that_was_cut_is_passed_over(stimuli, tmp_path, decoded):
    output = tmp_path / "out" / "pixels.h5"
    stop(stimuli, output)
    journal = hidden(output, "journal")
    journal.write_bytes(journal.read_bytes()[:-40])
    decoded.clear()
    pack_pixels(stimuli, SQUARE, output, workers=1)
    assert decoded == list(stimuli.ids[11:])
    assert_whole(stimuli, output, tmp_path)


def test_another_geometry_or_other_ids_begin_anew(stimuli, tmp_path, decoded):
    output = tmp_path / "out" / "pixels.h5"
    stop(stimuli, output, geometry=Geometry("square", 16, 16, "bicubic"))
    decoded.clear()
    stop(StimulusSet("noise", tuple(f"x{name}" for name in stimuli.ids), stimuli.paths), output)
    assert decoded[:12] == list(stimuli.ids[:12])
    decoded.clear()
    pack_pixels(stimuli, SQUARE, output, workers=1)
    assert decoded == list(stimuli.ids)
    assert_whole(stimuli, output, tmp_path)


def test_a_kill_between_the_file_and_the_end_of_its_journal_leaves_nothing_for_good(
    stimuli, tmp_path, decoded, monkeypatch
):
    output = tmp_path / "out" / "pixels.h5"

    def interrupt(self):
        self.path.replace(self.target)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(pixels.PartialPixels, "finish", interrupt)
        pack_pixels(stimuli, SQUARE, output, workers=1)
    assert len(list(output.parent.iterdir())) == 2
    decoded.clear()
    pack_pixels(stimuli, SQUARE, output, workers=1)
    assert decoded == []
    assert list(output.parent.iterdir()) == [output]
    assert_whole(stimuli, output, tmp_path)


def test_a_stop_at_the_very_end_is_gone_on_with(stimuli, tmp_path, decoded, monkeypatch):
    output = tmp_path / "out" / "pixels.h5"

    def interrupt(self):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(pixels.PartialPixels, "finish", interrupt)
        pack_pixels(stimuli, SQUARE, output, workers=1)
    decoded.clear()
    pack_pixels(stimuli, SQUARE, output, workers=1)
    assert decoded == []
    assert_whole(stimuli, output, tmp_path)


SLOW = """
import sys, time
from pathlib import Path
from layerwise.data.pixels import pack_pixels
from layerwise.interfaces import Geometry, StimulusSet

def progress(items, description, total=None):
    for index, item in enumerate(items):
        print(index, flush=True)
        time.sleep(float(sys.argv[3]))
        yield item

paths = tuple(sorted(Path(sys.argv[1]).iterdir()))
stimuli = StimulusSet("noise", tuple(path.stem for path in paths), paths)
pack_pixels(stimuli, Geometry("square", 16, 16, "bilinear"), sys.argv[2], progress, workers=1)
"""


def start(tmp_path, output, pause=0.02):
    call = [sys.executable, "-c", SLOW, tmp_path / "images", output, str(pause)]
    return subprocess.Popen(call, stdout=subprocess.PIPE, text=True)


def test_of_two_jobs_at_once_one_decodes_and_both_end_right(stimuli, tmp_path):
    output = tmp_path / "out" / "pixels.h5"
    jobs = [start(tmp_path, output) for _ in range(2)]
    decoded = [job.communicate()[0].split() for job in jobs]
    assert [job.returncode for job in jobs] == [0, 0]
    assert sorted(map(len, decoded)) == [0, N_IMAGES]
    assert_whole(stimuli, output, tmp_path)


def test_a_job_that_waited_for_one_that_was_killed_goes_on_with_its_pixels(stimuli, tmp_path):
    output = tmp_path / "out" / "pixels.h5"
    first = start(tmp_path, output, 0.3)
    assert first.stdout.readline() == "0\n"
    second = start(tmp_path, output, 0)
    time.sleep(1)
    first.kill()
    first.communicate()
    assert len(second.communicate()[0].split()) in range(1, N_IMAGES + 1)
    assert second.returncode == 0
    assert_whole(stimuli, output, tmp_path)


def test_what_is_made_already_is_not_made_again(stimuli, tmp_path, decoded, rng):
    output = tmp_path / "out" / "pixels.h5"
    for expected in (list(stimuli.ids), []):
        decoded.clear()
        pack_pixels(stimuli, SQUARE, output, workers=1)
        assert decoded == expected
    Image.fromarray(rng.integers(0, 256, (20, 20, 3), dtype=np.uint8)).save(stimuli.paths[4])
    pack_pixels(stimuli, SQUARE, output, workers=1)
    assert decoded == list(stimuli.ids)
    assert_whole(stimuli, output, tmp_path)
    stimuli.paths[4].unlink()
    with pytest.raises(ValueError, match="1 image cannot be read"):
        pack_pixels(stimuli, SQUARE, output, workers=1)


def test_a_journal_that_cannot_be_written_leaves_nothing(stimuli, tmp_path, monkeypatch):
    def fail(path, *_, **__):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(Path, "write_text", fail)
    with pytest.raises(OSError, match="is the disk full"):
        pack_pixels(stimuli, SQUARE, tmp_path / "out" / "pixels.h5", workers=1)
    assert list((tmp_path / "out").iterdir()) == []


def test_what_cannot_be_written_when_it_is_closed_leaves_nothing(stimuli, tmp_path):
    program = """
import resource, sys
from pathlib import Path
from layerwise.data import partial, pixels
from layerwise.interfaces import Geometry, StimulusSet
def settle(self):
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))  # what is buffered is written when the files are closed
partial.PartialPixels.settle = settle
paths = tuple(sorted(Path(sys.argv[1]).iterdir()))
stimuli = StimulusSet("noise", tuple(path.stem for path in paths), paths)
pixels.pack_pixels(stimuli, Geometry("square", 16, 16, "bilinear"), sys.argv[2], workers=1)
"""
    command = [sys.executable, "-c", program, stimuli.paths[0].parent, tmp_path / "out" / "pixels.h5"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode != 0
    assert "File too large" in done.stderr
    assert list((tmp_path / "out").iterdir()) == []
