"""A job that was killed is resumed by the same network only; with another one it gives what a fresh job gives."""

import contextlib
import importlib
import io
import logging
import os
import re
import signal
import sys
from importlib.metadata import version
from itertools import count
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from PIL import Image

from layerwise.cli import app
from layerwise.files import own_code
from layerwise.passes.stopping import StopRequests
from layerwise.sketching.rows import FileRows
from layerwise.streaming import fit

NETWORK = """
from torch import nn
from blocks_of_own import activate

class Net(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(3, channels, 3, stride=2)
        self.head = nn.Linear(channels * 225, 40)

    def forward(self, x):
        return self.head(activate(self.conv(x)).flatten(1))

def build(channels=4):
    return Net(channels)
"""
BLOCKS = "import torch\n\ndef activate(x):\n    return torch.relu(x)\n"
ENTRY = {"name": "own", "factory": "nets_of_own:build", "weights": "own.pth"}
INPUT = {"size": 32, "resize": 36}
COMMANDS = {"sketch": "sketch-memorability", "exact": "stream-memorability"}


class Killed(BaseException):
    pass


@pytest.fixture
def folder(tmp_path, rng, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    names = [f"photo {index:02d}.png" for index in range(80)]
    for name in names:
        Image.fromarray(rng.integers(0, 255, (40, 40, 3), dtype=np.uint8)).save(tmp_path / "photos" / name)
    pd.DataFrame({"image": names, "score": rng.random(80)}).to_csv(tmp_path / "scores.csv", index=False)
    (tmp_path / "nets_of_own.py").write_text(NETWORK)
    (tmp_path / "blocks_of_own.py").write_text(BLOCKS)
    save_weights(seed=0)
    # Between two saves lie minutes, and some time passes at each look at the clock.
    clock = count(step=1000)
    for module in ("layerwise.sketching.rows", "layerwise.streaming.fit"):
        monkeypatch.setattr(f"{module}.time", type("Clock", (), {"monotonic": lambda: next(clock)}))
    yield tmp_path
    sys.modules.pop("nets_of_own", None)
    sys.modules.pop("blocks_of_own", None)


def save_weights(seed):
    generator = torch.Generator().manual_seed(seed)
    shapes = {"conv.weight": (4, 3, 3, 3), "conv.bias": (4,), "head.weight": (40, 900), "head.bias": (40,)}
    torch.save({name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}, "own.pth")


def configure(folder, method, **entry):
    study = {
        "study": "s",
        "models": [ENTRY | {"preprocessing": INPUT} | entry],
        "ratings": [{"name": "rated", "images": "photos", "scores": "scores.csv", "folds": 2}],
        "regression": {"components": 4},
        "memorability": {"small": 10, "method": method, "dimensions": 64},
        "compute": {"batch_size": 16, "threads": 1},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(study))


def run(*arguments):
    """Run a command that ends well, and return what it said."""
    status, told = ended(*arguments)
    assert status == 0, told
    return told


def ended(*arguments):
    """Run a command as a process of its own would: modules are imported anew; return its status and what it said."""
    for name in ("nets_of_own", "blocks_of_own"):
        sys.modules.pop(name, None)
    importlib.invalidate_caches()
    own_code.cache_clear()
    told = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stderr(told):
        patch.setattr(sys, "argv", ["layerwise", *arguments])
        patch.setattr(sys, "path", list(sys.path))
        patch.setattr(sys, "dont_write_bytecode", True)  # an edit within a second is seen
        status = 0
        try:
            app.main()
        except SystemExit as stopped:
            status = stopped.code or 0
        finally:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.signal(signal.SIGUSR2, signal.SIG_DFL)
            logging.getLogger("layerwise").handlers = []
    return status, told.getvalue()


def score(method, state, output):
    known = ("--model", "own", "--ratings", "rated", "--block", "001-002", "--manifest", "layers.tsv")
    place = ("--file" if method == "sketch" else "--state", state)
    told = run(COMMANDS[method], *known, "--pixels", "pixels.h5", *place, "--output", output)
    return pd.read_parquet(output), told


def prepare():
    run("list-layers", "--model", "own", "--manifest", "layers.tsv", "--preprocessing", "preprocessing.json")
    geometry = "crop36to32-bilinear"
    run("pack-stimuli", "--stimuli", "rated", "--geometry", geometry, "--output", "pixels.h5")


def kill(method, folder):
    """Start the job, and kill it after some images or components."""
    append, save = FileRows.append, fit.save_state

    def die_sketching(self, rows, n):
        append(self, rows, n)
        if self.done == 48:
            raise Killed

    def die_streaming(kept, component, *rest):
        save(kept, component, *rest)
        if component == 2:
            raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FileRows, "append", die_sketching)
        patch.setattr(fit, "save_state", die_streaming)
        with pytest.raises(Killed):
            score(method, "kept.state", "killed.parquet")
    assert (folder / "kept.state").is_file() and not (folder / "killed.parquet").exists()


