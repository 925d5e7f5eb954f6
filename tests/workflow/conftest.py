"""Small studies: one fresh, and one that was run."""

from pathlib import Path

import pytest
from small_study import Study, make_data


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """A study whose data are there and whose results are not."""
    make_data(tmp_path / "data")
    fresh = Study(tmp_path)
    fresh.configure()
    return fresh


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """The study, run once; tests may plan in it, but make nothing."""
    folder = tmp_path_factory.mktemp("study")
    make_data(folder / "data")
    done = Study(folder)
    done.configure()
    done.snakemake()
    return done


@pytest.fixture
def as_finished(finished: Study):
    """The finished study, whose config is put back afterwards."""
    yield finished
    finished.configure()
