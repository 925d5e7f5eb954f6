"""The cache of decoded images against a plain loop, and every way in which its input can be bad."""

import os
import pickle
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import numpy as np
import pytest
from damage import N_FLIPS, count_refused, edited, flip
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from layerwise.data import pixels
from layerwise.data.folders import images_in
from layerwise.data.images import apply_geometry, load_image
from layerwise.data.pixels import VERSION, JoinedPixels, PixelCache, pack_pixels
from layerwise.files import hash_file
from layerwise.interfaces import Geometry, StimulusSet

SQUARE = Geometry("square", 16, 16, "bilinear")


def draw_set(folder: Path, rng: np.random.Generator, n_images: int = 23) -> StimulusSet:
    folder.mkdir(exist_ok=True)
    paths = [folder / f"{index:03d}.png" for index in range(n_images)]
    for path in paths:
        height, width = rng.integers(8, 40, 2)
        Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8)).save(path)
    return StimulusSet("noise", tuple(path.stem for path in paths), tuple(paths))


@pytest.mark.parametrize("workers", [1, 3, None])
@pytest.mark.parametrize("geometry", [SQUARE, Geometry("crop", 12, 14, "bicubic")])
def test_equals_a_plain_loop(tmp_path, rng, workers, geometry):
    stimuli = draw_set(tmp_path / "images", rng)
    pack_pixels(stimuli, geometry, tmp_path / "pixels.h5", workers=workers)
    cache = PixelCache(tmp_path / "pixels.h5")
    expected = np.stack([apply_geometry(load_image(path), geometry) for path in stimuli.paths])
    assert len(cache) == 23
    assert cache.ids == stimuli.ids
    assert cache.geometry == geometry
    assert cache.sha256 == tuple(hash_file(path) for path in stimuli.paths)
    np.testing.assert_array_equal(cache.read(0, 23), expected)
    np.testing.assert_array_equal(cache.read(5, 9), expected[5:9])
    assert cache.read(4, 4).shape == (0, geometry.size, geometry.size, 3)


def test_a_link_stays_and_what_is_no_file_is_refused(tmp_path, rng):
    stimuli = draw_set(tmp_path / "images", rng, 3)
    (tmp_path / "scratch").mkdir()
    link, pipe = tmp_path / "pixels.h5", tmp_path / "pipe.h5"
    link.symlink_to(tmp_path / "scratch" / "pixels.h5")
    os.mkfifo(pipe)
    pack_pixels(stimuli, SQUARE, link)
    assert link.is_symlink() and PixelCache(tmp_path / "scratch" / "pixels.h5").ids == stimuli.ids
    with pytest.raises(ValueError, match=r"pipe\.h5 is a pipe: name a file"):
        pack_pixels(stimuli, SQUARE, pipe)
    assert pipe.is_fifo()
    assert {path.name for path in tmp_path.iterdir()} == {"images", "scratch", "pixels.h5", "pipe.h5"}


def test_hash_follows_the_content(tmp_path, rng):
    stimuli = draw_set(tmp_path / "images", rng, 3)

    def content_hash(stimuli: StimulusSet, geometry: Geometry = SQUARE) -> str:
        pack_pixels(stimuli, geometry, tmp_path / "pixels.h5")
        return PixelCache(tmp_path / "pixels.h5").content_hash

    first = content_hash(stimuli)
    assert content_hash(stimuli) == first
    renamed = StimulusSet("noise", ("a", "b", "c"), stimuli.paths)
    other_geometry = content_hash(stimuli, Geometry("square", 16, 16, "bicubic"))
    assert len({first, content_hash(renamed), other_geometry}) == 3
    Image.fromarray(rng.integers(0, 256, (30, 30, 3), dtype=np.uint8)).save(stimuli.paths[1])
    assert content_hash(stimuli) != first


