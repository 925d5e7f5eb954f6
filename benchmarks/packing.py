"""Packing of images beside decoding alone, in one run: python benchmarks/packing.py [SPLITS]

Decoding alone is what the cores can do at best: as many processes as cores, each of which reads its share of the files
with PIL and throws the pixels away. Calls are repeated in turns, so that a busy machine slows all alike; what counts
are the ratios. With the folder of LaMem's split files, 58,741 small images of the right names are read and packed too.
Prints a table and writes it to packing.md beside this file.
"""

import io
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import PIL
from machine import processor
from PIL import Image, features

from layerwise.data.drawing import draw_image
from layerwise.data.images import apply_geometry, load_image, load_square
from layerwise.data.pixels import PixelCache, pack_pixels
from layerwise.data.ratings import read_lamem
from layerwise.interfaces import Geometry, StimulusSet

N_IMAGES, DIFFERENT, ROUNDS = 1000, 60, 7
CROP = Geometry("crop", 224, 256, "bilinear")
SQUARE = Geometry("square", 224, 224, "bilinear")
CORES = len(os.sched_getaffinity(0))


def draw(folder: Path) -> tuple[Path, ...]:
    """Draw JPEGs with the sides and the quality of photographs on the web, about 50 kB each."""
    rng = np.random.default_rng(0)
    encoded = []
    for _ in range(DIFFERENT):
        side = int(rng.integers(400, 640))
        picture = Image.fromarray(draw_image(rng, side)).crop((0, 0, side, int(rng.uniform(0.6, 1) * side)))
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=85)
        encoded.append(buffer.getvalue())
    paths = tuple(folder / f"{index:05d}.jpg" for index in range(N_IMAGES))
    for index, path in enumerate(paths):
        path.write_bytes(encoded[index % DIFFERENT])
    return paths


def decode_share(paths: tuple[Path, ...], geometry: Geometry | None) -> float:
    start = time.process_time()
    for path in paths:
        if geometry is None:
            with Image.open(path) as image:
                np.asarray(image.convert("RGB"))
        else:
            load_square(path, geometry)
    return time.process_time() - start


def decode_alone(pool: ProcessPoolExecutor, paths: tuple[Path, ...], geometry: Geometry | None) -> float:
    shares = [paths[start::CORES] for start in range(CORES)]
    return sum(pool.map(partial(decode_share, geometry=geometry), shares))


def pack(stimuli: StimulusSet, geometry: Geometry, folder: Path) -> float:
    start = time.process_time()
    pack_pixels(stimuli, geometry, folder / "pixels.h5")
    return time.process_time() - start


def measure(call: Callable[[], float]) -> tuple[float, float]:
    """Images per second, and per second of processor time."""
    start = time.perf_counter()
    used = call()
    return N_IMAGES / (time.perf_counter() - start), N_IMAGES / used


def compare(folder: Path) -> list[str]:
    paths = draw(folder)
    stimuli = StimulusSet("drawn", tuple(path.name for path in paths), paths)
    megabytes = sum(path.stat().st_size for path in paths) / 1e6
    with ProcessPoolExecutor(CORES) as pool:
        calls = {"decoding alone": partial(decode_alone, pool, paths, None)}
        for name, geometry in (("crop 256 to 224", CROP), ("resize to 224", SQUARE)):
            calls[f"decoding, {name}"] = partial(decode_alone, pool, paths, geometry)
            calls[f"packing, {name}"] = partial(pack, stimuli, geometry, folder)
        calls["decoding alone"]()  # reads the files into memory and starts the processes
        rounds = [{name: measure(call) for name, call in calls.items()} for _ in range(ROUNDS)]
    text = (
        f"{N_IMAGES} JPEGs, {megabytes / N_IMAGES * 1000:.0f} kB each on average, {ROUNDS} rounds in turns. Who wants "
        "these very pixels must decode and resize, so what both together reach of decoding alone is the most that "
        "packing can reach: where that is below the 70 % that were aimed at, these are out of reach without other "
        "pixels. Shares are of images per second (median, and range over rounds), and of images per second of "
        "processor time, which others on the machine disturb less."
    )
    lines = [
        text,
        "",
        "| step | images / s | share of decoding alone | by CPU time | share of decoding and resizing | by CPU time |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name in calls:
        median = statistics.median(one[name][0] for one in rounds)
        resized = name.replace("packing", "decoding")
        shares = f"{share(rounds, name, 'decoding alone')} | {share(rounds, name, resized)}"
        lines.append(f"| {name} | {median:.0f} | {shares} |")
    return lines


def share(rounds: list[dict[str, tuple[float, float]]], name: str, of: str) -> str:
    """Two cells: by time, with the range over rounds, and by processor time."""
    if name == of:
        return " | "
    time_shares, cpu_shares = ([100 * one[name][k] / one[of][k] for one in rounds] for k in (0, 1))
    spread = f"{min(time_shares):.0f} to {max(time_shares):.0f}"
    return f"{statistics.median(time_shares):.0f} % ({spread}) | {statistics.median(cpu_shares):.0f} %"


def pack_lamem(splits: Path, folder: Path) -> list[str]:
    """Read and pack the whole of LaMem by its real names, with small images in place of those that are not here."""
    images = folder / "lamem"
    images.mkdir()
    rng = np.random.default_rng(1)
    encoded = []
    for _ in range(200):
        buffer = io.BytesIO()
        Image.fromarray(draw_image(rng, 48)).save(buffer, "JPEG")
        encoded.append(buffer.getvalue())
    names = sorted({line.split()[0] for path in splits.glob("*.txt") for line in path.read_text().splitlines()})
    for index, name in enumerate(names):
        (images / name).write_bytes(encoded[index % 200])
    start = time.perf_counter()
    ratings, stimuli = read_lamem(splits, images)
    read = time.perf_counter() - start
    pack_pixels(stimuli, Geometry("square", 32, 32, "bilinear"), folder / "lamem.h5")
    packed = time.perf_counter() - start - read
    cache = PixelCache(folder / "lamem.h5")
    assert cache.ids == ratings.stimuli and len(cache) == 58_741
    for place in (0, 29_370, 58_740):
        expected = apply_geometry(load_image(stimuli.paths[place]), cache.geometry)
        np.testing.assert_array_equal(cache.read(place, place + 1)[0], expected)
    text = (
        f"LaMem at full count: {len(cache):,} images of {len(ratings.splits)} splits, 48 pixels wide in place of the "
        f"photographs. Reading the splits and finding all images took {read:.1f} s, packing {packed:.0f} s "
        f"({len(cache) / packed:.0f} images / s)."
    )
    return ["", text]


def main() -> None:
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as name:
        lines = compare(Path(name))
        if len(sys.argv) > 1:
            lines += pack_lamem(Path(sys.argv[1]), Path(name))
    machine = (
        f"{processor()}, {CORES} cores, load {load:.1f} at the start; Pillow "
        f"{PIL.__version__}, libjpeg-turbo {features.version('libjpeg_turbo')}."
    )
    head = ["# Packing images", "", "Made by `python benchmarks/packing.py SPLITS`.", "", machine, ""]
    text = "\n".join([*head, *lines]) + "\n"
    print(text)
    Path(__file__).with_suffix(".md").write_text(text)


if __name__ == "__main__":
    main()
