import logging

import numpy as np
import pytest

from layerwise.finetuning import FinetuneSettings, make_fold

NOTHING = np.zeros(0, np.int64)


def parts(train=40, validation=5, test=5):
    return np.split(np.arange(train + validation + test), [train, train + validation])


def test_scores_go_with_the_images_of_their_split(rng):
    scores = rng.random(50)
    train, validation, test = np.split(rng.permutation(50), [40, 45])
    fold = make_fold(3, scores, train, validation, test, FinetuneSettings())
    assert fold.split == 3
    for part, images in ((fold.train, train), (fold.validation, validation), (fold.test, test)):
        np.testing.assert_array_equal(part.images, images)
        np.testing.assert_array_equal(part.scores, scores[images])


def test_without_validation_images_a_share_of_training_is_held_out_and_told(rng, caplog):
    caplog.set_level(logging.INFO)
    train, _, test = parts(95, 0, 5)
    fold = make_fold(0, rng.random(100), train, NOTHING, test, FinetuneSettings(hold_out=0.2))
    assert len(fold.validation) == 19
    assert set(fold.validation.images) | set(fold.train.images) == set(train)
    assert not set(fold.validation.images) & set(fold.train.images)
    assert "split 1 has no validation images: 19 of its 95 training images are watched" in caplog.text
    again = make_fold(0, rng.random(100), train, NOTHING, test, FinetuneSettings(hold_out=0.2))
    np.testing.assert_array_equal(fold.validation.images, again.validation.images)
    other = make_fold(0, rng.random(100), train, NOTHING, test, FinetuneSettings(hold_out=0.2, seed=2))
    assert set(fold.validation.images) != set(other.validation.images)


@pytest.mark.parametrize(
    ("train", "validation", "test", "settings", "message"),
    [
        (np.arange(40), np.arange(38, 45), np.arange(45, 50), {}, "2 images are more than once in split 2"),
        (np.arange(40), np.arange(40, 45), np.arange(44, 50), {}, "1 image is more than once in split 2"),
        (np.arange(40), NOTHING, np.arange(45, 50), {"hold_out": 0.0}, "no validation images .* set `hold_out`"),
        (np.arange(20), np.arange(40, 45), np.arange(45, 50), {}, "20 training images, and a batch has 32: .*size`$"),
        (np.arange(40), NOTHING, np.arange(45, 50), {"hold_out": 0.9}, "4 training images, as 36 are .*`hold_out`$"),
        (np.arange(40), np.arange(40, 42), np.arange(45, 50), {}, "2 validation images, which must be 3 or more"),
        (np.arange(40), np.arange(40, 45), NOTHING, {}, "no test images"),
    ],
)
def test_what_cannot_be_trained_is_refused_in_one_sentence(train, validation, test, settings, message):
    scores = np.linspace(0.1, 0.9, 50)
    with pytest.raises(ValueError, match=message) as raised:
        make_fold(1, scores, train, validation, test, FinetuneSettings(**settings))
    assert "\n" not in str(raised.value)


def test_images_without_scores_are_counted():
    scores = np.linspace(0.1, 0.9, 50)
    scores[[3, 41, 49]] = np.nan
    with pytest.raises(ValueError, match="3 of 50 images of split 1 have no score"):
        make_fold(0, scores, *parts(), FinetuneSettings())


def test_validation_scores_that_are_all_equal_are_refused():
    scores = np.full(50, 0.5)
    with pytest.raises(ValueError, match="scores that differ"):
        make_fold(0, scores, *parts(), FinetuneSettings())
