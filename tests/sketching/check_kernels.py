"""Called by test_count: compare the kernel with a sum over units in float64, on fresh numbers."""

import sys

import torch

from layerwise.sketching import kernels
from layerwise.sketching.count import CountSketch

device = torch.device(sys.argv[1])
sizes = [(5, 1000, 300), (3, 257, 256), (9, 5000, 512)]
sizes += [(256, 802816, 4096), (256, 4097, 4096)] if device.type == "cuda" else []
for n_rows, n_units, width in sizes:
    sketch = CountSketch.draw("layer", n_units, width, int(torch.randint(1000, (1,))), device)
    x = torch.randn(n_rows, n_units, device=device) + 1
    shift = torch.randn(width, device=device)
    place = torch.arange(n_units, device=device) % width
    turns = sketch.offsets.long()[torch.arange(n_units, device=device) // width]
    exact = torch.zeros(n_rows, width, dtype=torch.float64, device=device)
    exact.index_add_(1, (place + turns) % width, x.double() * sketch.signs)
    exact = (exact - shift) * 0.25
    for dtype, tolerance in ((torch.float32, 2e-6), (torch.float16, 1e-3)):
        rows = torch.full((n_rows, width), torch.nan, dtype=dtype, device=device)
        kernels.reduce(x, sketch.signs, sketch.offsets, shift, 0.25, rows)
        error = float((rows - exact).abs().max() / exact.abs().max())
        assert error < tolerance, (n_rows, n_units, width, dtype, error)
        again = torch.empty_like(rows)
        kernels.reduce(x, sketch.signs, sketch.offsets, shift, 0.25, again)
        assert torch.equal(rows, again), "two runs differ"
    print(n_rows, n_units, width, f"{error:.1e}")
