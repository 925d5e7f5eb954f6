from pathlib import Path

import matplotlib
import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from layerwise.analyses.accuracy import Accuracy, measure_accuracy
from layerwise.data.images import apply_geometry, load_image
from layerwise.interfaces import Preprocessing
from layerwise.models import build, geometry_for, registry
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
            seen.append((description, total, item))
            yield item

    images = [(Path("3.png"), 3)] * 5
    measure_accuracy(Chooses().eval(), images, PLAIN, of_red, batch_size=2, progress=progress)
    assert seen == [("accuracy", 5, image) for image in range(5)]


def test_batches_are_halved_when_memory_runs_out(caplog):
    class Hungry(Chooses):
        def forward(self, images):
            if len(images) > 3:
                raise torch.OutOfMemoryError("out of memory")
            return super().forward(images)

    images = [(Path(f"{number}.png"), number + (number > 7)) for number in range(11)]
    with caplog.at_level("WARNING"):
        found = measure_accuracy(Hungry().eval(), images, PLAIN, of_red, batch_size=8)
    assert found == Accuracy(100 * 8 / 11, 100.0, 11, None)
    assert [record.getMessage() for record in caplog.records] == [
        f"the device is out of memory: continuing with {size} images a batch" for size in (4, 2)
    ]


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


def test_nothing_to_measure():
    with pytest.raises(ValueError, match="no images"):
        measure_accuracy(Chooses(), [], PLAIN, of_red)
    with pytest.raises(ValueError, match=r"gives \(3, 8, 8\) scores an image, not 1000"):
        measure_accuracy(nn.Identity(), [(Path("1.png"), 0)], PLAIN, of_red)
