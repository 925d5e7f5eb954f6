import errno
import logging
import subprocess
import sys
import threading
import warnings

import h5py
import numpy as np
import pytest
import torch
from sklearn.cross_decomposition import PLSRegression
from torch import nn

from layerwise.activations import ActivationStore, extract_activations
from layerwise.activations.parts import MemoryShares, least_bytes, reserved_bytes
from layerwise.activations.store import StoreWriter
from layerwise.interfaces import DegenerateWarning, LayerSpec, StoppedError
from layerwise.layers import list_layers
from layerwise.layers.listing import BATCHES
from layerwise.models import build, normalise

GB = 10**9
N = 40
GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
DEVICES = ["cpu", pytest.param("cuda", marks=GPU)]


@pytest.fixture
def resnet():
    """Batch norm followed by ReLU in place, shared ReLUs, downsampling."""
    network = build("resnet18")
    return network, list_layers(network, 64)


def direct(images, preprocessing):
    """Outputs of every module in one batch, in float64, copied before `out += identity` changes them."""
    network = build("resnet18").double()
    outputs = {}
    for name, module in network.named_modules():
        module.register_forward_hook(lambda _, __, output, name=name: outputs.update({name: output.clone()}))
    with torch.inference_mode():
        network(normalise(torch.from_numpy(images.array), preprocessing).double())
    return {name: output.flatten(1).numpy() for name, output in outputs.items()}


def test_every_layer_of_resnet_against_float64(resnet, draw, preprocessing, attributes, tmp_path):
    network, layers = resnet
    images = draw(N)
    memory = 20 * 10**6  # several passes, layers cut in slices
    extract_activations(network, layers, images, preprocessing, tmp_path / "a.h5", memory, attributes, batch_size=16)
    store, expected = ActivationStore(tmp_path / "a.h5", "mine"), direct(images, preprocessing)
    assert [layer.name for layer in store.layers] == [layer.name for layer in layers]
    for layer in layers:
        activations = expected[layer.name]
        centred = activations - activations.mean(axis=0)
        gram, stored = centred @ centred.T, store.read(layer.name)
        assert stored.kind == "gram" and not stored.nonfinite
        np.testing.assert_array_equal(stored.array, stored.array.T)
        assert np.abs(stored.array - gram).max() <= 1e-5 * np.abs(gram).max(), layer.name


def test_slices_and_batches_give_the_same(resnet, draw, preprocessing, attributes, tmp_path):
    network, layers = resnet
    images, layers = draw(N), layers[:5]
    for name, memory, batch_size in [("whole", GB, 40), ("sliced", 8 * 10**6, 16)]:
        extract_activations(
            network, layers, images, preprocessing, tmp_path / name, memory, attributes, batch_size=batch_size
        )
    whole, sliced = ActivationStore(tmp_path / "whole"), ActivationStore(tmp_path / "sliced")
    passes = len([start for start, _ in images.reads if start == 0])
    assert passes > 5
    for layer in layers:
        first, second = whole.read(layer.name).array, sliced.read(layer.name).array
        np.testing.assert_allclose(first, second, atol=1e-5 * np.abs(first).max())


def read_all(path):
    store = ActivationStore(path)
    return {layer.name: store.read(layer.name).array for layer in store.layers}


def test_several_devices_give_the_same(resnet, draw, preprocessing, attributes, tmp_path):
    network, layers = resnet
    images = draw(N)
    for name, devices in [("one", "cpu"), ("three", ["cpu"] * 3)]:
        extract_activations(network, layers, images, preprocessing, tmp_path / name, GB, attributes, devices, 16)
    one, three = read_all(tmp_path / "one"), read_all(tmp_path / "three")
    assert list(one) == list(three)
    for layer, array in one.items():
        np.testing.assert_array_equal(three[layer], array)


