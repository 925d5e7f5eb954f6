"""Training against a plain PyTorch loop, on images with planted scores."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from small_training import CPU, PREPROCESSING, SIZE, Kept, Short, divided, planted, small_settings, tiny
from torch import nn

from layerwise.finetuning import DivergedError, Part, fine_tune, make_fold
from layerwise.finetuning.draws import order_images, step_seed
from layerwise.finetuning.history import Epoch, best_epoch, ends
from layerwise.finetuning.networks import replace_by_one_unit
from layerwise.finetuning.training import Pace, log_epoch
from layerwise.interfaces import DegenerateWarning
from layerwise.models import normalise


def tune(study, settings, network=None, **options):
    pixels, fold = study
    return fine_tune(network or tiny(), "fc", pixels, PREPROCESSING, fold, settings, CPU, **options)


def plain_loop(pixels, fold, settings):
    """What everybody writes, with PyTorch's own scheduler, on one order and crop that cannot vary."""
    network = replace_by_one_unit(tiny(), "fc", settings, float(fold.train.scores.mean()))
    optimiser = torch.optim.SGD(network.parameters(), lr=settings.learning_rate, momentum=0.9, nesterov=True)
    schedule = torch.optim.lr_scheduler.StepLR(optimiser, settings.step_epochs, settings.gamma)
    scores = dict(zip(fold.train.images, fold.train.scores, strict=True))
    losses, rhos = [], []
    with torch.random.fork_rng():
        for epoch in range(settings.max_epochs):
            network.train()
            order, size = order_images(settings.seed, epoch, fold.train.images), settings.batch_size
            of_epoch = []
            for step in range(len(order) // size):
                batch = order[step * size : (step + 1) * size]
                torch.manual_seed(step_seed(settings.seed, epoch, step))
                inputs = normalise(torch.from_numpy(pixels.images[batch]), PREPROCESSING)
                loss = nn.functional.mse_loss(
                    network(inputs)[:, 0], torch.tensor([scores[image] for image in batch], dtype=torch.float32)
                )
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                of_epoch.append(loss.item())
            schedule.step()
            losses.append(np.mean(of_epoch))
            network.eval()
            with torch.inference_mode():
                seen = normalise(torch.from_numpy(pixels.images[fold.validation.images]), PREPROCESSING)
                rhos.append(spearmanr(fold.validation.scores, network(seen)[:, 0].numpy()).statistic)
    return network, losses, rhos


def test_a_training_is_that_of_a_plain_loop(rng):
    images, scores = planted(rng, 90)
    cut = Kept(images[:, :SIZE, :SIZE])  # stored as large as the input, and not mirrored: no crop is left to chance
    settings = small_settings(flip=False, step_epochs=2, max_epochs=4, patience=9)
    fold = make_fold(0, scores, *divided(90, rng), settings)
    network, losses, rhos = plain_loop(cut, fold, settings)
    with torch.random.fork_rng():
        ours = tune((cut, fold), settings)
    np.testing.assert_allclose([epoch.training_loss for epoch in ours.history], losses, rtol=2e-5)
    np.testing.assert_allclose([epoch.rho for epoch in ours.history], rhos, atol=0.02)
    assert ours.best_epoch == 1 + int(np.argmax([epoch.rho for epoch in ours.history]))
    if ours.best_epoch == 4:
        for name, tensor in network.state_dict().items():
            torch.testing.assert_close(ours.weights[name], tensor, rtol=1e-3, atol=1e-4)


def test_planted_scores_are_learnt_and_predictions_belong_to_the_weights(study):
    torch_state = torch.get_rng_state()
    network = tiny()
    result = tune(study, small_settings(max_epochs=8), network)
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert result.test.rho > 0.8
    assert result.validation.rho == pytest.approx(result.history[result.best_epoch - 1].rho, abs=1e-9)
    pixels, fold = study
    again = replace_by_one_unit(tiny(3), "fc", small_settings(), 0.0)
    again.load_state_dict(result.weights)
    cut = torch.from_numpy(pixels.images[fold.test.images][:, 2:18, 2:18])
    with torch.inference_mode():
        predicted = again.eval()(normalise(cut, PREPROCESSING))[:, 0].numpy()
    np.testing.assert_allclose(result.test.predicted, predicted, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(result.test.images, fold.test.images)
    assert result.test.rho == pytest.approx(spearmanr(fold.test.scores, predicted).statistic, abs=1e-6)


def test_shuffled_scores_are_not_predicted(rng):
    rhos = []
    for seed in range(4):
        images, scores = planted(rng, 240)
        parts = divided(240, rng, 0.5, 0.2)
        scores = rng.permutation(scores)
        settings = small_settings(max_epochs=2, seed=seed)
        rhos.append(tune((Kept(images), make_fold(0, scores, *parts, settings)), settings).test.rho)
    # Of 72 test images each: the standard deviation of the mean is 1 / sqrt(4 * 71).
    assert abs(np.mean(rhos)) < 4.5 / np.sqrt(4 * 71)


@pytest.mark.parametrize(
    "changes",
    [
        {"optimiser": "adamw", "schedule": "cosine"},
        {"crop": "random-resized-crop", "scale": (0.5, 1.0)},
        {"batch_norms": "frozen", "last_batch": "keep", "watch": "loss"},
        {"loss": "l1", "weight_decay": 1e-4, "centre": False},
        {"precision": "bf16", "accumulate": 2},
        {"deterministic": True},
    ],
)
def test_every_choice_trains(study, changes):
    result = tune(study, small_settings(max_epochs=5, learning_rate=0.02, **changes), resident=False)
    losses = [epoch.training_loss for epoch in result.history]
    assert np.isfinite(losses).all() and min(losses[1:]) < losses[0]
    assert len(result.test.predicted) == 32


def test_frozen_batch_norms_stay_as_they_were(study):
    before = tiny().state_dict()
    for batch_norms, same in (("frozen", True), ("learn", False)):
        after = tune(study, small_settings(max_epochs=1, batch_norms=batch_norms)).weights
        for name in ("stem.1.running_mean", "stem.1.running_var", "stem.1.weight", "stem.1.num_batches_tracked"):
            assert torch.equal(before[name], after[name]) == same
        assert not torch.equal(before["stem.0.weight"], after["stem.0.weight"])


def test_a_head_starts_at_the_mean_of_the_training_scores():
    centred = replace_by_one_unit(tiny(), "fc", small_settings(), 0.7)
    plain = replace_by_one_unit(tiny(), "fc", small_settings(centre=False), 0.7)
    assert centred.fc.bias.item() == pytest.approx(0.7)
    assert abs(plain.fc.bias.item()) < 0.5
    assert torch.equal(centred.fc.weight, plain.fc.weight)
    assert not torch.equal(replace_by_one_unit(tiny(), "fc", small_settings(seed=5), 0.7).fc.weight, plain.fc.weight)


def test_no_test_image_and_no_test_score_reaches_training_or_early_stopping(study):
    pixels, fold = study
    settings = small_settings(max_epochs=3)
    plain = tune(study, settings)
    # Whatever test images and scores are, weights, history and the epoch that is kept are the same to the bit.
    images = pixels.images.copy()
    images[fold.test.images] = 255 - images[fold.test.images]
    other = replace(fold, test=Part(fold.test.images, -fold.test.scores))
    changed = tune((Kept(images), other), settings)
    assert changed.history == plain.history
    assert all(torch.equal(changed.weights[name], tensor) for name, tensor in plain.weights.items())
    np.testing.assert_array_equal(changed.validation.predicted, plain.validation.predicted)
    assert not np.allclose(changed.test.predicted, plain.test.predicted)


@pytest.mark.parametrize("resident", [True, False])
def test_test_images_are_not_even_read_before_training_has_ended(study, resident):
    pixels, fold = study
    guarded = Kept(pixels.images, forbidden=fold.test.images)
    done = []
    settings = small_settings(max_epochs=2)
    with pytest.raises(AssertionError, match="must not be"):
        tune((guarded, fold), settings, resident=resident, report=lambda epoch, _: done.append(epoch))
    assert len(done) == 2
    first = min(guarded.read_images.index(image) for image in fold.test.images if image in guarded.read_images)
    assert set(guarded.read_images[:first]) == {*fold.train.images, *fold.validation.images}


def test_it_does_not_matter_where_pixels_lie(study):
    resident, streamed = (tune(study, small_settings(max_epochs=2), resident=where) for where in (True, False))
    assert resident.history == streamed.history
    np.testing.assert_array_equal(resident.test.predicted, streamed.test.predicted)


def test_training_stops_early_and_the_best_epoch_is_kept(study):
    kept = []

    class Watched(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.fc = nn.Flatten(), nn.Linear(3 * SIZE * SIZE, 10)

        def forward(self, x):
            return self.fc(self.inner(x))

    network = Watched()
    settings = small_settings(max_epochs=30, patience=2, learning_rate=1e-5)
    result = tune(study, settings, network, report=lambda *_: kept.append(network.fc.weight.detach().clone()))
    rhos = [epoch.rho for epoch in result.history]
    best = int(np.argmax(rhos)) + 1
    assert result.best_epoch == best
    assert len(rhos) in (30, best + 2)
    assert torch.equal(result.weights["fc.weight"], kept[best - 1])


def epochs(*values, watch="rho"):
    return [
        Epoch(number, 0.1, 0.0, value if watch == "loss" else 0.0, 0.0 if watch == "loss" else value, 1)
        for number, value in enumerate(values, 1)
    ]


def test_when_training_ends():
    nan = float("nan")
    settings = small_settings(patience=2, max_epochs=6)
    by_loss = small_settings(patience=2, max_epochs=6, watch="loss")
    assert best_epoch(epochs(0.1, 0.3, 0.3, 0.2), settings) == 2
    assert best_epoch(epochs(0.3, 0.1, 0.2, watch="loss"), by_loss) == 2
    assert best_epoch(epochs(nan, nan), settings) == 1
    assert best_epoch(epochs(nan, 0.1, nan), settings) == 2
    assert best_epoch(epochs(-0.5, -0.2), settings) == 2
    assert ends([], settings) == ""
    assert ends(epochs(0.1, 0.2, 0.1), settings) == ""
    assert "2 epochs without gain" in ends(epochs(0.1, 0.2, 0.1, 0.2), settings)
    assert "after 6 epochs" in ends(epochs(0.1, 0.2, 0.3, 0.4, 0.5, 0.6), settings)


class Explodes(nn.Module):
    """Gives infinity for an image whose first pixel is white."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 10)

    def forward(self, x):
        white = (x[:, :, 0, 0] > 2.2).all(1, keepdim=True)
        return self.fc(x.mean((2, 3))) + torch.where(white, float("inf"), 0.0)


def test_a_loss_that_is_not_finite_ends_training_and_names_step_and_images(study, tmp_path):
    pixels, fold = study
    settings = small_settings(max_epochs=3, flip=False)
    images = pixels.images.copy()
    bad = order_images(settings.seed, 0, fold.train.images)[19]  # of the third batch
    images[bad] = 255
    with pytest.raises(DivergedError) as raised:
        tune((Kept(images), fold), settings, Explodes(), state=tmp_path / "a.state")
    message = str(raised.value)
    assert "the loss of step 3 of epoch 1 is inf, of the images" in message
    assert pixels.ids[bad] in message and "0 good epochs" in message and "\n" not in message
    assert not (tmp_path / "a.state").exists()


def test_a_loss_that_is_not_finite_later_leaves_the_last_good_state(study, tmp_path):
    class Late(nn.Module):
        def __init__(self, good):
            super().__init__()
            self.good, self.fc = good, nn.Linear(3, 10)

        def forward(self, x):
            self.good -= self.training
            return self.fc(x.mean((2, 3))) * (1 if self.good >= 0 else float("nan"))

    def late(good):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return Late(good)

    path, settings = tmp_path / "a.state", small_settings(max_epochs=3)
    message = r"step 8 of epoch 2 is nan, .* with 1 good epoch; the state in .*a\.state"
    with pytest.raises(DivergedError, match=message):
        tune(study, settings, late(1 + 12 + 7), state=path)  # a step that is tried, an epoch, and more
    whole, resumed = tune(study, settings, late(1000)), tune(study, settings, late(1000), state=path)
    assert resumed.history == whole.history
    assert torch.equal(resumed.weights["fc.weight"], whole.weights["fc.weight"])


def test_predictions_that_are_not_finite_end_training_at_the_last_good_state(study, tmp_path):
    pixels, fold = study
    images = pixels.images.copy()
    images[fold.validation.images[0]] = 255
    with pytest.raises(DivergedError, match="after epoch 1 the network predicts inf for 1 validation image"):
        tune((Kept(images), fold), small_settings(max_epochs=3), Explodes(), state=tmp_path / "a.state")
    assert not (tmp_path / "a.state").exists()


def test_a_network_that_gives_no_score_for_each_image_is_refused(study):
    class Maps(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Conv2d(3, 10, 1)

        def forward(self, x):
            return self.fc(x)

    with pytest.raises(ValueError, match=r"gives \[8, 1, 16, 16\] for 8 images: it must give one number"):
        tune(study, small_settings(), Maps())


def test_predictions_that_do_not_vary_have_no_rho_and_training_goes_on(study):
    class Constant(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(3, 10)

        def forward(self, x):
            return self.fc(x.mean((2, 3)) * 0)

    with pytest.warns(DegenerateWarning, match="rho is NaN"):
        result = tune(study, small_settings(max_epochs=2), Constant())
    assert np.isnan([epoch.rho for epoch in result.history]).all()
    assert result.best_epoch == 1
    with warnings.catch_warnings(action="ignore"):
        assert np.isnan(result.test.rho)


def test_predictions_that_do_not_fit_into_memory_are_made_with_fewer_images(study, caplog):
    class Evaluates(Short):
        def forward(self, x):
            if not self.training and len(x) > self.most:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
            return self.fc(self.norm(x).mean((2, 3)))

    def run(most):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return tune(study, small_settings(max_epochs=2), Evaluates(most))

    short, whole = run(9), run(100)
    assert "predictions do not fit into memory: 8 images are tried at once" in caplog.text
    np.testing.assert_allclose(short.test.predicted, whole.test.predicted, rtol=1e-5)
    with pytest.raises(torch.OutOfMemoryError):
        run(0)


@pytest.mark.parametrize("which", ["", "split 2, "])
def test_the_line_of_an_epoch_in_the_log(caplog, which):
    epoch = Epoch(3, 1e-3, 0.01, 0.02, 0.5, 1)
    with caplog.at_level("INFO"):
        log_epoch(epoch, Pace(1234.4, 9.6, 2 * 10**9), which)
    told = "epoch 3: loss 0.01000, validation loss 0.02000, rho 0.5000; 1234 images/s, 10 s, 2.0 GB"
    assert caplog.messages == [which + told]
