"""Called by test_products: compare the kernels with float64 products of fresh numbers, for each kind of fusion."""

import sys
from itertools import product

import torch

from layerwise.streaming import kernels, products
from layerwise.streaming.fused import Relation

device = sys.argv[1]


def draw(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, device=device)


def relate(x: torch.Tensor, scaled: bool, clamped: bool, cap: float) -> Relation:
    n_units, shift = x.shape[1], x.mean(0) + 0.1
    scale, bias = (draw(n_units), draw(n_units)) if scaled else (None, None)
    return Relation(shift, scale, bias, draw(n_units) if clamped else None, cap)


def double(relation: Relation) -> Relation:
    parts = (relation.shift, relation.scale, relation.bias, relation.clamped_shift)
    return Relation(*(None if part is None else part.double() for part in parts), relation.cap)


def close(found: torch.Tensor, exact: torch.Tensor, what: str) -> None:
    spread = float(exact.std()) if exact.numel() > 5 else 1.0
    error = float((found - exact).abs().max()) / (spread or 1.0)  # one row may be in no split's training: zeros alone
    print(what, f"{error:.1e}")
    assert error < 2e-5, (what, error)


def check(n_rows: int, n_units: int, relation: Relation, x: torch.Tensor) -> None:
    n_layers = 1 + (relation.scale is not None) + (relation.clamped_shift is not None)
    what = f"{n_rows} x {n_units}, {n_layers} layers, cap {relation.cap}"
    directions = [torch.nn.functional.normalize(draw(5, n_units)) for _ in range(n_layers)]
    offsets, mask = draw(n_layers, 5), (torch.rand(n_rows, 5, device=device) < 0.7).float()
    scores, training = draw(n_layers, n_rows, 5), draw(3, n_rows, 5)
    kernels.project(x, relation, directions, offsets, mask, scores, training)
    exact, exact_training = scores.double(), training.double()
    doubled = [direction.double() for direction in directions]
    products.project(x.double(), double(relation), doubled, offsets.double(), mask.double(), exact, exact_training)
    close(scores, exact, f"scores {what}")
    close(training[:n_layers], exact_training[:n_layers], f"training scores {what}")
    for weights in (training, draw(n_rows, 10).expand(3, -1, -1)):
        totals, exact, again = (torch.ones(n_layers, weights.shape[2], n_units, device=device) for _ in range(3))
        exact = exact.double()
        kernels.accumulate(x, relation, weights, list(totals))
        products.accumulate(x.double(), double(relation), weights.double(), list(exact))
        close(totals, exact, f"totals {what}")
        kernels.accumulate(x, relation, weights, list(again))
        assert torch.equal(totals, again), "two runs differ"


def check_nan() -> None:
    x = draw(16, 200)
    x[3, 7] = torch.nan
    totals = torch.zeros(3, 5, 200, device=device)
    kernels.accumulate(x, relate(x, True, True, 6.0), draw(3, 16, 5), list(totals))
    assert totals[:, :, 7].isnan().all(), "a NaN was lost"
    assert totals[:, :, 8:].isfinite().all()


sizes = [(1, 25), (37, 1000), (16, 128), (70, 3000)] + ([(256, 100352), (64, 802816)] if device == "cuda" else [])
for n_rows, n_units in sizes:
    for scaled, clamped in product((False, True), (False, True)):
        x = draw(n_rows, n_units) * torch.rand(n_units, device=device) + 5
        check(n_rows, n_units, relate(x, scaled, clamped, 6.0 if n_units % 2 else float("inf")), x)
check_nan()