def edit_forward(folder, method, monkeypatch):
    source = folder / "nets_of_own.py"
    source.write_text(source.read_text().replace("activate(self.conv(x))", "activate(self.conv(x)).cos()"))


def edit_helper(folder, method, monkeypatch):
    (folder / "blocks_of_own.py").write_text(BLOCKS.replace("relu(x)", "relu(x).cos()"))


def other_options(folder, method, monkeypatch):
    source = folder / "nets_of_own.py"
    source.write_text(source.read_text().replace("def build(channels=4)", "def build(channels=4, power=1)"))
    configure(folder, method, options={"power": 2})


def other_weights(folder, method, monkeypatch):
    save_weights(seed=1)


def random_weights(folder, method, monkeypatch):
    configure(folder, method, weights="random")


def other_mean(folder, method, monkeypatch):
    configure(folder, method, preprocessing=INPUT | {"mean": [0, 0, 0]})


def other_adapter(folder, method, monkeypatch):
    """As an edit of `models/adapters/factory.py` would be: its code hashes otherwise, and it builds otherwise."""
    monkeypatch.setitem(changed_code(monkeypatch), "layerwise.models.adapters.factory", "edited")
    build_otherwise(monkeypatch, take_cosine)


def other_cornet(folder, method, monkeypatch):
    monkeypatch.setitem(changed_code(monkeypatch), "layerwise.models.cornet", "edited")
    build_otherwise(monkeypatch, take_cosine)


def changed_code(monkeypatch):
    from layerwise.files import code

    digest, changed = code._digest, {}
    monkeypatch.setattr(code, "_digest", lambda name: changed.get(name) or digest(name))
    return changed


def build_otherwise(monkeypatch, change):
    """What an edit of code that builds networks could do."""
    from layerwise.models.adapters import ADAPTERS, factory

    def build(spec):
        network = factory._build(spec)
        change(network.conv)
        return network

    monkeypatch.setitem(ADAPTERS, "factory", type(factory.ADAPTER)(build, factory._pretrained))


def take_cosine(layer):
    layer.register_forward_hook(lambda _module, _inputs, output: output.cos())


def turn_around(layer):
    layer.weight.data.mul_(-0.5)


CHANGES = [
    edit_forward,
    edit_helper,
    other_options,
    other_weights,
    random_weights,
    other_mean,
    other_adapter,
    other_cornet,
]


@pytest.mark.parametrize("method", COMMANDS)
@pytest.mark.parametrize("change", CHANGES)
def test_another_network_does_not_go_on(folder, monkeypatch, method, change):
    configure(folder, method)
    prepare()
    before, _ = score(method, "first.state", "before.parquet")
    kill(method, folder)
    change(folder, method, monkeypatch)
    resumed, told = score(method, "kept.state", "resumed.parquet")
    assert "is of other data, code or settings: starting from the first" in told
    fresh, _ = score(method, "another.state", "fresh.parquet")
    pd.testing.assert_frame_equal(resumed, fresh)
    if change is not other_options:  # they change nothing here, but could
        assert np.abs(fresh["rho"] - before["rho"]).max() > 1e-3


@pytest.mark.parametrize("method", COMMANDS)
def test_the_same_network_goes_on(folder, method):
    configure(folder, method)
    prepare()
    before, _ = score(method, "first.state", "before.parquet")
    kill(method, folder)
    resumed, told = score(method, "kept.state", "resumed.parquet")
    assert "resuming from" in told
    pd.testing.assert_frame_equal(resumed, before)


@pytest.mark.parametrize("method", COMMANDS)
def test_another_version_of_a_library_does_not_go_on(folder, monkeypatch, method):
    configure(folder, method)
    prepare()
    kill(method, folder)
    monkeypatch.setattr("layerwise.models.versions.version", lambda name: "0.1")
    assert (
        "is of other data, code or settings: starting from the first" in score(method, "kept.state", "again.parquet")[1]
    )


