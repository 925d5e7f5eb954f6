from contextlib import contextmanager

import pytest
import torch

from layerwise.passes import graphs
from layerwise.passes.graphs import recording


@pytest.fixture
def broken(monkeypatch):
    """Recordings that end badly, as PyTorch's do after any error; what is done about it."""
    done = []

    @contextmanager
    def graph(_graph, pool, stream, capture_error_mode):
        try:
            yield
        finally:
            raise RuntimeError("operation failed due to a previous error during capture")

    for name, made in {"graph": graph, "Stream": lambda: "new", "current_stream": lambda: "old"}.items():
        monkeypatch.setattr(torch.cuda, name, made)
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: "its memory")
    monkeypatch.setattr(torch.cuda, "set_stream", done.append)
    monkeypatch.setattr(graphs, "_give_back", done.append)
    monkeypatch.setattr(graphs, "_settle", lambda device: done.append("settled"))
    return done


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("too much"), ValueError("a mistake"), KeyError("another")])
def test_what_breaks_a_recording_off_is_told_and_not_that_it_was_broken_off(broken, error):
    with pytest.raises(type(error)) as told, recording(None):
        raise error
    assert told.value is error and broken == ["old", "its memory", "settled"]


def test_a_recording_that_fails_in_its_end_alone_says_so(broken):
    with pytest.raises(RuntimeError, match="previous error during capture"), recording(None):
        pass
    assert broken == ["old", "its memory", "settled"]


@pytest.mark.parametrize(("errors", "launches"), [(0, 1), (1, 2), (2, 3), (9, 3)])
def test_errors_that_are_left_of_a_recording_are_taken_before_the_next_step(monkeypatch, errors, launches):
    made, ones = [], torch.ones

    def launch(*arguments, **options):
        made.append(arguments)
        if len(made) <= errors:
            raise RuntimeError("operation not permitted when stream is capturing")
        return ones(*arguments, **options)

    monkeypatch.setattr(torch, "ones", launch)
    graphs._settle(torch.device("cpu"))
    assert len(made) == launches
