"""Every network trains for three steps, is stopped between them, and ends as if it had not been."""

from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal, assert_equal
from small_training import CPU, Kept

from layerwise.finetuning import FinetuneSettings, StoppedError, fine_tune, make_fold
from layerwise.finetuning.state import State
from layerwise.models import build, build_empty, registry, replace_head

# One of each library and of each kind of classifier, and one whose batch normalisations, drop path and dropout all run.
QUICK = ("squeezenet1_1", "shufflenet_v2_x0_5", "cornet_z", "efficientnet_b0", "googlenet", "bninception")
SIZES = (64, 96, 128, 160)  # tried, before the size that the network was made for
BATCH, BATCHES, WATCHED = 2, 3, 3
names = [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in registry.names()]


def smallest_input(name, row):
    """Side of the smallest image of which a network gives one number, found without computing."""
    network = replace_head(build_empty(name), row.classifier)
    for size in SIZES:
        image = torch.zeros(BATCH, 3, size, size, device="meta")
        try:
            with torch.no_grad():
                shapes = {network.train()(image).shape, network.eval()(image).shape}  # DPNs pool in another way
        except (RuntimeError, ValueError):
            continue  # a window of its pooling is larger than what is left of the image
        if shapes == {(BATCH, 1)}:
            return size
    return row.preprocessing.size


def photographs(rng, side):
    count = BATCH * BATCHES + 2 * WATCHED
    images = rng.integers(0, 256, (count, side, side, 3), dtype=np.uint8)
    train, validation, test = np.split(np.arange(count), [BATCH * BATCHES, BATCH * BATCHES + WATCHED])
    return Kept(images), rng.uniform(0.4, 0.9, count), (train, validation, test)


def after(steps):
    asked = iter(range(1, 1000))
    return lambda: "the test says so" if next(asked) == steps else ""


@pytest.mark.filterwarnings("ignore::layerwise.interfaces.DegenerateWarning")
@pytest.mark.parametrize("name", names)
def test_three_steps_a_save_and_a_resume(name, rng, tmp_path):
    row = registry.find(name)
    size = smallest_input(name, row)
    preprocessing = replace(row.preprocessing, size=size, resize=size)
    # Untrained networks have large gradients: a small rate keeps all of them finite.
    settings = FinetuneSettings(batch_size=BATCH, max_epochs=1, learning_rate=1e-5)
    pixels, scores, parts = photographs(rng, size + 8)
    fold = make_fold(0, scores, *parts, settings)
    start = build(name, "random", seed=1)

    def tune(**options):
        network = build(name, "random", seed=1)
        return fine_tune(network, row.classifier, pixels, preprocessing, fold, settings, CPU, **options)

    state = tmp_path / "a.state"
    with pytest.raises(StoppedError, match="after 0 epochs and 2 steps"):
        tune(state=state, stop=after(2))
    resumed, whole = tune(state=state), tune()
    State(state, {}).remove()  # a gigabyte, which pytest would keep
    assert_equal(
        asdict(resumed.history[0]), asdict(whole.history[0])
    )  # NaN equals NaN: untrained, some give a constant
    assert len(resumed.history) == len(whole.history) == 1
    assert np.isfinite(whole.history[0].training_loss)
    assert all(torch.equal(resumed.weights[key], tensor) for key, tensor in whole.weights.items())
    assert_array_equal(resumed.test.predicted, whole.test.predicted)
    learnt = [key for key, tensor in start.named_parameters() if tensor.shape == whole.weights.get(key, tensor).shape]
    moved = sum(not torch.equal(start.get_parameter(key), whole.weights[key]) for key in learnt if key in whole.weights)
    assert moved > len(learnt) / 2
