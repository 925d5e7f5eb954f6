"""Products of a pass: our kernels against PyTorch's float64, in Triton's interpreter where there is no GPU."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from layerwise.streaming.products import PLAIN, accumulate, choose_products, project

CHECK = Path(__file__).with_name("check_kernels.py")


def test_the_plain_products_are_what_they_say(rng):
    x, shift = torch.tensor(rng.standard_normal((9, 40)) + 5), torch.tensor(rng.standard_normal(40) + 5)
    directions, offsets = torch.tensor(rng.standard_normal((3, 40))), torch.tensor(rng.standard_normal(3))
    mask = torch.tensor(rng.integers(0, 2, (9, 3)).astype(float))
    scores, training = torch.empty(9, 3, dtype=torch.float64), torch.empty(9, 3, dtype=torch.float64)
    project(x, shift, directions, offsets, mask, scores, training)
    expected = (x - shift) @ directions.T - offsets
    torch.testing.assert_close(scores, expected)
    torch.testing.assert_close(training, expected * mask)
    total = torch.ones(3, 40, dtype=torch.float64)
    accumulate(x, shift, training, total)
    torch.testing.assert_close(total, 1 + training.T @ (x - shift))


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
