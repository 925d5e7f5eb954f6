"""Products of a pass: our kernels against PyTorch's float64, in Triton's interpreter where there is no GPU."""

from pathlib import Path

import pytest
import torch
from kernels_here import run_check

from layerwise.streaming import products
from layerwise.streaming.fused import Relation
from layerwise.streaming.products import (
    PLAIN,
    accumulate,
    accumulate_wide,
    add_squares,
    choose_products,
    project,
    project_wide,
)

CHECK = Path(__file__).with_name("check_kernels.py")


def test_the_plain_products_are_what_they_say(rng):
    def draw(*shape, mean=0.0):
        return torch.tensor(rng.standard_normal(shape) + mean)

    x, shift, scale, bias, clamped_shift = draw(9, 40, mean=5), draw(40, mean=5), draw(40), draw(40), draw(40)
    relation = Relation(shift, scale, bias, clamped_shift, cap=6.0)
    scaled = x * scale + bias
    values = [x - shift, scaled - (shift * scale + bias), scaled.clamp(0, 6) - clamped_shift]
    directions, offsets = draw(3, 3, 40), draw(3, 3)
    mask = torch.tensor(rng.integers(0, 2, (9, 3)).astype(float))
    scores, training = torch.empty(3, 9, 3, dtype=torch.float64), torch.empty(3, 9, 3, dtype=torch.float64)
    project(x, relation, directions, offsets, mask, scores, training)
    total = torch.ones(3, 3, 40, dtype=torch.float64)
    accumulate(x, relation, training, total)
    for index, value in enumerate(values):
        torch.testing.assert_close(scores[index], value @ directions[index].T - offsets[index])
        torch.testing.assert_close(training[index], scores[index] * mask)
        torch.testing.assert_close(total[index], 1 + training[index].T @ value)


@pytest.mark.parametrize("at_once", [1, 60, 10**6])
def test_wide_products_are_those_of_float64(rng, monkeypatch, at_once):
    monkeypatch.setattr(products, "AT_ONCE", at_once)
    x = torch.tensor(rng.standard_normal((9, 40)) + 5, dtype=torch.float32)
    direction, offset, mask = (torch.tensor(rng.standard_normal(shape)) for shape in ((3, 40), 3, (9, 3)))
    shift = x.mean(0).double()
    scores, training = torch.empty(1, 9, 3, dtype=torch.float64), torch.empty(3, 9, 3, dtype=torch.float64)
    project_wide(x, Relation(shift), [direction], [offset], mask, list(scores), training)
    exact = (x.double() - shift) @ direction.T - offset
    torch.testing.assert_close(scores[0], exact, rtol=1e-13, atol=1e-13)
    torch.testing.assert_close(training[0], exact * mask, rtol=1e-13, atol=1e-13)
    total = torch.ones(3, 40, dtype=torch.float64)
    accumulate_wide(x, Relation(shift), training, [total])
    torch.testing.assert_close(total, 1 + (exact * mask).T @ (x.double() - shift), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("at_once", [1, 90, 10**6])
def test_squares_of_each_layer_of_a_fusion_are_summed(rng, monkeypatch, at_once):
    monkeypatch.setattr(products, "AT_ONCE", at_once)
    x, shift, scale, bias, clamped_shift = (
        torch.tensor(rng.standard_normal(shape)) for shape in ((9, 40), 40, 40, 40, 40)
    )
    relation, shares = Relation(shift, scale, bias, clamped_shift, cap=1.0), torch.tensor(rng.random(9))
    totals = torch.ones(3, 40, dtype=torch.float64)
    add_squares(x, relation, shares, list(totals))
    scaled = x * scale + bias
    values = [x - shift, scaled - (shift * scale + bias), scaled.clamp(0, 1) - clamped_shift]
    for value, total in zip(values, totals, strict=True):
        torch.testing.assert_close(total, 1 + (value.square() * shares[:, None]).sum(0))


def test_the_kernels_give_the_same():
    pytest.importorskip("triton", reason="Triton comes with PyTorch's builds for GPUs")
    run_check(CHECK)


def test_kernels_are_only_for_five_splits_in_float32_on_a_gpu():
    assert choose_products(torch.device("cpu"), torch.float32, 5) is PLAIN
    assert choose_products(torch.device("cuda"), torch.float64, 5) is PLAIN
    assert choose_products(torch.device("cuda"), torch.float32, 4) is PLAIN
    pytest.importorskip("triton")
    assert choose_products(torch.device("cuda"), torch.float32, 5) is not PLAIN
