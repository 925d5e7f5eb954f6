import _thread
import logging
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from layerwise.interfaces import RatedImages
from layerwise.passes.devices import share_layers
from layerwise.streaming import Streamed, stream_pls, stream_pls_on

ATTRIBUTES = {"model": "mine", "weights": "a", "code": "b"}
TWO_GPUS = pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two GPUs")
DEVICES = [["cpu"] * 3, pytest.param(["cuda:0", "cuda:1"], marks=TWO_GPUS)]


@pytest.mark.parametrize("devices", DEVICES)
def test_several_devices_give_the_same(network, layers, study, preprocessing, devices, tmp_path):
    images, scores, splits = study()
    how = Streamed(
        batch_size=50, n_components=8, device=devices[0], dtype=torch.float64, state=tmp_path / "state.pt", save_every=0
    )
    data = RatedImages(images, preprocessing, scores, splits)
    one = stream_pls(network, layers, layers, data, replace(how, state=None), ATTRIBUTES)
    several = stream_pls_on(devices, network, layers, layers[::-1], data, how, ATTRIBUTES)
    np.testing.assert_allclose(several[::-1], one, atol=1e-8)  # fusions are cut where layers are divided
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("devices", DEVICES)
def test_several_devices_share_the_memory_of_the_host(network, layers, study, preprocessing, devices, caplog):
    images, scores, splits = study()
    how = Streamed(batch_size=50, n_components=8, device=devices[0], dtype=torch.float64)
    demand = how.demand(len(images), len(splits), 24)
    shares = share_layers(layers, len(devices))
    needed = [sum(map(demand.of_layer, share)) for share in shares]
    tight = replace(how, memory=demand.working(layers) + max(needed) - 1)
    largest = max(shares[needed.index(max(needed))], key=lambda layer: layer.units)
    data = RatedImages(images, preprocessing, scores, splits)
    one = stream_pls(network, layers, layers, data, how, ATTRIBUTES)
    for host, moved in ((demand.history(largest), 1), (demand.history(largest) - 1, 0)):
        caplog.clear()
        with caplog.at_level(logging.INFO):
            found = stream_pls_on(devices, network, layers, layers, data, replace(tight, host=host), ATTRIBUTES)
        assert caplog.text.count("of history of 1 layer in the host's memory") == moved
        np.testing.assert_allclose(found, one, rtol=1e-9)


def test_an_error_on_one_device_is_told(network, layers, study, preprocessing):
    images, scores, splits = study()
    how = Streamed(batch_size=50, n_components=8)
    wrong = [*layers[:-1], type(layers[-1])("gone", "Linear", (30,), 30, layers[-1].depth)]
    with pytest.raises(ValueError, match="no layer 'gone'"):
        stream_pls_on(
            ["cpu", "cpu"], network, wrong, wrong, RatedImages(images, preprocessing, scores, splits), how, ATTRIBUTES
        )


@pytest.mark.parametrize("devices", [["cpu"], ["cpu", "cpu"]])
def test_an_interrupted_job_does_not_wait_for_its_fits(network, layers, study, preprocessing, devices, monkeypatch):
    images, scores, splits = study()
    endless = threading.Event()
    threading.Timer(20, endless.set).start()  # only a fit that is not broken off lasts that long
    threading.Timer(0.5, _thread.interrupt_main).start()
    closed = []

    def fit(*arguments):
        try:
            while not endless.is_set():
                time.sleep(0.01)
                yield 0
        finally:
            closed.append(True)
        return np.zeros((1, 1, 1))

    monkeypatch.setattr("layerwise.streaming.devices.stream_layers", fit)
    data = RatedImages(images, preprocessing, scores, splits)
    with pytest.raises(KeyboardInterrupt):
        stream_pls_on(devices, network, layers, layers, data, Streamed(), ATTRIBUTES)
    assert not endless.is_set()
    assert len(closed) == len(devices)
