"""Images the package draws itself: an object of one of eight categories among clutter, on a textured ground.

They are no photographs, but they vary in what early, middle and late layers of a network care about:
orientation, spatial frequency and contrast; texture and colour; shape, number and category.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Pattern = NDArray[np.float64]  # [size, size], from 0 to 1
Points = NDArray[np.float64]  # [point, 2], within the unit circle
_FINE = 2  # outlines are drawn so many times larger, then averaged down


def draw_image(rng: np.random.Generator, size: int = 256, category: str | None = None) -> NDArray[np.uint8]:
    """Draw an image.

    Parameters
    ----------
    rng : numpy.random.Generator
        Decides everything that is not given.
    size : int
        Side, pixels.
    category : str, optional
        What the object is, one of `CATEGORIES`; default: drawn.

    Returns
    -------
    uint8 array [size, size, 3]

    Raises
    ------
    ValueError
        The category is unknown.
    """
    category = str(rng.choice(CATEGORIES)) if category is None else category
    if category not in _OBJECTS:
        raise ValueError(f"no category {category!r}; there are: {', '.join(CATEGORIES)}")
    picture = _colour(_pattern(rng, size), rng)
    for _ in range(rng.integers(0, 13)):
        _place(picture, [_blob(rng)], rng.uniform(0, 1, 2), rng.uniform(0.02, 0.12), rng)
    _place(picture, _OBJECTS[category](), rng.uniform(0.3, 0.7, 2), rng.uniform(0.18, 0.42), rng)
    light = 1 + rng.uniform(0, 0.5) * (_ramp(rng, size) - 0.5)
    grain = rng.normal(0, rng.uniform(0, 8), picture.shape)
    return np.clip(picture * light[..., None] + grain, 0, 255).astype(np.uint8)


def _pattern(rng: np.random.Generator, size: int) -> Pattern:
    kinds: list[Callable[[np.random.Generator, int], Pattern]] = [_ramp, _grating, _plaid, _cloud, _checks]
    pattern = kinds[rng.integers(len(kinds))](rng, size)
    return np.asarray(0.5 + rng.uniform(0.3, 1) * (pattern - 0.5))


def _along(rng: np.random.Generator, size: int) -> Pattern:
    angle = rng.uniform(0, 2 * np.pi)
    rows, columns = np.mgrid[:size, :size] / size - 0.5
    return np.asarray(np.cos(angle) * columns + np.sin(angle) * rows)


def _ramp(rng: np.random.Generator, size: int) -> Pattern:
    return np.asarray(0.5 + _along(rng, size) / np.sqrt(2))


def _grating(rng: np.random.Generator, size: int) -> Pattern:
    cycles = min(2 ** rng.uniform(1, 5.5), size / 4)  # finer ones would alias
    wave = np.sin(2 * np.pi * (cycles * _along(rng, size) + rng.uniform()))
    return np.asarray(0.5 + 0.5 * np.tanh(rng.uniform(0.5, 4) * wave))


def _plaid(rng: np.random.Generator, size: int) -> Pattern:
    return (_grating(rng, size) + _grating(rng, size)) / 2


def _checks(rng: np.random.Generator, size: int) -> Pattern:
    cells = 2 ** rng.uniform(1, 4.5)
    return np.asarray((np.floor(cells * _along(rng, size)) + np.floor(cells * _along(rng, size))) % 2)


def _cloud(rng: np.random.Generator, size: int) -> Pattern:
    # The spectrum falls as a power of frequency, in photographs about as 1/f.
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None])
    frequency[0, 0] = np.inf
    spectrum = np.fft.rfft2(rng.normal(size=(size, size))) / frequency ** rng.uniform(0.5, 2)
    noise = np.fft.irfft2(spectrum, (size, size))
    return np.asarray(0.5 + 0.5 * np.tanh(noise / noise.std()))


def _colour(pattern: Pattern, rng: np.random.Generator) -> NDArray[np.float64]:
    dark, light = rng.uniform(0, 255, (2, 3))
    return np.asarray(dark + pattern[..., None] * (light - dark))


def _place(
    picture: NDArray[np.float64],
    outlines: list[Points],
    centre: NDArray[np.float64],
    radius: float,
    rng: np.random.Generator,
) -> None:
    size = len(picture)
    angle = rng.normal(0, 0.35)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    for outline in outlines:
        points = (centre + radius * outline @ turn) * size
        left, top = np.clip(np.floor(points.min(axis=0)), 0, size - 1).astype(int)
        side = max(2, int(np.ceil((points - (left, top)).max())) + 1)
        filled = _colour(_pattern(rng, side), rng)
        part = picture[top : top + side, left : left + side]
        rows, columns = part.shape[:2]  # an object may reach over the edge of the image
        part += _cover(side, points - (left, top))[:rows, :columns, None] * (filled[:rows, :columns] - part)


def _cover(size: int, points: Points) -> Pattern:
    mask = Image.new("L", (_FINE * size, _FINE * size))
    ImageDraw.Draw(mask).polygon([(x, y) for x, y in (_FINE * points).tolist()], fill=255)
    return np.asarray(mask.resize((size, size), Image.Resampling.BOX), dtype=np.float64) / 255


def _circle(radius: float = 1, x: float = 0, y: float = 0, points: int = 40) -> Points:
    angles = np.arange(points) * 2 * np.pi / points - np.pi / 2
    return np.stack([x + radius * np.cos(angles), y + radius * np.sin(angles)], axis=1)


def _box(left: float, top: float, right: float, bottom: float) -> Points:
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]])


def _blob(rng: np.random.Generator) -> Points:
    return _circle(points=int(rng.integers(3, 9))) * rng.uniform(0.5, 1, 2)


def _star() -> Points:
    return np.asarray(_circle(points=10) * np.tile([1, 0.4], 5)[:, None])


def _flower() -> list[Points]:
    petals = [_circle(0.4, *(0.6 * point)) for point in _circle(points=6)]
    return [*petals, _circle(0.3)]


def _house() -> list[Points]:
    roof = np.array([[-0.9, -0.1], [0, -0.9], [0.9, -0.1]])
    return [_box(-0.7, -0.1, 0.7, 0.8), roof, _box(-0.2, 0.25, 0.2, 0.8)]


def _face() -> list[Points]:
    return [_circle(), _circle(0.16, -0.38, -0.25), _circle(0.16, 0.38, -0.25), _box(-0.45, 0.4, 0.45, 0.55)]


_OBJECTS: dict[str, Callable[[], list[Points]]] = {
    "disc": lambda: [_circle()],
    "ring": lambda: [_circle(), _circle(0.6)],
    "triangle": lambda: [_circle(points=3)],
    "star": lambda: [_star()],
    "cross": lambda: [_box(-0.25, -1, 0.25, 1), _box(-1, -0.25, 1, 0.25)],
    "flower": _flower,
    "house": _house,
    "face": _face,
}

CATEGORIES = tuple(_OBJECTS)
