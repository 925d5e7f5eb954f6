from pathlib import Path

import matplotlib
import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from layerwise.data.images import apply_geometry, load_image
from layerwise.interfaces import Preprocessing
from layerwise.models import build, geometry_for, registry
from layerwise.models.accuracy import Accuracy, measure_accuracy
from layerwise.models.adapters import ADAPTERS
from layerwise.models.labelled import read_labelled

PLAIN = Preprocessing(8, 8, "bilinear", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
MILITARY_UNIFORM = 652


class Chooses(nn.Module):
    """Ranks the classes n, n+1, n+2, ... for an image whose red is n."""

    def forward(self, images):
        red = (images[:, :1, 0, 0] * 255).round()
        return -((torch.arange(1000, device=images.device) - red) % 1000)


def of_red(path):
    return np.full((8, 8, 3), int(path.stem), np.uint8)


def test_counts_the_first_and_the_first_five(rng):
    red = rng.integers(0, 256, 101)
    away = rng.integers(0, 8, 101)
    images = [(Path(f"{number}.png"), int(number + step)) for number, step in zip(red, away, strict=True)]
    found = measure_accuracy(Chooses().eval(), images, PLAIN, of_red, 50.0, batch_size=7)
    assert (found.n_images, found.published) == (101, 50.0)
    assert found.top1 == pytest.approx(100 * np.mean(away == 0))
    assert found.top5 == pytest.approx(100 * np.mean(away < 5))


@pytest.mark.parametrize(
    ("top1", "published", "n_images", "passed"),
    [
        (76.0, 76.13, 50_000, True),
        (75.0, 76.13, 50_000, False),
        (77.3, 76.13, 50_000, False),
        (74.5, 76.13, 2000, True),
        (72.0, 76.13, 2000, False),
        (60.0, 76.13, 1999, None),  # too few to tell
        (0.0, 76.13, 1, None),
        (76.0, None, 50_000, None),
    ],
)
def test_gate(top1, published, n_images, passed):
    assert Accuracy(top1, 90.0, n_images, published).passed is passed


def test_progress_is_shown():
    seen = []

    def progress(items, description, total=None):
        for item in items:
            seen.append((description, total, len(item)))
            yield item

    images = [(Path("3.png"), 3)] * 5
    measure_accuracy(Chooses().eval(), images, PLAIN, of_red, batch_size=2, progress=progress)
    assert seen == [("accuracy", 3, 2), ("accuracy", 3, 2), ("accuracy", 3, 1)]


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "weights"),
    [("tf_efficientnet_lite0", "imagenet"), ("squeezenet1_1", "squeezenet1_1_caffe_folded.pth")],
)
def test_real_networks_on_photographs_with_their_own_preprocessing(name, weights, shared, rng, tmp_path):
    """Labels come from the library's own transform, one image at a time; a third of them is then made wrong."""
    row = registry.find(name)
    folder = shared("data", "figrim60", "images")
    file = weights if weights == "imagenet" else shared("data", "weights", weights)
    network = build(name, file)
    transform = ADAPTERS[row.library].transform(row.constructor)
    photographs = sorted(folder.glob("*.jpg"))[:24]
    with torch.inference_mode():
        best = {
            path.name: network(transform(Image.open(path).convert("RGB"))[None])[0].topk(6).indices.tolist()
            for path in photographs
        }
    ranks = dict(zip(best, rng.permutation([0] * 16 + [3] * 4 + [5] * 4), strict=True))
    labels = tmp_path / "labels.txt"
    labels.write_text("".join(f"{file}\t{best[file][rank]}\n" for file, rank in ranks.items()))
    geometry = geometry_for(row.preprocessing, "crop")
    found = measure_accuracy(
        network,
        read_labelled(folder, labels),
        row.preprocessing,
        lambda path: apply_geometry(load_image(path), geometry),
        batch_size=10,
    )
    assert found == Accuracy(100 * 16 / 24, 100 * 20 / 24, 24, None)


