"""The results of a small study."""

import pytest
from small_results import Made, make_results


@pytest.fixture
def made(tmp_path, rng) -> Made:
    return make_results(tmp_path / "small", rng)