@pytest.mark.parametrize("collide", [False, True])
def test_copies_under_other_names_are_found_by_their_pixels(tmp_path, rng, monkeypatch, collide):
    """Also where checksums of different images are equal."""
    stimuli = draw_set(tmp_path / "images", rng, 9)
    for one, other in ((0, 4), (0, 7), (2, 3)):
        shutil.copy(stimuli.paths[one], stimuli.paths[other])
    Image.open(stimuli.paths[2]).save(stimuli.paths[3], compress_level=0)  # another file, of the same pixels
    pack_pixels(stimuli, SQUARE, tmp_path / "pixels.h5")
    cache = PixelCache(tmp_path / "pixels.h5")
    if collide:
        monkeypatch.setattr(pixels, "checksum", lambda _: 0)
        monkeypatch.setattr(cache, "_checksums", [0] * len(cache))
    assert cache.alike().tolist() == [0, 1, 2, 2, 0, 5, 6, 0, 8]


def test_progress_sees_every_image(tmp_path, rng):
    seen = []

    def progress(items, description, total=None):
        for item in items:
            seen.append((description, total))
            yield item

    pack_pixels(draw_set(tmp_path / "images", rng, 5), SQUARE, tmp_path / "pixels.h5", progress)
    assert seen == [("decoding noise", 5)] * 5


def test_many_read_at_once(tmp_path, rng):
    pack_pixels(draw_set(tmp_path / "images", rng), SQUARE, tmp_path / "pixels.h5")
    cache = PixelCache(tmp_path / "pixels.h5")
    whole = cache.read(0, 23)
    with h5py.File(tmp_path / "pixels.h5", "r"), ThreadPoolExecutor(8) as pool:
        parts = list(pool.map(lambda start: cache.read(start, start + 3), range(20)))
    for start, part in enumerate(parts):
        np.testing.assert_array_equal(part, whole[start : start + 3])


def test_can_be_sent_to_another_process(tmp_path, rng):
    pack_pixels(draw_set(tmp_path / "images", rng, 4), SQUARE, tmp_path / "pixels.h5")
    cache = PixelCache(tmp_path / "pixels.h5")
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(cache)).read(1, 3), cache.read(1, 3))


def test_all_broken_images_are_counted_and_nothing_is_written(tmp_path, rng):
    stimuli = draw_set(tmp_path / "images", rng)
    for path in stimuli.paths[3:15]:
        path.write_bytes(path.read_bytes()[:40])
    stimuli.paths[20].unlink()
    with pytest.raises(ValueError, match="13 images cannot be read") as caught:
        pack_pixels(stimuli, SQUARE, tmp_path / "out" / "pixels.h5")
    lines = str(caught.value).splitlines()
    assert len(lines) == 12
    assert "003.png" in lines[1]
    assert lines[-1].strip() == "... and 3 more"
    assert list((tmp_path / "out").iterdir()) == []


def test_few_broken_images_are_all_named(tmp_path, rng):
    stimuli = draw_set(tmp_path / "images", rng, 4)
    stimuli.paths[0].unlink()
    stimuli.paths[3].write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"2 images(.|\n)*no image .*000\.png(.|\n)*003\.png"):
        pack_pixels(stimuli, SQUARE, tmp_path / "pixels.h5")


def test_empty_set_and_repeated_ids_are_refused(tmp_path, rng):
    with pytest.raises(ValueError, match="holds no image"):
        pack_pixels(StimulusSet("none", (), ()), SQUARE, tmp_path / "pixels.h5")
    paths = draw_set(tmp_path / "images", rng, 2).paths
    with pytest.raises(ValueError, match="share an id"):
        pack_pixels(StimulusSet("twice", ("a", "a"), paths), SQUARE, tmp_path / "pixels.h5")


def test_range_outside_the_set_is_refused(tmp_path, rng):
    pack_pixels(draw_set(tmp_path / "images", rng, 4), SQUARE, tmp_path / "pixels.h5")
    for start, stop in [(-1, 2), (3, 5), (3, 2)]:
        with pytest.raises(ValueError, match="which holds 4"):
            PixelCache(tmp_path / "pixels.h5").read(start, stop)


