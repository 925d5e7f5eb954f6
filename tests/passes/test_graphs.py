from contextlib import contextmanager

import pytest
import torch

from layerwise.passes.graphs import recording


def test_a_recording_that_memory_breaks_off_says_that_memory_ran_out(monkeypatch):
    @contextmanager
    def graph(_graph, stream, capture_error_mode):
        try:
            yield
        finally:
            raise RuntimeError("operation failed due to a previous error during capture")

    monkeypatch.setattr(torch.cuda, "graph", graph)
    monkeypatch.setattr(torch.cuda, "Stream", lambda: None)
    with pytest.raises(torch.OutOfMemoryError, match="too much"), recording(None):
        raise torch.OutOfMemoryError("too much")
    with pytest.raises(RuntimeError, match="previous error"), recording(None):
        raise ValueError("another mistake")