@pytest.mark.parametrize(
    "devices",
    [
        pytest.param("cuda", marks=GPU),
        pytest.param(
            ["cuda:0", "cuda:1"], marks=pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two GPUs")
        ),
    ],
)
@pytest.mark.parametrize("memory", [GB, 10 * 10**6])
def test_gpus_give_the_same(resnet, draw, preprocessing, attributes, tmp_path, devices, memory):
    network, layers = resnet
    images = draw(N)
    extract_activations(network, layers, images, preprocessing, tmp_path / "cpu", GB, attributes)
    extract_activations(network, layers, images, preprocessing, tmp_path / "gpu", memory, attributes, devices, 16)
    expected, found = read_all(tmp_path / "cpu"), read_all(tmp_path / "gpu")
    for layer, array in expected.items():
        np.testing.assert_allclose(found[layer], array, rtol=0, atol=1e-4 * np.abs(array).max())


def test_a_full_disk_is_told_and_leaves_no_file(resnet, draw, preprocessing, attributes, tmp_path, monkeypatch):
    def full(self, layer, packed, finite):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(StoreWriter, "put_gram", full)
    network, layers = resnet
    with pytest.raises(OSError, match="No space left"):
        extract_activations(network, layers, draw(N), preprocessing, tmp_path / "a", GB, attributes)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("device", DEVICES)