def test_missing_cache_says_what_to_run(tmp_path):
    with pytest.raises(ValueError, match="run the step that packs the images"):
        PixelCache(tmp_path / "absent.h5")


@settings(max_examples=40, deadline=None)
@given(share=st.floats(0, 0.999))
def test_truncated_cache_is_refused(tmp_path_factory, share):
    folder = tmp_path_factory.mktemp("cut")
    path = folder / "pixels.h5"
    pack_pixels(draw_set(folder / "images", np.random.default_rng(0), 3), SQUARE, path)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(ValueError, match=r"has no checksums at its end: it is cut, .* delete it"):
        PixelCache(path)


def test_no_flipped_bit_changes_pixels(tmp_path, rng):
    path = tmp_path / "pixels.h5"
    pack_pixels(draw_set(tmp_path / "images", rng, 20), SQUARE, path)

    def read():
        cache = PixelCache(path)
        return cache.ids, cache.sha256, cache.geometry, cache.content_hash, cache.read(0, 20).tobytes()

    assert count_refused(path, rng, read, read()) == N_FLIPS


def test_a_cache_of_before_checksums_is_refused_and_made_anew(tmp_path, rng):
    stimuli, path = draw_set(tmp_path / "images", rng, 4), tmp_path / "pixels.h5"
    pack_pixels(stimuli, SQUARE, path)
    before = PixelCache(path).read(0, 4)
    with h5py.File(path, "r") as file, h5py.File(tmp_path / "old.h5", "w") as old:
        for name in ("ids", "sha256", "pixels"):
            file.copy(name, old)
        old.attrs.update({**file.attrs, "version": 1})
    (tmp_path / "old.h5").replace(path)
    with pytest.raises(ValueError, match=r"pixels\.h5 has no checksums .*older layerwise, .*; delete it"):
        PixelCache(path)
    pack_pixels(stimuli, SQUARE, path)
    np.testing.assert_array_equal(PixelCache(path).read(0, 4), before)


def test_pixels_that_were_damaged_are_packed_again(tmp_path, rng):
    stimuli, path = draw_set(tmp_path / "images", rng, 4), tmp_path / "pixels.h5"
    pack_pixels(stimuli, SQUARE, path)
    cache = PixelCache(path)
    before = cache.read(0, 4)
    flip(path, 8 * (cache._offset + 1000))
    with pytest.raises(ValueError, match=r"pixels\.h5 is damaged \(image 2 does not fit its checksum\): delete it"):
        cache.read(0, 4)
    np.testing.assert_array_equal(cache.read(0, 1), before[:1])
    pack_pixels(stimuli, SQUARE, path)
    np.testing.assert_array_equal(PixelCache(path).read(0, 4), before)


def test_cache_cut_while_open_is_refused(tmp_path, rng):
    path = tmp_path / "pixels.h5"
    pack_pixels(draw_set(tmp_path / "images", rng, 4), SQUARE, path)
    cache = PixelCache(path)
    path.write_bytes(path.read_bytes()[: cache._offset + 10])
    with pytest.raises(ValueError, match="truncated"):
        cache.read(0, 4)


@pytest.mark.parametrize("missing", ["ids", "sha256", "pixels"])
def test_cache_without_a_part_is_refused(tmp_path, rng, missing):
    path = tmp_path / "pixels.h5"
    pack_pixels(draw_set(tmp_path / "images", rng, 4), SQUARE, path)
    with edited(path) as file:
        del file[missing]
    with pytest.raises(ValueError, match=rf"damaged.*{missing}"):
        PixelCache(path)


def test_ids_that_do_not_fit_are_refused(tmp_path, rng):
    path = tmp_path / "pixels.h5"
    pack_pixels(draw_set(tmp_path / "images", rng, 4), SQUARE, path)
    with edited(path) as file:
        del file["ids"]
        file["ids"] = ["a", "b"]
    with pytest.raises(ValueError, match=r"damaged.*2 ids"):
        PixelCache(path)


