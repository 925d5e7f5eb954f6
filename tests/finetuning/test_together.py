"""Splits that are trained at once against each of them trained alone."""

from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context

import numpy as np
import pytest
import torch
from small_training import CPU, PREPROCESSING, Kept, Short, divided, planted, small_settings, tiny

from layerwise.finetuning import DivergedError, StoppedError, fine_tune, fine_tune_folds, make_fold, together
from layerwise.finetuning.folds import images_seen
from layerwise.finetuning.images import ResidentImages, SomeImages
from layerwise.models import build
from layerwise.models.registry import find

GPU = torch.device("cuda")
gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here: nothing runs at once")


@pytest.fixture
def study(rng):
    """Pixels and three splits, in which images have other scores and other parts."""
    return draw(rng)


def draw(rng):
    images, scores = planted(rng)
    folds = [
        make_fold(split, scores + rng.normal(0, 0.01, len(scores)), *divided(len(scores), rng), small_settings())
        for split in range(3)
    ]
    return Kept(images), folds


@pytest.fixture
def in_turns(monkeypatch):
    """Let splits take turns on a CPU too, so many at once as the test says."""

    def at_once(number):
        monkeypatch.setattr(together._Together, "_room", lambda *_: number)

    return at_once


def alone(study, settings, network=tiny, device=CPU, **options):
    pixels, folds = study
    return [fine_tune(network(), "fc", pixels, PREPROCESSING, fold, settings, device, **options) for fold in folds]


def at_once(study, settings, network=tiny, device=CPU, **options):
    pixels, folds = study
    return fine_tune_folds(network(), "fc", pixels, PREPROCESSING, folds, settings, device, **options)


def assert_same(ones, others):
    assert len(ones) == len(others)
    for one, other in zip(ones, others, strict=True):
        assert one.history == other.history
        assert one.best_epoch == other.best_epoch
        assert one.weights.keys() == other.weights.keys()
        assert all(torch.equal(one.weights[name], tensor) for name, tensor in other.weights.items())
        for part in ("validation", "test"):
            mine, its = getattr(one, part), getattr(other, part)
            assert mine.split == its.split
            np.testing.assert_array_equal(mine.images, its.images)
            np.testing.assert_array_equal(mine.predicted, its.predicted)


@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize("changes", [{}, {"optimiser": "adamw", "crop": "random-resized-crop", "accumulate": 2}])
def test_splits_at_once_end_as_each_alone(study, in_turns, number, changes):
    in_turns(number)
    settings, given = small_settings(**changes), tiny()
    before = {name: tensor.clone() for name, tensor in given.state_dict().items()}
    told = []
    drawn = torch.get_rng_state()
    ours = at_once(study, settings, lambda: given, report=lambda fold, epoch, _: told.append((fold.split, epoch)))
    assert torch.equal(torch.get_rng_state(), drawn)
    assert_same(ours, alone(study, settings))
    assert sorted(told, key=lambda one: (one[0], one[1].number)) == [
        (split, epoch) for split, result in enumerate(ours) for epoch in result.history
    ]
    assert all(torch.equal(tensor, before[name]) for name, tensor in given.state_dict().items())


def test_a_split_that_ends_early_leaves_the_others_running(in_turns):
    in_turns(2)
    pixels, folds = draw(np.random.default_rng(0))  # of other draws, all may end after as many epochs
    # The scores of one split's validation images do not vary with the images, so that it soon ends without gain.
    noise = np.random.default_rng(0).normal(size=len(folds[0].validation))
    folds[0] = replace(folds[0], validation=replace(folds[0].validation, scores=noise))
    settings = small_settings(max_epochs=9, patience=1)
    ended = []
    ours = at_once((pixels, folds), settings, done=lambda fold, result: ended.append((fold.split, result)))
    lengths = [len(result.history) for result in ours]
    assert len(set(lengths)) > 1
    assert sorted(split for split, _ in ended) == [0, 1, 2]
    assert dict(ended) == dict(enumerate(ours))
    assert_same(ours, alone((pixels, folds), settings))


@pytest.mark.parametrize("number", [1, 3])
@pytest.mark.parametrize("calls", [1, 20, 40, 75])
def test_splits_that_are_stopped_go_on_to_the_bit(study, in_turns, tmp_path, number, calls):
    in_turns(number)
    settings, states = small_settings(), [tmp_path / f"{split}.state" for split in range(3)]
    count = 0

    def stop():
        nonlocal count
        count += 1
        return "the test says so" if count >= calls else ""

    with pytest.raises(StoppedError, match="the test says so: training stopped") as raised:
        at_once(study, settings, states=states, stop=stop)
    assert ("2 other splits" in str(raised.value)) == (number == 3)
    assert "\n" not in str(raised.value)
    assert_same(at_once(study, settings, states=states), alone(study, settings))


