import pytest
import torch

from layerwise.streaming.history import HostHistories
from layerwise.streaming.state import load_state, save_state
from layerwise.streaming.vectors import LayerVectors

UNITS, SPLITS, COMPONENTS, VALUE = 50_000, 2, 25, 4


def fill(hosted, generator, device="cpu"):
    """Vectors of two layers with random numbers, and the fit's histories."""
    histories = HostHistories(SPLITS, COMPONENTS, torch.float32, torch.device(device), hosted)
    layers = []
    for name in ("first", "second"):
        layer = LayerVectors.empty(UNITS, SPLITS, COMPONENTS, torch.float32, device, histories.of(name))
        for values in (layer.history.values, layer.shift, layer.sums, layer.direction, layer.square):
            values.copy_(torch.randn(values.shape, generator=generator))
        layers.append(layer)
    return layers, histories


@pytest.mark.parametrize("saved", [{}, {"second": UNITS}])
@pytest.mark.parametrize("loaded", [{}, {"first": UNITS}])
def test_a_state_is_as_large_as_what_is_done_and_comes_back_wherever_histories_lie(
    rng, device, tmp_path, saved, loaded
):
    generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
    path, component = tmp_path / "some.state", 3
    before, _owner = fill(saved, generator, device)
    predictions = torch.randn(2, 10, SPLITS, generator=generator, dtype=torch.float64).to(device)
    save_state(path, "print", component, before, predictions, [1])
    vectors = 3 + 3 * SPLITS  # shift, squares, what is left of them; means, residuals, directions
    kept = 2 * UNITS * VALUE * (vectors + SPLITS * component)
    assert kept < path.stat().st_size < 1.01 * kept
    after, _other = fill(loaded, generator, device)
    found = torch.empty_like(predictions)
    assert load_state(path, "print", after, found) == (component, [1])
    torch.testing.assert_close(found, predictions, rtol=0, atol=0)
    for one, other in zip(before, after, strict=True):
        for name in ("shift", "sums", "direction", "square", "scale", "first", "active"):
            torch.testing.assert_close(getattr(other, name), getattr(one, name), rtol=0, atol=0)
        for earlier, again in zip(one.history.before(component), other.history.before(component), strict=True):
            torch.testing.assert_close(again.to(device), earlier.to(device), rtol=0, atol=0)