def test_other_format_and_newer_version_are_refused(tmp_path, rng):
    path = tmp_path / "pixels.h5"
    pack_pixels(draw_set(tmp_path / "images", rng, 2), SQUARE, path)
    with edited(path) as file:
        file.attrs["version"] = VERSION + 1
    with pytest.raises(ValueError, match=f"newer layerwise .version {VERSION + 1}"):
        PixelCache(path)
    with edited(path) as file:
        file.attrs["format"] = "something else"
    with pytest.raises(ValueError, match="does not have the format 'layerwise pixels'"):
        PixelCache(path)


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from layerwise.data.pixels import pack_pixels
from layerwise.interfaces import Geometry, StimulusSet

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
paths = tuple(sorted(Path(sys.argv[1]).iterdir()))
stimuli = StimulusSet("noise", tuple(path.stem for path in paths), paths)
pack_pixels(stimuli, Geometry("square", 64, 64, "bilinear"), sys.argv[2])
"""


def test_failing_writes_leave_nothing(tmp_path, rng):
    draw_set(tmp_path / "images", rng, 4)
    target = tmp_path / "out" / "pixels.h5"
    call = [sys.executable, "-c", FULL_DISK, tmp_path / "images", target]
    done = subprocess.run(call, capture_output=True, text=True)
    assert done.returncode != 0
    assert "is the disk full?" in done.stderr
    assert list(target.parent.iterdir()) == []


def test_too_little_space_is_said_beforehand(tmp_path, rng, monkeypatch):
    stimuli = draw_set(tmp_path / "images", rng, 4)
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage._replace(free=4 * 16 * 16 * 3 - 1))
    with pytest.raises(OSError, match=r"0\.00 GB free"):
        pack_pixels(stimuli, SQUARE, tmp_path / "out" / "pixels.h5")
    assert list((tmp_path / "out").iterdir()) == []


def test_two_caches_are_read_as_one(tmp_path, rng):
    first, second = draw_set(tmp_path / "first", rng, 5), images_in(draw_folder(tmp_path / "second", rng), "second")
    for name, stimuli in (("first", first), ("second", second)):
        pack_pixels(stimuli, SQUARE, tmp_path / f"{name}.h5")
    one, other = PixelCache(tmp_path / "first.h5"), PixelCache(tmp_path / "second.h5")
    both = JoinedPixels(one, other)
    expected = np.concatenate([one.read(0, 5), other.read(0, 4)])
    assert (len(both), both.ids) == (9, first.ids + second.ids)
    for start in range(10):
        for stop in range(start, 10):
            np.testing.assert_array_equal(both.read(start, stop), expected[start:stop])
    assert len({one.content_hash, both.content_hash, JoinedPixels(other, one).content_hash}) == 3
    with pytest.raises(ValueError, match="share ids of images"):
        JoinedPixels(one, one)


def draw_folder(folder: Path, rng: np.random.Generator) -> Path:
    draw_set(folder, rng, 4)
    (folder / "below").mkdir()
    (folder / "000.png").rename(folder / "below" / "ü 0.png")
    (folder / "notes.txt").touch()
    return folder


def test_images_of_a_folder_are_drawn_the_same_way_every_time(tmp_path, rng):
    folder = draw_folder(tmp_path / "folder", rng)
    whole = images_in(folder, "own")
    assert whole.ids == ("own/001.png", "own/002.png", "own/003.png", "own/below/ü 0.png")
    assert whole.paths[3] == folder / "below" / "ü 0.png"
    some = images_in(folder, "own", 2)
    assert some == images_in(folder, "own", 2)
    assert len(set(some.ids) & set(whole.ids)) == 2
    with pytest.raises(ValueError, match="holds 4 images, and 5 are needed"):
        images_in(folder, "own", 5)
    with pytest.raises(ValueError, match="no folder of images"):
        images_in(tmp_path / "none", "own")
