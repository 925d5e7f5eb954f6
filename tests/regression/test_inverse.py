"""Inverses of many matrices against numpy's, one by one."""

import numpy as np
import pytest
import torch

from layerwise.regression import inverse
from layerwise.regression.inverse import invert_definite

CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


@pytest.fixture(params=[(256, 1024), (8, 16), (7, 1000)])
def blocks(request, monkeypatch):
    monkeypatch.setattr(inverse, "BLOCK", request.param[0])
    monkeypatch.setattr(inverse, "WIDE", request.param[1])


@pytest.mark.parametrize("n", [1, 8, 45])
def test_they_equal_numpys(rng, blocks, n):
    roots = rng.normal(size=(3, n, n + 5))
    matrices = np.eye(n) + roots @ roots.transpose(0, 2, 1) / n  # of a condition below 20
    found, failed = invert_definite(torch.as_tensor(matrices.copy()))
    assert not failed.any()
    for one, matrix in zip(found.numpy(), matrices, strict=True):
        expected = np.linalg.inv(matrix)
        np.testing.assert_allclose(one, expected, rtol=0, atol=1e-12 * np.abs(expected).max())


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=CUDA)])
def test_larger_ones_take_several_blocks(rng, device):
    roots = rng.normal(size=(2, 300, 320))
    matrices = np.eye(300) + roots @ roots.transpose(0, 2, 1) / 300
    found, failed = invert_definite(torch.as_tensor(matrices, device=device).clone())
    assert failed.tolist() == [False, False]
    np.testing.assert_allclose(found.cpu(), np.linalg.inv(matrices), rtol=0, atol=1e-12)


def test_what_is_not_positive_definite_fails_alone(rng, blocks):
    matrices = np.stack([np.eye(20), np.diag(np.r_[np.ones(15), -1, np.ones(4)]), 2 * np.eye(20)])
    found, failed = invert_definite(torch.as_tensor(matrices.copy()))
    assert failed.tolist() == [False, True, False]
    np.testing.assert_array_equal(found[0], np.eye(20))
    np.testing.assert_allclose(found[2], np.eye(20) / 2, rtol=1e-15)
