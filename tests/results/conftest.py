"""The results of a small study: written once, and copied for each test, which may change them."""

import os
import shutil
from dataclasses import replace

import numpy as np
import pytest
from small_results import Made, make_results


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Made:
    seed = int.from_bytes(os.urandom(4), "little")
    print(f"seed {seed}")
    return make_results(tmp_path_factory.mktemp("written") / "small", np.random.default_rng(seed))


@pytest.fixture
def made(written, tmp_path) -> Made:
    return replace(written, folder=shutil.copytree(written.folder, tmp_path / "small"))
