import pytest

from layerwise.data.recipes import files


@pytest.fixture(autouse=True)
def untried(request, monkeypatch):
    """HDF5 files are not read by another process first, which takes .3 seconds each, but where a test asks for it."""
    if "tried" not in request.keywords:
        monkeypatch.setattr(files, "try_hdf5", lambda path, names: None)