def test_a_split_that_diverges_leaves_the_others_running(study, in_turns):
    in_turns(3)
    pixels, folds = study
    scores = folds[1].train.scores.copy()
    scores[0] = 1e30
    folds[1] = replace(folds[1], train=replace(folds[1].train, scores=scores))
    ended = {}
    with pytest.raises(DivergedError, match="epoch 1"):
        at_once((pixels, folds), small_settings(), done=lambda fold, result: ended.update({fold.split: result}))
    others = [folds[0], folds[2]]
    assert_same([ended[0], ended[2]], alone((pixels, others), small_settings()))


def test_a_split_that_diverges_has_a_result_where_it_is_to_be_kept(study, in_turns, caplog):
    in_turns(3)
    pixels, folds = study
    scores = folds[1].train.scores.copy()
    scores[0] = 1e30
    folds[1] = replace(folds[1], train=replace(folds[1].train, scores=scores))
    ended = {}
    ours = at_once(
        (pixels, folds), small_settings(), done=lambda fold, result: ended.update({fold.split: result}),
        keep_diverged=True,
    )  # fmt: skip
    assert ended == dict(enumerate(ours)) and "split 2: the loss of step" in caplog.text
    assert_same([ours[0], ours[2]], alone((pixels, [folds[0], folds[2]]), small_settings()))
    assert [result.diverged for result in (ours[0], ours[2])] == ["", ""]
    lost = ours[1]
    assert lost.diverged.startswith("the loss of step")
    assert lost.best_epoch == 0 and lost.weights.keys() == ours[0].weights.keys()
    for name, tensor in lost.weights.items():
        like = ours[0].weights[name]
        assert (tensor.shape, tensor.dtype) == (like.shape, like.dtype)
        assert not tensor.is_floating_point() or tensor.isnan().all()
    for part, given in ((lost.validation, folds[1].validation), (lost.test, folds[1].test)):
        np.testing.assert_array_equal(part.images, given.images)
        np.testing.assert_array_equal(part.scores, given.scores)
        assert np.isnan(part.predicted).all() and len(part.predicted) == len(given)
    last = lost.history[-1]
    assert last.number == len(lost.history) and np.isnan([last.training_loss, last.validation_loss, last.rho]).all()


def test_a_split_that_finds_no_memory_waits_for_another_to_end(study, in_turns, monkeypatch, caplog):
    in_turns(3)
    whole, prepare = at_once(study, small_settings()), together._Together._prepare

    def short(self, number):
        if len(self._running) == 2:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        return prepare(self, number)

    monkeypatch.setattr(together._Together, "_prepare", short)
    assert_same(at_once(study, small_settings()), whole)
    assert "no more fit into the GPU's memory: 2 splits are trained at once" in caplog.text

    def never_fits(self, number):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")

    monkeypatch.setattr(together._Together, "_prepare", never_fits)
    with pytest.raises(torch.OutOfMemoryError):
        at_once(study, small_settings())


def test_later_splits_have_a_batch_in_as_many_parts_as_the_first(study, in_turns):
    in_turns(3)

    def network():
        torch.manual_seed(0)
        return Short(5)

    ours = at_once(study, small_settings(), network)
    assert {epoch.accumulate for result in ours for epoch in result.history} == {2}
    assert_same(ours, alone(study, small_settings(), network))


def test_each_split_sees_its_own_images_of_those_that_are_kept_once(study):
    pixels, folds = study
    kept = ResidentImages(pixels, images_seen(folds), CPU)
    own = SomeImages(kept, images_seen(folds[:1]))
    for allowed in (folds[0].train.images, folds[0].validation.images):
        [(stored, rows)] = own.batches([allowed])
        np.testing.assert_array_equal(stored[rows].numpy(), pixels.images[allowed])
    foreign = np.setdiff1d(images_seen(folds), images_seen(folds[:1]))
    assert set(foreign) <= set(folds[0].test.images) and len(foreign)
    for image in foreign:
        with pytest.raises(ValueError, match="must not see"):
            own.batches([folds[0].train.images[:4], np.array([image])])


@pytest.mark.parametrize("resident", [True, False])
def test_an_image_that_all_splits_test_on_is_not_even_read_before_one_has_ended(rng, in_turns, resident):
    in_turns(3)
    images, scores = planted(rng)
    test = np.arange(30)
    folds = []
    for split in range(3):
        train, validation, _ = divided(130, rng, 0.7, 0.3)
        folds.append(make_fold(split, scores, train + 30, validation + 30, test, small_settings()))
    told = []
    guarded = Kept(images, forbidden=test)
    with pytest.raises(AssertionError, match="must not be"):
        at_once(
            (guarded, folds), small_settings(max_epochs=2), resident=resident,
            report=lambda fold, epoch, _: told.append(epoch.number),
        )  # fmt: skip
    assert 2 in told


