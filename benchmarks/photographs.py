"""Random crops of real photographs, and scores that depend on them, for the benchmarks that compare numbers."""

from functools import cache
from pathlib import Path

import numpy as np
import torch

from layerwise.data.images import load_image

SIDE = 256


class Crops:
    """Random crops of photographs with random contrast and brightness; stands in for a cache of pixels.

    Parameters
    ----------
    folders : list of Path
        Folders of image files.
    n : int
        Number of crops.
    size : int
        Their side, pixels.

    Attributes
    ----------
    scores : float64 array [image]
        The photograph's own value, the crop's contrast, and noise.
    """

    content_hash = "crops"

    def __init__(self, folders: list[Path], n: int, size: int = 224) -> None:
        rng = np.random.default_rng(0)
        photographs = _read(tuple(folders))
        source = rng.integers(len(photographs), size=n)
        contrast, corner = rng.uniform(0.6, 1.4, n), rng.integers(0, SIDE - size + 1, (n, 2))
        self.array = np.empty((n, size, size, 3), np.uint8)
        for row, index in enumerate(source):
            top, left = corner[row]
            crop = photographs[index][top : top + size, left : left + size].astype(np.float32)
            crop = (crop - 127) * contrast[row] + 127 + rng.uniform(-30, 30)
            self.array[row] = crop[:, :: rng.choice([-1, 1])].clip(0, 255)
        values = rng.standard_normal(len(photographs))
        self.scores = values[source] + contrast + rng.standard_normal(n) / 2

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(f"crop{row:06d}" for row in range(len(self.array)))

    def __len__(self) -> int:
        return len(self.array)

    def read(self, start: int, stop: int) -> np.ndarray:
        return self.array[start:stop]


@cache
def _read(folders: tuple[Path, ...]) -> list[np.ndarray]:
    paths = sorted(path for folder in folders for path in folder.iterdir() if path.suffix in {".png", ".jpg"})
    return [_resize(load_image(path)) for path in paths]


def _resize(image: np.ndarray) -> np.ndarray:
    planes = torch.from_numpy(image.copy()).permute(2, 0, 1)[None].float()
    resized = torch.nn.functional.interpolate(planes, size=SIDE, mode="bilinear", antialias=True)
    return resized[0].permute(1, 2, 0).numpy()