@pytest.mark.parametrize("method", COMMANDS)
def test_values_of_a_network_that_came_from_nowhere_that_is_tracked_do_not_go_on(folder, monkeypatch, method):
    configure(folder, method, weights=None)
    prepare()
    kill(method, folder)
    build_otherwise(monkeypatch, turn_around)  # as a file does that a factory finds by a name of its own making
    resumed, told = score(method, "kept.state", "resumed.parquet")
    assert "is of other data, code or settings: starting from the first" in told
    pd.testing.assert_frame_equal(resumed, score(method, "another.state", "fresh.parquet")[0])


def test_results_carry_the_network_and_the_versions_that_they_were_made_with(folder):
    configure(folder, "sketch")
    prepare()
    table, _ = score("sketch", "first.state", "rho.parquet")
    run(
        "extract-activations", "--model", "own", "--manifest", "layers.tsv", "--pixels", "pixels.h5", "--output", "a.h5"
    )
    with h5py.File("a.h5") as file:
        stored = dict(file.attrs)
    scored = table.attrs["data"]["memorability"]
    assert stored["versions"] == scored["versions"] == f"torch {version('torch')}"
    assert stored["network"] == scored["network"] != ""
    (folder / "blocks_of_own.py").write_text(BLOCKS.replace("relu", "tanh"))
    again, _ = score("sketch", "first.state", "rho.parquet")
    assert again.attrs["data"]["memorability"]["network"] != stored["network"]


def stop_after(asked, *arguments):
    """Run a command that is told to stop when it asks for the so many-th time; return its status and what it said."""
    left = count(asked, -1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(StopRequests, "__call__", lambda _: "" if next(left) > 0 else "the time limit is near")
        return ended(*arguments)


def resumable(command, output):
    """The arguments of a command."""
    known = {"--model": "own", "--manifest": "layers.tsv", "--pixels": "pixels.h5"}
    scored = known | {"--ratings": "rated", "--block": "001-002"}
    chosen = {
        "pack-stimuli": {"--stimuli": "rated", "--geometry": "crop36to32-bilinear"},
        "extract-activations": known,
        "stream-memorability": scored | {"--state": f"{output}.state"},
        "sketch-memorability": scored | {"--file": f"{output}.state"},
    }[command]
    return [command, *(word for pair in (chosen | {"--output": output}).items() for word in pair)]


def content(path):
    """What is in a file; of HDF5 all arrays, since it notes when objects were changed."""
    if not h5py.is_hdf5(path):
        return Path(path).read_bytes()
    with h5py.File(path) as file:
        arrays = {}
        file.visititems(lambda name, one: arrays.update({name: one[()].tolist()} if hasattr(one, "shape") else {}))
    return arrays


# Images that are asked after, of 80: the first pass of a fit, its second, the middle of a later one and the last; the
# pass of sketches, and their regression.
STOPS = [
    ("pack-stimuli", [30], "30 of 80 images of rated are decoded and kept"),
    ("extract-activations", [50], "0 of 2 layers of own are done and kept"),
    ("stream-memorability", [50], "the fit stopped in its first pass, of which nothing is kept"),
    ("stream-memorability", [100, 20], r"stopped at component 1 of 4, and its state is in b\.state"),
    ("stream-memorability", [270, 80, 20, 60], r"stopped at component 3 of 4, and its state is in b\.state"),
    ("stream-memorability", [399], r"stopped at component 4 of 4, and its state is in b\.state"),
    ("sketch-memorability", [40, 10, 17], "the sketches of 48 of 80 images are kept"),
    ("sketch-memorability", [81], "the sketches of 80 of 80 images are kept"),
]


@pytest.mark.parametrize(("command", "stops", "said"), STOPS)
def test_a_step_that_is_asked_to_stop_says_where_it_stands_and_goes_on_there(folder, command, stops, said):
    method = {name: method for method, name in COMMANDS.items()}.get(command, "exact")
    configure(folder, method)
    prepare()
    run(*resumable(command, "a"))
    for number, asked in enumerate(stops):
        status, told = stop_after(asked, *resumable(command, "b"))
        assert status == os.EX_TEMPFAIL, told
        assert number or re.search(f"the time limit is near: .*{said}", told), told
        assert not (folder / "b").exists()
    told = run(*resumable(command, "b"))
    assert "damaged" not in told
    assert content("b") == content("a")
    assert not [path for path in folder.iterdir() if path.name.startswith(("b.", ".b"))]