def test_what_a_split_tests_on_does_not_change_it(study, in_turns):
    in_turns(3)
    pixels, folds = study
    settings = small_settings(max_epochs=2)
    plain = at_once(study, settings)
    changed = [replace(fold, test=replace(fold.test, scores=-fold.test.scores)) for fold in folds]
    images = pixels.images.copy()
    only_tested = np.setdiff1d(np.arange(len(images)), images_seen(folds))
    images[only_tested] = 255 - images[only_tested]
    for one, other in zip(at_once((Kept(images), changed), settings), plain, strict=True):
        assert one.history == other.history
        assert all(torch.equal(one.weights[name], tensor) for name, tensor in other.weights.items())


# --- on a GPU


@gpu
@pytest.mark.parametrize("precision", ["float32", "tf32", "bf16"])
@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_splits_at_once_end_as_each_alone_to_the_bit_cuda(study, tmp_path, precision, name):
    settings = small_settings(deterministic=True, precision=precision, optimiser=name)
    one_by_one = alone(study, settings, device=GPU)
    assert_same(at_once(study, settings, device=GPU), one_by_one)
    states, count = [tmp_path / f"{split}.state" for split in range(3)], 0

    def stop():
        nonlocal count
        count += 1
        return "the test says so" if count == 40 else ""

    with pytest.raises(StoppedError, match="so do the 2 other splits"):
        at_once(study, settings, device=GPU, states=states, stop=stop)
    assert_same(at_once(study, settings, device=GPU, states=states), one_by_one)


@gpu
def test_splits_at_once_end_near_each_alone_where_the_gpu_may_choose_cuda(study):
    settings = small_settings()
    for one, other in zip(at_once(study, settings, device=GPU), alone(study, settings, device=GPU), strict=True):
        ours, its = ([epoch.training_loss for epoch in result.history] for result in (one, other))
        np.testing.assert_allclose(ours, its, rtol=2e-2)


@gpu
def test_what_cannot_be_recorded_is_trained_at_once_too_cuda(study):
    settings = small_settings(deterministic=True)
    plain = at_once(study, settings, device=GPU, record=False)
    assert_same(plain, alone(study, settings, device=GPU, record=False))


@gpu
def test_alexnet_trains_on_five_splits_at_once_cuda(rng):
    # Its products of matrices wait for counters in cuBLAS's workspace, on a common one of five graphs for ever.
    row = find("alexnet")
    images = rng.integers(0, 256, (96, 240, 240, 3), np.uint8)
    settings = small_settings(batch_size=32, max_epochs=3, patience=9, deterministic=True, learning_rate=1e-4)
    folds = [
        make_fold(split, rng.uniform(0.4, 0.9, 96), np.arange(64), np.arange(64, 80), np.arange(80, 96), settings)
        for split in range(5)
    ]
    network = build("alexnet", "random")
    common = (row.classifier, Kept(images), row.preprocessing)
    ours = fine_tune_folds(network, *common, folds, settings, GPU)
    for fold, result in zip(folds, ours, strict=True):
        its = fine_tune(build("alexnet", "random"), *common, fold, settings, GPU)
        assert_same([result], [its])


def train_in(gigabytes):
    """Train ResNet-50 with so much of a GPU; return the parts of its batches, and whether it predicts numbers."""
    torch.cuda.set_per_process_memory_fraction(gigabytes * 1e9 / torch.cuda.get_device_properties(0).total_memory)
    row, rng = find("resnet50"), np.random.default_rng(0)
    images = rng.integers(0, 256, (96, 240, 240, 3), np.uint8)
    settings = small_settings(batch_size=32, max_epochs=1, deterministic=True, learning_rate=1e-4)
    fold = make_fold(0, rng.uniform(0.4, 0.9, 96), np.arange(64), np.arange(64, 80), np.arange(80, 96), settings)
    result = fine_tune(
        build("resnet50", "random"), row.classifier, Kept(images), row.preprocessing, fold, settings, GPU
    )
    return result.history[0].accumulate, np.isfinite(result.test.predicted).all()


@gpu
def test_a_network_that_does_not_fit_adds_gradients_up_cuda():
    with ProcessPoolExecutor(1, get_context("spawn")) as apart:  # other tests hold memory here
        parts, finite = apart.submit(train_in, 1.6).result()  # of the 3 GB that it takes
    assert parts in (2, 4, 8) and finite
