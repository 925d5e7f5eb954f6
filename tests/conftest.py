"""What all tests share."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # the matrices of tests are small: threads would only wait for each other

# A shell's background job ignores Ctrl-C, and so would the commands that tests start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def shared() -> Callable[..., Path]:
    """Path of a file beside the checkout that may be used but not redistributed; skips, saying so, without it."""

    def find(*parts: str) -> Path:
        path = ROOT.parent.joinpath("shared", *parts)
        if not path.exists():
            pytest.skip(f"not here: ../shared/{'/'.join(parts)} (real data that cannot be redistributed)")
        return path

    return find


@pytest.fixture(scope="session")
def photographs() -> list[np.ndarray]:
    """Two photographs that come with scikit-learn, and three of FIGRIM where they are; uint8 [height, width, 3]."""
    from PIL import Image
    from sklearn.datasets import load_sample_images

    figrim = sorted((ROOT.parent / "shared" / "data" / "figrim60" / "images").glob("*.jpg"))[:3]
    return [*load_sample_images().images, *(np.asarray(Image.open(path).convert("RGB")) for path in figrim)]


@pytest.fixture
def rng() -> np.random.Generator:
    """Fresh numbers at each run; the seed is shown when a test fails."""
    seed = int.from_bytes(os.urandom(4), "little")
    print(f"seed {seed}")
    return np.random.default_rng(seed)
