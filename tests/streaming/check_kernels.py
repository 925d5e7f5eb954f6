"""Called by test_products: compare the kernels with float64 products of fresh numbers."""

import sys

import torch

from layerwise.streaming import kernels

device = sys.argv[1]
sizes = [(1, 25), (37, 1000), (16, 128), (5, 20000)] + ([(256, 100352), (64, 802816)] if device == "cuda" else [])
for n_rows, n_units in sizes:
    x = torch.randn(n_rows, n_units, device=device) * torch.rand(n_units, device=device) + 5
    shift = x.mean(0) + 0.1
    directions = torch.nn.functional.normalize(torch.randn(5, n_units, device=device))
    offsets, mask = torch.randn(5, device=device), (torch.rand(n_rows, 5, device=device) < 0.7).float()
    scores, training = (torch.full((n_rows, 5), torch.nan, device=device) for _ in range(2))
    kernels.project(x, shift, directions, offsets, mask, scores, training)
    exact = (x.double() - shift.double()) @ directions.double().T - offsets.double()
    error = float((scores - exact).abs().max() / exact.std() if n_rows > 1 else (scores - exact).abs().max())
    assert error < 2e-5, (n_rows, n_units, error)
    assert torch.equal(training, scores * mask)
    weights = torch.randn(n_rows, 10, device=device)
    total = torch.ones(10, n_units, device=device)
    kernels.accumulate(x, shift, weights, total)
    exact = 1 + weights.double().T @ (x.double() - shift.double())
    error = float((total - exact).abs().max() / exact.std())
    assert error < 2e-5, (n_rows, n_units, error)
    again = torch.ones(10, n_units, device=device)
    kernels.accumulate(x, shift, weights, again)
    assert torch.equal(total, again), "two runs differ"
    print(n_rows, n_units, f"{error:.1e}")