def test_small_layers_are_kept_as_they_are(draw, preprocessing, attributes, tmp_path, device):
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(3), nn.Flatten(), nn.Linear(36, 30)).eval()
    layers, images = list_layers(network, 16), draw(1200, size=16)
    with torch.inference_mode():
        expected = network(normalise(torch.from_numpy(images.array), preprocessing)).numpy()
    # The least that works: the first layer is cut, and so is the line at some small layer.
    memory = least_bytes(layers, 1200)
    extract_activations(network, layers, images, preprocessing, tmp_path / "a.h5", memory, attributes, device)
    store = ActivationStore(tmp_path / "a.h5")
    assert [store.read(layer.name).kind for layer in layers] == ["activations"] * 4
    np.testing.assert_allclose(store.read("3").array, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(store.read("1").array, store.read("2").array)


def pearson(first, second):
    return np.array([np.corrcoef(a, b)[0, 1] for a, b in zip(first.T, second.T, strict=True)])


@pytest.mark.parametrize("layer", ["layer1.0.bn2", "layer3.0.downsample.1"])
def test_r_from_the_stored_gram_is_r_from_the_activations(draw, rng, preprocessing, attributes, tmp_path, layer):
    network = build("resnet18")
    layers = [spec for spec in list_layers(network, 64) if spec.name == layer]
    images = draw(N)
    extract_activations(network, layers, images, preprocessing, tmp_path / "a.h5", GB, attributes)
    gram = ActivationStore(tmp_path / "a.h5").read(layer).array.astype(np.float64)
    # Any factor of the Gram matrix is a rotation of the centred activations: PLS cannot tell them apart.
    values, vectors = np.linalg.eigh(gram)
    factor = vectors * np.sqrt(values.clip(0))
    activations = direct(images, preprocessing)[layer]
    responses = activations @ rng.normal(size=(activations.shape[1], 3)) / np.sqrt(activations.shape[1])
    responses += responses.std() * rng.normal(size=responses.shape)
    train, test = np.arange(30), np.arange(30, N)
    r = []
    for features in (activations, factor):
        columns = []
        for target in responses.T:  # one target: no tolerance of an inner iteration
            model = PLSRegression(n_components=5, scale=False).fit(features[train], target[train])
            columns.append(model.predict(features[test]).reshape(-1))
        r.append(pearson(np.column_stack(columns), responses[test]))
    np.testing.assert_allclose(r[0], r[1], atol=1e-5)


def test_attributes_tell_results_apart(draw, preprocessing, attributes, tmp_path):
    network, images = nn.Sequential(nn.Flatten(), nn.Identity()), draw(3, size=4)
    layers = list_layers(network, 4)
    extract_activations(network, layers, images, preprocessing, tmp_path / "a.h5", GB, attributes)
    found = ActivationStore(tmp_path / "a.h5")
    assert found.stimuli == images.ids
    assert found.attributes["stimuli"] == images.content_hash
    assert {name: found.attributes[name] for name in attributes} == attributes


@pytest.mark.parametrize("device", DEVICES)
def test_dead_and_broken_layers(draw, preprocessing, attributes, tmp_path, device):
    class Break(nn.Module):
        def __init__(self, value):
            super().__init__()
            self.value = value

        def forward(self, x):
            x = x.clone()
            x[0, 0] = self.value
            return x

    class Constant(nn.Module):
        def forward(self, x):
            return torch.ones_like(x)

    class Narrow(nn.Module):
        def forward(self, x):
            return x[:, :30]

    network = nn.Sequential(
        nn.Flatten(), Break(torch.inf), Narrow(), Break(torch.nan), Constant(), Narrow(), nn.Flatten()
    )
    images = draw(35, size=4)
    layers = list_layers(network, 4)
    with pytest.warns(DegenerateWarning, match="3 layers of mine: NaN or infinite values.*: 1, 2, 3") as record:
        extract_activations(network, layers, images, preprocessing, tmp_path / "a.h5", GB, attributes, device)
    assert len(record) == 1
    store = ActivationStore(tmp_path / "a.h5")
    stored = {layer.name: store.read(layer.name) for layer in layers}
    assert {name for name, layer in stored.items() if layer.nonfinite} == {"1", "2", "3"}
    assert stored["1"].kind == "gram" and np.isnan(stored["1"].array).all()
    assert stored["4"].kind == "activations" and (stored["4"].array == 1).all()


def test_constant_layer_has_a_zero_gram(draw, preprocessing, attributes, tmp_path):
    class Constant(nn.Module):
        def forward(self, x):
            return torch.full_like(x, 0.1)

    network, images = nn.Sequential(Constant(), nn.Identity()), draw(5, size=4)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        extract_activations(network, list_layers(network, 4), images, preprocessing, tmp_path / "a", GB, attributes)
    assert (ActivationStore(tmp_path / "a").read("0").array == 0).all()


class Hungry(nn.Module):
    """Runs out of memory beyond some number of images."""

    def __init__(self, most):
        super().__init__()
        self.most = most
        self.flatten = nn.Flatten()

    def forward(self, x):
        x = self.flatten(x)
        if len(x) > self.most and len(x) not in BATCHES:  # those that list the layers
            raise torch.OutOfMemoryError("out of memory")
        return x


def test_batches_are_halved_when_memory_runs_out(draw, preprocessing, attributes, tmp_path, caplog):
    network, images = Hungry(5), draw(23, size=4)
    with caplog.at_level(logging.WARNING):
        extract_activations(
            network,
            list_layers(network, 4),
            images,
            preprocessing,
            tmp_path / "a",
            GB,
            attributes,
            batch_size=16,
        )
    assert [record.getMessage() for record in caplog.records] == [
        f"the device is out of memory: continuing with {size} images a batch" for size in (8, 4)
    ]
    assert images.reads[:7] == [(0, 16), (16, 23), (0, 8), (8, 16), (0, 4), (4, 8), (8, 12)]  # each with the next
    assert images.reads[4:] == [(start, min(start + 4, 23)) for start in range(0, 23, 4)]
    pixels = normalise(torch.from_numpy(images.array), preprocessing).flatten(1).double().numpy()
    centred = pixels - pixels.mean(axis=0)
    np.testing.assert_allclose(ActivationStore(tmp_path / "a").read("flatten").array, centred @ centred.T, atol=1e-3)


@pytest.mark.parametrize("device", DEVICES)
def test_the_next_batch_is_read_while_one_runs(draw, preprocessing, attributes, tmp_path, monkeypatch, device):
    monkeypatch.setattr(MemoryShares, "of", lambda memory, *_: MemoryShares(0, 0, memory))  # no pixels stay
    images, reading = draw(20, size=4), {start: threading.Event() for start in range(0, 20, 5)}
    read = images.read

    def note(start, stop):
        reading[start].set()
        return read(start, stop)

    class Waiting(nn.Flatten):
        batches = 0

        def forward(self, x):
            self.batches += 1
            following = reading.get(5 * self.batches)
            assert following is None or following.wait(20)
            return super().forward(x)

    monkeypatch.setattr(images, "read", note)
    network, layers = nn.Sequential(Waiting()), [LayerSpec("0", "Flatten", (48,), 48, 1)]
    extract_activations(network, layers, images, preprocessing, tmp_path / "a", GB, attributes, device, 5)
    assert network[0].batches == 4
    expected = normalise(torch.from_numpy(images.array), preprocessing).flatten(1).double().numpy()
    expected -= expected.mean(axis=0)
    np.testing.assert_allclose(ActivationStore(tmp_path / "a").read("0").array, expected @ expected.T, atol=1e-3)


def test_one_image_too_many_is_the_end(draw, preprocessing, attributes, tmp_path):
    network = Hungry(2)
    layers = list_layers(network, 4)
    network.most = 0
    with pytest.raises(torch.OutOfMemoryError):
        extract_activations(
            network, layers, draw(5, size=4), preprocessing, tmp_path / "a", GB, attributes, batch_size=1
        )
    assert list(tmp_path.iterdir()) == []


class Sometimes(nn.Module):
    def __init__(self):
        super().__init__()
        self.relu, self.pool, self.rest = nn.ReLU(), nn.AvgPool2d(2), nn.Conv2d(3, 3, 1)

    def forward(self, x):
        return self.relu(self.pool(self.relu(x)))


def test_last_run_counts_even_with_another_shape(draw, preprocessing, attributes, tmp_path):
    network, images = Sometimes(), draw(9, size=8)
    layers = list_layers(network, 8)
    assert [(layer.name, layer.units) for layer in layers] == [("pool", 48), ("relu", 48)]
    extract_activations(network, layers, images, preprocessing, tmp_path / "a", GB, attributes)
    with torch.inference_mode():
        last = network(normalise(torch.from_numpy(images.array), preprocessing)).flatten(1).double().numpy()
    centred = last - last.mean(axis=0)
    np.testing.assert_allclose(ActivationStore(tmp_path / "a").read("relu").array, centred @ centred.T, atol=1e-3)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (LayerSpec("rest", "Conv2d", (3, 8, 8), 192, 1), "the layer 'rest' did not run"),
        (
            LayerSpec("pool", "AvgPool2d", (3, 5, 5), 75, 1),
            r"'pool' gave \[9, 48\] values for 9 images, not \[9, 75\]",
        ),
        (LayerSpec("gone", "ReLU", (3, 5, 5), 75, 1), "the network has no layer 'gone'"),
    ],
)
def test_manifest_of_another_network(draw, preprocessing, attributes, tmp_path, layer, message):
    with pytest.raises(ValueError, match=message):
        extract_activations(Sometimes(), [layer], draw(9, size=8), preprocessing, tmp_path / "a", GB, attributes)
    assert list(tmp_path.iterdir()) == []


