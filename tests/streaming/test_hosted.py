"""HostHistories on the host and on the device, against a projection in float64."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from layerwise.regression.pls1.history import History
from layerwise.streaming import hosted as module
from layerwise.streaming.hosted import HostHistories

N_COMPONENTS = 25


def fill(made, residuals):
    """Keep residuals [split, component, unit] in a history."""
    for component in range(residuals.shape[1]):
        made.keep(component, 2 * residuals[:, component], torch.full(residuals.shape[:1], 0.5).to(residuals))
    return made


def orthonormal(rng, n_splits, count, units, device):
    values = [np.linalg.qr(rng.standard_normal((units, count)))[0].T for _ in range(n_splits)]
    return torch.from_numpy(np.stack(values)).to(device)


def on_host(n_splits, units, device="cpu", dtype=torch.float64):
    return HostHistories(n_splits, N_COMPONENTS, dtype, torch.device(device), {"layer": units, "other": 3})


def make(where, n_splits, units, device="cpu", dtype=torch.float64):
    if where == "device":
        return History(torch.zeros(n_splits, N_COMPONENTS - 1, units, dtype=dtype, device=device))
    return on_host(n_splits, units, device, dtype).of("layer")


@pytest.mark.parametrize("where", ["device", "host"])
@given(
    n_splits=st.integers(1, 6),
    component=st.integers(1, N_COMPONENTS - 1),
    units=st.integers(N_COMPONENTS, 60),
    seed=st.integers(0, 2**31),
)
def test_what_is_left_is_orthogonal_to_all_earlier_residuals(where, n_splits, component, units, seed):
    rng = np.random.default_rng(seed)
    past = orthonormal(rng, n_splits, N_COMPONENTS - 1, units, "cpu")
    residual = torch.from_numpy(rng.standard_normal((n_splits, units)))
    left = residual.clone()
    fill(make(where, n_splits, units), past).remove_from(component, left)
    for earlier, before, after in zip(past.numpy(), residual.numpy(), left.numpy(), strict=True):
        expected = before - earlier[:component].T @ (earlier[:component] @ before)
        np.testing.assert_allclose(after, expected, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_host_and_device_agree_to_rounding(rng, device, dtype):
    past = orthonormal(rng, 5, N_COMPONENTS - 1, 5000, device).to(dtype)
    residual = torch.from_numpy(rng.standard_normal((5, 5000))).to(device, dtype)
    left = {}
    for where in ("device", "host"):
        left[where] = residual.clone()
        fill(make(where, 5, 5000, device, dtype), past).remove_from(N_COMPONENTS - 1, left[where])
    difference = (left["host"] - left["device"]).abs().max() / residual.abs().max()
    assert difference < 4 * torch.finfo(dtype).eps


@pytest.mark.parametrize("where", ["device", "host"])
def test_the_last_residual_is_not_kept_and_those_before_are_given_without_a_copy(rng, device, where):
    past = orthonormal(rng, 2, N_COMPONENTS, 40, device)
    kept = fill(make(where, 2, 40, device), past)
    for component in (0, 7, N_COMPONENTS - 1):
        for rows, whole, expected in zip(kept.before(component), kept.values, past, strict=True):
            torch.testing.assert_close(rows.to(device), expected[:component], rtol=0, atol=0)
            assert rows.untyped_storage().nbytes() == component * 40 * 8
            assert component == 0 or rows.data_ptr() == whole.data_ptr()


def test_one_component_needs_no_history(device):
    histories = HostHistories(3, 1, torch.float32, torch.device(device), {"layer": 50})
    residual = torch.ones(3, 50, device=device)
    kept = histories.of("layer")
    kept.keep(0, residual, residual[:, 0])
    assert [len(rows) for rows in kept.before(0)] == [0, 0, 0]


def test_histories_of_layers_do_not_touch_each_other(rng, device):
    hosted = {"first": 30, "second": 50}
    histories = HostHistories(2, N_COMPONENTS, torch.float64, torch.device(device), hosted)
    made = {name: histories.of(name) for name in hosted}
    assert histories.of("third") is None
    past = {name: orthonormal(rng, 2, N_COMPONENTS - 1, units, device) for name, units in hosted.items()}
    for component in range(N_COMPONENTS - 1):
        for name, kept in made.items():
            kept.keep(component, past[name][:, component], torch.ones(2, dtype=torch.float64, device=device))
    for name, kept in made.items():
        torch.testing.assert_close(torch.stack(kept.before(N_COMPONENTS - 1)).to(device), past[name], rtol=0, atol=0)


def test_a_host_without_the_memory_says_so(monkeypatch):
    with pytest.raises(MemoryError, match=r"the host has no [0-9.]+ GB for earlier residuals"):
        on_host(5, 10**14)

    def broken(*_, **__):
        raise RuntimeError("something else")

    monkeypatch.setattr(torch, "zeros", broken)
    with pytest.raises(RuntimeError, match="something else"):
        on_host(5, 10)


def test_memory_that_cannot_be_locked_is_no_memory(monkeypatch):
    monkeypatch.setattr(module, "_lock", lambda memory: False)
    with pytest.raises(MemoryError, match="the host has no"):
        module._on_host(10, torch.float32, torch.device("cuda"))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_memory_of_the_host_is_locked_for_cuda_and_given_back():
    histories = on_host(5, 1000, "cuda")
    kept = histories.of("layer")
    assert kept.values.is_pinned()
    del histories
    assert not kept.values.is_pinned()
    again = on_host(5, 1000, "cuda")
    assert again.of("layer").values.is_pinned()