def test_a_photograph_everybody_knows():
    row = registry.find("tf_efficientnet_lite0")
    path = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    geometry = geometry_for(row.preprocessing, "crop")
    found = measure_accuracy(
        build(row.name, "imagenet"),
        [(path, MILITARY_UNIFORM)],
        row.preprocessing,
        lambda path: apply_geometry(load_image(path), geometry),
    )
    assert found.top5 == 100


@pytest.fixture
def synsets(tmp_path):
    folder = tmp_path / "val"
    for index in range(1000):
        (folder / f"n{10_000_000 + 7 * index}").mkdir(parents=True)
    return folder


def test_folders_of_synsets_are_numbered_in_their_order(synsets):
    for index, name in ((0, "b.JPEG"), (0, "a.png"), (999, "c.jpg"), (5, "notes.txt")):
        (synsets / f"n{10_000_000 + 7 * index}" / name).touch()
    found = [(path.name, label) for path, label in read_labelled(synsets)]
    assert found == [("a.png", 0), ("b.JPEG", 0), ("c.jpg", 999)]


def test_labels_in_a_file(tmp_path):
    for name in ("a.png", "b.png"):
        (tmp_path / name).touch()
    for text in ("a.png 3\nb.png 999\n", "a.png\t3\r\n\r\nb.png,999", "a.png , 3\nb.png 999"):
        (tmp_path / "labels").write_text(text)
        assert read_labelled(tmp_path, tmp_path / "labels") == [(tmp_path / "a.png", 3), (tmp_path / "b.png", 999)]


@pytest.mark.parametrize("name", ["a,b.png", "a, b.png", "a  b,.png", "a.png,3", "a.png 3"])
@pytest.mark.parametrize("separator", [" ", ",", ", ", "\t"])
def test_names_of_files_may_hold_blanks_and_commas(tmp_path, name, separator):
    (tmp_path / name).touch()
    (tmp_path / "labels").write_text(f"{name}{separator}7\n")
    assert read_labelled(tmp_path, tmp_path / "labels") == [(tmp_path / name, 7)]


def test_synsets_in_a_file(tmp_path):
    (tmp_path / "a.png").touch()
    names = [f"n{10_000_000 + 7 * index}" for index in range(1000)]
    (tmp_path / "labels").write_text("".join(f"a.png {name}\n" for name in reversed(names)))
    assert [label for _, label in read_labelled(tmp_path, tmp_path / "labels")] == list(reversed(range(1000)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "labels is empty"),
        ("a.png\n", "line 1: a line is a file name and a class"),
        ("a.png 3\nc.png 4\n", "line 2: no image"),
        ("a.png 1000\n", "line 1: a class is a number from 0 to 999, not '1000'"),
        ("a.png -1\n", "not '-1'"),
        ("a.png dog\n", "not 'dog'"),
        ("a.png n01440764\n", "names 1 synsets, not 1000"),
    ],
)
def test_labels_that_do_not_fit(tmp_path, text, message):
    (tmp_path / "a.png").touch()
    (tmp_path / "labels").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_labelled(tmp_path, tmp_path / "labels")


def test_labels_that_are_no_text(tmp_path):
    (tmp_path / "labels").write_text("a.png 1\n", encoding="utf-16")
    with pytest.raises(ValueError, match=r"labels is no text in UTF-8 .*save it as such"):
        read_labelled(tmp_path, tmp_path / "labels")


def test_folders_that_do_not_fit(tmp_path, synsets):
    with pytest.raises(ValueError, match="hold no images"):
        read_labelled(synsets)
    next(synsets.iterdir()).rmdir()
    with pytest.raises(ValueError, match="holds 999 folders of synsets, not 1000"):
        read_labelled(synsets)
    with pytest.raises(ValueError, match="no folder"):
        read_labelled(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="no file of labels"):
        read_labelled(synsets, tmp_path / "nothing.txt")


def test_nothing_to_measure():
    with pytest.raises(ValueError, match="no images"):
        measure_accuracy(Chooses(), [], PLAIN, of_red)
    with pytest.raises(ValueError, match=r"gives \(3, 8, 8\) scores an image, not 1000"):
        measure_accuracy(nn.Identity(), [(Path("1.png"), 0)], PLAIN, of_red)
