"""Attempts to let test images, test scores, or more of the validation than a choice of epoch, into a training."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from small_training import CPU, PREPROCESSING, SIZE, STORED, Kept, divided, small_settings, tiny
from torch import nn

from layerwise.finetuning import Part, fine_tune, fine_tune_folds, make_fold
from layerwise.finetuning.augmentation import Augmentation
from layerwise.finetuning.images import ResidentImages
from layerwise.finetuning.training import Batches, Trainer

COUNT = 80


def marked(rng):
    """Images whose colour is their index, and their scores."""
    images = np.zeros((COUNT, STORED, STORED, 3), np.uint8)
    images[:] = np.arange(COUNT)[:, None, None, None]
    return images, rng.uniform(0.4, 0.9, COUNT)


def indices_in(inputs):
    """Return which of the marked images a batch shows."""
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (PREPROCESSING.mean, PREPROCESSING.std))
    return (inputs * std + mean).mul(255).mean((1, 2, 3)).round().long().tolist()


class Watched(nn.Module):
    """Notes which images it is shown: with gradients, in training mode, and without either."""

    def __init__(self, learnt=None, judged=None):
        super().__init__()
        self.inner, self.fc = tiny(), nn.Linear(10, 10)
        self.learnt, self.judged = [] if learnt is None else learnt, [] if judged is None else judged

    def __deepcopy__(self, _):
        return Watched(self.learnt, self.judged)  # which notes in the same lists

    def forward(self, x):
        learns = torch.is_grad_enabled() or any(module.training for module in self.modules())
        (self.learnt if learns else self.judged).extend(indices_in(x.detach()))
        return self.fc(self.inner(x))


def tune(pixels, fold, settings, network=None, **options):
    return fine_tune(network or tiny(), "fc", pixels, PREPROCESSING, fold, settings, CPU, **options)


def assert_same_training(one, other):
    assert one.history == other.history and one.best_epoch == other.best_epoch
    assert all(torch.equal(one.weights[name], tensor) for name, tensor in other.weights.items())
    np.testing.assert_array_equal(one.validation.predicted, other.validation.predicted)


@pytest.mark.parametrize("changes", [{}, {"watch": "loss", "last_batch": "keep", "accumulate": 2}])
@pytest.mark.parametrize("resident", [True, False])
def test_gradients_and_statistics_come_from_training_images_alone(rng, resident, changes):
    images, scores = marked(rng)
    parts = divided(COUNT, rng, 0.55)
    settings = small_settings(max_epochs=2, **changes)
    network = Watched()
    tune(Kept(images), make_fold(0, scores, *parts, settings), settings, network, resident=resident)
    train, validation, test = map(set, parts)
    assert set(network.learnt) <= train and len(set(network.learnt)) > 0.9 * len(train)
    assert set(network.judged) == validation | test
    tested = [image in test for image in network.judged]
    assert not any(tested[: 2 * len(validation)])  # those of both epochs come before


def test_of_splits_trained_in_one_job_each_learns_from_its_own_training_images_alone(rng):
    """One split's test images are training images of another, and the job holds the pixels of both."""
    images, scores = marked(rng)
    settings = small_settings(max_epochs=2)
    parts = np.array_split(rng.permutation(COUNT), 3)
    folds = [
        make_fold(number, scores, parts[number], parts[number - 1], parts[number - 2], settings) for number in range(3)
    ]
    network, seen = Watched(), []

    def done(fold, _):
        seen.append((fold, set(network.learnt), list(network.judged)))
        network.learnt.clear(), network.judged.clear()

    fine_tune_folds(network, "fc", Kept(images), PREPROCESSING, folds, settings, CPU, done=done)
    assert [fold.split for fold, *_ in seen] == [0, 1, 2]
    for fold, learnt, judged in seen:
        assert learnt <= set(fold.train.images) and len(learnt) > 0.8 * len(fold.train)
        assert set(judged[: 2 * len(fold.validation)]) == set(fold.validation.images)


