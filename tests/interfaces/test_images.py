import pytest
from hypothesis import given
from hypothesis import strategies as st

from layerwise.interfaces import Geometry

sizes = st.integers(16, 1024)


@given(
    kind=st.sampled_from(["square", "crop", "squash", "border"]),
    size=sizes,
    extra=st.integers(0, 100),
    interpolation=st.sampled_from(["bilinear", "bicubic"]),
    canvas=st.sampled_from([1.0, 2.0, 1.6, 0.5]),
    fill=st.binary(min_size=3, max_size=3),
)
def test_a_geometry_can_be_read_back_from_its_key(kind, size, extra, interpolation, canvas, fill):
    resize = size if kind == "square" else size + extra
    colour = fill.hex() if kind == "border" else ""
    geometry = Geometry(kind, size, resize, interpolation, canvas, colour)
    assert Geometry.from_key(geometry.key) == geometry


@pytest.mark.parametrize(
    "key",
    [
        "square-bilinear",
        "crop224-bilinear",
        "square224",
        "square224-nearest",
        "square256to224-bilinear",
        "border256to224-bilinear",
        "crop256to224-bilinear-fill808080",
        "",
    ],
)
def test_other_keys_are_refused(key):
    with pytest.raises(ValueError, match="no geometry"):
        Geometry.from_key(key)
