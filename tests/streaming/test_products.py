"""Products of a pass: our kernels against PyTorch's float64, in Triton's interpreter where there is no GPU."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from layerwise.streaming.families import Relation
from layerwise.streaming.products import PLAIN, accumulate, choose_products, project

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


def test_the_kernels_give_the_same():
    """In a process of its own: the interpreter must be chosen before Triton is imported."""
    pytest.importorskip("triton", reason="Triton comes with PyTorch's builds for GPUs")
    on_gpu = torch.cuda.is_available()
    environment = {**os.environ, **({} if on_gpu else {"TRITON_INTERPRET": "1"})}
    done = subprocess.run(
        [sys.executable, str(CHECK), "cuda" if on_gpu else "cpu"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_kernels_are_only_for_five_splits_in_float32_on_a_gpu():
    assert choose_products(torch.device("cpu"), torch.float32, 5) is PLAIN
    assert choose_products(torch.device("cuda"), torch.float64, 5) is PLAIN
    assert choose_products(torch.device("cuda"), torch.float32, 4) is PLAIN
    pytest.importorskip("triton")
    assert choose_products(torch.device("cuda"), torch.float32, 5) is not PLAIN