@pytest.mark.parametrize("resident", [True, False])
def test_poisoned_test_images_change_no_weight_and_no_epoch(rng, resident):
    class Poisoned(nn.Module):
        """Not a number, for all of a batch, as soon as one image of it is white."""

        def __init__(self):
            super().__init__()
            self.inner, self.fc = tiny(), nn.Linear(10, 10)

        def forward(self, x):
            return self.fc(self.inner(x)) + torch.where(x.amin((1, 2, 3)).max() > 2, float("nan"), 0.0)

    images, scores = marked(rng)
    settings = small_settings(max_epochs=2)
    fold = make_fold(0, scores, *divided(COUNT, rng), settings)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        clean, other = Poisoned(), Poisoned()
        other.load_state_dict(clean.state_dict())
    poisoned = images.copy()
    poisoned[fold.test.images] = 255
    expected = tune(Kept(images), fold, settings, clean, resident=resident)
    found = tune(Kept(poisoned), fold, settings, other, resident=resident)
    assert_same_training(found, expected)
    assert np.isfinite(expected.test.predicted).all() and np.isnan(found.test.predicted).all()


@pytest.mark.parametrize("scores", ["other", "none"])
def test_test_scores_change_nothing_but_the_rho_that_is_reported(rng, scores):
    images, given = marked(rng)
    settings = small_settings(max_epochs=3)
    fold = make_fold(0, given, *divided(COUNT, rng), settings)
    wrong = rng.permutation(fold.test.scores) if scores == "other" else np.full(len(fold.test), np.nan)
    expected = tune(Kept(images), fold, settings)
    found = tune(Kept(images), replace(fold, test=Part(fold.test.images, wrong)), settings)
    assert_same_training(found, expected)
    np.testing.assert_array_equal(found.test.predicted, expected.test.predicted)


def test_validation_scores_decide_which_epoch_is_kept_and_nothing_else(rng):
    images, scores = marked(rng)
    settings = small_settings(max_epochs=4, patience=4)
    fold = make_fold(0, scores, *divided(COUNT, rng), settings)
    reversed_ = replace(fold, validation=Part(fold.validation.images, -fold.validation.scores))
    ends = []
    for of in (fold, reversed_):
        network, weights = tiny(), []

        def note(*_, network=network, weights=weights):
            weights.append({name: tensor.clone() for name, tensor in network.state_dict().items()})

        result = tune(Kept(images), of, settings, network, report=note)
        ends.append(([epoch.training_loss for epoch in result.history], weights))
    assert ends[0][0] == ends[1][0] and len(ends[0][1]) == 4
    for one, other in zip(ends[0][1], ends[1][1], strict=True):
        assert all(torch.equal(tensor, other[name]) for name, tensor in one.items())


def test_an_image_is_trained_on_with_its_score_in_this_split(rng):
    """In LaMem an image has another score in each split."""
    images, _ = marked(rng)
    settings = small_settings(flip=False)
    tables = rng.uniform(0.4, 0.9, (2, COUNT))
    for split in (0, 1):
        parts = divided(COUNT, rng)
        fold = make_fold(split, tables[split], *parts, settings)
        held = ResidentImages(Kept(images), fold.train.images, CPU)
        batches = Batches(held, fold.train, Augmentation(PREPROCESSING, CPU), settings, CPU)
        for epoch in range(2):
            for inputs, targets in batches.epoch(epoch):
                np.testing.assert_allclose(targets, tables[split][indices_in(inputs)], rtol=1e-6)
        result = tune(Kept(images), fold, replace(settings, max_epochs=1))
        for predictions, part in ((result.validation, parts[1]), (result.test, parts[2])):
            assert predictions.split == split
            np.testing.assert_array_equal(predictions.images, part)
            np.testing.assert_array_equal(predictions.scores, tables[split][part])


def test_whoever_trains_cannot_get_a_test_image_even_on_purpose(rng):
    images, scores = marked(rng)
    settings = small_settings(max_epochs=1)
    fold = make_fold(0, scores, *divided(COUNT, rng), settings)
    held = ResidentImages(Kept(images), np.concatenate([fold.train.images, fold.validation.images]), CPU)
    augmentation = Augmentation(PREPROCESSING, CPU)
    for train, validation in ((fold.test, fold.validation), (fold.train, fold.test)):
        network = nn.Sequential(nn.Flatten(), nn.Linear(3 * SIZE * SIZE, 1))
        with pytest.raises(ValueError, match="that this part of the computation must not see"):
            Trainer(network, held, train, validation, augmentation, settings, CPU).run()


@pytest.mark.parametrize(("one", "other"), [(0, 1), (0, 2), (1, 2)])
def test_an_image_in_two_parts_is_refused(rng, one, other):
    parts = list(divided(COUNT, rng))
    parts[other] = np.append(parts[other], parts[one][:1])
    with pytest.raises(ValueError, match="1 image is more than once in split 1"):
        make_fold(0, rng.uniform(size=COUNT), *parts, small_settings())
