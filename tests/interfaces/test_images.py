import pytest
from hypothesis import given
from hypothesis import strategies as st

from layerwise.interfaces import Geometry

sizes = st.integers(16, 1024)


@given(
    kind=st.sampled_from(["square", "crop"]),
    size=sizes,
    extra=st.integers(0, 100),
    interpolation=st.sampled_from(["bilinear", "bicubic"]),
    canvas=st.sampled_from([1.0, 2.0, 1.6, 0.5]),
)
def test_a_geometry_can_be_read_back_from_its_key(kind, size, extra, interpolation, canvas):
    resize = size if kind == "square" else size + extra
    geometry = Geometry(kind, size, resize, interpolation, canvas)
    assert Geometry.from_key(geometry.key) == geometry


@pytest.mark.parametrize("key", ["square-bilinear", "crop224-bilinear", "square224", "square224-nearest", ""])
def test_other_keys_are_refused(key):
    with pytest.raises(ValueError, match="no geometry"):
        Geometry.from_key(key)
