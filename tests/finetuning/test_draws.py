"""Draws follow from (seed, epoch, image): held against numpy's Philox, one image at a time."""

import numpy as np
from scipy import stats

from layerwise.finetuning.draws import Purpose, draw, order_images, step_seed


def test_an_images_numbers_depend_on_itself_alone(rng):
    images = rng.choice(5000, 40, replace=False)
    together = draw(7, 3, Purpose.CROP, images, 6)
    for image, numbers in zip(images, together, strict=True):
        key = np.array([7, 3 * len(Purpose) + Purpose.CROP], np.uint64)
        alone = np.random.Philox(key=key, counter=int(image) * 2).random_raw(8)[:6]
        np.testing.assert_array_equal(numbers, (alone >> np.uint64(11)) / 2**53)
        np.testing.assert_array_equal(numbers, draw(7, 3, Purpose.CROP, np.array([image]), 6)[0])


def test_numbers_are_uniform_and_of_seeds_epochs_and_purposes_unrelated():
    images = np.arange(20_000)
    first = draw(1, 0, Purpose.CROP, images, 3)
    assert stats.kstest(first.ravel(), "uniform").pvalue > 1e-4
    others = [draw(2, 0, Purpose.CROP, images, 3), draw(1, 1, Purpose.CROP, images, 3)]
    others += [draw(1, 0, purpose, images, 3) for purpose in Purpose if purpose is not Purpose.CROP]
    for other in others:
        assert abs(np.corrcoef(first.ravel(), other.ravel())[0, 1]) < 0.03


def test_the_order_of_an_epoch_is_a_permutation_that_does_not_depend_on_how_images_come(rng):
    images = rng.choice(1000, 300, replace=False)
    order = order_images(1, 4, images)
    np.testing.assert_array_equal(np.sort(order), np.sort(images))
    np.testing.assert_array_equal(order, order_images(1, 4, rng.permutation(images)))
    assert (order != order_images(1, 5, images)).mean() > 0.9
    some = images[:100]
    np.testing.assert_array_equal(order[np.isin(order, some)], order_images(1, 4, some))


def test_each_step_has_its_own_seed():
    seeds = {step_seed(1, epoch, step) for epoch in range(20) for step in range(50)}
    assert len(seeds) == 1000
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_no_images_draw_nothing():
    assert draw(1, 0, Purpose.CROP, np.zeros(0, np.int64), 3).shape == (0, 3)