def test_numbers_that_make_no_sense(draw, preprocessing, attributes, tmp_path):
    network, images = Sometimes(), draw(9, size=8)
    layers = list_layers(network, 8)
    with pytest.raises(ValueError, match="batch_size must be 1 or more"):
        extract_activations(network, layers, images, preprocessing, tmp_path / "a", GB, attributes, batch_size=0)
    with pytest.raises(ValueError, match=r"at least .* are needed"):
        extract_activations(network, layers, images, preprocessing, tmp_path / "a", 100, attributes)
    with pytest.raises(ValueError, match="attributes model"):
        extract_activations(network, layers, images, preprocessing, tmp_path / "a", GB, {"weights": "a", "code": "b"})
    assert list(tmp_path.iterdir()) == []


def test_progress_counts_every_image_of_every_pass(resnet, draw, preprocessing, attributes, tmp_path, caplog):
    network, layers = resnet
    caplog.set_level(logging.INFO)
    totals, seen = [], []

    def progress(items, description, total=None):
        totals.append((description, total))
        for item in items:
            seen.append(item)
            yield item

    memory = reserved_bytes(layers[:2], 9) + 4 * 9 * 50_000
    extract_activations(
        network, layers[:2], draw(9), preprocessing, tmp_path / "a", memory, attributes, progress=progress
    )
    passes = -(-sum(layer.units for layer in layers[:2]) // 50_000)
    assert f"mine on cpu: 2 layers in {passes} forward passes over 9 images: " in caplog.text
    assert totals == [("running mine", 9 * passes)]
    assert seen == list(range(9)) * passes


@pytest.mark.parametrize(("seen", "done", "passes_left"), [(4 * N + 3, 2, 3), (3, 0, 7)])
def test_a_run_that_is_asked_to_stop_keeps_the_layers_that_are_done(
    resnet, draw, preprocessing, attributes, tmp_path, seen, done, passes_left
):
    (network, layers), images = resnet, draw(N)

    def extract(name, **options):
        """Return what is stored, and how many passes it took."""
        path = tmp_path / name
        images.reads.clear()
        given = network, layers[:5], images, preprocessing, path, 8 * 10**6, attributes
        extract_activations(*given, batch_size=16, **options)
        store = ActivationStore(path)
        return [store.read(layer.name).array for layer in layers[:5]], sum(start == 0 for start, _ in images.reads)

    left = iter(range(seen, -1, -1))
    with pytest.raises(StoppedError, match=rf"enough: {done} of 5 layers of mine are done and kept") as stopped:
        extract("stopped.h5", stop=lambda: "" if next(left) else "enough")
    assert stopped.value.advanced == bool(done)
    assert not (tmp_path / "stopped.h5").exists()
    (whole, passes), (resumed, passes_again) = extract("whole.h5"), extract("stopped.h5")
    assert (passes, passes_again) == (7, passes_left)
    for one, other in zip(whole, resumed, strict=True):  # in other slices
        np.testing.assert_allclose(one, other, atol=1e-5 * np.abs(one).max())


PEAK = """
import resource, sys
import numpy as np, torch
from torch import nn
from layerwise.activations import extract_activations
from layerwise.interfaces import Preprocessing
from layerwise.layers import list_layers
torch.set_num_threads(1)
depth, memory, folder = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
network = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), *[nn.ReLU(inplace=True) for _ in range(depth)])
class Images:
    ids, content_hash = tuple(map(str, range(300))), "x"
    def __len__(self): return 300
    def read(self, start, stop):
        return np.random.default_rng(start).integers(0, 256, (stop - start, 64, 64, 3), np.uint8)
attributes = {"model": "m", "weights": "w", "code": "c"}
expected = Preprocessing(64, 64, "bilinear", (0.5,) * 3, (0.5,) * 3)
def run(layers, memory):
    output = folder + "/a.h5"
    extract_activations(network, layers, Images(), expected, output, memory, attributes, batch_size=4)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
layers = list_layers(network, 64)
start = run(layers[:1], 30_000_000)  # what Python, torch and the network take themselves
print(run(layers, memory) - start)
"""


@pytest.mark.parametrize("depth", [2, 30])
def test_peak_of_memory_does_not_depend_on_the_number_of_layers(tmp_path, depth):
    memory = 120 * 10**6  # all outputs of 31 layers would take 1.2 GB
    command = [sys.executable, "-c", PEAK, str(depth), str(memory), str(tmp_path)]
    grown = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert grown < 1.25 * memory


def test_file_needs_no_layerwise_to_be_read(draw, preprocessing, attributes, tmp_path):
    network, images = nn.Sequential(nn.Flatten(), nn.Identity()), draw(3, size=4)
    extract_activations(network, list_layers(network, 4), images, preprocessing, tmp_path / "a", GB, attributes)
    with h5py.File(tmp_path / "a") as file:
        assert file.attrs["complete"]
        assert file["layers/0"].attrs["kind"] == "gram"
        assert file["layers/0"].shape == (12,)  # six products of three stimuli, their sums, and products with the mean
